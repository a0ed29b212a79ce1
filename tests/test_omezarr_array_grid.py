"""Plans without files: cuts, groups of planes, and tasks that cover the output exactly once."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from bfio.omezarr.arraymeta import ArrayMeta, Chain
from bfio.omezarr.chunkgrid import cut, group_planes, progressions
from bfio.omezarr.plan import StoredAxes, plan_reads
from bfio.selection import Box

ranges = st.builds(lambda start, n, step: range(start, start + n * step, step), *map(st.integers, (0, 1, 1), (30, 20, 15)))


@given(ranges, st.integers(1, 12))
def test_cuts_are_the_items_of_the_range(selected, size):
    cuts = cut(selected, size)
    found = []
    for chunk, first, count, place in zip(cuts.chunk, cuts.first, cuts.count, cuts.place, strict=True):
        assert count > 0 and place == len(found)
        items = [chunk * size + first + k * selected.step for k in range(count)]
        assert all(item // size == chunk for item in items)
        found += items
    assert found == list(selected)
    assert (np.diff(cuts.chunk) > 0).all()


@given(st.data())
def test_planes_are_grouped_by_their_chunk(data):
    n = data.draw(st.integers(1, 3))
    selected = [data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=5)) for _ in range(n)]
    chunk = [data.draw(st.integers(1, 5)) for _ in range(n)]
    planes = group_planes(selected, chunk, [10 ** (2 * axis) for axis in range(n)])
    found = {}
    for group, index in enumerate(planes.chunk.tolist()):
        for number in range(planes.bounds[group], planes.bounds[group + 1]):
            inside = np.unravel_index(planes.inside[number], chunk)
            found[int(planes.place[number])] = tuple(i * c + k for i, c, k in zip(index, chunk, inside, strict=True))
    wanted = {
        sum(place * 100**axis for axis, place in enumerate(places)): tuple(s[p] for s, p in zip(selected, places, strict=True))
        for places in itertools.product(*(range(len(s)) for s in selected))
    }
    assert found == wanted
    assert len({tuple(one) for one in planes.chunk.tolist()}) == len(planes.chunk)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_progressions_are_the_indices(indices):
    found = [None] * len(indices)
    for place, part in progressions(indices):
        assert part.step > 0
        found[place : place + len(part)] = part
    assert found == indices


def test_progressions_are_as_long_as_they_can_be():
    assert list(progressions((2, 4, 6, 9))) == [(0, range(2, 7, 2)), (3, range(9, 10))]
    assert list(progressions(range(3, 90, 7))) == [(0, range(3, 90, 7))]
    assert list(progressions((0, 0))) == [(0, range(0, 1)), (1, range(0, 1))]


def meta_of(shape, chunk, order=None):
    return ArrayMeta("", 3, shape, chunk, None, np.dtype("u1"), False, np.uint8(0), Chain(1), order=order)


def test_axes_that_are_not_there_come_first():
    stored = StoredAxes.of(meta_of((7, 8, 9), (2, 3, 4), (2, 0, 1)), "czx")
    assert (stored.letters, stored.chunk, stored.shape) == ("tyxcz", (1, 1, 4, 2, 3), (1, 1, 9, 7, 8))
    assert stored.source == (3, 4, 2)


@pytest.mark.parametrize("axes", ["yx", "zzyx", "zyxw", "qzyx", ""])
def test_axes_that_do_not_fit(axes):
    with pytest.raises(ValueError, match="axes"):
        StoredAxes.of(meta_of((4, 4, 4), (2, 2, 2)), axes)


@given(st.data())
def test_tasks_cover_the_output_once_and_stay_inside_their_chunk(data):
    shape = tuple(data.draw(st.integers(1, 9)) for _ in range(5))
    chunk = tuple(data.draw(st.integers(1, 5)) for _ in range(5))
    meta = meta_of(shape, chunk, data.draw(st.none() | st.permutations(range(5)).map(tuple)))
    planes = [tuple(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=4))) for n in shape[:3]]
    rows, cols = (range(data.draw(st.integers(0, n - 1)), n, data.draw(st.integers(1, 3))) for n in shape[3:])
    box = Box(*planes, rows, cols)
    out = np.zeros(box.shape, np.uint8)
    start = out.__array_interface__["data"][0]
    for plan in plan_reads(meta, "tczyx", box, out, None):
        begin = plan.out.__array_interface__["data"][0] - start
        assert plan.bounds[-1] == len(plan.tasks) and (plan.chunks < meta.grid).all()
        assert len({tuple(index) for index in plan.chunks.tolist()}) == len(plan.chunks)
        bottoms = plan.tasks["y0"] + (plan.tasks["rows"] - 1) * plan.form["y_step"][0] + 1
        for first, stop in itertools.pairwise(plan.bounds.tolist()):
            assert set(plan.tasks["decoded_rows"][first:stop].tolist()) == {bottoms[first:stop].max()}
        for task in plan.tasks:
            row_end = task["y0"] + (task["rows"] - 1) * plan.form["y_step"][0]
            assert row_end < task["tile_rows"] and task["rows"] > 0 and task["n_cols"] > 0
            assert task["x0"] + (task["n_cols"] - 1) * plan.form["x_step"][0] < plan.form["cols"][0]
            place = begin + int(task["plane_dst"])
            plane = np.lib.stride_tricks.as_strided(
                out.reshape(-1)[place:], plan.out.shape[3:], plan.out.strides[3:]
            )
            plane[task["y_dst"] : task["y_dst"] + task["rows"], task["x_dst"] : task["x_dst"] + task["n_cols"]] += 1
    assert_array_equal(out, 1)

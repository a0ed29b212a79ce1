"""Plans without files: run in numpy on tiles that hold the index of each pixel."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfio import _kernels
from bfio.plan import FORMAT, NO_SLOT, TASK, plan_planes, tasks_per_plane
from bfio.tiling import Grid


@st.composite
def axes(draw):
    """Size of an axis, size of a tile, and a selection."""
    size = draw(st.integers(1, 60))
    start = draw(st.integers(0, size - 1))
    stop = draw(st.integers(start + 1, size))
    return size, draw(st.integers(1, 70)), range(start, stop, draw(st.integers(1, 20)))


@st.composite
def cases(draw):
    """A grid and a selection of its rectangle."""
    (size_y, tile_rows, y), (size_x, tile_cols, x) = draw(axes()), draw(axes())
    strips = draw(st.booleans())
    if strips:
        tile_rows, tile_cols = min(tile_rows, size_y), size_x
    return Grid(size_y, size_x, tile_rows, tile_cols, strips), y, x


def planes_of(grid, n_planes, first_tile=0, plane_stride=0):
    """Tables whose offsets name plane and tile, so that they are known again in the tasks."""
    tiles = np.arange(first_tile + grid.n_tiles, dtype=np.uint64)
    return [
        (tiles + np.uint64(1000 * plane), tiles + np.uint64(7), first_tile, plane * plane_stride)
        for plane in range(n_planes)
    ]


def run(tasks, grid, y_step, x_step, shape):
    """What kernels do with a plan: the pixel's index in the stack, and how often each output item is written."""
    out, cover = np.full(shape, -1, np.int64), np.zeros(shape, int)
    for task in tasks:
        tile_y, tile_x = divmod(int(task["tile"]), grid.tiles_across)
        rows = int(task["y0"]) + y_step * np.arange(task["rows"])
        cols = int(task["x0"]) + x_step * np.arange(task["n_cols"])
        assert rows[-1] < task["tile_rows"] and cols[-1] < grid.tile_cols
        y, x = tile_y * grid.tile_rows + rows, tile_x * grid.tile_cols + cols
        plane, rest = divmod(int(task["plane_dst"]), out.strides[0])
        assert rest == 0
        y_dst, x_dst = int(task["y_dst"]), int(task["x_dst"])
        place = plane, slice(y_dst, y_dst + len(rows)), slice(x_dst, x_dst + len(cols))
        out[place] = (int(task["plane"]) * grid.size_y + y[:, None]) * grid.size_x + x
        cover[place] += 1
    return out, cover


@settings(deadline=None)
@given(cases(), st.integers(1, 4))
def test_plan_gives_the_selected_pixels_and_each_once(case, n_planes):
    grid, y, x = case
    shape = (n_planes, len(y), len(x))
    image = np.arange(n_planes * grid.size_y * grid.size_x).reshape(n_planes, grid.size_y, grid.size_x)
    tasks = plan_planes(grid, y, x, planes_of(grid, n_planes, plane_stride=np.empty(shape, np.int64).strides[0]))
    out, cover = run(tasks, grid, y.step, x.step, shape)
    assert (cover == 1).all()
    assert np.array_equal(out, image[np.ix_(range(n_planes), y, x)])


@given(cases(), st.integers(0, 40))
def test_each_task_has_the_entries_of_its_tile(case, first_tile):
    grid, y, x = case
    tasks = plan_planes(grid, y, x, planes_of(grid, 2, first_tile))
    assert tasks.dtype == TASK
    assert len(tasks) == 2 * tasks_per_plane(grid, y, x)
    assert (tasks["tile"] >= first_tile).all() and (tasks["tile"] < first_tile + grid.n_tiles).all()
    assert (tasks["offset"] == tasks["tile"] + 1000 * tasks["plane"].astype(np.uint64)).all()
    assert (tasks["nbytes"] == tasks["tile"] + np.uint64(7)).all()
    assert (tasks["slot"] == NO_SLOT).all()
    assert not tasks["ready"].any()


@given(cases())
def test_tasks_are_those_of_touched_tiles_in_order(case):
    grid, y, x = case
    tiles = plan_planes(grid, y, x, planes_of(grid, 1))["tile"].tolist()
    rows, cols = ({i // size for i in axis} for axis, size in ((y, grid.tile_rows), (x, grid.tile_cols)))
    assert tiles == [row * grid.tiles_across + col for row in sorted(rows) for col in sorted(cols)]


@given(cases())
def test_only_the_last_strip_has_fewer_rows(case):
    grid, y, x = case
    tasks = plan_planes(grid, y, x, planes_of(grid, 1))
    rows = grid.encoded_rows(tasks["tile"].astype(np.int64) // grid.tiles_across)
    assert np.array_equal(tasks["tile_rows"], rows)


def test_huge_offsets_and_places():
    grid = Grid(32, 32, 32, 32)
    tables = np.array([2**63 + 5], np.uint64), np.array([2**40], np.uint64), 0, -(2**50)
    (task,) = plan_planes(grid, range(32), range(32), [tables])
    assert (task["offset"], task["nbytes"], task["plane_dst"]) == (2**63 + 5, 2**40, -(2**50))


def test_large_images():
    grid = Grid(2**31, 2**31, 4096, 4096)
    tiles = np.zeros(1, np.uint64)
    with pytest.raises(ValueError, match="leaves the tiles"):
        plan_planes(grid, range(2**31 - 1, 2**31), range(2**31 - 1, 2**31), [(tiles, tiles, 0, 0)])


def test_records_are_packed_as_the_kernels_have_them():
    assert FORMAT.itemsize == 6 * 4 + 2 * 2 + 5 + 2 * 8 + 16
    assert TASK.itemsize == 5 * 8 + 10 * 4


GOOD = {
    "first_task": 0, "plane": 0, "first_tile": 0, "plane_dst": 0, "size_y": 64, "tile_rows": 16, "tile_cols": 16,
    "tiles_across": 4, "strips": 0, "y_start": 0, "y_step": 1, "y_count": 64, "x_start": 0, "x_step": 1, "x_count": 64,
}  # fmt: skip


def door(n_tasks, n_tiles, **values):
    """Call the kernel; the tasks lie between canaries, which must survive."""
    whole = np.full((n_tasks + 8) * TASK.itemsize, 0xA5, np.uint8)
    inside = slice(4 * TASK.itemsize, (n_tasks + 4) * TASK.itemsize)
    v = GOOD | values
    tables = np.arange(n_tiles, dtype=np.uint64)
    try:
        return _kernels.plan_plane(whole[inside], v["first_task"], v["plane"], tables, tables, *list(v.values())[2:])
    finally:
        assert (whole[: inside.start] == 0xA5).all() and (whole[inside.stop :] == 0xA5).all()


def test_door():
    assert door(16, 16) == 16
    assert door(40, 30, first_task=20, first_tile=14) == 16


@pytest.mark.parametrize(
    "wrong",
    [
        {"y_step": 0}, {"x_step": -1}, {"tile_rows": 0}, {"tile_cols": -4}, {"y_count": 0}, {"tiles_across": 0},
        {"y_start": -1}, {"first_tile": -1}, {"first_task": -1}, {"first_task": 16}, {"first_task": 1},
        {"first_tile": 1}, {"y_start": 1}, {"x_start": 1}, {"x_count": 65}, {"y_count": 65}, {"y_step": 2},
        {"tile_rows": 2**33}, {"x_start": 2**41}, {"size_y": 2**41}, {"x_step": 2**62}, {"y_count": 2**62},
        {"tiles_across": 3}, {"tiles_across": 2**62}, {"tiles_across": 2**60}, {"first_tile": 2**63 - 1}, {"strips": 1, "size_y": 63}, {"tile_rows": 8},
    ],
)  # fmt: skip
def test_door_refuses_what_does_not_fit(wrong):
    with pytest.raises(ValueError, match="plane|positive|negative|tile"):
        door(16, 16, **wrong)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 30),
    st.integers(0, 30),
    st.dictionaries(
        st.sampled_from(sorted(GOOD)),
        st.one_of(st.integers(-2, 70), st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**31, 2**32, 2**40])),
        max_size=5,
    ),
)
def test_door_stays_within_its_tasks_whatever_it_is_told(n_tasks, n_tiles, values):
    values = {name: int(bool(value)) if name == "strips" else value for name, value in values.items()}
    with contextlib.suppress(ValueError):
        assert 0 < door(n_tasks, n_tiles, **values) <= n_tasks

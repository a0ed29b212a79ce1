"""Selections of one axis cut at the borders of tiles, against a loop over all indices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfio.tiling import cut_axis


@st.composite
def selections(draw):
    """A non-empty range of positive step, and the size of a tile."""
    start = draw(st.integers(0, 90))
    stop = draw(st.integers(start + 1, 120))
    return range(start, stop, draw(st.integers(1, 40))), draw(st.integers(1, 50))


def reference(selected, tile_size):
    """Tile -> its selected indices and their positions in the output."""
    tiles = {}
    for position, index in enumerate(selected):
        tiles.setdefault(index // tile_size, []).append((index % tile_size, position))
    return tiles


@given(selections())
def test_cuts_are_those_of_a_loop(case):
    selected, tile_size = case
    cuts = cut_axis(selected, tile_size)
    wanted = reference(selected, tile_size)
    assert cuts.tile.tolist() == list(wanted)
    assert cuts.start.tolist() == [inside[0][0] for inside in wanted.values()]
    assert cuts.count.tolist() == [len(inside) for inside in wanted.values()]
    assert cuts.dst.tolist() == [inside[0][1] for inside in wanted.values()]


@given(selections())
def test_every_index_is_covered_once_and_lies_in_its_tile(case):
    selected, tile_size = case
    covered = np.zeros(len(selected), int)
    for tile, start, count, dst in zip(*cut_axis(selected, tile_size), strict=True):
        assert count > 0
        inside = start + selected.step * np.arange(count)
        assert inside[0] >= 0 and inside[-1] < tile_size
        assert (tile * tile_size + inside == np.array(selected)[dst : dst + count]).all()
        covered[dst : dst + count] += 1
    assert (covered == 1).all()


@given(selections())
def test_arrays_are_int64_of_one_length(case):
    cuts = cut_axis(*case)
    assert {array.dtype for array in cuts} == {np.dtype(np.int64)}
    assert len({array.shape for array in cuts}) == 1


@pytest.mark.parametrize("index", [0, 15, 16, 47, 10**12, 2**40 + 1])
def test_one_index(index):
    cuts = cut_axis(range(index, index + 1), 16)
    assert [array.tolist() for array in cuts] == [[index // 16], [index % 16], [1], [0]]


def test_tiles_between_the_steps_are_left_out():
    cuts = cut_axis(range(5, 1000, 300), 10)
    assert cuts.tile.tolist() == [0, 30, 60, 90]
    assert cuts.start.tolist() == [5, 5, 5, 5]
    assert cuts.dst.tolist() == [0, 1, 2, 3]


def test_one_large_tile_takes_all():
    cuts = cut_axis(range(3, 100, 7), 1 << 40)
    assert [array.tolist() for array in cuts] == [[0], [3], [14], [0]]

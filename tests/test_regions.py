"""Rectangles asked of Bio-Formats: every selected pixel once, tiles whole, none too large. No Java."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfio.bioformats.regions import Region, default_tile_rows, overlap, regions
from bfio.tiling import Grid


@st.composite
def selections(draw):
    size_y, size_x = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    rows, cols = draw(st.integers(1, size_y)), draw(st.integers(1, size_x))
    if draw(st.booleans()):
        rows = cols = 1
    axes = []
    for size in (size_y, size_x):
        start = draw(st.integers(0, size - 1))
        stop = draw(st.integers(start + 1, size))
        step = draw(st.sampled_from([1, 1, 2, 3, 7, 50]))
        picked = range(start, stop, step)
        axes.append(range(start, picked[-1] + 1, step))
    return *axes, Grid(size_y, size_x, rows, cols), draw(st.sampled_from([1, 2, 6])), draw(st.integers(1, 40_000))


@given(selections())
def test_selected_pixels_are_covered_once_and_tiles_are_whole(selection):
    y, x, grid, pixel_nbytes, target = selection
    covered = np.zeros((grid.size_y, grid.size_x), int)
    for region in regions(y, x, grid, pixel_nbytes, target):
        assert 0 <= region.y.start < region.y.stop <= grid.size_y
        assert 0 <= region.x.start < region.x.stop <= grid.size_x
        covered[region.y.start : region.y.stop, region.x.start : region.x.stop] += 1
        for part, tile, size in ((region.y, grid.tile_rows, grid.size_y), (region.x, grid.tile_cols, grid.size_x)):
            assert part.start % tile == 0
            assert part.stop % tile == 0 or part.stop == size
        n_tiles = -(-len(region.y) // grid.tile_rows) * -(-len(region.x) // grid.tile_cols)
        assert region.n_pixels * pixel_nbytes <= target or n_tiles == 1 or grid.tile_cols == 1
    assert covered.max() <= 1
    assert (covered[np.ix_(y, x)] == 1).all()


def total(y, x, grid, pixel_nbytes=2, target=4 << 20):
    return sum(region.n_pixels for region in regions(y, x, grid, pixel_nbytes, target))


def test_wide_steps_skip_what_nobody_asked_for():
    """A thumbnail of a large plane reads a small part of it."""
    whole = Grid(60_000, 60_000, 1, 1)
    rows = range(0, 60_000, 100)
    assert total(rows, range(0, 60_000, 100), whole) == 600 * len(range(60_000 - 99))
    tiled = Grid(60_000, 60_000, 256, 256)
    assert total(range(0, 60_000, 6000), range(0, 60_000, 6000), tiled) <= 100 * 256 * 256


def test_small_gaps_are_read_over():
    """Asking costs more than a few kilobytes: every second row of a small plane is one request."""
    assert len(list(regions(range(0, 100, 2), range(100), Grid(100, 100, 1, 1), 1, 1 << 20))) == 1


def test_rectangles_are_as_large_as_allowed():
    found = list(regions(range(4096), range(4096), Grid(4096, 4096, 512, 512), 2, 4 << 20))
    assert found == [Region(range(y, y + 512), range(4096)) for y in range(0, 4096, 512)]
    found = list(regions(range(4096), range(4096), Grid(4096, 4096, 512, 512), 2, 1 << 20))
    assert {(len(region.y), len(region.x)) for region in found} == {(512, 1024)}


@given(st.integers(0, 50), st.integers(1, 20), st.integers(1, 30), st.integers(0, 60), st.integers(1, 60))
def test_overlap(start, step, n, first, length):
    selected, part = range(start, start + step * (n - 1) + 1, step), range(first, first + length)
    where, inside = overlap(selected, part)
    assert list(selected[where]) == [index for index in selected if index in part]
    assert list(part[inside]) == [index for index in selected if index in part]


@pytest.mark.parametrize(("size", "pixel", "rows"), [((4096, 4096), 2, 128), ((100, 10), 1, 100), ((5, 1 << 22), 2, 1)])
def test_default_tile_rows(size, pixel, rows):
    assert default_tile_rows(*size, pixel) == rows

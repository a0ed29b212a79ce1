"""Grids of tiles and strips, against counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfio.tiling import Grid, tiles_hit


@st.composite
def selections(draw):
    """A non-empty range of positive step."""
    start = draw(st.integers(0, 90))
    return range(start, draw(st.integers(start + 1, 200)), draw(st.integers(1, 60)))


@st.composite
def grids(draw):
    """Tiles or strips of any size, larger than the image too."""
    size_y, size_x = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    if draw(st.booleans()):
        return Grid(size_y, size_x, draw(st.integers(1, size_y)), size_x, strips=True)
    return Grid(size_y, size_x, draw(st.integers(1, 90)), draw(st.integers(1, 90)))


@given(selections(), st.integers(1, 50))
def test_tiles_hit_by_a_selection(selected, tile_size):
    assert tiles_hit(selected, tile_size) == len({index // tile_size for index in selected})


@pytest.mark.parametrize(
    ("selected", "tile_size", "n"),
    [(range(5, 6), 16, 1), (range(15, 17), 16, 2), (range(0, 1000, 300), 10, 4), (range(3, 100, 7), 1 << 40, 1)],
)
def test_tiles_hit(selected, tile_size, n):
    assert tiles_hit(selected, tile_size) == n


@given(grids())
def test_tiles_cover_the_image_and_none_is_empty(grid):
    assert (grid.tiles_down - 1) * grid.tile_rows < grid.size_y <= grid.tiles_down * grid.tile_rows
    assert (grid.tiles_across - 1) * grid.tile_cols < grid.size_x <= grid.tiles_across * grid.tile_cols
    assert grid.n_tiles == grid.tiles_down * grid.tiles_across


@given(grids())
def test_only_the_last_strip_is_short(grid):
    rows = grid.encoded_rows(np.arange(grid.tiles_down))
    assert (rows[:-1] == grid.tile_rows).all()
    if grid.strips:
        assert rows.sum() == grid.size_y and (rows > 0).all()
    else:
        assert rows[-1] == grid.tile_rows

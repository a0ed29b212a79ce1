"""Grids, and the number of tiles that a selection touches, against a loop over all indices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfio.tiling import Grid, tiles_hit


@st.composite
def selections(draw):
    """A non-empty range of positive step, and the size of a tile."""
    start = draw(st.integers(0, 90))
    stop = draw(st.integers(start + 1, 120))
    return range(start, stop, draw(st.integers(1, 40))), draw(st.integers(1, 50))


@given(selections())
def test_tiles_hit_are_those_of_a_loop(case):
    selected, tile_size = case
    assert tiles_hit(selected, tile_size) == len({index // tile_size for index in selected})


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 40), st.integers(1, 40), st.booleans())
def test_encoded_rows(size_y, size_x, tile_rows, tile_cols, strips):
    grid = Grid(size_y, size_x, tile_rows, tile_cols, strips)
    rows = grid.encoded_rows(np.arange(grid.tiles_down))
    assert (rows[:-1] == grid.tile_rows).all()
    if strips:
        assert rows.sum() == size_y and (rows > 0).all()
    else:
        assert rows[-1] == tile_rows


@pytest.mark.parametrize(
    ("grid", "n_tiles"),
    [(Grid(1, 1, 16, 16), 1), (Grid(16, 17, 16, 16), 2), (Grid(33, 33, 16, 16), 9), (Grid(10, 5, 3, 5, True), 4)],
)
def test_number_of_tiles(grid, n_tiles):
    assert grid.n_tiles == n_tiles

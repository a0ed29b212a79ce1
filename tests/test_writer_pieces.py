"""What the TIFF writer keeps account with: covered pixels, cut blocks, holes. No files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfio._coverage import MAX_RECTS, Coverage
from bfio.tiff.writing.extents import Extents
from bfio.tiff.writing.pieces import Piece, border_tiles, inner_tiles, split
from bfio.tiling import Grid


@st.composite
def rects(draw, rows=20, cols=17):
    y0, x0 = draw(st.integers(0, rows - 1)), draw(st.integers(0, cols - 1))
    return y0, draw(st.integers(y0 + 1, rows)), x0, draw(st.integers(x0 + 1, cols))


def painted(pieces, rows=20, cols=17):
    counts = np.zeros((rows, cols), int)
    for y0, y1, x0, x1 in pieces:
        counts[y0:y1, x0:x1] += 1
    return counts


@given(st.lists(rects(), max_size=12))
def test_coverage_is_a_mask(written):
    coverage, mask = Coverage(20, 17), np.zeros((20, 17), bool)
    for rect in written:
        coverage.add(rect)
        mask[rect[0] : rect[1], rect[2] : rect[3]] = True
        assert coverage.n_covered == mask.sum()
        assert coverage.complete == mask.all()
    assert np.array_equal(coverage.mask(), mask)
    assert np.array_equal(painted(coverage.covered()), mask)
    assert np.array_equal(painted(coverage.uncovered()), ~mask)
    assert np.array_equal(Coverage(20, 17, coverage.covered()).mask(), mask)


def test_many_small_parts_become_a_mask_and_bands_stay_one_rectangle():
    coverage = Coverage(40, 40)
    for y, x in np.random.default_rng(0).permutation(np.argwhere(np.indices((40, 40)).sum(0) % 2 == 0)).tolist():
        coverage.add((y, y + 1, x, x + 1))
    assert coverage._mask is not None and coverage.n_covered == 800 > MAX_RECTS
    assert np.array_equal(painted(coverage.uncovered(), 40, 40), np.indices((40, 40)).sum(0) % 2)
    coverage.add((0, 40, 0, 40))
    assert coverage.complete and coverage.uncovered() == []
    bands = Coverage(100, 7)
    for y in range(100):
        bands.add((y, y + 1, 0, 7))
    assert bands.complete and len(bands.covered()) == 1


@pytest.mark.parametrize("rect", [(0, 0, 0, 1), (0, 21, 0, 1), (-1, 2, 0, 1), (3, 2, 0, 1), (0, 1, 0, 18)])
def test_coverage_refuses_what_is_not_in_it(rect):
    with pytest.raises(ValueError, match="rectangle"):
        Coverage(20, 17).add(rect)


GRID = Grid(50, 45, 16, 16)


@given(rects(50, 45))
def test_inner_and_border_tiles_cover_a_rectangle_once(rect):
    inner = inner_tiles(rect, GRID)
    border = list(border_tiles(rect, inner, GRID))
    counts = painted([part for _, part in border] + ([inner] if inner else []), 50, 45)
    assert np.array_equal(counts, painted([rect], 50, 45))
    if inner:
        assert inner[0] % 16 == inner[2] % 16 == 0
        assert all(stop % 16 == 0 or stop == size for stop, size in ((inner[1], 50), (inner[3], 45)))
    for tile, (y0, y1, x0, x1) in border:
        top, left = tile // 3 * 16, tile % 3 * 16
        assert top <= y0 < y1 <= top + 16 and left <= x0 < x1 <= left + 16
        assert (y1 - y0) * (x1 - x0) < min(16, 50 - top) * min(16, 45 - left), "a whole tile is no border"


@given(rects(50, 45), st.integers(1, 3), st.integers(1, 2), st.integers(1, 3), st.sampled_from([1, 3]),
       st.integers(1, 9000))  # fmt: skip
def test_split_cuts_at_tiles_and_loses_nothing(rect, t, c, z, samples, max_nbytes):
    y0, y1, x0, x1 = rect
    shape = (t, c * samples, z, y1 - y0, x1 - x0)
    block = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    planes = np.arange(t * c * z).reshape(t, c, z)
    image = np.zeros((t * c * z, samples, 50, 45), np.uint16)
    seen = np.zeros((t * c * z, 50, 45), int)
    for piece in split(Piece(block, planes, y0, x0), GRID, max_nbytes):
        top, bottom, left, right = piece.rect
        assert piece.block.shape[1] == piece.planes.shape[1] * samples
        for (i, j, k), plane in np.ndenumerate(piece.planes):
            image[plane, :, top:bottom, left:right] = piece.block[i, j * samples : (j + 1) * samples, k]
            seen[plane, top:bottom, left:right] += 1
        if piece.block.nbytes > max_nbytes:
            assert piece.planes.size == 1
            assert top // 16 == (bottom - 1) // 16 and left // 16 == (right - 1) // 16
        assert all(edge % 16 == 0 or edge in ends for edge, ends in
                   ((top, (y0,)), (bottom, (y1,)), (left, (x0,)), (right, (x1,))))  # fmt: skip
    assert np.array_equal(seen, np.broadcast_to(painted([rect], 50, 45), seen.shape))
    expected = np.moveaxis(block.reshape(t, c, samples, z, y1 - y0, x1 - x0), 3, 2).reshape(-1, samples, y1 - y0, x1 - x0)
    assert np.array_equal(image[:, :, y0:y1, x0:x1], expected)


def test_holes_are_used_again_only_when_no_checkpoint_needs_them():
    extents = Extents(1000)
    extents.release((500, 100))  # older than the checkpoint: its bytes are the tile after a crash
    assert extents.take(50) is None
    extents.release((1000, 60))
    extents.release((1060, 40))  # neighbours become one
    assert extents.take(101) is None
    assert extents.take(70) == 1000
    assert extents.holes_after_checkpoint() == [(500, 100), (1070, 30)]
    extents.made_checkpoint(2000)
    assert extents.take(100) == 500
    extents.release((500, 100))  # a listed hole: whoever resumes doubts what lies in it
    assert extents.take(90) == 500
    extents.release((1500, 10))
    assert extents.take(10) == 590
    assert extents.take(10) == 1070, "the smallest hole that fits"
    resumed = Extents(2000, [(500, 100)])
    assert resumed.is_fresh((520, 80)) and not resumed.is_fresh((550, 60)) and resumed.is_fresh((2000, 1))

"""How much memory moving blocks of one size takes at most."""

from __future__ import annotations

from bfio.conversion.geometry import Geometry
from bfio.conversion.memory import BASE_NBYTES
from bfio.omezarr.writing.assembling import BATCH_NBYTES, held_nbytes
from bfio.pyramid import level_sizes

__all__ = ["need"]

FETCH_NBYTES = 64 << 20
"""Encoded bytes of a remote source that a reader holds at once."""
SLOTS_PER_WORKER = 3
"""Tiles that a writer of TIFF holds for each worker while they are encoded and wait for their turn."""


def need(g: Geometry, planes: int, rectangle: tuple[int, int], buffer_rows: int, n_buffers: int, workers: int) -> int:
    """Bytes of the whole process.

    Parameters
    ----------
    g : Geometry
    planes : int
    rectangle : (int, int)
        Rows and columns of a block.
    buffer_rows : int
        Rows that a buffer has room for.
    n_buffers : int
    workers : int
    """
    n_pixels = planes * buffer_rows * rectangle[1]
    return (
        BASE_NBYTES
        + g.src_kept_nbytes
        + n_buffers * n_pixels * g.pixel_nbytes
        + _decoding(g, n_pixels, workers)
        + (_chunks(g, planes, rectangle, workers) if g.in_chunks else workers * SLOTS_PER_WORKER * g.unit_nbytes)
        + _pyramid(g, planes, *rectangle)
    )


def _decoding(g: Geometry, n_pixels: int, workers: int) -> int:
    """Of each worker one tile of the source, encoded and decoded; and what is fetched of remote ones."""
    rows, cols = (min(tile, size) for tile, size in zip(g.src_tile, g.src_size, strict=True))
    at_once = min(workers, -(-n_pixels // (rows * cols)))
    fetched = 0 if g.is_local else min(FETCH_NBYTES, n_pixels * g.src_pixel_nbytes)
    return at_once * 2 * rows * cols * g.src_pixel_nbytes + fetched


def _chunks(g: Geometry, planes: int, rectangle: tuple[int, int], workers: int) -> int:
    """Chunks that are encoded, those that wait until each worker has one, and those at borders, which are padded."""
    deep = g.depth[0] * g.depth[1] * g.depth[2]
    down, across = (-(-length // tile) for length, tile in zip(rectangle, g.tile, strict=True))
    n = max(1, planes // deep) * down * across
    encoded = sum(min(2 * workers, -(-n >> 2 * level)) for level in range(g.n_levels))
    waiting = min(2 * workers * g.unit_nbytes, BATCH_NBYTES) if workers > 1 and n < 2 * workers else 0
    sizes = zip((g.size_t, g.size_c, g.size_z, g.size_y, g.size_x), (*g.depth, *g.tile), strict=True)
    padded = min(n, max(1, BATCH_NBYTES // g.unit_nbytes)) if any(size % chunk for size, chunk in sizes) else 0
    return (2 * encoded + padded) * g.unit_nbytes + waiting


def _pyramid(g: Geometry, planes: int, rows: int, cols: int) -> int:
    """Smaller levels of a block, and tiles of them that wait for other blocks."""
    if g.n_levels == 1:
        return 0
    own = planes * rows * cols * g.pixel_nbytes // 3
    if rows >= g.size_y and cols >= g.size_x:
        return own
    sizes = level_sizes(g.size_y, g.size_x, g.n_levels)[1:]
    grids = [(-(-size_y // g.tile[0]), -(-size_x // g.tile[1])) for size_y, size_x in sizes]
    if cols >= g.size_x:  # of each level a row of tiles, or three quarters of a square, or a row of a shard's
        waiting = [across for _, across in grids]
    else:
        most = [max(3, -(-g.cell[1] // g.tile[1]) >> level) for level in range(1, g.n_levels)]
        waiting = [min(one, down * across) for one, (down, across) in zip(most, grids, strict=True)]
    held = [n * planes * g.tile[0] * g.tile[1] * g.pixel_nbytes for n in waiting]
    if g.in_chunks:  # the others wait in a file
        held = [min(nbytes, held_nbytes(level, g.unit_nbytes)) for level, nbytes in enumerate(held, 1)]
    return own + sum(held)

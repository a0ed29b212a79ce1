"""The end of a file: the rest of its lower levels, tiles that were never written, and a last look at the whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np

from bfio._parallel import Workers
from bfio.errors import TileWriteError
from bfio.pyramid import halve
from bfio.tiff.reader import TiffReader
from bfio.tiff.writing.pieces import Piece, over
from bfio.tiff.writing.state import Field, write_field
from bfio.tiff.writing.store import TileStore
from bfio.tiff.writing.writer import TiffWriter

__all__ = ["finish"]

logger = logging.getLogger("bfio")

RUN_TILES = 8
"""Tiles of a lower level that are made together from the level above."""


def finish(writer: TiffWriter, workers: Workers, *, fill_missing: bool) -> None:
    """Make a file complete. Afterwards every tile of every level is there.

    Parameters
    ----------
    writer : TiffWriter
    workers : Workers
    fill_missing : bool
        Whether pixels that nobody wrote become 0; else they are an error.

    Raises
    ------
    TileWriteError
        Tiles are missing, or an entry points to where there are no bytes.
    """
    store = writer.store
    rest = writer.settle()
    _check_missing(writer, len(rest), fill_missing)
    for key in rest:  # one by one: not all of them have room in memory
        writer.seal(key)
        writer.clear_rest(key)
        writer.put_sealed([key])
        writer.partials.release([key])
    for level in range(1, store.recipe.n_levels):
        _make_level(store, level, workers)
    _fill(store)
    _check_entries(store)


def _check_missing(writer: TiffWriter, n_partial: int, fill_missing: bool) -> None:
    store = writer.store
    missing = store.tables.missing(0)
    keys = {key for key, _ in writer.partials.items(0)}
    absent = [(plane, tile) for plane, tile in np.argwhere(missing).tolist() if (0, plane, tile) not in keys]
    n_missing = len(absent) + n_partial
    if not n_missing:
        return
    if fill_missing:
        logger.warning("%s: %d of %d tiles were not written, or not whole; there it holds 0",
                       store.part.target, n_missing, missing.size)  # fmt: skip
        return
    plane, tile = absent[0] if absent else min(keys)[1:]
    raise TileWriteError(
        str(store.part.path), plane, tile, 0,
        f"this and {n_missing - 1} other tiles of {missing.size} were not written; write what writer.missing lists "
        "before the file is closed, or go on later with resume=True",
    )  # fmt: skip


def _make_level(store: TileStore, level: int, workers: Workers) -> None:
    """Make the tiles that a level lacks from the level above it."""
    missing = store.tables.missing(level)
    if not missing.any():
        return
    reader = store.reader(workers.n)
    try:
        wanted = missing & over(~store.tables.missing(level - 1), store.recipe.tiles(level - 1))
        for plane in np.flatnonzero(wanted.any(axis=1)).tolist():
            for first, stop in _runs(wanted[plane], store.recipe.tiles(level).tiles_across):
                _make_run(store, reader, level, plane, first, stop, workers)
    finally:
        reader.close()


def _runs(wanted: np.ndarray, tiles_across: int) -> Iterator[tuple[int, int]]:
    """Runs of wanted tiles within one row of tiles: first and stop."""
    start = None
    for tile in range(len(wanted) + 1):
        ends = tile == len(wanted) or not wanted[tile] or tile % tiles_across == 0
        if start is not None and (ends or tile - start == RUN_TILES):
            yield start, tile
            start = None
        if start is None and tile < len(wanted) and wanted[tile]:
            start = tile


def _make_run(
    store: TileStore, reader: TiffReader, level: int, plane: int, first: int, stop: int, workers: Workers
) -> None:
    recipe = store.recipe
    grid, (size_y, size_x) = recipe.tiles(level), recipe.level_size(level - 1)
    row, col = divmod(first, grid.tiles_across)
    y0, x0 = row * grid.tile_rows, col * grid.tile_cols
    y1, x1 = min(size_y, 2 * (y0 + grid.tile_rows)), min(size_x, 2 * (x0 + (stop - first) * grid.tile_cols))
    pixels = store.read(reader, level - 1, plane, (2 * y0, y1, 2 * x0, x1))
    half = halve(np.moveaxis(pixels, -1, 0)[None, :, None], recipe.downsample, workers)
    piece = Piece(half, np.array(plane, np.intp).reshape(1, 1, 1), y0, x0)
    store.put(level, half, store.tasks(level, piece))


def _fill(store: TileStore) -> None:
    """Let all tiles that nobody wrote share one of zeros: readers that know no sparse tiles read it too."""
    levels = range(store.recipe.n_levels)
    if not any(store.tables.missing(level).any() for level in levels):
        return
    data = store.fill_tile()
    offset = store.part.append(data)
    write_field(store.part.fd, Field.FILL, offset, len(data))  # should the file not be finished, they are missing
    for level in levels:
        missing = store.tables.missing(level)
        store.tables.offsets[level][missing] = offset
        store.tables.byte_counts[level][missing] = len(data)
    store.tables.store(store.part)


def _check_entries(store: TileStore) -> None:
    """Every entry must point into the file."""
    size = np.uint64(store.part.size())
    for level in range(store.recipe.n_levels):
        offsets, nbytes = store.tables.offsets[level], store.tables.byte_counts[level]
        bad = (nbytes == 0) | (offsets > size) | (nbytes > size) | (offsets + nbytes > size)
        if bad.any():
            plane, tile = np.argwhere(bad)[0].tolist()
            raise TileWriteError(
                str(store.part.path), plane, tile, int(offsets[plane, tile]), f"its bytes (level {level}) are not there"
            )

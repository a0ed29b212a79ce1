"""Encoded tiles into the file: new ones at its end, replaced ones where there is room; and back again."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from bfio._coverage import Coverage
from bfio._parallel import Workers
from bfio.byteio import open_source
from bfio.enums import Compression
from bfio.errors import TileWriteError
from bfio.limits import Limits
from bfio.plan import TASK, plan_planes
from bfio.selection import Box
from bfio.tiff.reader import TiffReader
from bfio.tiff.writing.encode import TileEncoder
from bfio.tiff.writing.extents import Extent, Extents
from bfio.tiff.writing.foreign import is_foreign
from bfio.tiff.writing.foreign_encode import ForeignEncoder
from bfio.tiff.writing.front import Front
from bfio.tiff.writing.partfile import PartFile
from bfio.tiff.writing.partial import PartialTile
from bfio.tiff.writing.pieces import Piece
from bfio.tiff.writing.recipe import Recipe
from bfio.tiff.writing.state import Field, read_field, write_field
from bfio.tiff.writing.tables import Key, Tables

__all__ = ["TileStore"]


class TileStore:
    """The tiles of one file that is being written. Any number of threads may put tiles at once, each tile one thread.

    Parameters
    ----------
    part : PartFile
    recipe : Recipe
    front : Front
    tables : Tables
    extents : Extents
    workers : Workers

    Attributes
    ----------
    alone : bool
        Whether no other process writes to the file.
    forget : callable
        Told the tiles of lower levels of which parts may wait in memory that are no longer right.
    """

    def __init__(
        self, part: PartFile, recipe: Recipe, front: Front, tables: Tables, extents: Extents, workers: Workers
    ) -> None:
        self.part, self.recipe, self.tables, self.extents = part, recipe, tables, extents
        self.alone = True
        self.forget: Callable[[Key], object] = lambda key: None
        self._front = front
        self._lock = threading.Lock()
        self._idle = threading.Condition()
        self._busy = [np.zeros(table.shape, bool) for table in tables.offsets]
        self._kernel = None if is_foreign(recipe) else TileEncoder(recipe, workers, part.path)
        self._encoder = self._kernel or ForeignEncoder(recipe, workers)

    # -- the file it finds ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Forget all that is in the file."""
        os.ftruncate(self.part.fd, 0)
        self.part.pwrite(self._front.data, 0)
        self.part.end[0] = len(self._front.data)

    def load(self) -> None:
        """Learn what is in the file. What was declared missing for a file that was then not finished, is so again."""
        self.tables.repair(self.part)
        self.tables.load(self.part)
        fill = read_field(self.part.fd, Field.FILL, str(self.part.path))
        if fill[1] and self.tables.forget(fill):
            self.tables.store(self.part)
        write_field(self.part.fd, Field.FILL, 0, 0)

    # -- tasks --------------------------------------------------------------------------------------------------------

    def tasks(self, level: int, piece: Piece) -> np.ndarray:
        """One task for each tile of a piece that is made of whole tiles; ``plane`` is the plane's index in the file."""
        samples = piece.block.shape[1] // piece.planes.shape[1]
        t_stride, c_stride, z_stride = piece.block.strides[:3]
        offsets, byte_counts = self.tables.offsets[level], self.tables.byte_counts[level]
        places = [
            (offsets[plane], byte_counts[plane], 0, t * t_stride + c * samples * c_stride + z * z_stride)
            for (t, c, z), plane in np.ndenumerate(piece.planes)
        ]
        y0, y1, x0, x1 = piece.rect
        tasks = plan_planes(self.recipe.tiles(level), range(y0, y1), range(x0, x1), places)
        tasks["plane"] = np.repeat(piece.planes.ravel(), len(tasks) // len(places))
        return tasks

    def slab_tasks(self, slab: np.ndarray, tiles: list[tuple[Key, int, int, int]]) -> np.ndarray:
        """Tasks for tiles (key, slot, rows, cols) that lie in the slots of a slab."""
        tasks = np.zeros(len(tiles), TASK)
        for task, ((_, plane, tile), slot, rows, cols) in zip(tasks, tiles, strict=True):
            task["plane"], task["tile"], task["plane_dst"] = plane, tile, slot * slab.strides[0]
            task["rows"], task["n_cols"] = rows, cols
        tasks["slot"] = -1
        tasks["tile_rows"] = self.recipe.tile_rows
        return tasks

    # -- writing ------------------------------------------------------------------------------------------------------

    def put(self, level: int, block: np.ndarray, tasks: np.ndarray) -> None:
        """Encode and write tiles.

        Parameters
        ----------
        level : int
        block : ndarray (T, C, Z, Y, X)
            What ``tasks`` point into; C counts samples.
        tasks : ndarray of TASK
            Of one level; each tile whole.

        Raises
        ------
        TileWriteError
            Names the first tile that could not be written.
        """
        planes, tiles = tasks["plane"].astype(np.intp), tasks["tile"].astype(np.intp)
        with self._claimed(level, planes, tiles):
            self._put(level, block, tasks, planes, tiles)

    def _put(self, level: int, block: np.ndarray, tasks: np.ndarray, planes: np.ndarray, tiles: np.ndarray) -> None:
        if not self.alone:
            self._refresh(level, planes, tiles)
        known = self.tables.byte_counts[level][planes, tiles] > 0
        self._drop_above(level, planes, tiles, known)
        if self._kernel is None or known.all():
            self._put_each(level, block, tasks)
            return
        if known.any():
            self._put_each(level, block, tasks[known])
            tasks, planes, tiles = tasks[~known], planes[~known], tiles[~known]
        at_offset, at_count = self.tables.positions(level, planes, tiles)
        offsets, nbytes = self._kernel.append(
            self.part.fd, self.part.end, self.part.shared, block, tasks, at_offset, at_count
        )
        self.tables.note(level, planes, tiles, offsets, nbytes)

    @contextmanager
    def _claimed(self, level: int, planes: np.ndarray, tiles: np.ndarray) -> Iterator[None]:
        """Keep other threads from writing the same tiles at once: their entries would mix."""
        busy = self._busy[level]
        with self._idle:
            self._idle.wait_for(lambda: not busy[planes, tiles].any())
            busy[planes, tiles] = True
        try:
            yield
        finally:
            with self._idle:
                busy[planes, tiles] = False
                self._idle.notify_all()

    def drop(self, key: Key) -> None:
        """Make a tile missing, of which the pixels are no longer right."""
        level, plane, tile = key
        if self.tables.get(key)[1]:
            with self._claimed(level, np.array([plane]), np.array([tile])):
                self.tables.drop(self.part, [key])

    def _refresh(self, level: int, planes: np.ndarray, tiles: np.ndarray) -> None:
        """Learn what other processes have written of these tiles."""
        for plane in np.unique(planes).tolist():
            self.tables.refresh(self.part, level, plane, tiles[planes == plane])

    def _drop_above(self, level: int, planes: np.ndarray, tiles: np.ndarray, known: np.ndarray) -> None:
        """Make the tiles of lower resolution missing that were made from older pixels of these tiles.

        That of a tile that is not in the file may be one of them: some of the tiles above it were since written anew.
        """
        if not self.alone:
            planes, tiles, known = planes[known], tiles[known], known[known]
        rows, cols = np.divmod(tiles, self.recipe.tiles(level).tiles_across)
        for lower in range(level + 1, self.recipe.n_levels):
            rows, cols = rows // 2, cols // 2
            below = rows * self.recipe.tiles(lower).tiles_across + cols
            if not self.alone:
                self._refresh(lower, planes, below)
            for plane, tile in zip(planes[known].tolist(), below[known].tolist(), strict=True):
                self.forget((lower, plane, tile))
            there = self.tables.byte_counts[lower][planes, below] > 0
            for plane, tile in sorted(set(zip(planes[there].tolist(), below[there].tolist(), strict=True))):
                self.drop((lower, plane, tile))

    def _put_each(self, level: int, block: np.ndarray, tasks: np.ndarray) -> None:
        """One tile after the other, encoded by several threads: for codecs without a kernel, and to replace tiles."""
        for index, data in self._encoder.encode(block, tasks):
            key = (level, int(tasks["plane"][index]), int(tasks["tile"][index]))
            self.place(key, data)

    def append(self, key: Key, data: bytes) -> Extent:
        """Write the encoded bytes of a tile where there is room, and not yet its entries."""
        with self.naming(key), self._lock:
            return self._append(data)

    def _append(self, data: bytes | memoryview) -> Extent:
        offset = self.extents.take(len(data))
        if offset is None:
            offset = self.part.append(data)
        else:
            self.part.pwrite(data, offset)
        return offset, len(data)

    def place(self, key: Key, data: bytes | memoryview) -> None:
        """Write the encoded bytes of a tile, in place of those it may have had."""
        with self.naming(key), self._lock:
            self._place(key, data)

    @contextmanager
    def naming(self, key: Key) -> Iterator[None]:
        """Let an error of the system name the tile."""
        try:
            yield
        except TileWriteError:
            raise
        except OSError as error:
            _, plane, tile = key
            reason = error.strerror or str(error)
            where = str(self.part.path)
            raise TileWriteError(where, plane, tile, int(self.part.end[0]), reason, error.errno) from error

    def _place(self, key: Key, data: bytes | memoryview) -> None:
        old = self.tables.get(key)
        if not old[1] or not self.alone:
            self.tables.set(self.part, key, self.part.append(data), len(data))
            return
        place = self._append(data)  # never over its own bytes: a crash would lose the tile
        if not key[0]:
            self.tables.protect(self.part, key)
        self.tables.set(self.part, key, *place)
        self.extents.release(old)

    # -- reading back -------------------------------------------------------------------------------------------------

    @property
    def verifiable(self) -> bool:
        """Whether any tile with wrong bytes fails to decode: of all compressions, only deflate has a checksum."""
        return self.recipe.compression == Compression.ADOBE_DEFLATE

    def reader(self, n_workers: int = 1) -> TiffReader:
        """Reader of what is in the file now; the caller closes it."""
        limits = Limits.unlimited()
        return TiffReader(open_source(str(self.part.path)), max_workers=n_workers, limits=limits, cache_bytes=0)

    def read(self, reader: TiffReader, level: int, plane: int, rect: tuple[int, int, int, int]) -> np.ndarray:
        """Pixels (rows, cols, samples) of a rectangle of a plane."""
        recipe = self.recipe
        rest, z = divmod(plane, recipe.size_z)
        t, c = divmod(rest, recipe.size_c)
        y0, y1, x0, x1 = rect
        samples = tuple(range(c * recipe.samples, (c + 1) * recipe.samples))
        out = np.empty((y1 - y0, x1 - x0, recipe.samples), recipe.dtype)
        box = Box((t,), samples, (z,), range(y0, y1), range(x0, x1))
        reader.read(0, level, box, np.moveaxis(out, -1, 0)[None, :, None], None)
        return out

    def encoded(self, slab: np.ndarray, key: Key, tile: PartialTile) -> bytes:
        """One tile of a slab, encoded and nothing else."""
        tasks = self.slab_tasks(slab, [(key, tile.slot, tile.rows, tile.cols)])
        _, data = next(iter(self._encoder.encode(as_block(slab), tasks)))
        return bytes(data)

    def fill_tile(self) -> bytes:
        """The encoded tile of zeros that all tiles share which were never written."""
        recipe = self.recipe
        slab = np.zeros((1, recipe.tile_rows, recipe.tile_cols, recipe.samples), recipe.dtype)
        return self.encoded(slab, (0, 0, 0), PartialTile([Coverage(recipe.tile_rows, recipe.tile_cols)], slot=0))


def as_block(slab: np.ndarray) -> np.ndarray:
    """View (slots, samples, 1, rows, cols) of a slab (slots, rows, cols, samples)."""
    view: np.ndarray = np.moveaxis(slab, -1, 1)[:, :, None]
    return view

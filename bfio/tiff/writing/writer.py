"""TiffWriter: blocks in any order, from any thread, into one tiled, pyramidal TIFF."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np

from bfio._coverage import Rect
from bfio._parallel import Workers
from bfio.errors import UsageError
from bfio.pyramid import halve
from bfio.selection import Box
from bfio.tiff.writing.partial import Outcome, PartialTiles
from bfio.tiff.writing.pieces import Piece, border_tiles, inner_tiles, split
from bfio.tiff.writing.store import TileStore, as_block
from bfio.tiff.writing.tables import Key

__all__ = ["TiffWriter"]

PYRAMID_PIECE = 64 << 20
"""Bytes of a block that are encoded, and then halved for the next level, at once."""
PLAIN_PIECE = 1 << 30
"""The same where there is no next level."""
SEALED_BATCH = 32
"""Partial tiles that are written together."""
SMALL_BATCH = 1 << 20
"""Bytes of small tiles that are written together, where they come one by one."""


class TiffWriter:
    """The tiles of one image.

    Parameters
    ----------
    store : TileStore
    workers : Workers

    Attributes
    ----------
    snapshots : set of Key
        Tiles in the file that are not whole: a checkpoint wrote them as they were. They are partial tiles as well.

    Notes
    -----
    A tile that is written whole goes straight to the file. Parts of tiles are kept until they make a whole. In the
    lower levels there are whole tiles only; what is never made whole there is made from the level above at the end.
    """

    def __init__(self, store: TileStore, workers: Workers) -> None:
        self.store, self.recipe = store, store.recipe
        self._grids = [self.recipe.tiles(level) for level in range(self.recipe.n_levels)]
        self.partials = PartialTiles(store.recipe, store.part.path.parent)
        store.forget = self.partials.forget
        self.snapshots: set[Key] = set()
        self._workers = workers
        self._ready_lock = threading.Lock()
        self._ready: list[Key] = []  # whole tiles that wait, sealed, until there are enough for all workers
        self._enough = max(2 * workers.n if workers.n > 1 else 1, min(64, SMALL_BATCH // self.recipe.tile_nbytes))

    # -- blocks -------------------------------------------------------------------------------------------------------

    def write(self, box: Box, block: np.ndarray, *, defer: bool = False) -> None:
        """Write a block of full resolution.

        Parameters
        ----------
        box : Box
            Where; rows and columns without steps. C counts samples.
        block : ndarray
            Shape ``box.shape`` (T, C, Z, Y, X), any strides, a dtype that converts to the image's without loss.
        defer : bool
            Whether a few tiles may wait for others, so that all workers have something to do: :meth:`settle` writes
            them at last.
        """
        if 0 in box.shape:
            return
        if box.y.step != 1 or box.x.step != 1:
            raise UsageError("rows and columns are written without steps; write the rows one by one")
        for planes, samples, part in self._by_planes(box, block):
            piece = Piece(part, planes, box.y.start, box.x.start)
            if len(samples) == self.recipe.samples:
                self.write_level(0, piece, defer=defer)
            else:
                self._check_aligned(piece)
                self._write_borders(0, piece, None, samples)

    def _by_planes(self, box: Box, block: np.ndarray) -> Iterator[tuple[np.ndarray, Sequence[int], np.ndarray]]:
        """Planes (T, C, Z), samples of them, and the block of these; at once what has all its samples in order."""
        n = self.recipe.samples
        groups = [box.c[start : start + n] for start in range(0, len(box.c), n)]
        if all(group == tuple(range(group[0] // n * n, group[0] // n * n + n)) for group in groups):
            yield self._planes(box, [group[0] // n for group in groups]), range(n), block
            return
        for place, channel in enumerate(box.c):
            yield self._planes(box, [channel // n]), [channel % n], block[:, place : place + 1]

    def _planes(self, box: Box, c: Sequence[int]) -> np.ndarray:
        recipe = self.recipe
        t_index = np.array(box.t, np.intp).reshape(-1, 1, 1)
        c_index = np.array(c, np.intp).reshape(-1, 1)
        planes: np.ndarray = (t_index * recipe.size_c + c_index) * recipe.size_z + np.array(box.z, np.intp)
        return planes

    def _check_aligned(self, piece: Piece) -> None:
        """Where several processes write, nobody has the rest of a tile."""
        if self.store.alone:
            return
        rows, cols = self.recipe.tile_rows, self.recipe.tile_cols
        y0, y1, x0, x1 = piece.rect
        raise UsageError(
            f"rows {y0} to {y1} and columns {x0} to {x1} cut tiles, which other processes may be writing; cut blocks "
            f"at multiples of {rows} rows and {cols} columns (writer.tile_shape), with all samples of a pixel"
        )

    # -- one level ----------------------------------------------------------------------------------------------------

    def write_level(self, level: int, piece: Piece, *, defer: bool = False) -> None:
        """Write a piece of a level, and what follows from it in the lower ones."""
        grid = self._grids[level]
        last = level + 1 == self.recipe.n_levels
        for part in split(piece, grid, PLAIN_PIECE if last else PYRAMID_PIECE):
            inner = inner_tiles(part.rect, grid)
            if inner != part.rect:
                if level == 0:
                    self._check_aligned(part)
                if self.store.alone:
                    self._write_borders(level, part, inner, range(self.recipe.samples))
            if inner is not None and defer and self._is_little(part.part(inner)):
                self._write_borders(level, part.part(inner), None, range(self.recipe.samples), wait=True)
            elif inner is not None:
                self.write_ready()
                self._write_inner(level, part.part(inner))

    def _is_little(self, piece: Piece) -> bool:
        """Whether the tiles of a piece are too few for all workers."""
        y0, y1, x0, x1 = piece.rect
        n_tiles = -(-(y1 - y0) // self.recipe.tile_rows) * -(-(x1 - x0) // self.recipe.tile_cols)
        return piece.planes.size * n_tiles < self._enough

    def write_ready(self) -> None:
        """Write the whole tiles that wait for others."""
        with self._ready_lock:
            ready, self._ready = self._ready, []  # each by one thread
        try:
            self._write_sealed(ready)
        finally:
            self.partials.release(ready)

    def _write_inner(self, level: int, piece: Piece) -> None:
        tasks = self.store.tasks(level, piece)
        if len(self.partials) or self.snapshots:  # parts of tiles that are now written whole count no more
            keys = [(level, plane, tile) for plane, tile in tasks[["plane", "tile"]].tolist()]
            while (busy := self.partials.discard(keys)) is not None:
                self.write_ready()
                self.partials.wait(busy)
            self.snapshots.difference_update(keys)
        self.store.put(level, piece.block, tasks)
        if level + 1 < self.recipe.n_levels:
            half = Piece(self._half(piece.block), piece.planes, piece.y0 // 2, piece.x0 // 2)
            self.write_level(level + 1, half)

    # -- parts of tiles -----------------------------------------------------------------------------------------------

    def _write_borders(
        self, level: int, piece: Piece, inner: Rect | None, samples: Sequence[int], *, wait: bool = False
    ) -> None:
        """Keep the parts of tiles that a piece has; write the tiles that they make whole, or let them wait."""
        grid = self._grids[level]
        whole: list[Key] = []
        n = len(samples)
        try:
            for (t, c, z), plane in np.ndenumerate(piece.planes):
                pixels = piece.block[t, c * n : (c + 1) * n, z].transpose(1, 2, 0)
                for tile, rect in border_tiles(piece.rect, inner, grid):
                    y0, y1, x0, x1 = rect
                    part = pixels[y0 - piece.y0 : y1 - piece.y0, x0 - piece.x0 : x1 - piece.x0]
                    self._add((level, int(plane), tile), rect, samples, part, whole)
            if wait:
                with self._ready_lock:
                    self._ready.extend(whole)
                    whole.clear()
                if len(self._ready) >= self._enough:
                    self.write_ready()
            self._write_sealed(whole)
        finally:
            self.partials.release(whole)

    def _add(self, key: Key, rect: Rect, samples: Sequence[int], pixels: np.ndarray, whole: list[Key]) -> None:
        top, left, rows, cols = self.place_of(key)
        inside = (rect[0] - top, rect[1] - top, rect[2] - left, rect[3] - left)
        while True:
            with self.store.naming(key):
                outcome = self.partials.add(key, (rows, cols), inside, samples, pixels)
            if outcome is Outcome.COMPLETE:
                whole.append(key)
            if outcome is not Outcome.BUSY:
                break
            self._write_sealed(whole)  # who waits has nothing sealed himself, so that nobody waits for him
            self.write_ready()
            self.partials.wait(key)
        if key[0] and outcome is Outcome.OPEN:
            self.store.drop(key)  # another thread has just written it, from older pixels
        if len(whole) >= SEALED_BATCH:
            self._write_sealed(whole)

    def place_of(self, key: Key) -> tuple[int, int, int, int]:
        """First row and column of a tile in its level, and how many of its rows and columns lie in the image."""
        level, _, tile = key
        grid = self._grids[level]
        row, col = divmod(tile, grid.tiles_across)
        top, left = row * grid.tile_rows, col * grid.tile_cols
        return top, left, min(grid.tile_rows, grid.size_y - top), min(grid.tile_cols, grid.size_x - left)

    def _write_sealed(self, keys: list[Key]) -> None:
        """Write whole tiles that this thread has sealed, and feed the next level with them; empties the list."""
        while keys:
            batch = [key for key in keys[:SEALED_BATCH] if key[0] == keys[0][0]]
            del keys[: len(batch)]
            try:
                self.put_sealed(batch)
                halves = [] if batch[0][0] + 1 == self.recipe.n_levels else [self._halved(key) for key in batch]
            finally:
                self.partials.release(batch)
            for half in halves:  # now that their slots are free: the next level needs some too
                self.write_level(batch[0][0] + 1, half)

    def put_sealed(self, keys: list[Key]) -> None:
        """Encode and write sealed tiles of one level."""
        slab = self.partials.slab
        tiles = [(key, self.partials[key]) for key in keys]
        tasks = self.store.slab_tasks(slab, [(key, tile.slot, tile.rows, tile.cols) for key, tile in tiles])
        self.store.put(keys[0][0], as_block(slab), tasks)
        self.snapshots.difference_update(keys)

    def _halved(self, key: Key) -> Piece:
        top, left, _, _ = self.place_of(key)
        block = np.moveaxis(self.partials.pixels(key), -1, 0)[None, :, None]
        return Piece(self._half(block), np.array(key[1], np.intp).reshape(1, 1, 1), top // 2, left // 2)

    def _half(self, block: np.ndarray) -> np.ndarray:
        """The next level of a block, laid out as tiles are: the samples of a pixel side by side."""
        t, c, z, y, x = block.shape
        if c == 1 or c != self.recipe.samples:
            return halve(block, self.recipe.downsample, self._workers)
        out = np.moveaxis(np.empty((t, z, -(-y // 2), -(-x // 2), c), block.dtype), -1, 1)
        return halve(block, self.recipe.downsample, self._workers, out)

    # -- parts of tiles that are not going to be whole soon -----------------------------------------------------------

    def settle(self) -> list[Key]:
        """Write what waits; merge parts of tiles into those that the file has; the keys of the rest, not yet whole."""
        self.write_ready()
        rest = []
        for key, _ in self.partials.items(0):
            if key in self.snapshots or not self.store.tables.get(key)[1]:
                rest.append(key)
            else:
                self.seal(key)
                self._merge(key)
                self._write_sealed([key])
        return rest

    def look_around(self) -> None:
        """Learn what other processes have written: whole tiles, which replace the parts that this one has of them."""
        if self.store.alone:
            return
        tables = self.store.tables
        parts = {key: tables.get(key) for key, _ in self.partials.items(0)}
        tables.load(self.store.part)
        for key, entries in parts.items():
            if tables.get(key) != entries:
                self.partials.forget(key)
                self.snapshots.discard(key)

    def seal(self, key: Key) -> None:
        """Have a tile to oneself, in memory. No other thread may write meanwhile."""
        with self.store.naming(key):
            sealed = self.partials.seal([key])
        assert sealed, "there is a slot when nobody else has one"

    def _merge(self, key: Key) -> None:
        """Take from the file what was not written anew of a tile."""
        self._fill(key, self.stored(key))

    def stored(self, key: Key) -> np.ndarray:
        """Pixels (rows, cols, samples) of a tile that is in the file, as far as it lies in the image."""
        top, left, rows, cols = self.place_of(key)
        reader = self.store.reader()
        try:
            return self.store.read(reader, key[0], key[1], (top, top + rows, left, left + cols))
        finally:
            reader.close()

    def clear_rest(self, key: Key) -> None:
        """Make the pixels of a sealed tile 0 that were never written."""
        self._fill(key, np.zeros((), self.recipe.dtype))

    def _fill(self, key: Key, base: np.ndarray) -> None:
        pixels = self.partials.pixels(key)
        base = np.broadcast_to(base, pixels.shape)
        for sample, coverage in enumerate(self.partials[key].covered):
            np.copyto(pixels[..., sample], base[..., sample], where=~coverage.mask())

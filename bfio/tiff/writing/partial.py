"""Tiles of which only parts were written so far: their pixels and what of them is there, until they are whole."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from bfio import _kernels
from bfio._coverage import Coverage, Rect
from bfio._spill import Spill
from bfio.tiff.writing.recipe import Recipe
from bfio.tiff.writing.tables import Key

__all__ = ["Outcome", "PartialTile", "PartialTiles"]

SLAB_NBYTES = 160 << 20
"""Pixels of partial tiles that are held in memory; those of others wait in a temporary file."""
MIN_SLOTS = 16
PATIENCE = 0.1
"""Seconds after which a waiting thread looks again by itself."""


class Outcome(Enum):
    """What became of a part of a tile."""

    OPEN = "more of the tile is to come"
    COMPLETE = "the tile is whole; it is sealed, and this thread must write it"
    BUSY = "another thread is writing the tile, or all that are in memory"


@dataclass(eq=False, slots=True)
class PartialTile:
    """One tile: its slot in memory (or -1) and in the file (or -1), and what was written of each sample."""

    covered: list[Coverage]
    slot: int = -1
    spilled: int = -1
    sealed: bool = False

    @property
    def rows(self) -> int:
        """Rows that lie within the image."""
        return self.covered[0].rows

    @property
    def cols(self) -> int:
        """Columns that lie within the image."""
        return self.covered[0].cols

    @property
    def complete(self) -> bool:
        """Whether every sample of every pixel was written."""
        return all(coverage.complete for coverage in self.covered)


class PartialTiles:
    """Partial tiles, a bounded number of them in memory. Threads may add to them at once.

    A tile is *sealed* while one thread writes it to the file; others wait until it is released.

    Parameters
    ----------
    recipe : Recipe
    folder : Path
        Where the temporary file may be.
    """

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        shape = (recipe.tile_rows, recipe.tile_cols, recipe.samples)
        n_slots = max(MIN_SLOTS, SLAB_NBYTES // recipe.tile_nbytes)
        self._shape, self._dtype, self._n_slots = shape, recipe.dtype, n_slots
        self._slab: np.ndarray | None = None
        self._free = list(range(n_slots - 1, -1, -1))
        self._tiles: OrderedDict[Key, PartialTile] = OrderedDict()  # the one added to last is the last
        self._changed = threading.Condition()
        self._spill = Spill(folder, recipe.tile_nbytes)

    @property
    def slab(self) -> np.ndarray:
        """Pixels of all slots, shape (n_slots, rows, cols, samples)."""
        if self._slab is None:
            self._slab = np.empty((self._n_slots, *self._shape), self._dtype)
        return self._slab

    def __len__(self) -> int:
        return len(self._tiles)

    def __getitem__(self, key: Key) -> PartialTile:
        return self._tiles[key]

    def pixels(self, key: Key) -> np.ndarray:
        """View (rows, cols, samples) of a sealed tile, as far as it lies within the image."""
        tile = self._tiles[key]
        view: np.ndarray = self.slab[tile.slot, : tile.rows, : tile.cols]
        return view

    def items(self, level: int) -> list[tuple[Key, PartialTile]]:
        """The tiles of a level at this moment."""
        with self._changed:
            return [(key, tile) for key, tile in self._tiles.items() if key[0] == level]

    def add(self, key: Key, size: tuple[int, int], rect: Rect, samples: Sequence[int], pixels: np.ndarray) -> Outcome:
        """Copy a part of a tile.

        Parameters
        ----------
        key : Key
        size : (int, int)
            Rows and columns of the tile that lie within the image.
        rect : Rect
            The part, counted from the tile's origin.
        samples : sequence of int
            Which samples of the pixels are given.
        pixels : ndarray (rows, cols, len(samples))
            Of any dtype that converts without loss.
        """
        with self._changed:
            tile = self._tiles.get(key)
            if tile is None:
                tile = PartialTile([Coverage(*size) for _ in range(self._shape[2])])
            if tile.sealed or not self._make_resident(tile):
                return Outcome.BUSY
            self._tiles[key] = tile
            self._tiles.move_to_end(key)
            y0, y1, x0, x1 = rect
            for place, sample in enumerate(samples):
                _kernels.convert(pixels[:, :, place], self.slab[tile.slot, y0:y1, x0:x1, sample])
                tile.covered[sample].add(rect)
            tile.sealed = tile.complete
            return Outcome.COMPLETE if tile.sealed else Outcome.OPEN

    def seal(self, keys: Iterable[Key]) -> list[Key]:
        """Seal tiles and have them in memory: those that no other thread has sealed, as far as there is room."""
        sealed = []
        with self._changed:
            for key in keys:
                tile = self._tiles.get(key)
                if tile is not None and not tile.sealed and self._make_resident(tile):
                    tile.sealed = True
                    sealed.append(key)
        return sealed

    def unseal(self, keys: Iterable[Key]) -> None:
        """Let others add to tiles again that this thread had sealed."""
        with self._changed:
            for key in keys:
                self._tiles[key].sealed = False
            self._changed.notify_all()

    def release(self, keys: Iterable[Key]) -> None:
        """Forget tiles that this thread had sealed."""
        with self._changed:
            for key in keys:
                self._drop(key)
            self._changed.notify_all()

    def discard(self, keys: Iterable[Key]) -> Key | None:
        """Forget parts of tiles that are about to be written as a whole; one that another thread has sealed."""
        with self._changed:
            for key in keys:
                tile = self._tiles.get(key)
                if tile is not None and tile.sealed:
                    return key
                if tile is not None:
                    self._drop(key)
        return None

    def forget(self, key: Key) -> None:
        """Forget parts of a tile, unless a thread is just writing it."""
        with self._changed:
            tile = self._tiles.get(key)
            if tile is not None and not tile.sealed:
                self._drop(key)

    def wait(self, key: Key) -> None:
        """Wait a moment for what another thread has sealed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_open(key), PATIENCE)

    def _is_open(self, key: Key) -> bool:
        tile = self._tiles.get(key)
        if tile is not None and (tile.sealed or tile.slot >= 0):
            return not tile.sealed
        return bool(self._free) or any(other.slot >= 0 and not other.sealed for other in self._tiles.values())

    def close(self) -> None:
        """Forget everything."""
        self._slab = None
        self._spill.close()

    def _drop(self, key: Key) -> None:
        tile = self._tiles.pop(key)
        if tile.slot >= 0:
            self._free.append(tile.slot)
        if tile.spilled >= 0:
            self._spill.release(tile.spilled)

    def _make_resident(self, tile: PartialTile) -> bool:
        """Give a tile a slot, in exchange for the one that was not added to for the longest time."""
        if tile.slot >= 0:
            return True
        if not self._free:
            oldest = next((other for other in self._tiles.values() if other.slot >= 0 and not other.sealed), None)
            if oldest is None:
                return False
            oldest.spilled = self._spill.write(self.slab[oldest.slot])
            self._free.append(oldest.slot)
            oldest.slot = -1
        tile.slot = self._free.pop()
        if tile.spilled >= 0:
            self._spill.read(tile.spilled, self.slab[tile.slot])
            tile.spilled = -1
        return True

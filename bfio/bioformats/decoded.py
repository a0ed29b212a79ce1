"""Decoded tiles that are kept for the next read, and tiles that some thread is decoding at the moment."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

__all__ = ["Decoded", "TileKey"]

TileKey = tuple[int, int, int, int, int]
"""Series, level, plane, and index of the tile along Y and X."""


class Decoded:
    """A bounded store of tiles of any sizes; the least recently used go first.

    Parameters
    ----------
    nbytes : int
        Bound of all tiles together; larger ones are not kept.
    """

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self._used = 0
        self._lock = threading.Lock()
        self._tiles: OrderedDict[TileKey, np.ndarray] = OrderedDict()
        self._per_plane: dict[tuple[int, int, int], int] = {}
        self._making: dict[TileKey, _Turn] = {}

    def has_plane(self, series: int, level: int, plane: int) -> bool:
        """Whether any tile of a plane is there."""
        return (series, level, plane) in self._per_plane

    def get(self, key: TileKey) -> np.ndarray | None:
        """A tile, or None."""
        with self._lock:
            tile = self._tiles.get(key)
            if tile is not None:
                self._tiles.move_to_end(key)
            return tile

    def put(self, key: TileKey, tile: np.ndarray) -> None:
        """Keep a tile, which nobody changes any more."""
        if tile.nbytes > self.nbytes:
            return
        with self._lock:
            if key in self._tiles:
                return
            self._tiles[key] = tile
            self._used += tile.nbytes
            self._per_plane[key[:3]] = self._per_plane.get(key[:3], 0) + 1
            while self._used > self.nbytes:
                self._drop(*self._tiles.popitem(last=False))

    def _drop(self, key: TileKey, tile: np.ndarray) -> None:
        self._used -= tile.nbytes
        self._per_plane[key[:3]] -= 1
        if not self._per_plane[key[:3]]:
            del self._per_plane[key[:3]]

    def get_or_make(self, key: TileKey, make: Callable[[], np.ndarray]) -> np.ndarray:
        """A tile; of several threads that want it at the same time one makes it, and the others wait."""
        with self._lock:
            turn = self._making.setdefault(key, _Turn())
            turn.n_waiting += 1
        try:
            with turn.lock:
                tile = self.get(key)
                if tile is None:
                    tile = make()
                    self.put(key, tile)
                return tile
        finally:
            with self._lock:
                turn.n_waiting -= 1
                if not turn.n_waiting:
                    self._making.pop(key, None)

    def clear(self) -> None:
        """Forget all tiles."""
        with self._lock:
            self._tiles.clear()
            self._per_plane.clear()
            self._used = 0


class _Turn:
    """Who makes a tile."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_waiting = 0

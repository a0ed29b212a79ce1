"""Iteration over an image by equal tiles, in batches, with the next batches read ahead."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from bfio._parallel import Workers
from bfio.errors import UsageError
from bfio.result import allocate
from bfio.selection import Box

__all__ = ["Tile", "TileGrid", "TileIterator", "source_indices"]

ReadBox: TypeAlias = Callable[[Box, np.ndarray], None]
Index: TypeAlias = tuple[list[list[int]], list[list[int]], list[list[int]], list[list[int]], list[list[int]]]

_AHEAD = 2


@dataclass(frozen=True, slots=True)
class Tile:
    """Where one tile starts (it may stick out of the image), and its plane."""

    y: int
    x: int
    z: int
    t: int


@dataclass(frozen=True, slots=True)
class TileGrid:
    """Where the tiles of an image lie along Y and X.

    Tiles stand every `stride` pixels, ``ceil(size / stride)`` of them, and are centred on their stride: where they
    overlap the first one starts before the image. What sticks out is the mirrored image then, and 0 where tiles do
    not overlap.
    """

    size: tuple[int, int]
    tile: tuple[int, int]
    stride: tuple[int, int]

    @property
    def mirrored(self) -> bool:
        """Whether tiles overlap."""
        return any(tile > stride for tile, stride in zip(self.tile, self.stride, strict=True))

    def starts(self, axis: int) -> list[int]:
        """First row (axis 0) or column (axis 1) of each tile."""
        first = -int((self.tile[axis] - self.stride[axis]) / 2)
        count = -(-self.size[axis] // self.stride[axis])
        return [first + number * self.stride[axis] for number in range(count)]


def source_indices(start: int, stop: int, size: int, mirrored: bool) -> np.ndarray:
    """Index in the image for each of ``start:stop``, symmetric at its ends, or -1 outside where not `mirrored`."""
    indices = np.arange(start, stop)
    if not mirrored:
        return np.where((indices >= 0) & (indices < size), indices, -1)
    indices %= 2 * size
    return np.minimum(indices, 2 * size - 1 - indices)


class TileIterator:
    """What ``reader(tile_size, ...)`` returns: an iterable of batches ``(images, (X, Y, Z, C, T))``.

    ``images`` has the shape (tiles, tile height, tile width, channels). For each tile X, Y and Z hold a
    ``[start, stop]``, C the channels and T ``[t]``. Columns of tiles come first (X outer, Y inner), then Z, then T.

    Parameters
    ----------
    read : callable
        ``read(box, out)`` fills `out` (T, C, Z, Y, X).
    grid : TileGrid
    dtype : numpy.dtype
    channels, z, t : sequence of int
    batch_size : int
    max_workers : int
        With more than one the next batch is read while the consumer works on this one.
    """

    def __init__(
        self,
        read: ReadBox,
        grid: TileGrid,
        dtype: np.dtype,
        channels: Sequence[int],
        z: Sequence[int],
        t: Sequence[int],
        batch_size: int,
        max_workers: int = 1,
    ) -> None:
        self._read, self.grid, self.dtype = read, grid, dtype
        self._channels, self._z, self._t = tuple(channels), tuple(z), tuple(t)
        self._batch_size, self._max_workers = batch_size, max_workers
        self._rows, self._columns = grid.starts(0), grid.starts(1)

    @property
    def n_tiles(self) -> int:
        """Tiles of all batches together."""
        return len(self._t) * len(self._z) * len(self._columns) * len(self._rows)

    def __len__(self) -> int:
        return (self.n_tiles + self._batch_size - 1) // self._batch_size

    def __iter__(self) -> Iterator[tuple[np.ndarray, Index]]:
        batches = Workers(self._max_workers).map(self._batch, range(len(self)), window=_AHEAD)
        with contextlib.closing(batches):
            yield from batches

    def _batch(self, number: int) -> tuple[np.ndarray, Index]:
        tiles = self.tiles(number)
        return self.load(tiles), self._index(tiles)

    def tiles(self, batch: int) -> list[Tile]:
        """Tiles of one batch."""
        first = batch * self._batch_size
        return [self._tile(number) for number in range(first, min(first + self._batch_size, self.n_tiles))]

    def _tile(self, number: int) -> Tile:
        number, row = divmod(number, len(self._rows))
        number, column = divmod(number, len(self._columns))
        t, z = divmod(number, len(self._z))
        return Tile(self._rows[row], self._columns[column], self._z[z], self._t[t])

    def _index(self, tiles: list[Tile]) -> Index:
        height, width = self.grid.tile
        return (
            [[tile.x, tile.x + width] for tile in tiles],
            [[tile.y, tile.y + height] for tile in tiles],
            [[tile.z, tile.z + 1] for tile in tiles],
            [list(self._channels) for _ in tiles],
            [[tile.t] for tile in tiles],
        )

    def load(self, tiles: list[Tile]) -> np.ndarray:
        """Pixels of some tiles; neighbours of one column that touch are read at once."""
        images = allocate((len(tiles), *self.grid.tile, len(self._channels)), self.dtype)
        start = 0
        for stop in range(1, len(tiles) + 1):
            if stop == len(tiles) or not self._joined(tiles[stop - 1], tiles[stop]):
                self._load_run(tiles[start:stop], images[start:stop])
                start = stop
        return images

    def _joined(self, tile: Tile, following: Tile) -> bool:
        same_column = (tile.x, tile.z, tile.t) == (following.x, following.z, following.t)
        return same_column and tile.y < following.y <= tile.y + self.grid.tile[0]

    def _load_run(self, tiles: list[Tile], images: np.ndarray) -> None:
        """Fill `images` with tiles of one column."""
        height, width = self.grid.tile
        size_y, size_x = self.grid.size
        mirrored = self.grid.mirrored
        first = tiles[0]
        rows = source_indices(first.y, tiles[-1].y + height, size_y, mirrored)
        columns = source_indices(first.x, first.x + width, size_x, mirrored)
        block, origin_y, origin_x = self._block(rows, columns, first)
        for tile, image in zip(tiles, images, strict=True):
            own = rows[tile.y - first.y : tile.y - first.y + height]
            _cut(block, own - origin_y, columns - origin_x, own, columns, image)

    def _block(self, rows: np.ndarray, columns: np.ndarray, tile: Tile) -> tuple[np.ndarray, int, int]:
        """Pixels (Y, X, C) of the smallest rectangle that holds all `rows` and `columns`, and where it starts."""
        y, x = _span(rows), _span(columns)
        box = Box((tile.t,), self._channels, (tile.z,), y, x)
        pixels = allocate(box.shape, self.dtype)
        if pixels.size:
            self._read(box, pixels)
        return np.moveaxis(pixels[0, :, 0], 0, -1), y.start, x.start


def _span(indices: np.ndarray) -> range:
    inside = indices[indices >= 0]
    return range(int(inside.min()), int(inside.max()) + 1) if inside.size else range(0)


def _cut(
    block: np.ndarray, y: np.ndarray, x: np.ndarray, rows: np.ndarray, columns: np.ndarray, image: np.ndarray
) -> None:
    """Copy ``block[y, x]`` into `image`; 0 where `rows` or `columns` are -1."""
    n_rows, n_columns = int((rows >= 0).sum()), int((columns >= 0).sum())
    if n_rows < len(rows) or n_columns < len(columns):
        image[...] = 0
    if not n_rows or not n_columns:
        return
    y, x = y[rows >= 0], x[columns >= 0]
    inside_y, inside_x = _slice(np.flatnonzero(rows >= 0)), _slice(np.flatnonzero(columns >= 0))
    image[inside_y, inside_x] = block[_slice(y)][:, _slice(x)]


def _slice(indices: np.ndarray) -> Any:
    """The same selection as a slice where the indices follow each other, which copies faster."""
    if len(indices) and indices[-1] - indices[0] == len(indices) - 1 and (np.diff(indices) == 1).all():
        return slice(int(indices[0]), int(indices[-1]) + 1)
    return indices


def checked_pair(value: Any, name: str) -> tuple[int, int]:
    """Two positive ints (height, width)."""
    try:
        height, width = (operator.index(length) for length in value)
    except (TypeError, ValueError):
        raise UsageError(f"{name} must be two ints (height, width), not {value!r}") from None
    if height < 1 or width < 1:
        raise UsageError(f"{name} must be positive, not {value!r}")
    return height, width

"""Minimum, maximum and mean of the first plane of an image, in bounded memory and time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from bfio.backends.base import ReaderBackend
from bfio.metadata import Level, Series
from bfio.result import allocate
from bfio.selection import Box

__all__ = ["statistics"]

_BLOCK_PIXELS = 1 << 22
"""Pixels read at once, save where one tile has more."""


class _Sums:
    """Running statistics of one sample of the pixels."""

    def __init__(self) -> None:
        self.minimum: int | float | None = None
        self.maximum: int | float | None = None
        self.total = 0.0
        self.n = 0
        self.n_not_finite = 0

    def add(self, values: np.ndarray) -> None:
        """Take a block into account: magnitudes of complex numbers, and finite values only."""
        if values.dtype.kind == "c":
            values = np.abs(values)
        if values.dtype.kind == "f":
            finite = values[np.isfinite(values)]
            self.n_not_finite += values.size - finite.size
            values = finite
        if values.dtype == bool:
            values = values.view(np.uint8)
        if not values.size:
            return
        low, high = values.min().item(), values.max().item()
        self.minimum = low if self.minimum is None else min(low, self.minimum)
        self.maximum = high if self.maximum is None else max(high, self.maximum)
        with np.errstate(over="ignore"):
            self.total += float(values.sum(dtype=np.float64))
        self.n += values.size

    def report(self) -> dict[str, Any]:
        mean = self.total / self.n if self.n else None
        if mean is not None and not math.isfinite(mean):
            mean = None
        return {"min": self.minimum, "max": self.maximum, "mean": mean, "not_finite": self.n_not_finite}


def statistics(backend: ReaderBackend, series: Series, level: int, budget: int) -> dict[str, Any]:
    """Statistics of each sample of the first plane of a level.

    Parameters
    ----------
    backend : ReaderBackend
    series : Series
    level : int
    budget : int
        Pixels to read at most, about. Of a larger plane, blocks of whole tiles at equal distances are read.

    Returns
    -------
    dict
        As ``bfio info --json`` prints it.
    """
    info = series.levels[level]
    blocks = _Blocks(info, min(budget, _BLOCK_PIXELS))
    sums = [_Sums() for _ in range(series.samples)]
    n_read = 0
    for y, x in blocks.sampled(budget):
        box = Box((0,), tuple(range(series.samples)), (0,), y, x)
        pixels = allocate(box.shape, series.dtype)
        backend.read(series.index, level, box, pixels, None)
        n_read += len(y) * len(x)
        for sample, total in enumerate(sums):
            total.add(pixels[0, sample, 0])
    return {
        "level": level,
        "plane": {"z": 0, "c": 0, "t": 0},
        "pixels": info.size_y * info.size_x,
        "pixels_read": n_read,
        "of": "magnitude" if series.dtype.kind == "c" else "value",
        "samples": [total.report() for total in sums],
    }


class _Blocks:
    """A level cut into blocks of whole tiles."""

    def __init__(self, level: Level, n_pixels: int) -> None:
        rows, cols = (max(1, min(size, whole)) for size, whole in zip(level.tile_shape, _sizes(level), strict=True))
        self._size_y, self._size_x = _sizes(level)
        self._cols = min(self._size_x, max(1, n_pixels // (rows * cols)) * cols)
        full_width = self._cols >= self._size_x
        n_rows = max(1, n_pixels // (rows * self._cols)) if full_width else 1
        self._rows = min(self._size_y, n_rows * rows)

    def sampled(self, budget: int) -> Iterator[tuple[range, range]]:
        """Rows and columns of all blocks, or of so many at equal distances that they hold `budget` pixels."""
        across, down = -(-self._size_x // self._cols), -(-self._size_y // self._rows)
        n_all = across * down
        n = n_all
        if self._size_y * self._size_x > budget:
            n = min(n_all, max(1, budget // (self._rows * self._cols)))
        for number in range(n):
            row, col = divmod((2 * number + 1) * n_all // (2 * n), across)
            y, x = row * self._rows, col * self._cols
            yield range(y, min(y + self._rows, self._size_y)), range(x, min(x + self._cols, self._size_x))


def _sizes(level: Level) -> tuple[int, int]:
    return level.size_y, level.size_x

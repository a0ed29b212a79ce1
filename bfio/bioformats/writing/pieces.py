"""Blocks cut at the borders of bands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bfio._coverage import Coverage, Rect
from bfio.bioformats.writing.recipe import Recipe
from bfio.selection import Box

__all__ = ["Piece", "pieces"]


@dataclass(frozen=True, slots=True)
class Piece:
    """What of one block lies in one band.

    Attributes
    ----------
    band : int
        Number of the band in the file.
    rows : range
        Rows of the band in its plane.
    width, samples : int
        Columns and samples of the band.
    first_sample, y, x : int
        Where in the plane the pixels begin.
    pixels : numpy.ndarray
        Samples, rows, columns.
    """

    band: int
    rows: range
    width: int
    samples: int
    first_sample: int
    y: int
    x: int
    pixels: np.ndarray

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the band."""
        return self.pixels.shape == (self.samples, len(self.rows), self.width)

    def no_coverage(self) -> Coverage:
        """Coverage of a band of which nothing was written: its samples lie below each other."""
        return Coverage(self.samples * len(self.rows), self.width)

    def coverage(self) -> Coverage:
        """Coverage of the band where this piece alone was written."""
        found = self.no_coverage()
        for rect in self.rects():
            found.add(rect)
        return found

    def rects(self) -> Iterator[Rect]:
        """Rectangles of the coverage that the piece fills."""
        n_samples, n_rows, n_cols = self.pixels.shape
        for sample in range(self.first_sample, self.first_sample + n_samples):
            top = sample * len(self.rows) + self.y - self.rows.start
            yield top, top + n_rows, self.x, self.x + n_cols


def pieces(box: Box, block: np.ndarray, recipe: Recipe) -> Iterator[Piece]:
    """The parts of a block in the order of the file; planes that are given with all their samples stay whole."""
    series, n = recipe.series, recipe.series.samples
    for i, t in enumerate(box.t):
        for j, c, first_sample, n_samples in _groups(box.c, n):
            for k, z in enumerate(box.z):
                plane = (t * series.size_c + c) * series.size_z + z
                yield from _bands(box, block[i, j : j + n_samples, k], recipe, plane, first_sample)


def _groups(channels: tuple[int, ...], n: int) -> Iterator[tuple[int, int, int, int]]:
    """Samples that are written together: position in the block, channel of the file, first one, and how many."""
    place = 0
    while place < len(channels):
        first = channels[place]
        whole = first % n == 0 and channels[place : place + n] == tuple(range(first, first + n))
        yield place, first // n, first % n, n if whole else 1
        place += n if whole else 1


def _bands(box: Box, pixels: np.ndarray, recipe: Recipe, plane: int, first_sample: int) -> Iterator[Piece]:
    height = recipe.tile_shape[0]
    for index in range(box.y.start // height, -(-box.y.stop // height)):
        rows = recipe.rows_of(index)
        y0, y1 = max(rows.start, box.y.start), min(rows.stop, box.y.stop)
        part = pixels[:, y0 - box.y.start : y1 - box.y.start]
        number = plane * recipe.n_bands + index
        yield Piece(number, rows, recipe.series.size_x, recipe.series.samples, first_sample, y0, box.x.start, part)

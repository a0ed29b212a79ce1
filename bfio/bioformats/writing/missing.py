"""What of an image was not written yet, as keys that index it."""

from __future__ import annotations

from bfio._coverage import Rect
from bfio.bioformats.writing.queue import BandQueue
from bfio.bioformats.writing.recipe import Recipe

__all__ = ["Region", "missing_regions"]

Region = tuple[slice, slice, slice, slice, slice]
"""Slices of Y, X, Z, C, T."""


def missing_regions(recipe: Recipe, queue: BandQueue) -> list[Region]:
    """Regions that were not written, by planes in the order of the file. Called with ``queue.changed`` held."""
    regions: list[Region] = []
    for plane in range(queue.next // recipe.n_bands, recipe.n_planes):
        start = None  # of rows of which nothing is there
        for index in range(recipe.n_bands + 1):
            number = plane * recipe.n_bands + index
            absent = index < recipe.n_bands and number >= queue.next and number not in queue.bands
            if absent and start is None:
                start = index
            elif not absent and start is not None:
                regions.append(_whole(recipe, plane, start, index))
                start = None
            if not absent and index < recipe.n_bands and number in queue.bands:
                rows = recipe.rows_of(index)
                for rect in queue.bands[number].coverage.uncovered():
                    regions += _parts(recipe, plane, rows, rect)
    return regions


def _whole(recipe: Recipe, plane: int, start: int, stop: int) -> Region:
    rows = slice(recipe.rows_of(start).start, recipe.rows_of(stop - 1).stop)
    return _region(recipe, plane, rows, slice(0, recipe.series.size_x), 0, recipe.series.samples)


def _parts(recipe: Recipe, plane: int, rows: range, rect: Rect) -> list[Region]:
    """A rectangle of a coverage, in which the samples of the band lie below each other."""
    y0, y1, x0, x1 = rect
    found = []
    for sample in range(recipe.series.samples):
        top = sample * len(rows)
        first, stop = max(y0 - top, 0), min(y1 - top, len(rows))
        if first < stop:
            there = slice(rows.start + first, rows.start + stop)
            found.append(_region(recipe, plane, there, slice(x0, x1), sample, sample + 1))
    return found


def _region(recipe: Recipe, plane: int, y: slice, x: slice, first_sample: int, stop_sample: int) -> Region:
    series = recipe.series
    rest, z = divmod(plane, series.size_z)
    t, c = divmod(rest, series.size_c)
    channels = slice(c * series.samples + first_sample, c * series.samples + stop_sample)
    return y, x, slice(z, z + 1), channels, slice(t, t + 1)

"""What of an image was not written yet, as keys that index it."""

from __future__ import annotations

import numpy as np

from bfio._coverage import Rect
from bfio.tiff.writing.tables import Key
from bfio.tiff.writing.writer import TiffWriter

__all__ = ["Region", "missing_regions"]

Region = tuple[slice, slice, slice, slice, slice]
"""Slices of Y, X, Z, C, T."""


def missing_regions(writer: TiffWriter) -> list[Region]:
    """Regions of full resolution that were not written, by planes in the order of the file, tiles row by row.

    A tile of which a part was written gives the rest of it, per sample.
    """
    partials = dict(writer.partials.items(0))
    absent = writer.store.tables.missing(0)
    keys = {(0, plane, tile) for plane, tile in np.argwhere(absent).tolist()} | set(partials)
    regions: list[Region] = []
    for key in sorted(keys):
        if key not in partials:
            _, _, rows, cols = writer.place_of(key)
            regions.append(_region(writer, key, (0, rows, 0, cols), None))
        elif absent[key[1], key[2]] or key in writer.snapshots:
            regions += [
                _region(writer, key, rect, sample)
                for sample, coverage in enumerate(partials[key].covered)
                for rect in coverage.uncovered()
            ]
    return regions


def _region(writer: TiffWriter, key: Key, rect: Rect, sample: int | None) -> Region:
    recipe = writer.recipe
    top, left, _, _ = writer.place_of(key)
    rest, z = divmod(key[1], recipe.size_z)
    t, c = divmod(rest, recipe.size_c)
    first = c * recipe.samples
    channels = slice(first, first + recipe.samples) if sample is None else slice(first + sample, first + sample + 1)
    return (
        slice(top + rect[0], top + rect[1]),
        slice(left + rect[2], left + rect[3]),
        slice(z, z + 1),
        channels,
        slice(t, t + 1),
    )

"""What of an image was not written yet, as keys that index it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bfio.omezarr.writing.assembling import Assembler

__all__ = ["Region", "missing_regions"]

Region = tuple[slice, slice, slice, slice, slice]
"""Slices of Y, X, Z, C, T."""


def missing_regions(assembler: Assembler) -> list[Region]:
    """Regions of full resolution that were not written: whole chunks, or parts of the planes of chunks."""
    meta, written = assembler.metas[0], assembler.written[0]
    partials = dict(assembler.partials[0].items())
    regions: list[Region] = []
    for index in map(tuple, np.argwhere(~written).tolist()):
        first = [number * size for number, size in zip(index, meta.chunk, strict=True)]
        extent = assembler.extent(0, index)
        if index not in partials:
            regions.append(_region(first, [slice(0, size) for size in extent]))
            continue
        for plane, coverage in zip(np.ndindex(*extent[:3]), partials[index].covered, strict=True):
            inside = [slice(number, number + 1) for number in plane]
            regions += [
                _region(first, [*inside, slice(y0, y1), slice(x0, x1)]) for y0, y1, x0, x1 in coverage.uncovered()
            ]
    return regions


def _region(first: Sequence[int], inside: Sequence[slice]) -> Region:
    t, c, z, y, x = (slice(start + one.start, start + one.stop) for start, one in zip(first, inside, strict=True))
    return y, x, z, c, t

"""imread: a whole image, or a selection of it, in one call."""

from __future__ import annotations

from typing import Any

import numpy as np

from bfio.backends.detect import Source
from bfio.limits import Limits
from bfio.reader import BioReader
from bfio.result import result_array, result_dtype
from bfio.selection import Box, Selection, select_bounds

__all__ = ["imread"]


def imread(
    path: Source,
    *,
    series: int = 0,
    level: int = 0,
    dtype: Any = None,
    out: np.ndarray | None = None,
    T: Any = None,
    C: Any = None,
    Z: Any = None,
    Y: Any = None,
    X: Any = None,
    max_workers: int | None = None,
    backend: str | None = None,
    limits: Limits | None = None,
    storage_options: dict[str, Any] | None = None,
) -> np.ndarray:
    """Read an image as T, C, Z, Y, X (and S, the samples of RGB pixels).

    Parameters
    ----------
    path : str, path or binary file object
    series, level : int
        Which image of the file, and which of its resolutions.
    dtype : dtype, optional
        Type of the result; values that it can not hold saturate.
    out : numpy.ndarray, optional
        Array to fill, of the shape of the result.
    T, C, Z, Y, X : optional
        What to read, as in :meth:`BioReader.read`; here C does not count the samples of a pixel.
    max_workers, backend, limits, storage_options : optional
        As in :class:`BioReader`.

    Returns
    -------
    numpy.ndarray
        Without axes of length 1, save Y and X, and S where pixels have more than one sample.
    """
    reader = BioReader(
        path,
        max_workers,
        backend,
        level=level,
        series=series,
        limits=limits,
        cache_bytes=0,
        storage_options=storage_options,
    )
    with reader:
        samples = reader.samples_per_pixel
        size_y, size_x, size_z, size_c, size_t = reader._sizes
        bounds = {"T": T, "C": C, "Z": Z, "Y": Y, "X": X}
        selection = select_bounds(bounds, (size_y, size_x, size_z, size_c // samples, size_t))
        shape = (*selection.box.shape, samples)
        kept = [axis in (3, 4) or length != 1 for axis, length in enumerate(shape)]
        kind = result_dtype(dtype, out, reader.dtype)
        result = result_array(tuple(length for length, keep in zip(shape, kept, strict=True) if keep), kind, out)
        if result.size:
            _fill(reader, selection, result[tuple(slice(None) if keep else None for keep in kept)])
    return result


def _fill(reader: BioReader, selection: Selection, out: np.ndarray) -> None:
    """Read into `out` (T, C, Z, Y, X, S), where C counts planes; a backend counts each sample as a channel."""
    box, samples = selection.box, reader.samples_per_pixel
    for place, c in enumerate(box.c):
        part = Box(box.t, tuple(range(c * samples, (c + 1) * samples)), box.z, box.y, box.x)
        view = np.moveaxis(out[:, place], -1, 1)
        reader._backend.read(reader._series_index, reader._level_index, part, selection.oriented(view), None)

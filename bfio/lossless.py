"""Pixels of another dtype than the image: passed on, converted, or refused where a value would change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bfio.errors import UsageError
from bfio.selection import Box

__all__ = ["check_values", "converted", "lossless_cast", "passes", "pieces"]

_CHECK_NBYTES = 1 << 24
_PIECE_NBYTES = 1 << 26


def passes(source: np.dtype, target: np.dtype) -> bool:
    """Whether a backend converts these by itself: real numbers of native byte order, of which each has its equal."""
    if source == target or not source.isnative:
        return source.isnative
    is_real = source.kind in "iuf" and target.kind in "iuf" and np.float16 not in (source, target)
    return is_real and _is_safe(source, target)


def _is_safe(source: np.dtype, target: np.dtype) -> bool:
    """Whether every value of one dtype exists in the other; numpy counts 64 bit integers to be safe in a double."""
    if source.kind in "iu" and source.itemsize == 8 and target.kind in "fc":
        return False
    return np.can_cast(source, target, "safe")


def lossless_cast(value: np.ndarray, dtype: np.dtype, *, weak: bool = False) -> np.ndarray:
    """Value as `dtype`, after a check that no number changes.

    Parameters
    ----------
    value : numpy.ndarray
    dtype : numpy.dtype
    weak : bool
        The value was a Python number, and rounds as any float does.

    Raises
    ------
    UsageError
        The message names a value that `dtype` does not have.
    """
    if value.dtype == dtype and value.dtype.isnative:
        return value
    check_values(value, dtype, weak=weak)
    return converted(value, dtype)


def converted(value: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Value as `dtype`, after :func:`check_values`."""
    if value.dtype.kind == "c" and dtype.kind != "c":
        value = value.real
    return value.astype(dtype)


def check_values(value: np.ndarray, dtype: np.dtype, *, weak: bool = False) -> None:
    """Raise UsageError where a value has no equal in `dtype`."""
    if _is_safe(value.dtype, dtype):
        return
    if weak and _rounds(value, dtype):
        return
    for block in _blocks(value):
        if not _is_exact(block, dtype):
            raise UsageError(_refusal(block, dtype))


def _rounds(value: np.ndarray, dtype: np.dtype) -> bool:
    """Whether floats lose no more than digits."""
    if (value.dtype.kind, dtype.kind) not in (("f", "f"), ("f", "c"), ("c", "c")):
        return False
    with np.errstate(over="ignore"):
        return bool((np.isfinite(value.astype(dtype)) == np.isfinite(value)).all())


def _blocks(value: np.ndarray) -> Iterator[np.ndarray]:
    """Parts of an array along its longest axis, so that a check needs little memory."""
    if value.nbytes <= _CHECK_NBYTES:
        yield value
        return
    axis = int(np.argmax(value.shape))
    n_parts = min(value.shape[axis], -(-value.nbytes // _CHECK_NBYTES))
    for part in np.array_split(value, n_parts, axis=axis):  # views
        yield from _blocks(part) if part.nbytes > 2 * _CHECK_NBYTES else (part,)


def _is_exact(values: np.ndarray, dtype: np.dtype) -> bool:
    """Whether each value has its equal in `dtype`; NaN is the equal of NaN."""
    if not values.size:
        return True
    if values.dtype.kind == "c":
        if dtype.kind != "c":
            return not values.imag.any() and _is_exact(values.real, dtype)
        part = np.dtype(f"f{dtype.itemsize // 2}")
        return _is_exact(values.real, part) and _is_exact(values.imag, part)
    if dtype.kind == "c":
        return _is_exact(values, np.dtype(f"f{dtype.itemsize // 2}"))
    if dtype.kind == "f":
        return _is_exact_float(values, dtype)
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if not (values.min().item() >= low and values.max().item() <= high):  # NaN compares as False
        return False
    return values.dtype.kind in "iub" or bool((np.trunc(values) == values).all())


def _is_exact_float(values: np.ndarray, dtype: np.dtype) -> bool:
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            back = values.astype(dtype).astype(values.dtype)
        return bool(((back == values) | (values != values)).all())
    exact = 1 << (np.finfo(dtype).nmant + 1)
    if -exact <= values.min().item() and values.max().item() <= exact:
        return True
    with np.errstate(over="ignore"):
        rounded = values.astype(dtype)
    info = np.iinfo(values.dtype)
    wide = rounded.astype(np.float64)
    if not bool(((wide >= info.min) & (wide < float(info.max + 1))).all()):  # can not be cast back
        return False
    return bool((rounded.astype(values.dtype) == values).all())


def _refusal(block: np.ndarray, dtype: np.dtype) -> str:
    example = _first_inexact(block, dtype)
    return (
        f"pixels of dtype {block.dtype} can not be written into an image of dtype {dtype} without loss: {example!r} "
        f"has no equal there; set dtype before the first write, or convert the array with astype({dtype.name!r})"
    )


def _first_inexact(block: np.ndarray, dtype: np.dtype) -> Any:
    """One of the values that do not fit, found by halves."""
    flat = block.reshape(-1)
    while flat.size > 1:
        half = flat[: flat.size // 2]
        flat = half if not _is_exact(half, dtype) else flat[flat.size // 2 :]
    return flat[0].item()


def pieces(box: Box, block: np.ndarray, tile_rows: int, *, interleaved: bool) -> Iterator[tuple[Box, np.ndarray]]:
    """A block cut into parts of a few megabytes, at the borders of tiles; planes of RGB keep their samples together."""
    n_channels = len(box.c) if interleaved else 1
    row_nbytes = max(1, len(box.x) * block.dtype.itemsize * n_channels)
    n_rows = max(1, _PIECE_NBYTES // (row_nbytes * tile_rows)) * tile_rows
    first = box.y.start // n_rows * n_rows
    bands = [range(max(y, box.y.start), min(y + n_rows, box.y.stop)) for y in range(first, box.y.stop, n_rows)]
    for i, t in enumerate(box.t):
        for j in range(0, len(box.c), n_channels):
            for k, z in enumerate(box.z):
                for band in bands:
                    part = Box((t,), box.c[j : j + n_channels], (z,), band, box.x)
                    rows = slice(band.start - box.y.start, band.stop - box.y.start)
                    yield part, block[i : i + 1, j : j + n_channels, k : k + 1, rows]

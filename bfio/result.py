"""The array that a read fills: allocated here or checked here, and how values are mapped into it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bfio.axes import PUBLIC, STORED, padded, to_public, to_stored, trimmed
from bfio.errors import LimitError, UsageError

__all__ = ["allocate", "checked_dtype", "result_array", "result_dtype", "scaling", "target"]

_NUMERIC = frozenset(
    np.dtype(code) for code in ("?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "c8", "c16")
)


def result_dtype(dtype: Any, out: Any, source: np.dtype) -> np.dtype:
    """Dtype of a result from the arguments ``dtype=`` and ``out=`` of a read."""
    if dtype is None:
        return source if out is None else checked_dtype(getattr(out, "dtype", source))
    found = checked_dtype(dtype)
    if isinstance(out, np.ndarray) and out.dtype != found:
        raise UsageError(f"dtype={found} does not agree with out=, which has dtype {out.dtype}")
    return found


def result_array(shape: tuple[int, ...], dtype: np.dtype, out: Any, rank: int | None = None) -> np.ndarray:
    """New array, or `out` after a check; there trailing axes of length 1 may be missing, down to `rank` axes."""
    if out is None:
        return allocate(shape, dtype)
    if not isinstance(out, np.ndarray):
        raise UsageError(f"out= must be a numpy array, not a {type(out).__name__}")
    least = len(shape) if rank is None else rank
    if not least <= out.ndim <= len(shape) or padded(out.shape, len(shape)) != shape:
        raise UsageError(f"out= has shape {out.shape}, but the result has shape {trimmed(shape, least)}")
    if not out.flags.writeable:
        raise UsageError("out= is read-only")
    return out


def target(
    shape: tuple[int, ...], dtype: np.dtype, out: Any, *, interleaved: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Buffer of a read, twice: as the backend fills it and as the user gets it.

    Parameters
    ----------
    shape : tuple of int
        T, C, Z, Y, X.
    dtype : numpy.dtype
        Of a new buffer.
    out : numpy.ndarray or None
        Array of the user, with axes Y, X, Z, C, T, of which trailing ones of length 1 may be missing.
    interleaved : bool
        Lay C out as the fastest axis, as RGB pixels are in the file.

    Returns
    -------
    tuple of numpy.ndarray
        The view (T, C, Z, Y, X), and the array for the user (`out` itself where given).
    """
    public = tuple(shape[STORED.index(axis)] for axis in PUBLIC)
    if out is not None:
        array = result_array(public, dtype, out, rank=2)
        return to_stored(np.expand_dims(array, tuple(range(array.ndim, len(PUBLIC))))), array
    if interleaved:
        stored = np.moveaxis(allocate((shape[0], *shape[2:], shape[1]), dtype), -1, 1)
    else:
        stored = allocate(shape, dtype)
    n_trailing = len(PUBLIC) - len(trimmed(public))
    return stored, np.squeeze(to_public(stored), axis=tuple(range(len(PUBLIC) - n_trailing, len(PUBLIC))))


def allocate(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """``numpy.empty`` that says in a sentence when the array is too large for this machine."""
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError, OverflowError):
        gibibytes = math.prod(shape) * dtype.itemsize / 2**30
        raise LimitError(
            f"the result would need {gibibytes:,.1f} GiB, more than this machine can give; "
            "read a region, single planes or a smaller level"
        ) from None


def checked_dtype(dtype: Any) -> np.dtype:
    """Native numeric dtype from whatever names one."""
    try:
        found: np.dtype = np.dtype(dtype)
    except TypeError:
        raise UsageError(f"dtype={dtype!r} is not a dtype") from None
    if found not in _NUMERIC or not found.isnative:
        raise UsageError(f"dtype={found} can not be read into; only numbers and bool in native byte order can")
    return found


def scaling(rescale: Any, source: np.dtype, result: np.dtype) -> tuple[float, float] | None:
    """Scale and offset of ``value * scale + offset``, or None where values stay as they are.

    `rescale` is a pair (lo, hi) that becomes the full range of `result`, or True for the full range of `source`. The
    full range of a float is 0 to 1.
    """
    if rescale is None or rescale is False:
        return None
    if rescale is True:
        low, high = _full_range(source)
    else:
        low, high = _limits(rescale)
    first, last = _full_range(result)
    if (low, high) == (first, last):
        return None
    scale = (last - first) / (high - low)
    return scale, first - low * scale


def _limits(rescale: Any) -> tuple[float, float]:
    try:
        low, high = (float(value) for value in rescale)
    except (TypeError, ValueError):
        raise UsageError(f"rescale={rescale!r} must be True or a pair (lo, hi)") from None
    if not (math.isfinite(low) and math.isfinite(high)) or low == high:
        raise UsageError(f"rescale={rescale!r} must be two different finite numbers")
    return low, high


def _full_range(dtype: np.dtype) -> tuple[float, float]:
    if dtype.kind not in "iu":
        return 0.0, 1.0
    bounds = np.iinfo(dtype)
    return float(bounds.min), float(bounds.max)

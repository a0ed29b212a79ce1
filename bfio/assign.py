"""``image[key] = value``: which region is meant, and how an array of another rank fits into it."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bfio.axes import PUBLIC, padded, to_stored, trimmed
from bfio.errors import SelectionError, UsageError
from bfio.selection import Box, Selection, expanded_key, select_axes

__all__ = ["Assignment", "as_pixels", "assign_bounds", "assign_key", "whole_sizes"]


@dataclass(frozen=True, slots=True)
class Assignment:
    """A region, and the pixels that go there.

    Attributes
    ----------
    box : Box
        Steps on Y and X are 1, and no index stands there twice.
    value : numpy.ndarray
        T, C, Z, Y, X; an axis that has length 1 may be longer in `box`.
    """

    box: Box
    value: np.ndarray

    @property
    def block(self) -> np.ndarray:
        """The pixels, with the shape of the box."""
        shape = self.box.shape
        return self.value if self.value.shape == shape else np.broadcast_to(self.value, shape)

    def with_value(self, value: np.ndarray) -> Assignment:
        """The same region with other pixels of the same shape."""
        return Assignment(self.box, value)


def as_pixels(value: Any) -> np.ndarray:
    """Array of numbers from what a user assigns."""
    try:
        array = np.asarray(value)
    except ValueError as error:  # ragged lists
        raise UsageError(f"the value is not an array: {error}") from None
    if array.dtype.kind not in "biufc":
        raise UsageError(f"pixels must be numbers, not {type(value).__name__} of dtype {array.dtype}")
    return array


def assign_key(key: Any, value: np.ndarray, sizes: Sequence[int]) -> Assignment:
    """Assignment of ``image[key] = value``.

    Parameters
    ----------
    key : int, slice, Ellipsis, or a tuple of up to five keys
        As in :func:`bfio.selection.select_key`; on Y and X steps must be 1 or -1.
    value : numpy.ndarray
        Of the shape of the region, where axes of length 1 may be missing at the end; or of any shape that numpy
        would broadcast to it.
    sizes : sequence of int
        Lengths of Y, X, Z, C, T.

    Raises
    ------
    SelectionError
        The key does not fit the image, or the value does not fit the key.
    """
    entries = expanded_key(key if isinstance(key, tuple) else (key,))
    selection = select_axes(dict(zip(PUBLIC, entries, strict=True)), sizes)
    for axis, step in (("Y", selection.box.y.step), ("X", selection.box.x.step)):
        if step != 1:
            raise SelectionError(f"{axis}: regions are written without gaps; the step of a slice must be 1 or -1")
    region = _public_shape(selection.box)
    named = [place for place, entry in enumerate(entries) if not _is_int(entry)]
    fitted = _fitted(value, region, (named, range(len(trimmed(region))), range(len(region))))
    if fitted is None:
        raise SelectionError(
            f"an array of shape {value.shape} does not fit the region of shape {region} (in the order Y, X, Z, C, T)"
        )
    return _distinct(selection, to_stored(fitted))


def assign_bounds(value: np.ndarray, bounds: dict[str, Any], sizes: Sequence[int]) -> Assignment:
    """Assignment of ``write(value, X=..., Y=..., ...)``: where each axis starts, or the indices of Z, C and T."""
    if value.ndim > len(PUBLIC):
        raise SelectionError(f"an array has up to five axes Y, X, Z, C, T, not {value.ndim}")
    shape = padded(value.shape)
    full = value.reshape(shape)
    entries = {
        axis: _from_start(axis, bounds.get(axis), length, size)
        for axis, length, size in zip(PUBLIC, shape, sizes, strict=True)
    }
    return _distinct(select_axes(entries, sizes), to_stored(full))


def whole_sizes(key: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Sizes of an image of which nothing is known but that an array of this shape fits this key."""
    entries = expanded_key(key if isinstance(key, tuple) else (key,))
    lengths = padded(shape)
    return tuple(
        length if isinstance(entry, slice) and entry == slice(None) else 1
        for entry, length in zip(entries, lengths, strict=False)
    )


def _public_shape(box: Box) -> tuple[int, ...]:
    t, c, z, y, x = box.shape
    return y, x, z, c, t


def _is_int(entry: Any) -> bool:
    if isinstance(entry, slice):
        return False
    try:
        operator.index(entry)
    except TypeError:
        return False
    return True


def _fitted(value: np.ndarray, region: tuple[int, ...], targets: Sequence[Sequence[int]]) -> np.ndarray | None:
    """Value with five axes, each as long as in the region or of length 1; None where it does not fit.

    Trailing axes may be missing, as in what a read returns. Else numpy's rule holds, which adds axes in front, for one
    of the `targets`. These are axes of the region: without those that an int selects, or the trailing ones of length 1.
    """
    if value.ndim <= len(region) and padded(value.shape) == region:
        return value.reshape(region)
    for axes in targets:
        shape = value.shape
        while len(shape) > len(axes) and shape[0] == 1:
            shape = shape[1:]
        last = list(axes)[len(axes) - len(shape) :]
        if len(shape) <= len(axes) and all(n in (1, region[axis]) for n, axis in zip(shape, last, strict=True)):
            lengths = dict(zip(last, shape, strict=True))
            return value.reshape([lengths.get(axis, 1) for axis in range(len(region))])
    return None


def _from_start(axis: str, value: Any, length: int, size: int) -> Any:
    """Entry of one axis: indices where several are given, else the range that begins there."""
    numbers = list(value) if isinstance(value, (list, tuple, range, np.ndarray)) and np.ndim(value) else [value]
    if len(numbers) == 2 and axis in "YXZ" and all(map(_is_int, numbers)) and numbers[1] - numbers[0] == length:
        numbers = numbers[:1]  # start and stop, as a read takes them
    elif len(numbers) > 1:
        if len(numbers) != length or axis not in "ZCT":
            raise SelectionError(f"{axis}={value!r} does not fit the array, which has length {length} there")
        return numbers
    start = 0 if not numbers or numbers[0] is None else numbers[0]
    if not _is_int(start):
        raise SelectionError(f"{axis}={value!r} must be an int: where the array starts")
    start = operator.index(start)
    if start < 0 or start + length > size:
        raise SelectionError(
            f"{axis}: the array covers {start} to {start + length}, but the image has size {size} there"
        )
    return slice(start, start + length)


def _distinct(selection: Selection, value: np.ndarray) -> Assignment:
    """Assignment in forward direction; of an index that is listed twice the last one counts, as in numpy."""
    box, value = selection.box, selection.oriented(value)
    kept: list[tuple[int, ...]] = []
    for axis, indices in enumerate((box.t, box.c, box.z)):
        if len(indices) == 1:
            kept.append(indices)
            continue
        last = {index: place for place, index in enumerate(indices)}
        if len(last) < len(indices) and value.shape[axis] > 1:
            value = np.take(value, list(last.values()), axis=axis)
        kept.append(tuple(last))
    t, c, z = kept
    return Assignment(Box(t, c, z, box.y, box.x), value)

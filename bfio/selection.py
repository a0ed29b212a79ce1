"""User index -> normalised selection. An index that does not fit is refused here and only here."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from bfio.axes import PUBLIC
from bfio.errors import SelectionError

__all__ = ["Box", "Selection", "expanded_key", "sample_runs", "select_axes", "select_bounds", "select_key"]

Indices: TypeAlias = "range | tuple[int, ...]"

_MAY_LIST = "ZCT"


@dataclass(frozen=True, slots=True)
class Box:
    """What a backend is asked for: planes by explicit indices, and a rectangle of positive steps."""

    t: tuple[int, ...]
    c: tuple[int, ...]
    z: tuple[int, ...]
    y: range
    x: range

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """Lengths along T, C, Z, Y, X."""
        return (len(self.t), len(self.c), len(self.z), len(self.y), len(self.x))


@dataclass(frozen=True, slots=True)
class Selection:
    """A :class:`Box`, and whether Y and X were asked for from the far end."""

    box: Box
    flip_y: bool = False
    flip_x: bool = False

    def oriented(self, array: np.ndarray) -> np.ndarray:
        """View of a (T, C, Z, Y, X) array in the direction in which the box runs."""
        if not (self.flip_y or self.flip_x):
            return array
        return array[..., :: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]


def sample_runs(c: tuple[int, ...], samples: int) -> Iterator[tuple[int, int, int, int]]:
    """Runs of consecutive samples of one plane: (index in c, plane along C, first sample, how many)."""
    start = 0
    while start < len(c):
        plane, first = divmod(c[start], samples)
        count = 1
        while start + count < len(c) and first + count < samples and c[start + count] == c[start] + count:
            count += 1
        yield start, plane, first, count
        start += count


def select_key(key: Any, sizes: Sequence[int]) -> Selection:
    """Selection of ``image[key]``.

    Parameters
    ----------
    key : int, slice, Ellipsis, or a tuple of up to five keys
        In the order Y, X, Z, C, T. An int keeps its axis with length 1. Z, C and T also take lists, tuples, integer
        arrays and boolean masks, each by itself (as ``numpy.ix_`` does). Axes not named are taken whole.
    sizes : sequence of int
        Lengths of the axes Y, X, Z, C, T.

    Raises
    ------
    SelectionError
        An index is out of range, or can not be used on its axis. Slices are clipped, as everywhere in Python.
    """
    entries = expanded_key(key if isinstance(key, tuple) else (key,))
    return select_axes(dict(zip(PUBLIC, entries, strict=True)), sizes)


def select_bounds(bounds: dict[str, Any], sizes: Sequence[int]) -> Selection:
    """Selection of ``read(X=..., Y=..., ...)``: as :func:`select_key`, but two numbers on X, Y, Z are (start, stop)."""
    return select_axes({axis: _from_bound(axis, bounds.get(axis)) for axis in PUBLIC}, sizes)


def select_axes(entries: dict[str, Any], sizes: Sequence[int]) -> Selection:
    """Selection from one entry per axis; `sizes` are in the order Y, X, Z, C, T."""
    found = {axis: _indices(entries[axis], axis, size) for axis, size in zip(PUBLIC, sizes, strict=True)}
    y, flip_y = _forward(found["Y"])
    x, flip_x = _forward(found["X"])
    box = Box(tuple(found["T"]), tuple(found["C"]), tuple(found["Z"]), y, x)
    return Selection(box, flip_y, flip_x)


def expanded_key(keys: tuple[Any, ...]) -> list[Any]:
    """Five entries, one per axis: the ellipsis, or the end, stands for all axes not named."""
    places = [place for place, key in enumerate(keys) if key is Ellipsis]
    if len(places) > 1:
        raise SelectionError("an index can have only one ellipsis ('...')")
    n_named = len(keys) - len(places)
    if n_named > len(PUBLIC):
        raise SelectionError(f"too many indices: an image has the five axes {PUBLIC}, but {n_named} were indexed")
    place = places[0] if places else len(keys)
    whole = [slice(None)] * (len(PUBLIC) - n_named)
    return [*keys[:place], *whole, *keys[place + 1 :]]


def _from_bound(axis: str, value: Any) -> Any:
    """Entry of one axis from an argument of ``read``."""
    if value is None:
        return slice(None)
    is_pair = isinstance(value, (list, tuple)) or (axis in "YX" and isinstance(value, np.ndarray))
    if axis not in "YXZ" or not is_pair:
        return value
    if len(value) == 2:
        return slice(*value)
    if len(value) == 1:
        return value[0]
    raise SelectionError(f"{axis} takes an int, a pair (start, stop) or a slice, but got {len(value)} numbers")


def _indices(entry: Any, axis: str, size: int) -> Indices:
    """Indices along one axis, each within 0 <= index < size."""
    if isinstance(entry, slice):
        return _from_slice(entry, axis, size)
    if isinstance(entry, range) and axis not in _MAY_LIST:
        return _from_range(entry, axis, size)
    try:
        index = operator.index(entry)
    except TypeError:
        return _from_list(entry, axis, size)
    index = _checked(index, axis, size)
    return range(index, index + 1)


def _from_slice(entry: slice, axis: str, size: int) -> range:
    try:
        return range(*entry.indices(size))
    except (TypeError, ValueError) as error:
        raise SelectionError(f"{axis}: {entry} can not be used: {error}") from None


def _from_range(entry: range, axis: str, size: int) -> range:
    """A range on Y or X; unlike a slice it must lie within the image, and counts from the front."""
    for end in (entry[0], entry[-1]) if entry else ():
        if not 0 <= end < size:
            raise SelectionError(f"{entry} is out of range for axis {axis} with size {size}")
    return entry


def _from_list(entry: Any, axis: str, size: int) -> tuple[int, ...]:
    """Indices of a list, tuple, integer array or boolean mask."""
    kind = type(entry).__name__
    if not isinstance(entry, (list, tuple, range, np.ndarray)):
        raise SelectionError(f"{axis} can not be indexed by {kind}; use an int, a slice or '...'")
    if axis not in _MAY_LIST:
        raise SelectionError(f"{axis} takes an int or a slice; a {kind} can select on Z, C and T only")
    if not isinstance(entry, np.ndarray) and not len(entry):
        return ()
    try:
        array = np.asarray(entry)
    except ValueError:
        raise SelectionError(f"{axis}: a {kind} must hold integers of one dimension") from None
    if array.ndim != 1 or array.dtype.kind not in "biu":
        raise SelectionError(f"{axis}: a {kind} must hold integers, or one bool per index, in one dimension")
    if array.dtype.kind == "b":
        if array.size != size:
            raise SelectionError(f"{axis}: a mask needs {size} entries, one per index, but has {array.size}")
        return tuple(np.flatnonzero(array).tolist())
    return tuple(_checked(index, axis, size) for index in array.tolist())


def _checked(index: int, axis: str, size: int) -> int:
    """Index counted from the front."""
    if not -size <= index < size:
        raise SelectionError(f"index {index} is out of range for axis {axis} with size {size}")
    return index + size if index < 0 else index


def _forward(indices: Indices) -> tuple[range, bool]:
    """Range of positive step with a tight stop, and whether it has to be read backwards."""
    if not indices:
        return range(0), False
    assert isinstance(indices, range)  # lists are refused on Y and X before
    if indices.step == 1:
        return indices, False
    backwards = indices.step < 0
    first, last = (indices[-1], indices[0]) if backwards else (indices[0], indices[-1])
    return range(first, last + 1, abs(indices.step) if len(indices) > 1 else 1), backwards and len(indices) > 1

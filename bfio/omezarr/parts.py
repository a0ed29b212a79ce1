"""A box as parts along the chunks of an array of any order of axes. Pure; touches no file."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bfio.selection import Box

__all__ = ["Part", "Piece", "cut_into_parts", "cut_into_pieces"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some indices of one axis: ``array[key][inside]`` belongs to ``out[place]``."""

    key: slice
    inside: slice | np.ndarray
    place: slice | np.ndarray

    def __len__(self) -> int:
        return self.place.stop - self.place.start if isinstance(self.place, slice) else len(self.place)


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of each axis of the array, in its order of axes."""

    pieces: tuple[Piece, ...]

    @property
    def key(self) -> tuple[slice, ...]:
        """What to ask of the array."""
        return tuple(piece.key for piece in self.pieces)


def cut_into_pieces(indices: Sequence[int], unit: int) -> list[Piece]:
    """Indices, in any order and with repeats, grouped by the unit of that many items which they lie in."""
    items = np.asarray(indices, np.int64)
    unit_of = items // unit
    if len(items) > 1 and np.any(unit_of[1:] < unit_of[:-1]):
        order = np.argsort(unit_of, kind="stable")
        items, unit_of = items[order], unit_of[order]
    else:
        order = None
    borders = [0, *(np.flatnonzero(np.diff(unit_of)) + 1).tolist(), len(items)]
    return [_piece(items[a:b], slice(a, b) if order is None else order[a:b]) for a, b in itertools.pairwise(borders)]


def _piece(items: np.ndarray, place: slice | np.ndarray) -> Piece:
    steps = np.diff(items)
    step = int(steps[0]) if len(steps) else 1
    if step > 0 and np.all(steps == step):
        return Piece(slice(int(items[0]), int(items[-1]) + 1, step), slice(None), place)
    first = int(items.min())
    return Piece(slice(first, int(items.max()) + 1, 1), items - first, place)


def cut_into_parts(axes: str, unit: Sequence[int], box: Box, itemsize: int, target_nbytes: int) -> Iterator[Part]:
    """Parts of a box, each within one unit of the array (a chunk, a shard), or within neighbours along Y and X.

    Parameters
    ----------
    axes : str
        Letters of the array's axes, of ``"tczyx"``.
    unit : sequence of int
        Items of a unit along each axis.
    box : Box
        Not empty.
    itemsize : int
    target_nbytes : int
        Bytes of units that are taken together, if they are that small.
    """
    sizes = dict(zip(axes, unit, strict=True))
    n = max(1, target_nbytes // (math.prod(unit) * itemsize))
    for letter in "xy":
        if letter in sizes:
            wanted = getattr(box, letter)
            hit = wanted[-1] // sizes[letter] - wanted[0] // sizes[letter] + 1
            together = max(1, min(n, hit))
            sizes[letter] *= together
            n //= together
    pieces = [cut_into_pieces(getattr(box, letter), sizes[letter]) for letter in axes]
    yield from map(Part, itertools.product(*pieces))

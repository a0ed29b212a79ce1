"""Cut a block along the grid of chunks: which chunks it touches, and which of its pixels go where in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from bfio.selection import Box

__all__ = ["Index", "Part", "Task", "cut", "first_uncut"]

Index = tuple[int, ...]
"""Position of a chunk in the grid of its level."""


@dataclass(frozen=True, slots=True)
class Part:
    """Pixels of one chunk.

    Attributes
    ----------
    inside : tuple of slice
        Where in the chunk, for each of T, C, Z, Y, X.
    pixels : ndarray
        A view, of any strides and of any dtype that converts without loss.
    """

    inside: tuple[slice, ...]
    pixels: np.ndarray


@dataclass(frozen=True, slots=True)
class Task:
    """All that a block has of one chunk."""

    index: Index
    parts: list[Part] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive positions of one axis, within one chunk."""

    inside: slice
    given: slice


def cut(box: Box, block: np.ndarray, chunk: Sequence[int]) -> Iterator[Task]:
    """Tasks of the chunks that a block touches, row by row; where a plane was given twice, the last one counts."""
    axes = [_runs(positions, size) for positions, size in zip(_axes(box), chunk, strict=True)]
    for index in product(*axes):
        runs = product(*(axis[number] for axis, number in zip(axes, index, strict=True)))
        parts = [Part(tuple(run.inside for run in one), block[tuple(run.given for run in one)]) for one in runs]
        yield Task(index, parts)


def _axes(box: Box) -> tuple[Sequence[int], ...]:
    return box.t, box.c, box.z, box.y, box.x


def _runs(positions: Sequence[int], size: int) -> dict[int, list[_Run]]:
    """Runs of one axis, by the number of the chunk."""
    found: dict[int, list[_Run]] = {}
    if isinstance(positions, range) and positions.step == 1:
        for number in range(positions.start // size, (positions.stop - 1) // size + 1):
            start, stop = max(positions.start, number * size), min(positions.stop, (number + 1) * size)
            _add(found, size, start, stop, start - positions.start)
        return found
    first = 0
    for place in range(1, len(positions) + 1):
        start = positions[first]
        is_longer = place < len(positions) and positions[place] == start + place - first and positions[place] % size
        if not is_longer:
            _add(found, size, start, start + place - first, first)
            first = place
    return found


def _add(found: dict[int, list[_Run]], size: int, start: int, stop: int, given: int) -> None:
    number, inside = divmod(start, size)
    run = _Run(slice(inside, inside + stop - start), slice(given, given + stop - start))
    found.setdefault(number, []).append(run)


def first_uncut(box: Box, unit: Sequence[int], shape: Sequence[int]) -> int | None:
    """The first axis along which a block has only a part of a unit; None where it is made of whole ones."""
    for axis, (positions, size, total) in enumerate(zip(_axes(box), unit, shape, strict=True)):
        for number, runs in _runs(positions, size).items():
            covered = np.zeros(min(size, total - number * size), bool)
            for run in runs:
                covered[run.inside] = True
            if not covered.all():
                return axis
    return None

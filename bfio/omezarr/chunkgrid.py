"""A selection laid over a grid of chunks of any rank. Pure; touches no file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Cuts", "Planes", "cut", "group_planes", "progressions"]


FEW = 8
"""Chunks along an axis up to which Python is faster than numpy."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """Chunks that a range hits along one axis: which, the first item inside, how many, and their place in the range."""

    chunk: np.ndarray
    first: np.ndarray
    count: np.ndarray
    place: np.ndarray

    def __len__(self) -> int:
        return len(self.chunk)

    def __getitem__(self, key: slice) -> Cuts:
        return Cuts(self.chunk[key], self.first[key], self.count[key], self.place[key])


def cut(selected: range, size: int) -> Cuts:
    """Cut a range of positive step, not empty, at the borders of chunks of `size` items."""
    start, step, n = selected.start, selected.step, len(selected)
    if step > size:  # at most one item in a chunk
        items = start + step * np.arange(n)
        chunk = items // size
        return Cuts(chunk, items - chunk * size, np.ones(n, np.int64), np.arange(n))
    n_chunks = selected[-1] // size - start // size + 1
    if n_chunks <= FEW:
        return _few_cuts(start, step, n, size, n_chunks)
    chunk = np.arange(start // size, selected[-1] // size + 1)
    borders = np.append(chunk, chunk[-1] + 1) * size
    places = np.clip(-((start - borders) // step), 0, n)
    place = places[:-1]
    return Cuts(chunk, start + place * step - chunk * size, np.diff(places), place)


def _few_cuts(start: int, step: int, n: int, size: int, n_chunks: int) -> Cuts:
    cuts = np.empty((4, n_chunks), np.int64)
    place = 0
    for number in range(n_chunks):
        chunk = start // size + number
        stop = min(n, -((start - (chunk + 1) * size) // step))
        cuts[:, number] = chunk, start + place * step - chunk * size, stop - place, place
        place = stop
    return Cuts(*cuts)


@dataclass(frozen=True, slots=True)
class Planes:
    """Selected planes, grouped by the chunks that hold them.

    Parameters
    ----------
    chunk : ndarray (n_groups, n_axes)
        Index of the chunks along the axes of the planes.
    bounds : ndarray (n_groups + 1,)
        Planes ``bounds[g]:bounds[g + 1]`` are in chunks of group g.
    inside : ndarray (n_planes,)
        Number of the plane in its chunk.
    place : ndarray (n_planes,)
        Byte offset in the output.
    """

    chunk: np.ndarray
    bounds: np.ndarray
    inside: np.ndarray
    place: np.ndarray

    def __getitem__(self, key: slice) -> Planes:
        """Some of the groups; ``key`` has both ends and no step."""
        bounds = self.bounds[key.start : key.stop + 1]
        planes = slice(int(bounds[0]), int(bounds[-1]))
        return Planes(self.chunk[key], bounds - bounds[0], self.inside[planes], self.place[planes])


def group_planes(selected: Sequence[Sequence[int]], chunk: Sequence[int], strides: Sequence[int]) -> Planes:
    """Group the planes of an outer product of indices, in any order and with repeats, by chunk.

    Parameters
    ----------
    selected : sequence of sequences of int
        Indices along each axis; not empty.
    chunk : sequence of int
        Length of a chunk along each axis.
    strides : sequence of int
        Bytes of the output from one index to the next along each axis.
    """
    n_axes = len(chunk)
    if all(len(positions) == 1 for positions in selected):
        return _one_plane([positions[0] for positions in selected], chunk)
    shape = tuple(map(len, selected))
    index = np.empty((n_axes, *shape), np.int64)
    inside = np.zeros(shape, np.int64)
    place = np.zeros(shape, np.int64)
    for axis, (positions, size, stride) in enumerate(zip(selected, chunk, strides, strict=True)):
        along = (slice(None), *(np.newaxis,) * (n_axes - axis - 1))
        items = np.array(positions, np.int64)
        index[axis] = (items // size)[along]
        inside *= size
        inside += (items % size)[along]
        place += (np.arange(len(items)) * stride)[along]
    flat = index.reshape(n_axes, -1)
    order = np.lexsort(flat[::-1])
    flat = flat[:, order]
    fresh = np.flatnonzero(np.any(flat[:, 1:] != flat[:, :-1], axis=0)) + 1
    first = np.concatenate([[0], fresh])
    bounds = np.append(first, flat.shape[1])
    return Planes(flat[:, first].T, bounds, inside.ravel()[order], place.ravel()[order])


def _one_plane(position: Sequence[int], chunk: Sequence[int]) -> Planes:
    inside = 0
    for item, size in zip(position, chunk, strict=True):
        inside = inside * size + item % size
    index = [item // size for item, size in zip(position, chunk, strict=True)]
    return Planes(np.array([index]), np.array([0, 1]), np.array([inside]), np.zeros(1, np.int64))


def progressions(indices: Sequence[int]) -> Iterator[tuple[int, range]]:
    """Cut a sequence of indices into ranges of positive step, each with its place in the sequence."""
    if isinstance(indices, range) and indices.step > 0:
        yield 0, indices
        return
    start = 0
    while start < len(indices):
        stop, step = start + 1, 1
        if stop < len(indices) and indices[stop] > indices[start]:
            step = indices[stop] - indices[start]
            while stop < len(indices) and indices[stop] - indices[stop - 1] == step:
                stop += 1
        yield start, range(indices[start], indices[stop - 1] + 1, step)
        start = stop

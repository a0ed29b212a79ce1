"""Lower levels at the end: what is missing there is made from the level above."""

from __future__ import annotations

from itertools import product

import numpy as np

from bfio.omezarr.writing.assembling import BATCH_NBYTES, Assembler, is_fed
from bfio.omezarr.writing.cutting import Index
from bfio.pyramid import halve

__all__ = ["complete_levels"]


def complete_levels(assembler: Assembler, *, anew: bool, in_place: bool) -> None:
    """Store all that is missing. No other thread may write meanwhile.

    Parameters
    ----------
    assembler : Assembler
    anew : bool
        Whether nothing that the lower levels have is to be believed.
    in_place : bool
        Whether chunks that nothing is known about are right all the same.
    """
    assembler.settle(0)
    for level in range(1, assembler.n_levels):
        if anew and not in_place:
            _empty(assembler, level)
        _complete(assembler, level, anew=anew or not assembler.feeding or not is_fed(assembler.metas, level))


def _complete(assembler: Assembler, level: int, *, anew: bool) -> None:
    """Store what is missing in a level, the one above being whole."""
    wanted = ~assembler.written[level] if not anew else np.ones_like(assembler.written[level])
    partials = assembler.partials[level]
    for index in partials.indices():
        partials.forget(index)
        wanted[index] = True
    batch: list[tuple[Index, np.ndarray]] = []
    for index in map(tuple, np.argwhere(wanted & _has_source(assembler, level)).tolist()):
        batch.append((index, _made(assembler, level, index)))
        if len(batch) * assembler.metas[level].chunk_nbytes > BATCH_NBYTES:
            assembler.put(level, batch)
            batch = []
    assembler.put(level, batch)


def _empty(assembler: Assembler, level: int) -> None:
    """Remove chunks that a former session made of what was lost since."""
    meta = assembler.metas[level]
    stale = assembler.sinks[level].written() & ~_has_source(assembler, level)
    for index in map(tuple, np.argwhere(stale).tolist()):
        assembler.sinks[level].put([index], [np.full(meta.chunk, meta.fill, meta.dtype)])


def _sources(assembler: Assembler, level: int, index: Index) -> tuple[range, ...]:
    """Chunks of the level above, along each axis, of which a chunk is made."""
    above, meta, extent = assembler.metas[level - 1], assembler.metas[level], assembler.extent(level, index)
    ranges = []
    for axis, number in enumerate(index):
        scale = 2 if axis >= 3 else 1
        start = number * meta.chunk[axis] * scale
        stop = min(start + extent[axis] * scale, above.shape[axis])
        ranges.append(range(start // above.chunk[axis], (stop - 1) // above.chunk[axis] + 1))
    return tuple(ranges)


def _has_source(assembler: Assembler, level: int) -> np.ndarray:
    """Which chunks of a level are made of something that was written, or are there already."""
    found = assembler.written[level].copy()
    above = assembler.written[level - 1]
    for index in map(tuple, np.argwhere(~found).tolist()):
        ranges = _sources(assembler, level, index)
        found[index] = above[tuple(slice(one.start, one.stop) for one in ranges)].any()
    return found


def _made(assembler: Assembler, level: int, index: Index) -> np.ndarray:
    """Pixels of a chunk, from the level above."""
    above, meta, extent = assembler.metas[level - 1], assembler.metas[level], assembler.extent(level, index)
    first = [number * size for number, size in zip(index, meta.chunk, strict=True)]
    first[3:] = [2 * place for place in first[3:]]
    last = [place + size for place, size in zip(first, (*extent[:3], 2 * extent[3], 2 * extent[4]), strict=True)]
    last = [min(pair) for pair in zip(last, above.shape, strict=True)]
    source = np.full([stop - start for start, stop in zip(first, last, strict=True)], above.fill, above.dtype)
    for one in product(*_sources(assembler, level, index)):
        stored = assembler.sinks[level - 1].get(one) if assembler.written[level - 1][one] else None
        if stored is not None:
            _paste_overlap(stored, [n * size for n, size in zip(one, above.chunk, strict=True)], source, first)
    pixels = np.full(meta.chunk, meta.fill, meta.dtype)
    halve(source, assembler.downsample, assembler.workers, pixels[tuple(slice(size) for size in extent)])
    return pixels


def _paste_overlap(stored: np.ndarray, at: list[int], source: np.ndarray, first: list[int]) -> None:
    """Copy what two arrays that lie at `at` and `first` have in common."""
    from_, to = [], []
    for axis in range(5):
        start = max(at[axis], first[axis])
        stop = min(at[axis] + stored.shape[axis], first[axis] + source.shape[axis])
        from_.append(slice(start - at[axis], stop - at[axis]))
        to.append(slice(start - first[axis], stop - first[axis]))
    source[tuple(to)] = stored[tuple(from_)]

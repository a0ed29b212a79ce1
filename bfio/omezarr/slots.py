"""Where a decoded chunk stands until all its planes are cut: in the cache, in the thread's own memory, or nowhere."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from bfio.omezarr.plan import Run
from bfio.plan import NO_SLOT
from bfio.tilecache import Lease, TileCache

__all__ = ["CacheLease", "Habit", "Hand", "place_chunk", "share_slot"]

MARKS = 4096
"""Chunks that a reader remembers to have met."""
MEMORY = 256
"""Meetings after which the older ones count half."""


class Habit:
    """Whether chunks of which a part is wanted are soon wanted again, as by somebody who scans an image.

    If not, only that part is decoded, and not kept. What one thread overlooks of another costs time alone.
    """

    def __init__(self) -> None:
        self._met: set[int] = set()
        self._n_new = self._n_again = 0

    def passes(self, key: Hashable) -> bool:
        """Note that a chunk is wanted; whether this seems to be the only time."""
        mark = hash(key)
        if self._n_new + self._n_again >= MEMORY:
            self._n_new, self._n_again = self._n_new // 2, self._n_again // 2
        if mark in self._met:
            self._n_again += 1
            return False
        self._n_new += 1
        if len(self._met) >= MARKS:
            self._met.clear()
        self._met.add(mark)
        return 2 * self._n_again < self._n_new


class CacheLease:
    """The cache, and what one read holds in it."""

    def __init__(self, cache: TileCache, habit: Habit) -> None:
        self._cache = cache
        self._habit = habit
        self._lease: Lease = cache.lease()
        self._spoiled = False
        self.slab = self._lease.slab

    def holds(self, key: Hashable) -> bool:
        """Whether a chunk is there."""
        return self._cache.holds(key)

    def passes(self, key: Hashable) -> bool:
        """Whether a chunk seems to be wanted only once; then it need not be kept."""
        return self._habit.passes(key)

    def place(self, key: Hashable) -> tuple[int, bool]:
        """Slot for a chunk, or NO_SLOT; and whether it is there already."""
        ((slot, hit),) = self._cache.place(self._lease, [key])
        return slot, hit

    def spoil(self) -> None:
        """A slot was taken and not filled, so that none of the new ones is kept."""
        self._spoiled = True

    def release(self, good: bool) -> None:
        """End the read; ``good`` tells that all new slots were filled."""
        self._cache.release(self._lease, good and not self._spoiled)


class Hand:
    """Memory of one thread: room for a decoded chunk, touched as it is used."""

    def __init__(self, chunk_nbytes: int) -> None:
        self.slab = np.empty(chunk_nbytes, np.uint8)
        self.counter = np.zeros(1, np.int64)


def share_slot(run: Run, present: np.ndarray) -> None:
    """Let a run's chunks of which several planes are wanted pass through the thread's own memory, one by one.

    The first task of such a chunk decodes it, the others find it ready.
    """
    counts = run.counts
    run.tasks["slot"] = np.repeat(np.where(present & (counts > 1), 0, NO_SLOT), counts)
    run.tasks["ready"] = run.tasks["slot"] != NO_SLOT
    run.tasks["ready"][np.cumsum(counts) - counts] = 0


def place_chunk(run: Run, lease: CacheLease | None, key: Hashable, *, own: bool, part: bool) -> tuple[bool, bool]:
    """Give the only chunk of a run a place in the cache, or in the thread's own memory (``own``) if it needs one.

    What is in the cache is whole. A chunk that is decoded in part (``part``) costs less, so that it goes there when it
    is met again: then all of it is decoded, and those who read it row by row decode it at most twice.

    The kernels would also cut a part of a chunk without that, but from memory that each call gets anew.

    Returns
    -------
    (cached, hit)
        Whether it has a place in the cache, and whether it is decoded there already.
    """
    slot, hit = NO_SLOT, False
    if lease is not None:
        passes = run.whole or (part and lease.passes(key))  # a whole chunk goes straight to its place
        if not passes or lease.holds(key):
            slot, hit = lease.place(key)
    cached = slot != NO_SLOT
    if cached or not part:
        run.tasks["decoded_rows"] = 0
    if own and not cached and (len(run.tasks) > 1 or not run.whole):
        slot = 0
    if slot != NO_SLOT:
        run.tasks["slot"], run.tasks["ready"] = slot, 1
        run.tasks["ready"][0] = hit
    return cached, hit

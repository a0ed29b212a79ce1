"""Where a decoded chunk stands until all its planes are cut: in the cache, in the thread's own memory, or nowhere."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from bfio.omezarr.plan import Run
from bfio.plan import NO_SLOT
from bfio.tilecache import Lease, TileCache

__all__ = ["CacheLease", "Hand", "give_slots"]


class CacheLease:
    """The cache, and what one read holds in it."""

    def __init__(self, cache: TileCache) -> None:
        self._cache = cache
        self._lease: Lease = cache.lease()
        self._spoiled = False
        self.slab = self._lease.slab

    def holds(self, key: Hashable) -> bool:
        """Whether a chunk is there."""
        return self._cache.holds(key)

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
    """Memory of one thread for one read."""

    def __init__(self, chunk_nbytes: int) -> None:
        self._chunk_nbytes = chunk_nbytes
        self._slab: np.ndarray | None = None
        self.counter = np.zeros(1, np.int64)

    def slab_for(self, tasks: np.ndarray) -> np.ndarray | None:
        """Room for one decoded chunk; None where no task needs it."""
        if self._slab is None and (tasks["slot"] != NO_SLOT).any():
            self._slab = np.empty(self._chunk_nbytes, np.uint8)
        return self._slab


def give_slots(
    run: Run, present: np.ndarray, lease: CacheLease | None, identity: Hashable, *, own: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Slots of the chunks of a run, written into their tasks.

    A chunk of which several planes are wanted, and that gets no place in the cache, is decoded into the thread's own
    memory if ``own``: its first task decodes, the others find it ready.

    Returns
    -------
    (cached, hit)
        For each chunk: whether its slot is in the cache, and whether it is decoded already.
    """
    slots = np.full(len(run), NO_SLOT, np.int64)
    hit = np.zeros(len(run), bool)
    if lease is not None:
        for number in np.flatnonzero(present).tolist():
            key = (run.chunks[number].tobytes(), identity)
            if not run.whole[number] or lease.holds(key):  # a whole chunk goes straight to its place
                slots[number], hit[number] = lease.place(key)
    cached = slots != NO_SLOT
    if own:
        slots[present & ~cached & (run.counts > 1)] = 0
    run.tasks["slot"] = np.repeat(slots, run.counts)
    run.tasks["ready"] = run.tasks["slot"] != NO_SLOT
    run.tasks["ready"][np.cumsum(run.counts) - run.counts] = hit
    return cached, hit

"""Decoded tiles kept for the next overlapping read: one slab of fixed slots, least recently used goes first."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Hashable, Sequence

import numpy as np

from bfio._locks import ProcessLock

__all__ = ["Lease", "TileCache"]

_MAX_SLOTS = 1 << 15  # 128 MiB of 64 x 64 bytes; tiles of a few pixels would need lists longer than the image


class Lease:
    """Slots that one read uses; nobody overwrites them until it is released."""

    __slots__ = ("filled", "held", "slab")

    def __init__(self, slab: np.ndarray) -> None:
        self.slab = slab
        self.held: list[int] = []
        self.filled: list[tuple[Hashable, int]] = []


class TileCache:
    """A bounded cache of decoded tiles of one size, shared by the threads of a reader.

    Parameters
    ----------
    nbytes : int
        Size of the slab. Its memory is only touched as tiles come in.
    slot_nbytes : int
        Decoded size of a tile.
    """

    def __init__(self, nbytes: int, slot_nbytes: int) -> None:
        self.slot_nbytes = slot_nbytes
        self._n_slots = min(nbytes // slot_nbytes, _MAX_SLOTS) if slot_nbytes else 0
        self._lock = ProcessLock()
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._slab = np.empty(self._n_slots * self.slot_nbytes, np.uint8)
        self._slot_of: OrderedDict[Hashable, int] = OrderedDict()
        self._free = list(range(self._n_slots))
        self._users: dict[int, int] = {}

    @property
    def n_slots(self) -> int:
        """Tiles that fit."""
        return self._n_slots

    def lease(self) -> Lease:
        """Begin a read; :meth:`release` must follow."""
        with self._lock:
            if self._pid != os.getpid():  # a fork may have come in the middle of another thread's read
                self._reset()
            return Lease(self._slab)

    def place(self, lease: Lease, keys: Sequence[Hashable]) -> list[tuple[int, bool]]:
        """Slots for tiles of a read.

        Returns
        -------
        list of (offset, hit)
            Byte offset in the lease's slab, or -1 where no slot is free; and whether it holds the tile already.
        """
        with self._lock:
            if lease.slab is not self._slab:
                return [(-1, False)] * len(keys)
            return [self._acquire(key, lease) for key in keys]

    def holds(self, key: Hashable) -> bool:
        """Whether a tile is there at the moment."""
        return key in self._slot_of

    def _acquire(self, key: Hashable, lease: Lease) -> tuple[int, bool]:
        slot = self._slot_of.get(key)
        hit = slot is not None
        if slot is not None:
            self._slot_of.move_to_end(key)
        else:
            slot = self._free.pop() if self._free else self._evict()
            if slot is None:
                return -1, False
            lease.filled.append((key, slot))
        self._users[slot] = self._users.get(slot, 0) + 1
        lease.held.append(slot)
        return slot * self.slot_nbytes, hit

    def _evict(self) -> int | None:
        """The least recently used slot that no read uses at the moment."""
        for key, slot in self._slot_of.items():
            if slot not in self._users:
                del self._slot_of[key]
                return slot
        return None

    def release(self, lease: Lease, good: bool) -> None:
        """Give the slots back; ``good`` tells that all new ones were filled."""
        with self._lock:
            if lease.slab is not self._slab:
                return
            for slot in lease.held:
                users = self._users[slot] - 1
                if users:
                    self._users[slot] = users
                else:
                    del self._users[slot]
            for key, slot in lease.filled:
                if good and key not in self._slot_of:
                    self._slot_of[key] = slot
                else:
                    self._free.append(slot)

    def clear(self) -> None:
        """Drop all tiles and their memory; reads under way keep theirs."""
        with self._lock:
            self._n_slots = 0
            self._reset()

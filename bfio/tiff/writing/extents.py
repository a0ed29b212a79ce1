"""Space in the file for tiles that replace others."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Iterable

__all__ = ["Extent", "Extents"]

Extent = tuple[int, int]
"""Offset and number of bytes."""


class Extents:
    """The holes that replaced tiles leave, and which of them may be used again.

    A hole that the last checkpoint still refers to must keep its bytes: after a crash they are the tile. It becomes
    free at the next checkpoint.

    Attributes
    ----------
    checkpoint : int
        Size of the file at the last checkpoint.
    """

    def __init__(self, checkpoint: int = 0, holes: Iterable[Extent] = ()) -> None:
        self.checkpoint = checkpoint
        self._free: list[Extent] = []  # by offset, no two adjacent
        self._pending: list[Extent] = []
        for hole in holes:
            self._add(hole)
        self._listed: list[Extent] = list(self._free)

    def take(self, nbytes: int) -> int | None:
        """Offset of a hole for that many bytes (the smallest that fits), or None."""
        fitting = [(size, offset) for offset, size in self._free if size >= nbytes]
        if not fitting:
            return None
        size, offset = min(fitting)
        self._free.remove((offset, size))
        if size > nbytes:
            bisect.insort(self._free, (offset + nbytes, size - nbytes))
        return offset

    def release(self, extent: Extent) -> None:
        """The bytes of a tile that was replaced, or of one that must never be read again."""
        if self.is_fresh(extent):
            self._add(extent)
        else:
            self._pending.append(extent)

    def is_fresh(self, extent: Extent) -> bool:
        """Whether no checkpoint refers to these bytes: they are younger, or in a hole that it lists."""
        offset, nbytes = extent
        if offset >= self.checkpoint:
            return True
        return any(start <= offset and offset + nbytes <= start + size for start, size in self._listed)

    def occupy(self, extents: Iterable[Extent]) -> None:
        """Take out of the holes what is in use: tiles that were put there after the checkpoint that lists the holes.

        Parameters
        ----------
        extents : iterable of Extent
            In the order of the file.
        """
        used = deque(extents)
        free: list[Extent] = []
        for hole, size in self._free:
            start, stop = hole, hole + size
            while used and used[0][0] < stop:
                offset, nbytes = used[0]
                if offset > start:
                    free.append((start, offset - start))
                start = max(start, offset + nbytes)
                if start > stop:
                    break  # it reaches into the next hole, as far as its entries can be trusted
                used.popleft()
            if start < stop:
                free.append((start, stop - start))
        self._free = free

    def _add(self, extent: Extent) -> None:
        offset, nbytes = extent
        place = bisect.bisect(self._free, extent)
        if place < len(self._free) and offset + nbytes == self._free[place][0]:
            nbytes += self._free.pop(place)[1]
        if place and sum(self._free[place - 1]) == offset:
            start, size = self._free.pop(place - 1)
            offset, nbytes = start, size + nbytes
        bisect.insort(self._free, (offset, nbytes))

    def holes_after_checkpoint(self) -> list[Extent]:
        """The holes that a checkpoint made now must list; :meth:`made_checkpoint` follows when it is durable."""
        merged = Extents(0, [*self._free, *self._pending])
        return list(merged._free)

    def made_checkpoint(self, end: int) -> None:
        """A checkpoint is durable, at this size of the file: nothing refers to older holes any more."""
        self.checkpoint = end
        for hole in self._pending:
            self._add(hole)
        self._pending = []
        self._listed = list(self._free)

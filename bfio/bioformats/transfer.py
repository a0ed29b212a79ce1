"""Pixels from Java to numpy, through memory that both sides see."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from bfio.bioformats.jvm import java

__all__ = ["Landing"]

_MARK_NBYTES = 16
_LEAST_NBYTES = 1 << 20


class Landing:
    """A Java array that a reader fills, and memory of numpy's that it is copied to.

    Both are made once and grow: a direct buffer made for each read would keep its memory until Java collects garbage.
    """

    def __init__(self) -> None:
        self._nbytes = 0
        self._array: Any = None
        self._buffer: Any = None
        self._mark = np.frombuffer(os.urandom(_MARK_NBYTES), np.uint8)
        self._java_mark = java("byte[]")(self._mark.view(np.int8).tolist())
        self._arraycopy = java("java.lang.System").arraycopy

    def reserve(self, nbytes: int) -> Any:
        """The Java array, with room for as many bytes."""
        if nbytes > self._nbytes:
            import jpype

            room = max(nbytes, _LEAST_NBYTES)
            self._nbytes = 0
            self._array = self._buffer = None
            self._array = java("byte[]")(room)
            self._memory = np.empty(room, np.uint8)
            self._buffer = jpype.nio.convertToDirectBuffer(memoryview(self._memory))
            self._nbytes = room
        return self._array

    def mark(self, ends: Sequence[int]) -> None:
        """Write a pattern before each of these positions, which whoever fills the array must overwrite."""
        for end in ends:
            if end >= _MARK_NBYTES:
                self._arraycopy(self._java_mark, 0, self._array, end - _MARK_NBYTES, _MARK_NBYTES)

    def take(self, nbytes: int) -> np.ndarray:
        """The first bytes of the array, as uint8; valid until it is filled again."""
        self._buffer.clear()
        self._buffer.put(self._array, 0, nbytes)
        return self._memory[:nbytes]

    def still_marked(self, ends: Sequence[int], taken: np.ndarray) -> bool:
        """Whether one of the patterns was not overwritten: the reader had no data for it, and did not say so."""
        mark = self._mark.tobytes()
        return any(end >= _MARK_NBYTES and taken[end - _MARK_NBYTES : end].tobytes() == mark for end in ends)

"""Pixels from Java to numpy, through memory that both sides see."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from bfio.bioformats.jvm import java

__all__ = ["Landing"]

_MARK_NBYTES = 16
_KEPT_NBYTES = 32 << 20
"""Bytes of arrays of other sizes that are kept for later."""


class Landing:
    """Java arrays that a reader fills, and memory of numpy's that they are copied to.

    Both are kept: a direct buffer made for each read would hold its memory until Java collects garbage.
    """

    def __init__(self) -> None:
        self._arrays: OrderedDict[int, Any] = OrderedDict()
        self._memory = np.empty(0, np.uint8)
        self._buffer: Any = None
        self._mark = np.frombuffer(os.urandom(_MARK_NBYTES), np.uint8).tobytes()
        self._java_mark = java("byte[]")(np.frombuffer(self._mark, np.int8).tolist())
        self._arraycopy = java("java.lang.System").arraycopy
        self._fill, self._zero = java("java.util.Arrays").fill, java("byte")(0)

    def array(self, nbytes: int, ends: Sequence[int]) -> Any:
        """A Java array of just this size, for some readers tell from it how large a sample is; all zeros, for some
        leave out what is not in the file.

        Before each of the positions `ends` stands a pattern, which whoever fills the array must overwrite.
        """
        found = self._arrays.pop(nbytes, None)
        if found is None:
            while sum(self._arrays) > _KEPT_NBYTES:
                self._arrays.popitem(last=False)
            found = java("byte[]")(nbytes)
        else:
            self._fill(found, self._zero)
        self._arrays[nbytes] = found
        for end in ends:
            if end >= _MARK_NBYTES:
                self._arraycopy(self._java_mark, 0, found, end - _MARK_NBYTES, _MARK_NBYTES)
        return found

    def take(self, array: Any, nbytes: int) -> np.ndarray:
        """The contents of an array as uint8; valid until the next call."""
        if nbytes > self._memory.nbytes:
            import jpype

            self._buffer = None
            self._memory = np.empty(nbytes, np.uint8)
            self._buffer = jpype.nio.convertToDirectBuffer(memoryview(self._memory))
        self._buffer.clear()
        self._buffer.put(array, 0, nbytes)
        return self._memory[:nbytes]

    def is_marked(self, taken: np.ndarray, ends: Sequence[int]) -> bool:
        """Whether one of the patterns is still there: the reader had no data for it, and did not say so."""
        return any(end >= _MARK_NBYTES and taken[end - _MARK_NBYTES : end].tobytes() == self._mark for end in ends)

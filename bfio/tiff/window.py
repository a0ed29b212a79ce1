"""Parts of a file in memory, for kernels that can not read it themselves: URLs, and systems without pread."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bfio.byteio import Source

__all__ = ["Windows"]

FIRST_NBYTES = 1 << 14
MOST_NBYTES = 1 << 20
KEPT = 4


class Windows:
    """The last parts that were read of a file.

    Little is read after a far jump, and more and more as long as the wanted parts lie close together.

    Parameters
    ----------
    source : Source
    first_nbytes : int
        Size of the first part; a part is larger if more is wanted.
    """

    def __init__(self, source: Source, first_nbytes: int = FIRST_NBYTES) -> None:
        self._source = source
        self._first_nbytes = first_nbytes
        self._ahead = first_nbytes
        self._parts: list[tuple[int, bytes]] = []
        self._join()

    def fetch(self, position: int, nbytes: int, *, keep_all: bool) -> bool:
        """Read a part that holds `nbytes` bytes at `position`; false if the file does not have them.

        With `keep_all` no other part is dropped: the kernel needs them together.
        """
        if self._parts:
            start, last = self._parts[-1]
            near = start <= position < start + len(last) + self._ahead
            self._ahead = min(self._ahead * 4, MOST_NBYTES) if near else self._first_nbytes
        part = self._source.pread(position, max(nbytes, self._ahead))
        if len(part) < nbytes:
            return False
        kept = self._parts if keep_all else self._parts[-KEPT:]
        self._parts = [*kept, (position, part)]
        self._join()
        return True

    def _join(self) -> None:
        self.data: bytes = b"".join(part for _, part in self._parts)
        rows = [(position, len(part)) for position, part in self._parts]
        self.pieces: NDArray[np.uint64] = np.array(rows, np.uint64).reshape(-1, 2)

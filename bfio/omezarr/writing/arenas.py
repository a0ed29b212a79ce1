"""Memory for encoded chunks that is kept, as fresh pages cost more than small chunks do."""

from __future__ import annotations

import numpy as np

__all__ = ["Arenas", "n_jobs"]

KEPT_NBYTES = 256 << 20
SHARE = 64 << 10
"""Bytes of chunks that make another worker thread worth its start."""


class Arenas:
    """Arenas of one size; any number of threads may take and give."""

    def __init__(self, nbytes: int, n_workers: int) -> None:
        self._nbytes = nbytes
        self._n_kept = max(1, min(2 * n_workers, KEPT_NBYTES // max(1, nbytes)))
        self._free: list[np.ndarray] = []

    def take(self) -> np.ndarray:
        """An arena with anything in it."""
        try:
            return self._free.pop()
        except IndexError:
            return np.empty(self._nbytes, np.uint8)

    def give(self, arena: np.ndarray) -> None:
        """Have an arena back."""
        if len(self._free) < self._n_kept:
            self._free.append(arena)


def n_jobs(n_chunks: int, chunk_nbytes: int) -> int:
    """Threads that this many chunks are worth."""
    return max(1, min(n_chunks, n_chunks * chunk_nbytes // SHARE))

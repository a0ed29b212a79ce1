"""Pixels that wait outside of memory, in a temporary file without a name."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import IO

import numpy as np

__all__ = ["Spill"]


class Spill:
    """A temporary file of slots of one size. One thread at a time may use it.

    Parameters
    ----------
    folder : Path
        Where the file is.
    nbytes : int
        Size of a slot.
    """

    def __init__(self, folder: Path, nbytes: int) -> None:
        self._folder, self._nbytes = folder, nbytes
        self._file: IO[bytes] | None = None
        self._free: list[int] = []
        self._n_slots = 0

    def write(self, pixels: np.ndarray) -> int:
        """Slot in the file that now holds the pixels."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder, prefix=".bfio-", buffering=0)  # noqa: SIM115 - kept open
        if not self._free:
            self._free.append(self._n_slots)
            self._n_slots += 1
        slot = self._free.pop()
        self._file.seek(slot * self._nbytes)
        left = memoryview(pixels.reshape(-1).view(np.uint8))
        while left:
            left = left[self._file.write(left) :]
        return slot

    def read(self, slot: int, out: np.ndarray) -> None:
        """Fetch the pixels of a slot, which is free then."""
        assert self._file is not None
        self._file.seek(slot * self._nbytes)
        left = memoryview(out.reshape(-1).view(np.uint8))
        while left:
            n = self._file.readinto(left)  # type: ignore[attr-defined]
            if not n:
                raise OSError(f"the temporary file in {os.fspath(self._folder)} lost bytes")
            left = left[n:]
        self.release(slot)

    def release(self, slot: int) -> None:
        """Nobody needs the slot any more."""
        self._free.append(slot)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

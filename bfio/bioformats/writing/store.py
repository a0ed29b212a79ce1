"""Bands of planes that are not whole yet, or not at their turn, in an unnamed temporary file beside the target."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import IO

import numpy as np

from bfio._positional import pread, pwrite

__all__ = ["BandStore"]

_PIECE_NBYTES = 1 << 24


class BandStore:
    """Slots of equal size in a sparse file, each with the samples of a band one after the other.

    Parameters
    ----------
    folder : Path
        Whose file system has room.
    shape : tuple of int
        Samples, rows and columns of the largest band.
    dtype : numpy.dtype
    """

    def __init__(self, folder: Path, shape: tuple[int, int, int], dtype: np.dtype) -> None:
        self._folder, self._shape, self._dtype = folder, shape, dtype
        self._nbytes = shape[0] * shape[1] * shape[2] * dtype.itemsize
        self._file: IO[bytes] | None = None
        self._free: list[int] = []
        self._n_slots = 0

    def take(self) -> int:
        """A slot; what is in it is undefined. To be called under a lock, as is `give_back`."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder, prefix=".bfio-", buffering=0)  # noqa: SIM115 - kept
        if self._free:
            return self._free.pop()
        self._n_slots += 1
        return self._n_slots - 1

    def give_back(self, slot: int) -> None:
        """Use a slot for something else. Where all are free the room on the disk is given back too."""
        self._free.append(slot)
        if len(self._free) == self._n_slots and self._file is not None:
            self._free.clear()
            self._n_slots = 0
            os.ftruncate(self._file.fileno(), 0)

    def write(self, slot: int, first_sample: int, y: int, x: int, block: np.ndarray) -> None:
        """Store a block (samples, rows, columns)."""
        _, n_rows, n_cols = self._shape
        for index, sample in enumerate(block, first_sample):
            start = slot * self._nbytes + index * n_rows * n_cols * self._dtype.itemsize
            if sample.shape[1] == n_cols:
                self._write_rows(start + y * n_cols * self._dtype.itemsize, sample)
                continue
            for row, values in enumerate(sample, y):
                data = np.ascontiguousarray(values, self._dtype)
                self._pwrite(data, start + (row * n_cols + x) * self._dtype.itemsize)

    def _write_rows(self, position: int, rows: np.ndarray) -> None:
        n_rows = max(1, _PIECE_NBYTES // max(1, rows.shape[1] * self._dtype.itemsize))
        for first in range(0, len(rows), n_rows):
            data = np.ascontiguousarray(rows[first : first + n_rows], self._dtype)
            self._pwrite(data, position + first * rows.shape[1] * self._dtype.itemsize)

    def _pwrite(self, data: np.ndarray, position: int) -> None:
        assert self._file is not None
        pwrite(self._file.fileno(), data.reshape(-1).view(np.uint8).data, position)

    def read(self, slot: int, n_rows: int) -> np.ndarray:
        """The first rows (samples, rows, columns) of a slot; what was never written is 0 or older pixels."""
        assert self._file is not None
        samples, most_rows, n_cols = self._shape
        out = np.zeros((samples, n_rows, n_cols), self._dtype)
        for index in range(samples):
            flat = out[index].reshape(-1).view(np.uint8)
            start = slot * self._nbytes + index * most_rows * n_cols * self._dtype.itemsize
            for first in range(0, flat.size, _PIECE_NBYTES):
                data = pread(self._file.fileno(), min(_PIECE_NBYTES, flat.size - first), start + first)
                flat[first : first + len(data)] = np.frombuffer(data, np.uint8)
        return out

    def close(self) -> None:
        """Let go of the file, which is gone then. Closing twice is allowed."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()

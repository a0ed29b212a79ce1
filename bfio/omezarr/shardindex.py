"""The index of a shard: where its chunks are. Read and checked, built, and kept for the shards read last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np

from bfio._kernels import crc32c
from bfio._locks import ProcessLock
from bfio.errors import FormatError

__all__ = ["ABSENT", "IndexCache", "build_index", "index_nbytes", "parse_index"]

ABSENT = (1 << 64) - 1
"""Offset and byte count of a chunk that the shard does not hold."""
_CRC_NBYTES = 4


def index_nbytes(n_chunks: int, crc: bool) -> int:
    """Bytes of the index of a shard of so many chunks."""
    return 16 * n_chunks + (_CRC_NBYTES if crc else 0)


def parse_index(raw: bytes, n_chunks: int, crc: bool) -> np.ndarray:
    """Offsets and byte counts, uint64 of shape (n_chunks, 2).

    Raises
    ------
    FormatError
        It is cut off, or its checksum is wrong.
    """
    if len(raw) != index_nbytes(n_chunks, crc):
        raise FormatError(f"the index of the shard has {len(raw)} bytes, not {index_nbytes(n_chunks, crc)}")
    table = raw[: 16 * n_chunks]
    if crc and crc32c(table) != int.from_bytes(raw[-_CRC_NBYTES:], "little"):
        raise FormatError("the checksum of the shard's index is wrong")
    return np.frombuffer(table, "<u8").reshape(n_chunks, 2).astype(np.uint64, copy=False)


def build_index(table: np.ndarray, crc: bool) -> bytes:
    """Bytes of an index, from offsets and byte counts of shape (n_chunks, 2)."""
    raw = table.astype("<u8").tobytes()
    return raw + crc32c(raw).to_bytes(_CRC_NBYTES, "little") if crc else raw


class IndexCache:
    """Indices of the shards that were read last.

    Parameters
    ----------
    nbytes : int
        Bound of their bytes; one is always kept.
    """

    def __init__(self, nbytes: int) -> None:
        self._nbytes = nbytes
        self._lock = ProcessLock()
        self._tables: OrderedDict[Hashable, np.ndarray] = OrderedDict()

    def held(self, key: Hashable) -> np.ndarray | None:
        """The index known by `key`, if it is kept."""
        with self._lock:
            return self._tables.get(key)

    def get(self, key: Hashable, load: Callable[[], np.ndarray]) -> np.ndarray:
        """The index known by `key`, which tells apart states of the file; else what `load` gives."""
        with self._lock:
            table = self._tables.get(key)
            if table is not None:
                self._tables.move_to_end(key)
                return table
        table = load()
        with self._lock:
            self._tables[key] = table
            while len(self._tables) > max(1, self._nbytes // max(1, table.nbytes)):  # those of one array are alike
                self._tables.popitem(last=False)
        return table

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._tables.clear()

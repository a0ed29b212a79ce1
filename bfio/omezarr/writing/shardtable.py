"""Where the chunks of a shard are: read from finished shards, and written down of unfinished ones."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np

from bfio._positional import pread
from bfio.errors import FormatError
from bfio.omezarr.arraymeta import ArrayMeta
from bfio.omezarr.shardindex import ABSENT, index_nbytes, parse_index

__all__ = ["EMPTY", "checkpoint_bytes", "empty_table", "parse_checkpoint", "read_index"]

EMPTY = np.uint64(ABSENT)
_MAGIC = b"bfio shard 1\n"


def empty_table(n: int) -> np.ndarray:
    """Offsets and byte counts of a shard without chunks."""
    return np.full((n, 2), EMPTY)


def read_index(meta: ArrayMeta, fd: int, n: int) -> np.ndarray:
    """Table of a finished shard.

    Raises
    ------
    FormatError
        It is damaged.
    """
    size, nbytes = os.fstat(fd).st_size, index_nbytes(n, meta.index_crc)
    table = parse_index(pread(fd, nbytes, max(0, size - nbytes) if meta.index_at_end else 0), n, meta.index_crc)
    _check(table, size)
    return table.copy()  # it may be a view of bytes


def _check(table: np.ndarray, size: int) -> None:
    """Every chunk lies in the file."""
    there = table[(table != EMPTY).any(1)]
    if (there > size).any() or (there[:, 0] > size - there[:, 1]).any():
        raise FormatError("the shard's index points behind the end of the file")


def checkpoint_bytes(table: np.ndarray, done: np.ndarray) -> bytes:
    """What an unfinished shard holds: its table, and which chunks were written, those of the fill value too."""
    raw = _MAGIC + table.astype("<u8").tobytes() + done.astype(np.uint8).tobytes()
    return raw + struct.pack("<I", zlib.crc32(raw))


def parse_checkpoint(raw: bytes, n: int, size: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Table and chunks written of an unfinished shard of `size` bytes; None if it does not fit."""
    if len(raw) != len(_MAGIC) + 17 * n + 4 or not raw.startswith(_MAGIC):
        return None
    if struct.unpack("<I", raw[-4:])[0] != zlib.crc32(raw[:-4]):
        return None
    table = np.frombuffer(raw, "<u8", 2 * n, len(_MAGIC)).reshape(n, 2).astype(np.uint64)
    try:
        _check(table, size)
    except FormatError:
        return None
    return table, np.frombuffer(raw, np.uint8, n, len(_MAGIC) + 16 * n) != 0

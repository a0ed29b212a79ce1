"""CRC32C (Castagnoli), the checksum of shards' indices and of the codec ``crc32c``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from bfio.errors import BackendMissingError

__all__ = ["crc32c"]

_POLYNOMIAL = 0x82F63B78
_SLOW_NBYTES = 1 << 18
"""What the loop in Python does in about 20 ms."""


def crc32c(data: bytes | memoryview) -> int:
    """Checksum of bytes; by google-crc32c, or where it is absent by a loop, which is only for the indices of shards.

    Raises
    ------
    BackendMissingError
        google-crc32c is absent, and the loop would take too long.
    """
    fast = _library()
    if fast is not None:
        return fast(bytes(data))
    if len(data) > _SLOW_NBYTES:
        raise BackendMissingError("checksums of this size need google-crc32c: pip install 'bfio[zarr]'")
    return _loop(data)


@cache
def _library() -> Callable[[bytes], int] | None:
    try:
        import google_crc32c
    except ImportError:
        return None
    value: Callable[[bytes], int] = google_crc32c.value
    return value


@cache
def _table() -> tuple[int, ...]:
    entries = []
    for entry in range(256):
        for _ in range(8):
            entry = entry >> 1 ^ (_POLYNOMIAL if entry & 1 else 0)
        entries.append(entry)
    return tuple(entries)


def _loop(data: bytes | memoryview) -> int:
    table, crc = _table(), 0xFFFFFFFF
    for byte in bytes(data):
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF

"""Reads and writes at a position of a descriptor, also where the system has none (Windows)."""

from __future__ import annotations

import os
import threading

__all__ = ["pread", "pwrite"]

_seeking = threading.Lock()


def pread(fd: int, nbytes: int, position: int) -> bytes:
    """Up to `nbytes` bytes."""
    if hasattr(os, "pread"):
        return os.pread(fd, nbytes, position)
    with _seeking:
        os.lseek(fd, position, os.SEEK_SET)
        return os.read(fd, nbytes)


def pwrite(fd: int, data: bytes | memoryview, position: int) -> None:
    """Write all of `data`."""
    left = memoryview(data)
    while left:
        done = _write_some(fd, left, position)
        left, position = left[done:], position + done


def _write_some(fd: int, data: memoryview, position: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(fd, data, position)
    with _seeking:
        os.lseek(fd, position, os.SEEK_SET)
        return os.write(fd, data)

"""A bounded number of open files."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bfio.omezarr.writing.unsynced import BINARY

__all__ = ["Descriptors"]

MOST = 32
"""Files that stay open while nobody uses them."""


class _Open:
    """Owner of one descriptor, which closes with the last reference: nobody uses a number that is another file's."""

    __slots__ = ("fd", "n_users")

    def __init__(self, fd: int) -> None:
        self.fd, self.n_users = fd, 0

    def __del__(self, _close: Any = os.close) -> None:
        _close(self.fd)


class Descriptors:
    """Descriptors of files that are read and written, opened when needed, the longest unused closed first."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._open: dict[Path, _Open] = {}

    @contextmanager
    def use(self, path: Path, flags: int = os.O_RDWR) -> Generator[int]:
        """The descriptor of a file, for as long as it is in use; `flags` are for opening it."""
        with self._lock:
            entry = self._open.pop(path, None) or _Open(os.open(path, flags | BINARY, 0o666))
            self._open[path] = entry
            entry.n_users += 1
        try:
            yield entry.fd
        finally:
            with self._lock:
                entry.n_users -= 1
                self._shrink()

    def _shrink(self) -> None:
        if len(self._open) > self._most:
            for path in [path for path, entry in self._open.items() if not entry.n_users]:
                if len(self._open) <= self._most:
                    break
                del self._open[path]

    def close(self, path: Path) -> None:
        """Close a file, as soon as nobody uses it."""
        with self._lock:
            self._open.pop(path, None)

    def close_all(self) -> None:
        """Close all files."""
        with self._lock:
            self._open.clear()

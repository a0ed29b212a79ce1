"""Where the documents and chunks of a Zarr store are: a folder here, everything else behind the same face."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Protocol

from bfio.errors import FormatError, LimitError

__all__ = ["DOCUMENTS", "Folder", "Nodes", "child", "known_nbytes", "relative"]

DOCUMENTS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
"""Files of which each node of a store has one or two."""
_QUIET_OPEN = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""A named pipe in place of a document must not keep anybody waiting."""
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
_MAX_KNOWN = 1 << 16
_MAX_PARTS = 32
_MAX_PATH = 4096


class Nodes(Protocol):
    """A Zarr store as bytes by key; keys have no slash at either end, and the root is ``""``."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    @property
    def root(self) -> Path | None:
        """The folder, or None where the store is none."""
        ...

    def get(self, key: str) -> bytes | None:
        """What is stored under a key, None where nothing is. OSError passes."""
        ...

    def names(self, key: str) -> list[str] | None:
        """Names of what stands directly below a key, sorted; None where the store can not tell."""
        ...


class Folder:
    """A store in a local folder.

    Parameters
    ----------
    path : str or Path
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.root: Path = Path(path)
        self.name = str(self.root)
        self._real = os.path.realpath(path)
        self._inside = self._real.rstrip(os.sep) + os.sep
        self._safe: set[str] = {""}

    def get(self, key: str) -> bytes | None:
        """Content of a file; None where there is none.

        Raises
        ------
        FormatError
            A symbolic link leads out of the store, or it is no regular file.
        IsADirectoryError
            It is a folder.
        OSError
            The file can not be read.
        """
        return self.read(key, None)

    def read(self, key: str, most: int | None) -> bytes | None:
        """The same, for a file of `most` bytes at most; LimitError for a larger one."""
        try:
            self._check_links(key)
            fd = os.open(self._path(key), _QUIET_OPEN)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise FormatError(f"{self.name}/{key}: its symbolic links lead in a circle") from None
            if error.errno not in _ABSENT:
                raise
            return None
        try:
            nbytes = self._checked_nbytes(key, fd)
            if most is not None and nbytes > most:
                raise LimitError(f"{self.name}/{key}: has {nbytes:,} bytes; the limits allow {most:,}")
            return _read(fd, nbytes)
        finally:
            os.close(fd)

    def names(self, key: str) -> list[str]:
        """Names of files and folders in a folder; none where it is not there."""
        try:
            self._check_links(key)
            return sorted(os.listdir(self._path(key)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _path(self, key: str) -> str:
        return f"{self._inside}{key}" if key else self._real

    def _check_links(self, key: str) -> None:
        """Refuse what a symbolic link puts outside. Of a folder that was looked at, only what is new is looked at."""
        if key in self._safe:
            return
        parent, _, _ = key.rpartition("/")
        self._check_links(parent)
        path = self._path(key)
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode) and not f"{os.path.realpath(path)}{os.sep}".startswith(self._inside):
            raise FormatError(f"{self.name}/{key}: is refused, for it is a symbolic link that leads out of the store")
        if stat.S_ISDIR(mode) and len(self._safe) < _MAX_KNOWN:
            self._safe.add(key)

    def _checked_nbytes(self, key: str, fd: int) -> int:
        found = os.fstat(fd)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(f"{self.name}/{key} is a folder, not a file")
        if not stat.S_ISREG(found.st_mode):
            raise FormatError(f"{self.name}/{key} is not a regular file")
        return found.st_size


def _read(fd: int, nbytes: int) -> bytes:
    """At most `nbytes` bytes of a file, from its beginning."""
    parts = []
    while nbytes > 0 and (part := os.read(fd, nbytes)):
        parts.append(part)
        nbytes -= len(part)
    return b"".join(parts)


def known_nbytes(nodes: Nodes, key: str) -> int | None:
    """How many bytes are stored under a key; None where nothing is, or where only reading them would tell."""
    nbytes = getattr(nodes, "nbytes", None)
    return None if nbytes is None else nbytes(key)


def child(key: str, name: str) -> str:
    """Key of `name` below a key."""
    return f"{key}/{name}" if key else name


def relative(path: object, where: str) -> str:
    """A path as a document gives it, checked to stay below the group that the document belongs to.

    Raises
    ------
    FormatError
        It is no text, empty, absolute, or contains ``..``, a backslash or a NUL.
    """
    if isinstance(path, int) and not isinstance(path, bool):
        path = str(path)
    if not isinstance(path, str):
        raise FormatError(f"{where}: a path must be text, but one is a {type(path).__name__}")
    parts = [part for part in path[: _MAX_PATH + 1].split("/") if part not in ("", ".")]
    if not parts or len(parts) > _MAX_PARTS or ".." in parts or not _is_plain(path):
        raise FormatError(f"{where}: the path {path[:80]!r} does not name something below this group")
    return "/".join(parts)


def _is_plain(path: str) -> bool:
    """Whether a path is relative, not too long, and without a backslash, a NUL, and what no file name has."""
    if path.startswith("/") or len(path) > _MAX_PATH:
        return False
    return "\\" not in path and "\0" not in path and not any("\ud800" <= char <= "\udfff" for char in path)

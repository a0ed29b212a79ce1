"""Where the documents and chunks of a Zarr store are: a folder here, everything else behind the same face."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Protocol

from bfio.errors import FormatError

__all__ = ["Folder", "Nodes", "child", "relative"]

_QUIET_OPEN = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""A named pipe in place of a document must not keep anybody waiting."""


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

    def get(self, key: str) -> bytes | None:
        """Content of a file; None where there is none.

        Raises
        ------
        FormatError
            A symbolic link leads out of the store.
        OSError
            The file can not be read, or is a folder.
        """
        fd = self._open(key)
        if fd is None:
            return None
        try:
            self._check_regular(key, fd)
            with open(fd, "rb", closefd=False) as file:
                return file.read()
        finally:
            os.close(fd)

    def nbytes(self, key: str) -> int | None:
        """Size of a file; None where there is none."""
        try:
            return os.stat(self._path(key)).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def names(self, key: str) -> list[str]:
        """Names of files and folders in a folder; none where it is not there."""
        try:
            return sorted(os.listdir(self._checked(key)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _path(self, key: str) -> str:
        return f"{self._inside}{key}" if key else self._real

    def _checked(self, key: str) -> str:
        path = self._path(key)
        if not f"{os.path.realpath(path)}{os.sep}".startswith(self._inside):
            raise FormatError(f"{self.name}/{key}: is refused, for a symbolic link leads out of the store")
        return path

    def _open(self, key: str) -> int | None:
        try:
            return os.open(self._checked(key), _QUIET_OPEN)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _check_regular(self, key: str, fd: int) -> None:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(f"{self.name}/{key} is a folder, not a file")
        if not stat.S_ISREG(mode):
            raise OSError(f"{self.name}/{key} is not a regular file")


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
        raise FormatError(f"{where}: a path is {type(path).__name__}, not text")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or not parts or ".." in parts or "\\" in path or "\0" in path or len(path) > 4096:
        raise FormatError(f"{where}: the path {path[:80]!r} does not name something below this group")
    return "/".join(parts)

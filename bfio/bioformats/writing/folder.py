"""The folder ``<name>.part`` in which Java writes, and how its files get to their place."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from pathlib import Path

from bfio.errors import FormatError, UsageError
from bfio.target import part_path

__all__ = ["PartFolder"]

if sys.platform != "win32":
    import fcntl

MARKER = ".bfio-writer"
"""A file that says whose folder it is; locked as long as its writer lives."""
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


class PartFolder:
    """A folder beside the target, in which files have their final names: some formats say their own name inside.

    Parameters
    ----------
    target : Path
        Absolute.

    Raises
    ------
    UsageError
        There is such a folder or file already which is not of an earlier writer of this kind, or one writes to it now.
    """

    def __init__(self, target: Path) -> None:
        self.target, self.path = target, part_path(target)
        self._fd = -1
        self._check_companion()
        if self.path.is_symlink() or self.path.exists():
            self._remove_old()
        os.mkdir(self.path)
        try:
            self._fd = os.open(self.path / MARKER, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            _lock(self._fd)
        except BaseException:
            self.remove()
            raise

    @property
    def file(self) -> Path:
        """The file that Java is told to write."""
        return self.path / self.target.name

    def _check_companion(self) -> None:
        """An .ids file comes with a header, which must not replace that of another image."""
        header = self.target.with_suffix(".ics")
        if self.target.suffix.lower() == ".ids" and header.exists() and not self.target.exists():
            raise UsageError(f"{header} would be replaced by the header of {self.target.name}; use another name")

    def _remove_old(self) -> None:
        if self.path.is_symlink() or not self.path.is_dir() or not (self.path / MARKER).is_file():
            raise UsageError(f"{self.path} is in the way and was not left by a writer of this kind; move or remove it")
        fd = os.open(self.path / MARKER, os.O_RDWR)
        try:
            if not _lock(fd):
                raise UsageError(f"{self.path} is being written at this moment; wait for its writer to close")
        finally:
            os.close(fd)
        shutil.rmtree(self.path)

    def publish(self, *, durable: bool) -> None:
        """Move what Java has written to the target's folder.

        Raises
        ------
        FormatError
            Nothing is there.
        """
        names = sorted(entry.name for entry in os.scandir(self.path) if entry.name != MARKER)
        if self.target.name not in names:
            raise FormatError(f"{self.target}: Bio-Formats has written no such file")
        if durable:
            for name in names:
                _sync(self.path / name, os.O_RDWR)
        names.sort(key=self.target.name.__eq__)  # others first: who sees the target sees all
        for name in names:
            os.replace(self.path / name, self.target.parent / name)
        if durable:
            with contextlib.suppress(OSError):  # not all systems can do it with a folder
                _sync(self.target.parent, os.O_RDONLY)
        self.remove()

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        self.release()
        shutil.rmtree(self.path, ignore_errors=True)

    def release(self) -> None:
        """Let the folder be, for the next writer of this name to replace. Twice is allowed."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _lock(fd: int) -> bool:
    """Whether the lock could be had; where there are no locks it is had always."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _NO_LOCKS
    return True


def _sync(path: Path, flags: int) -> None:
    fd = os.open(path, flags)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

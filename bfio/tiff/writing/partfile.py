"""The unfinished file ``<name>.part``: positional bytes, who may write to it, and how it gets its final name."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bfio import _kernels
from bfio._positional import pread, pwrite
from bfio.errors import FormatError, UsageError
from bfio.target import part_path

__all__ = ["PartFile"]

if sys.platform != "win32":
    import fcntl

COORDINATOR_BYTE, GUESTS_BYTE = 1 << 61, (1 << 61) + 1
"""Bytes that are locked and never written: of the one that finishes the file, of all that attached to it."""
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


class PartFile:
    """An open ``.part`` file.

    Parameters
    ----------
    target : Path
        The final name.
    fd : int
        Descriptor of the ``.part`` file, which this object takes over.

    Attributes
    ----------
    end : int64 array
        State that the kernels share when they append: the end of the file, and a lock.
    shared : bool
        Whether an advisory lock guards the end of the file, so that other processes may append too.
    limit : int
        Bytes that the file may have.
    """

    def __init__(self, target: Path, fd: int) -> None:
        self.target, self.path = target, part_path(target)
        self.fd = fd
        self.pid = os.getpid()
        self.end = np.zeros(_kernels.N_END, np.int64)
        self.end[0] = os.fstat(fd).st_size
        self.shared = _kernels.CAN_SHARE and _has_locks(fd)
        self.limit = 1 << 62

    @classmethod
    def create(cls, target: Path) -> PartFile:
        """A new, empty file; one that nobody writes any more is replaced."""
        path = part_path(target)
        if path.exists():
            with contextlib.closing(cls.open(target)) as old:
                old.claim()
            os.unlink(path)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        return cls(target, fd)

    @classmethod
    def open(cls, target: Path) -> PartFile:
        """An existing one."""
        return cls(target, os.open(part_path(target), os.O_RDWR | getattr(os, "O_BINARY", 0)))

    def claim(self) -> None:
        """Become the one writer that may finish the file, until the descriptor closes.

        Raises
        ------
        UsageError
            Another process is writing it.
        """
        if not self._lock_byte("F_WRLCK", COORDINATOR_BYTE):
            raise UsageError(
                f"{self.path} is being written at this moment; wait for its writer to close, "
                "or write from other processes with BioWriter.attach"
            )

    def join(self) -> None:
        """Be a guest, who writes beside the coordinator, until the descriptor closes."""
        self._lock_byte("F_RDLCK", GUESTS_BYTE)

    def has_guests(self) -> bool:
        """Whether other processes that joined are still at work."""
        is_free = self._lock_byte("F_WRLCK", GUESTS_BYTE)
        self._lock_byte("F_UNLCK", GUESTS_BYTE)
        return not is_free

    def _lock_byte(self, kind: str, position: int) -> bool:
        """Lock a byte far behind the file, of which other processes and descriptors know; False if one of them has it.

        It is a lock of the open file description: one of the process would end as soon as any other descriptor of
        the file is closed, by a reader for instance. Where there is none, all is allowed.
        """
        if not hasattr(sys.modules.get("fcntl"), "F_OFD_SETLK"):
            return True
        request = struct.pack("hhqqi4x", getattr(fcntl, kind), os.SEEK_SET, position, 1, 0)
        try:
            fcntl.fcntl(self.fd, fcntl.F_OFD_SETLK, request)
        except OSError as error:
            return error.errno not in (errno.EACCES, errno.EAGAIN)
        return True

    def pread(self, nbytes: int, position: int) -> bytes:
        """Up to `nbytes` bytes."""
        return pread(self.fd, nbytes, position)

    def pwrite(self, data: bytes | memoryview, position: int) -> None:
        """Write all of `data`."""
        pwrite(self.fd, data, position)

    def append(self, data: bytes | memoryview) -> int:
        """Write `data` behind all others; its position."""
        status, error = 0, errno.EAGAIN
        while not status and error == errno.EAGAIN:  # another process or thread has the lock
            status, error, offset = _kernels.append_bytes(self.fd, self.end, self.shared, data, self.limit)
        if status:
            reason = os.strerror(error) if error else _kernels.reason(status)
            raise OSError(error or errno.EFBIG, reason, str(self.path))
        return offset

    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self.fd).st_size

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock that guards the end of the file and the state block against other processes."""
        if not self.shared:
            yield
            return
        fcntl.flock(self.fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self.fd, fcntl.LOCK_UN)

    def linger(self) -> None:
        """Leave it to the system when written bytes come to the disk; else it begins while others are encoded."""
        self.end[_kernels.SENT] = 1 << 62

    def sync(self) -> None:
        """Return when all that was written is on the disk."""
        os.fsync(self.fd)

    def trim(self) -> None:
        """Give back the room on the disk that was reserved behind the end of the file."""
        with self.exclusive():
            os.ftruncate(self.fd, os.fstat(self.fd).st_size)

    def is_ours(self) -> bool:
        """Whether this object was opened by this process, not by the one that forked it."""
        return self.pid == os.getpid()

    def check_name(self) -> None:
        """Refuse to go on where the ``.part`` file was removed or replaced by somebody else.

        Raises
        ------
        FormatError
        """
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            raise FormatError(f"{self.path} was removed while it was being written; the image is lost") from None
        mine = os.fstat(self.fd)
        if (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino):
            raise FormatError(f"{self.path} was replaced by another writer; this writer's image is lost")

    def publish(self) -> None:
        """Give the file its final name. It must be complete and on the disk."""
        self.check_name()
        if sys.platform == "win32":
            self.close()  # an open file can not be renamed there
        os.replace(self.path, self.target)
        if sys.platform == "win32":
            self.fd = os.open(self.target, os.O_RDWR | os.O_BINARY)

    def sync_name(self) -> None:
        """Return when the name is on the disk, where folders can be synchronised."""
        _sync_folder(self.target.parent)

    def close(self) -> None:
        """Close the descriptor. Closing twice is allowed."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


def _has_locks(fd: int) -> bool:
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        fcntl.flock(fd, fcntl.LOCK_UN)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where folders can be synchronised."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

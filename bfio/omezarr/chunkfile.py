"""One file of a store: a chunk, or a shard of chunks. A file that is not there is no error; anything else odd is."""

from __future__ import annotations

import os
import stat
from types import TracebackType

from bfio._positional import pread

__all__ = ["ChunkFile", "open_chunk"]

_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)

Identity = tuple[int, int, int]


class ChunkFile:
    """An open file; close it, or use it in a ``with`` statement.

    Attributes
    ----------
    fd : int
    size : int
        Bytes.
    identity : tuple of int
        What changes when the file is written again.
    """

    __slots__ = ("fd", "identity", "size")

    def __init__(self, fd: int, status: os.stat_result) -> None:
        self.fd = fd
        self.size = status.st_size
        self.identity: Identity = (status.st_mtime_ns, status.st_size, status.st_ino)

    def pread(self, offset: int, nbytes: int) -> bytes:
        """Bytes at an offset; fewer at the end of the file."""
        parts = []
        while nbytes > 0:
            part = pread(self.fd, nbytes, offset)
            if not part:
                break
            parts.append(part)
            offset, nbytes = offset + len(part), nbytes - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Close it."""
        os.close(self.fd)

    def __enter__(self) -> ChunkFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.fd)


def open_chunk(path: str) -> ChunkFile | None:
    """Open a file to read; None where there is none.

    Raises
    ------
    OSError
        It is there but can not be read: a folder, a link to nothing, a pipe, no permission.
    """
    try:
        fd = os.open(path, _FLAGS)
    except FileNotFoundError:
        if os.path.islink(path):
            raise OSError("it is a link to a file that does not exist") from None
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is a folder" if stat.S_ISDIR(status.st_mode) else "it is not a file")
        return ChunkFile(fd, status)
    except BaseException:
        os.close(fd)
        raise

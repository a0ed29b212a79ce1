"""Local files by descriptor, and open file objects."""

import io
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from bfio.byteio.coalesce import FetchPlan
from bfio.byteio.names import sibling_path
from bfio.byteio.source import Source, checked_range
from bfio.errors import FormatError, UnsupportedError, UsageError

_PIECE = 1 << 30  # one pread: macOS refuses 2 GB and more, Linux cuts it short


class _Descriptor:
    """Owner of one descriptor, which closes when the last reader has dropped its reference.

    That is what makes ``close`` safe against reads under way without a lock: the number is not given to another file
    as long as anyone uses it.
    """

    __slots__ = ("fd", "lock")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.lock = threading.Lock()

    def __del__(self, _close: Any = os.close) -> None:
        _close(self.fd)

    def read(self, offset: int, nbytes: int) -> bytes:
        """One read of at most `nbytes`; where there is no pread (Windows), a seek and a read under the lock."""
        if hasattr(os, "pread"):
            return os.pread(self.fd, nbytes, offset)
        with self.lock:
            os.lseek(self.fd, offset, os.SEEK_SET)
            return os.read(self.fd, nbytes)


class FileSource(Source):
    """A regular file.

    Parameters
    ----------
    path : str
        ``~`` is expanded.
    fd : int, optional
        A descriptor of that file which the source takes over.
    """

    def __init__(self, path: str, fd: int = -1) -> None:
        self.path = path
        self._location = os.path.abspath(os.path.expanduser(path))
        self._size = 0
        self._handle: _Descriptor | None = None
        self._handle = self._opened(fd)

    @property
    def size(self) -> int:
        if not self._closed:
            self._live()
        return self._size

    def fileno(self) -> int:
        return self._live().fd if hasattr(os, "pread") else -1

    @contextmanager
    def descriptor(self) -> Iterator[int]:
        handle = self._live()
        yield handle.fd if hasattr(os, "pread") else -1

    def pread(self, offset: int, nbytes: int) -> bytes:
        offset, nbytes = checked_range(offset, nbytes)
        handle = self._live()
        if offset + nbytes > self._size:
            self._size = os.fstat(handle.fd).st_size
            nbytes = max(0, min(nbytes, self._size - offset))
        parts = []
        while nbytes:
            part = handle.read(offset, min(nbytes, _PIECE))
            self.requests += 1
            if not part:
                break
            parts.append(part)
            offset += len(part)
            nbytes -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def sibling(self, name: str) -> str:
        return sibling_path(self._location, name)

    def close(self) -> None:
        super().close()
        self._handle = None

    def _fill(self, arena: npt.NDArray[np.uint8], plan: FetchPlan) -> None:
        fill_by_pread(self, arena, plan)

    def _live(self) -> _Descriptor:
        """The open descriptor; holding it keeps it open. An unpickled copy opens here."""
        self._check_open()
        handle = self._handle
        if handle is None:
            handle = self._opened()
            self._handle = None if self._closed else handle
        return handle

    def _opened(self, fd: int = -1) -> _Descriptor:
        if fd < 0:
            check_regular(os.stat(self._location), self.path)
            fd = os.open(self._location, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        handle = _Descriptor(fd)
        self._size = os.fstat(fd).st_size
        return handle

    def __getstate__(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "_location": self._location,
            "_size": 0,
            "_closed": self._closed,
            "_handle": None,
        }


class ObjectSource(Source):
    """A seekable file object, such as ``io.BytesIO``. It stays open when the source is closed."""

    def __init__(self, stream: BinaryIO) -> None:
        name = getattr(stream, "name", None)
        self.path = name if isinstance(name, str) else f"<{type(stream).__name__}>"
        self._stream: BinaryIO | None = stream
        self._lock, self._pid = threading.Lock(), os.getpid()
        try:
            sample = stream.read(0)
            stream.seek(0, os.SEEK_END)
            self._size = stream.tell()
        except ValueError as error:  # closed, write-only or not seekable
            raise UsageError(f"{self.path} can not be read at positions: {error}") from error
        if not isinstance(sample, bytes):
            raise UsageError(f"{self.path} delivers text; open it in mode 'rb'")

    @property
    def size(self) -> int:
        return self._size

    def pread(self, offset: int, nbytes: int) -> bytes:
        offset, nbytes = checked_range(offset, nbytes)
        self._check_open()
        if self._pid != os.getpid():  # forked: the lock may have been held by a thread that is not here
            self._lock, self._pid = threading.Lock(), os.getpid()
        nbytes = max(0, min(nbytes, self._size - offset))
        parts: list[bytes] = []
        with self._lock:
            stream = self._stream
            if stream is None or getattr(stream, "closed", False):
                raise UsageError(f"{self.path} is closed")
            self.requests += nbytes > 0
            if nbytes:  # offsets beyond all files overflow in seek
                stream.seek(offset)
            while nbytes and (part := stream.read(nbytes)):
                parts.append(part)
                nbytes -= len(part)
        return b"".join(parts)

    def sibling(self, name: str) -> str:
        raise UnsupportedError(f"{self.path}: {name!r} belongs to this image; open it by path to have both")

    def close(self) -> None:
        super().close()
        self._stream = None

    def _fill(self, arena: npt.NDArray[np.uint8], plan: FetchPlan) -> None:
        fill_by_pread(self, arena, plan)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("_lock", "_pid")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock(), _pid=os.getpid())


def adopt(stream: io.BufferedReader | io.FileIO) -> Source:
    """Source for a file that the caller opened: by a descriptor of our own if it is a regular file with a name."""
    if stream.closed or not stream.readable():
        raise UsageError(f"{getattr(stream, 'name', stream)} is not open for reading")
    raw = stream.raw if isinstance(stream, io.BufferedReader) else stream
    name = getattr(raw, "name", None)
    if type(raw) is not io.FileIO or not isinstance(name, str):
        return ObjectSource(stream)
    check_regular(os.fstat(raw.fileno()), name)
    return FileSource(name, os.dup(raw.fileno()))


def check_regular(status: os.stat_result, path: str) -> None:
    """Refuse what is no file, before anything blocks on it."""
    if stat.S_ISDIR(status.st_mode):
        raise FormatError(f"{path} is a folder, not an image file")
    if not stat.S_ISREG(status.st_mode):
        raise FormatError(f"{path} is a pipe, a socket or a device, not an image file")


def fill_by_pread(source: Source, arena: npt.NDArray[np.uint8], plan: FetchPlan) -> None:
    """Fill the arena request by request, in file order."""
    for start, view in plan.requests(arena):
        data = source.pread(start, len(view))
        if len(data) != len(view):
            raise OSError(f"{source.path}: {len(view)} bytes at {start} wanted, {len(data)} there; the file shrinks")
        view[:] = data

"""How bytes come from a server: fsspec, its asynchronous file systems, and HTTP with its own rules."""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from bfio.errors import BackendMissingError, BfioError, FormatError, UnsupportedError, UsageError

Request = tuple[int, memoryview]
T = TypeVar("T")

N_CONNECTIONS = 16
WHOLE_NBYTES = 16 << 20
"""A file up to this size may be read whole where the server can not deliver parts."""

_PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "smb": "smbprotocol",
    "http": "'bfio[remote]'",
    "https": "'bfio[remote]'",
}


def connect(url: str, options: Mapping[str, Any]) -> "Transport":
    """The transport that fits the file system which fsspec finds for `url`."""
    fs, path = file_system(url, options)
    from fsspec.asyn import AsyncFileSystem  # type: ignore[import-untyped]

    if not issubclass(type(fs), AsyncFileSystem):
        return BlockingTransport(url, fs, path)
    if "http" in fs.protocol:
        from bfio.byteio.http import HttpTransport

        return HttpTransport(url, fs, path)
    return AsyncTransport(url, fs, path)


def file_system(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    """The file system that fsspec finds for `url`, and the path in it."""
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]
    except ImportError as error:
        raise BackendMissingError(f"{url}: URLs need fsspec: pip install 'bfio[remote]'") from error
    try:
        fs, path = url_to_fs(url, **options)
    except ImportError as error:
        raise BackendMissingError(f"{url}: {_missing_driver(url, error)}") from error
    except Exception as error:
        if isinstance(error, ValueError) and "rotocol not known" in str(error):
            raise UsageError(f"{url}: no file system is known for this kind of URL") from error
        raise translated(url, error) from error
    return fs, path


def _missing_driver(url: str, error: ImportError) -> str:
    """What to install for the schemes of `url`."""
    packages = [_PACKAGES[name] for link in url.split("::") if (name := link.partition("://")[0]) in _PACKAGES]
    advice = f"pip install {' '.join(packages)}" if packages else str(error)
    return f"a driver for this kind of URL is missing: {advice}"


def translated(url: str, error: Exception) -> Exception:
    """The exception to raise for one of a file system: errors of bfio, builtin OS errors, or an OSError that tells."""
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(f"{url} does not exist")
    if isinstance(error, BfioError | PermissionError | MemoryError):
        return error
    return OSError(f"{url}: {type(error).__name__}: {error}" if str(error) else f"{url}: {type(error).__name__}")


class Transport(ABC):
    """Reads ranges of one remote file. Safe for many threads, not across a fork."""

    def __init__(self, url: str, fs: Any, path: str) -> None:
        self.url, self.fs, self.path = url, fs, path
        self.requests = 0

    @abstractmethod
    def open(self, nbytes: int) -> tuple[int, bytes]:
        """Size of the file, and its first `nbytes` bytes or more."""

    @abstractmethod
    def fill(self, requests: Sequence[Request]) -> None:
        """Read ranges that lie inside the file into their views."""

    def _guarded(self, call: Callable[..., T], *arguments: Any) -> T:
        try:
            return call(*arguments)
        except Exception as error:
            plain = translated(self.url, error)
            if plain is error:
                raise
            raise plain from error


class BlockingTransport(Transport):
    """A file system without asynchronous calls (memory, zip, sftp ...): one call at a time."""

    def __init__(self, url: str, fs: Any, path: str) -> None:
        super().__init__(url, fs, path)
        self._lock = threading.Lock()

    def open(self, nbytes: int) -> tuple[int, bytes]:
        return self._guarded(self._open, nbytes)

    def fill(self, requests: Sequence[Request]) -> None:
        self._guarded(self._fill, requests)

    def _open(self, nbytes: int) -> tuple[int, bytes]:
        self.requests += 1
        with self._lock:
            size = size_of(self.url, self.fs.info(self.path))
        head = bytearray(min(nbytes, size))
        self._fill([(0, memoryview(head))] if head else [])
        return size, bytes(head)

    def _fill(self, requests: Sequence[Request]) -> None:
        for start, view in requests:
            self.requests += 1
            with self._lock:
                data = self.fs.cat_file(self.path, start=start, end=start + len(view))
            put(view, data)


class AsyncTransport(Transport):
    """An asynchronous file system (S3, GCS, Azure ...): several requests in flight."""

    def open(self, nbytes: int) -> tuple[int, bytes]:
        size, head = self._guarded(self._sync, self._open, nbytes)
        return size, head

    def fill(self, requests: Sequence[Request]) -> None:
        self._guarded(self._sync, self._fill, requests)

    def _sync(self, function: Callable[..., Any], *arguments: Any) -> Any:
        from fsspec.asyn import sync

        return sync(self.fs.loop, function, *arguments)

    async def _open(self, nbytes: int) -> tuple[int, bytes]:
        self.requests += 1
        size = size_of(self.url, await self.fs._info(self.path))
        head = bytearray(min(nbytes, size))
        if head:
            await self._range(0, memoryview(head))
        return size, bytes(head)

    async def _fill(self, requests: Sequence[Request]) -> None:
        queue = iter(requests)

        async def pull() -> None:
            for start, view in queue:
                await self._range(start, view)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(len(requests), N_CONNECTIONS)):
                    group.create_task(pull())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _range(self, start: int, view: memoryview) -> None:
        self.requests += 1
        put(view, await self.fs._cat_file(self.path, start=start, end=start + len(view)))


def size_of(url: str, info: Mapping[str, Any]) -> int:
    """Size out of what fsspec knows of a file."""
    if info.get("type") == "directory":
        raise FormatError(f"{url} is a folder, not an image file")
    if info.get("size") is None:
        raise UnsupportedError(f"{url}: the server does not tell the size of the file")
    return int(info["size"])


def put(view: memoryview, data: bytes) -> None:
    """Copy the answer to a request, which must have the length asked for."""
    if len(data) != len(view):
        raise OSError(f"the server sent {len(data)} bytes instead of {len(view)}")
    view[:] = data

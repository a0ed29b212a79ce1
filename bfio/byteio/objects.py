"""Many small objects below one URL, such as the chunks of a Zarr array: several requests at once, a future for each."""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from bfio._locks import ProcessLock
from bfio.byteio.transport import WHOLE_NBYTES, file_system, translated
from bfio.errors import LimitError, UnsupportedError, UsageError

__all__ = ["ABSENT", "N_AHEAD", "Answer", "Objects", "Piece", "cut_piece", "open_objects"]

T = TypeVar("T")

N_AHEAD = 32
"""Requests in flight: those of one store share so many connections."""

ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""What file systems say of a key that they do not have."""


class Piece(NamedTuple):
    """What was asked for, or the whole object (``whole``) where a part was asked for and the server knows no parts."""

    data: bytes
    whole: bool = False

    def cut(self, start: int, stop: int | None) -> bytes:
        """Bytes ``start:stop`` of the object, which are what was asked for."""
        return self.data[start:stop] if self.whole else self.data


Answer: TypeAlias = "Future[Piece | None]"


class Objects(Protocol):
    """Objects below a URL; threads may call it at once. Keys have no slash at either end.

    Attributes
    ----------
    ahead : int
        Requests that are worth having in flight; 0 where :meth:`fetch` is as good as :meth:`start`.
    """

    ahead: int

    def start(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Answer:
        """Begin to read bytes ``start:stop`` of an object, as a slice takes them; None where there is none.

        Parameters
        ----------
        key : str
        start, stop : int
            A negative start counts from the end; `stop` must be None then.
        most : int, optional
            More bytes than these are a LimitError: what is stored can not be what is looked for.
        """
        ...

    def fetch(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Piece | None:
        """The same, and wait for it.

        Raises
        ------
        LimitError
            There is more than `most` bytes.
        UnsupportedError
            The server knows no parts, and the object is large.
        UsageError
            This was closed.
        PermissionError, OSError
        """
        ...

    def names(self, key: str) -> list[str] | None:
        """Names directly below a key, sorted; None where that can not be told."""
        ...

    def close(self) -> None:
        """Let go of connections; requests in flight are cancelled."""
        ...


def open_objects(url: str, options: Mapping[str, Any]) -> Objects:
    """The objects below a URL that fsspec understands.

    Raises
    ------
    BackendMissingError
        fsspec is missing, or the driver for this kind of URL.
    UsageError
        No file system is known for it.
    """
    if url.startswith(("http://", "https://")) and "::" not in url:
        from bfio.byteio.httpobjects import HttpObjects

        return HttpObjects(url, options)
    fs, root = file_system(url, _more_connections(url, options))
    return AsyncObjects(url, fs, root) if getattr(fs, "async_impl", False) else BlockingObjects(url, fs, root)


def _more_connections(url: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Options for S3, where botocore has 10 connections if nobody says how many."""
    if not url.startswith(("s3://", "s3a://")) or "max_pool_connections" in options.get("config_kwargs", {}):
        return options
    return {**options, "config_kwargs": {"max_pool_connections": N_AHEAD, **options.get("config_kwargs", {})}}


def path_below(root: str, key: str) -> str:
    """Path of a key; the query of a URL stays at the end."""
    folder, mark, query = root.partition("?") if "://" in root else (root, "", "")
    folder = folder.rstrip("/")
    return f"{folder}/{key}{mark}{query}" if folder and key else f"{folder or key}{mark}{query}"


def cut_piece(data: bytes, start: int, stop: int | None, most: int | None, where: str) -> Piece:
    """The answer to a request, which may be too long, too short, or the whole object: not every server knows parts."""
    wanted = None if start == 0 and stop is None else -start if stop is None else stop - start
    if wanted is None or (stop is None and start > 0):
        if most is not None and len(data) > most:
            raise LimitError(f"{where}: it has {len(data)} bytes, more than {most}")
        return Piece(data)
    if len(data) <= wanted:
        return Piece(data)
    if len(data) > WHOLE_NBYTES:
        raise UnsupportedError(f"{where}: the server does not deliver parts of an object of {len(data)} bytes")
    return Piece(data, whole=True)


class BlockingObjects:
    """Those of a file system without asynchronous calls (memory, tar, sftp ...): a thread waits for each.

    One call at a time, since the calls may share an open file, as those of a tar file do.
    """

    ahead = 0

    def __init__(self, url: str, fs: Any, root: str) -> None:
        self.url, self.fs, self.root = url, fs, root
        self._turn = ProcessLock()

    def start(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Answer:
        future: Future[Piece | None] = Future()
        try:
            future.set_result(self.fetch(key, start, stop, most))
        except Exception as error:  # noqa: BLE001 - the future tells it
            future.set_exception(error)
        return future

    def fetch(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Piece | None:
        where = f"{self.url}: {key}"
        with self._turn:
            data = guarded(where, _cat, self.fs, path_below(self.root, key), start, stop)
        return None if data is None else cut_piece(bytes(data), start, stop, most, where)

    def names(self, key: str) -> list[str] | None:
        try:
            with self._turn:
                found = guarded(f"{self.url}: {key}", self.fs.ls, path_below(self.root, key), detail=False)
        except NotImplementedError:
            return None
        return sorted({str(name).rstrip("/").rpartition("/")[2] for name in found or ()} - {""})

    def close(self) -> None:
        """File systems belong to fsspec."""


class AsyncObjects(BlockingObjects):
    """Those of an asynchronous file system (S3, GCS, Azure ...), which has its own retries."""

    ahead = N_AHEAD

    def __init__(self, url: str, fs: Any, root: str) -> None:
        super().__init__(url, fs, root)
        self._slots = asyncio.Semaphore(N_AHEAD)
        self._closed = False
        # s3fs would ask for the size first, to read large objects in parts
        known = inspect.signature(fs._cat_file).parameters
        self._options = {"max_concurrency": 1} if "max_concurrency" in known else {}

    def start(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Answer:
        if self._closed:
            raise UsageError("the Zarr store is closed")
        return asyncio.run_coroutine_threadsafe(self._fetch(key, start, stop, most), self.fs.loop)

    def fetch(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Piece | None:
        return waited(self.start(key, start, stop, most))

    def close(self) -> None:
        self._closed = True

    async def _fetch(self, key: str, start: int, stop: int | None, most: int | None) -> Piece | None:
        where = f"{self.url}: {key}"
        bounds = {} if start == 0 and stop is None else {"start": start, "end": stop}
        try:
            async with self._slots:
                data = await self.fs._cat_file(path_below(self.root, key), **bounds, **self._options)
        except ABSENT:
            return None
        except Exception as error:
            raise translated(where, error) from error
        return cut_piece(bytes(data), start, stop, most, where)


def _cat(fs: Any, path: str, start: int, stop: int | None) -> bytes:
    """An object or a part of it, of a file system that blocks."""
    if start == 0 and stop is None:
        return bytes(fs.cat_file(path))
    try:
        return bytes(fs.cat_file(path, start=start, end=stop))
    except AttributeError:  # caches of whole files know no parts that are counted from the end
        return bytes(fs.cat_file(path))


def guarded(where: str, call: Callable[..., T], *arguments: Any, **options: Any) -> T | None:
    """Call a file system: None where something is absent, an OSError that tells the place for any other."""
    try:
        return call(*arguments, **options)
    except NotImplementedError:
        raise
    except ABSENT:
        return None
    except Exception as error:
        raise translated(where, error) from error


def waited(future: "Future[T]") -> T:
    """Result of a future; in pieces of time, so that Ctrl-C works everywhere, and cancelled if it comes."""
    try:
        while True:
            try:
                return future.result(1.0)
            except TimeoutError:
                if future.done():
                    return future.result()
    except BaseException:
        future.cancel()
        raise

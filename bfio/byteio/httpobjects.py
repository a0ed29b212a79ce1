"""Objects below an HTTP URL: a session and a loop of their own, each answer checked for being what was asked for."""

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import CancelledError
from typing import Any

from bfio.byteio.http import BUSY, content_range
from bfio.byteio.loop import LoopThread
from bfio.byteio.objects import N_AHEAD, Answer, Piece, path_below, waited
from bfio.byteio.transport import WHOLE_NBYTES, file_system, translated
from bfio.errors import LimitError, UnsupportedError, UsageError

__all__ = ["HttpObjects"]

PAUSES = (0.1, 0.5, 2.0)
"""Seconds before another attempt; a server may ask for more of them, but not for more than the last."""
CONNECT_SECONDS, SILENT_SECONDS, ANSWER_SECONDS = 15.0, 30.0, 300.0
"""How long a server may take to be there, to say the next thing, and for the whole of an answer."""
_SMALL = 1 << 16


class HttpObjects:
    """Objects below a URL, with the face of :class:`bfio.byteio.objects.Objects`.

    Connections are kept and used again. A server that is busy or breaks a connection is asked again, a few times; one
    that does not answer in time is not.
    """

    ahead = N_AHEAD

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self.url = url
        self._fs, self._root = file_system(url, {**options, "asynchronous": True, "skip_instance_cache": True})
        held: list[Any] = []
        self._held, self._pid, self._closed = held, os.getpid(), False
        self._slots = asyncio.Semaphore(N_AHEAD)

        async def end() -> None:
            while held:
                await held.pop().close()

        self._loop = LoopThread(end)
        try:
            self._session = waited(self._loop.start(_session(self._fs, held)))
        except BaseException as error:
            self._loop.close()
            if isinstance(error, Exception):
                raise translated(url, error) from error
            raise

    def start(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Answer:
        if self._closed:
            raise UsageError("the Zarr store is closed")
        try:
            return self._loop.start(self._fetch(key, start, stop, most))
        except RuntimeError:
            raise UsageError("the Zarr store is closed") from None

    def fetch(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Piece | None:
        try:
            return waited(self.start(key, start, stop, most))
        except CancelledError:
            raise UsageError("the Zarr store is closed") from None

    def names(self, key: str) -> None:
        """A server does not tell."""
        del key

    def close(self) -> None:
        self._closed = True
        self._loop.close()

    def __del__(self) -> None:
        if self.__dict__.get("_pid") != os.getpid():  # in a forked child, where nothing may be closed
            for session in self.__dict__.get("_held", ()):
                if session.connector is not None:
                    session.connector._closed = True
                session.detach()

    async def _fetch(self, key: str, start: int, stop: int | None, most: int | None) -> Piece | None:
        from aiohttp import ClientConnectionError, ClientPayloadError

        path = path_below(self._root, key)
        async with self._slots:
            for pause in (*PAUSES, None):
                try:
                    return await self._ask(path, start, stop, most)
                except TimeoutError as error:
                    raise OSError(f"{path}: the server did not answer in time") from error
                except (ClientConnectionError, ClientPayloadError, _BusyError) as error:
                    if pause is None:
                        raise translated(path, error) from error
                    wanted = error.pause if isinstance(error, _BusyError) else 0.0
                except Exception as error:
                    raise translated(path, error) from error
                await asyncio.sleep(max(pause, min(wanted, PAUSES[-1])))
        raise AssertionError("not reached")

    async def _ask(self, path: str, start: int, stop: int | None, most: int | None) -> Piece | None:
        options = dict(self._fs.kwargs)
        is_part = start != 0 or stop is not None
        if is_part:
            wanted = f"bytes={start}" if start < 0 else f"bytes={start}-{'' if stop is None else stop - 1}"
            headers = {"Range": wanted, "Accept-Encoding": "identity"}
            options["headers"] = {**options.get("headers", {}), **headers}
        async with self._session.get(self._fs.encode_url(path), **options) as answer:
            if answer.status in (404, 410):
                await _drained(answer)
                return None
            if answer.status == 416 and is_part:
                await _drained(answer)
                return Piece(b"")
            await _check_status(answer)
            if answer.status == 206 and is_part:
                return Piece(await _part(answer, start, stop, most))
            if is_part:
                return Piece(await _body(answer, WHOLE_NBYTES, _no_parts), whole=True)
            return Piece(await _body(answer, most, _too_long))


async def _session(fs: Any, held: list[Any]) -> Any:
    """A session as fsspec would make it, with bounds where the caller has given none."""
    from aiohttp import ClientTimeout, TCPConnector
    from fsspec.implementations.http import get_client  # type: ignore[import-untyped]

    options = dict(fs.client_kwargs)
    if fs.get_client is get_client:
        timeout = ClientTimeout(ANSWER_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
        options.setdefault("timeout", timeout)
        options.setdefault("read_bufsize", 1 << 20)
        if "connector" not in options:
            options["connector"] = TCPConnector(limit=N_AHEAD)
    session = await fs.get_client(loop=asyncio.get_running_loop(), **options)
    held.append(session)
    return session


async def _check_status(answer: Any) -> None:
    status = answer.status
    if status in (200, 206):
        return
    await _drained(answer)
    told = f"HTTP {status} {answer.reason}"
    if status in (401, 403):
        raise PermissionError(f"{answer.url}: the server refuses access ({told})")
    if status in BUSY:
        raise _BusyError(told, answer.headers.get("Retry-After", ""))
    raise OSError(told)


class _BusyError(OSError):
    """The server may answer if asked again."""

    def __init__(self, told: str, wanted: str) -> None:
        super().__init__(told)
        self.pause = float(wanted) if wanted.isdecimal() else 0.0


async def _drained(answer: Any) -> None:
    """Read a short body, for only then the connection can be used again."""
    if (answer.content_length or 0) <= _SMALL:
        await answer.content.read(_SMALL)


async def _part(answer: Any, start: int, stop: int | None, most: int | None) -> bytes:
    """The body of a 206, which must be the range that was asked for, or what the object has of it."""
    first, last, size = content_range(answer)
    if first is None or last is None or last < first:
        raise OSError("the server does not tell which part it sends")
    n = last - first + 1
    if start >= 0:
        good = first == start and (stop is None or last == stop - 1 or (last < stop - 1 and size == last + 1))
    else:
        good = size is not None and last == size - 1 and n == min(-start, size)
    if not good:
        raise OSError("the server sent another range than the one asked for")
    if most is not None and n > most:
        _too_long(n, most)
    data = await _body(answer, n, _other_length)
    if len(data) != n:
        _other_length(len(data), n)
    return data


async def _body(answer: Any, most: int | None, refuse: Any) -> bytes:
    """The body, read no further than `most` bytes."""
    told = answer.content_length
    if told is not None and "Content-Encoding" not in answer.headers:
        if most is not None and told > most:
            refuse(told, most)
        data: bytes = await answer.read()
        return data
    parts = bytearray()
    async for part in answer.content.iter_any():
        parts += part
        if most is not None and len(parts) > most:
            refuse(len(parts), most)
    return bytes(parts)


def _too_long(n: int, most: int) -> None:
    raise LimitError(f"it has {n} bytes or more; {most} are the most that are read")


def _other_length(n: int, wanted: int) -> None:
    raise OSError(f"the server sent {n} bytes instead of {wanted}")


def _no_parts(n: int, most: int) -> None:
    raise UnsupportedError(
        f"the server does not deliver parts of a file (HTTP range requests), and the file has {n} bytes or more; "
        f"{most} are the most that are read whole"
    )

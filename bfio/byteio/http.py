"""HTTP ranges. fsspec would download a whole file without a word where a server ignores them."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from bfio.byteio.transport import WHOLE_NBYTES, AsyncTransport
from bfio.errors import UnsupportedError

_PAUSES = (0.1, 0.5)  # seconds before the second and the third attempt
BUSY = (429, 500, 502, 503, 504)
"""Answers after which it is worth asking again."""
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


class HttpTransport(AsyncTransport):
    """Ranges over the session of fsspec's HTTP file system, each answer checked for being the range asked for."""

    async def _open(self, nbytes: int) -> tuple[int, bytes]:
        size, head = await self._attempts(self._first, nbytes)
        return size, head

    async def _range(self, start: int, view: memoryview) -> None:
        await self._attempts(self._part, start, view)

    async def _attempts(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """Call again after a connection that broke or a server that was busy."""
        from aiohttp import ClientConnectionError, ClientPayloadError

        for pause in _PAUSES:
            self.requests += 1
            try:
                return await function(*arguments)
            except (ClientConnectionError, ClientPayloadError, TimeoutError, _BusyError):
                await asyncio.sleep(pause)
        self.requests += 1
        return await function(*arguments)

    async def _get(self, start: int, stop: int) -> Any:
        """Context manager of the answer to a range request."""
        session = await self.fs.set_session()
        options = dict(self.fs.kwargs)
        wanted = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        options["headers"] = {**options.get("headers", {}), **wanted}
        return session.get(self.fs.encode_url(self.path), **options)

    async def _first(self, nbytes: int) -> tuple[int, bytes]:
        async with await self._get(0, nbytes) as answer:
            if answer.status == 416:  # an empty file has no first byte
                return 0, b""
            self._check_status(answer)
            if answer.status != 206:
                return await self._whole(answer)
            size = content_range(answer)[2]
            if size is None:
                raise UnsupportedError(f"{self.url}: the server does not tell the size of the file")
            head = bytearray(min(nbytes, size))
            await _read_into(memoryview(head), answer)
            return size, bytes(head)

    async def _whole(self, answer: Any) -> tuple[int, bytes]:
        """A server that sends everything: accepted if everything is little."""
        data = bytearray()
        if (answer.content_length or 0) <= WHOLE_NBYTES:
            async for chunk in answer.content.iter_any():
                data += chunk
                if len(data) > WHOLE_NBYTES:
                    break
            else:
                return len(data), bytes(data)
        raise self._no_ranges()

    async def _part(self, start: int, view: memoryview) -> None:
        async with await self._get(start, start + len(view)) as answer:
            self._check_status(answer)
            if answer.status != 206:
                raise self._no_ranges()
            if content_range(answer)[0] != start:
                raise OSError("the server sent another range than the one asked for")
            await _read_into(view, answer)

    def _check_status(self, answer: Any) -> None:
        status = answer.status
        if status in (404, 410):
            raise FileNotFoundError(self.url)
        if status in (401, 403):
            raise PermissionError(f"{self.url}: the server refuses access (HTTP {status})")
        if status in BUSY:
            raise _BusyError(f"HTTP {status} {answer.reason}")
        if status not in (200, 206):
            raise OSError(f"HTTP {status} {answer.reason}")

    def _no_ranges(self) -> UnsupportedError:
        return UnsupportedError(
            f"{self.url}: the server does not deliver parts of a file (HTTP range requests), and the file is larger "
            f"than {WHOLE_NBYTES >> 20} MB; download it first"
        )


class _BusyError(OSError):
    """The server may answer if asked again."""


def content_range(answer: Any) -> tuple[int | None, int | None, int | None]:
    """First and last byte of the range and size of the file, as the answer tells them."""
    match = _CONTENT_RANGE.match(answer.headers.get("Content-Range", ""))
    if match is None:
        return None, None, None
    first, last, size = (None if number in (None, "*") else int(number) for number in match.groups())
    return first, last, size


async def _read_into(view: memoryview, answer: Any) -> None:
    """Copy the body into `view`, never more than fits."""
    filled = 0
    async for chunk in answer.content.iter_any():
        if len(chunk) > len(view) - filled:
            raise OSError(f"the server sent more than the {len(view)} bytes asked for")
        view[filled : filled + len(chunk)] = chunk
        filled += len(chunk)
    if filled != len(view):
        raise OSError(f"the server sent {filled} bytes instead of {len(view)}")

"""The only module that imports zarr at once: stores of bfio for zarr-python, and stores of zarr-python for bfio.

It is imported by :mod:`bfio.omezarr.foreign`, which says what to install where zarr is missing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar, cast

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.core.sync import _get_loop, sync
from zarr.storage import LocalStore

from bfio.byteio.objects import ABSENT, N_AHEAD, Answer, Piece, waited
from bfio.byteio.transport import translated
from bfio.errors import FormatError, LimitError
from bfio.omezarr.nodes import Nodes, known_nbytes

if TYPE_CHECKING:
    from bfio.omezarr.feed import Fetches

__all__ = ["NodesStore", "PythonStore", "folder_of", "is_python_store"]

T = TypeVar("T")

_N_THREADS = 8


class NodesStore(Store):
    """What zarr-python reads through: a store of bfio, never written to.

    Unlike the stores of zarr-python it does not take a folder in place of a chunk for a chunk that is missing.

    Parameters
    ----------
    nodes : Nodes
    most_nbytes : int
        Size of the largest file that is read whole.
    """

    supports_writes = False
    supports_deletes = False
    supports_listing = False

    def __init__(self, nodes: Nodes, most_nbytes: int) -> None:
        super().__init__(read_only=True)
        self._nodes, self._most_nbytes = nodes, most_nbytes
        self._threads: dict[int, ThreadPoolExecutor] = {}  # by process

    async def _aside(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call something that blocks.

        Not in the threads of the event loop: behind `function` there may be another store of zarr-python, which needs
        these and would wait for ever if all of them waited for it.
        """
        threads = self._threads.get(os.getpid())
        if threads is None:
            threads = self._threads.setdefault(os.getpid(), ThreadPoolExecutor(_N_THREADS, "bfio-zarr"))
        return await asyncio.get_running_loop().run_in_executor(threads, function, *arguments)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NodesStore) and other._nodes is self._nodes

    def __hash__(self) -> int:
        return id(self._nodes)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        if getattr(self._nodes, "ahead", 0):
            start, stop = _bounds(byte_range)
            store = cast("Fetches", self._nodes)
            piece = await asyncio.wrap_future(store.start(key, start, stop, self._most_nbytes))
            data = None if piece is None else piece.cut(start, stop)
        else:
            data = await self._aside(self._bytes, key, byte_range)
        return None if data is None else prototype.buffer.from_bytes(data)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        return list(await asyncio.gather(*(self.get(key, prototype, byte_range) for key, byte_range in key_ranges)))

    async def exists(self, key: str) -> bool:
        return await self._aside(self._nodes.get, key) is not None

    def _bytes(self, key: str, byte_range: ByteRequest | None) -> bytes | None:
        start, stop = _bounds(byte_range)
        size = known_nbytes(self._nodes, key)
        if size is not None and size > self._most_nbytes:
            raise FormatError(f"{self._nodes.name}: {key!r} has {size} bytes, more than what it should hold")
        get_range = getattr(self._nodes, "get_range", None)
        if get_range is not None and byte_range is not None:
            found: bytes | None = get_range(key, start, stop)
            return found
        data = self._nodes.get(key)
        return None if data is None else data[start:stop]

    async def set(self, key: str, value: Buffer) -> None:
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        raise NotImplementedError

    async def set_partial_values(self, key_start_values: Iterable[tuple[str, int, Any]]) -> None:
        raise NotImplementedError

    @property
    def supports_partial_writes(self) -> bool:
        return False

    def list(self) -> AsyncIterator[str]:
        raise NotImplementedError

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        raise NotImplementedError

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        raise NotImplementedError


def _bounds(byte_range: ByteRequest | None) -> tuple[int, int | None]:
    if isinstance(byte_range, RangeByteRequest):
        return byte_range.start, byte_range.end
    if isinstance(byte_range, OffsetByteRequest):
        return byte_range.offset, None
    if isinstance(byte_range, SuffixByteRequest):
        return -byte_range.suffix, None
    return 0, None


class PythonStore:
    """A store of zarr-python, or a group or array in one, as bytes by key."""

    ahead = N_AHEAD

    def __init__(self, source: Any) -> None:
        place = getattr(source, "store_path", source)  # of groups and arrays
        self._store: Store = getattr(place, "store", place)
        self._prefix = f"{place.path}/" if getattr(place, "path", "") and place is not self._store else ""

    def __str__(self) -> str:
        return f"{self._store}/{self._prefix}".rstrip("/")

    def start(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Answer:
        return asyncio.run_coroutine_threadsafe(self._piece(key, start, stop, most), _get_loop())

    def fetch(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Piece | None:
        return waited(self.start(key, start, stop, most))

    async def _piece(self, key: str, start: int, stop: int | None, most: int | None) -> Piece | None:
        wanted: ByteRequest | None = None
        if start < 0:
            wanted = SuffixByteRequest(-start)
        elif stop is not None:
            wanted = RangeByteRequest(start, stop)
        elif start:
            wanted = OffsetByteRequest(start)
        try:
            found = await self._get(self._prefix + key, wanted)
        except ABSENT:
            return None
        except Exception as error:
            raise translated(f"{self}: {key}", error) from error
        if found is None:
            return None
        if most is not None and len(found) > most:
            raise LimitError(f"{self}: {key}: it has {len(found)} bytes, more than {most}")
        return Piece(found.to_bytes())

    async def _get(self, key: str, wanted: ByteRequest | None) -> Buffer | None:
        await self._store._ensure_open()
        return await self._store.get(key, default_buffer_prototype(), wanted)

    def nbytes(self, key: str) -> int | None:
        del key
        return None

    def names(self, key: str) -> list[str] | None:
        if not self._store.supports_listing:
            return None
        try:
            return sorted({name.rstrip("/") for name in sync(self._names(f"{self._prefix}{key}".rstrip("/")))})
        except ABSENT:
            return []
        except Exception as error:
            raise translated(f"{self}: {key}", error) from error

    async def _names(self, key: str) -> list[str]:
        await self._store._ensure_open()
        return [name async for name in self._store.list_dir(key)]

    def close(self) -> None:
        """The store is its owner's."""


def is_python_store(source: object) -> bool:
    """Whether `source` is a store of zarr-python, or a group or array in one."""
    place = getattr(source, "store_path", source)
    return isinstance(getattr(place, "store", place), Store)


def folder_of(source: Any) -> str | None:
    """The folder of what is in a local one, which needs no zarr-python to be read."""
    place = getattr(source, "store_path", source)
    store = getattr(place, "store", place)
    if type(store) is not LocalStore:
        return None
    return os.path.join(store.root, getattr(place, "path", "")) if place is not store else str(store.root)

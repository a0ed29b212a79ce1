"""Zarr stores that are no local folders, as bytes by key: URLs and mappings. None of them needs zarr-python."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from bfio.byteio.objects import Answer, Piece, open_objects
from bfio.errors import UsageError

__all__ = ["ByteStore", "MappingStore", "PerProcess", "UrlStore", "children_of"]

T = TypeVar("T")


class ByteStore(Protocol):
    """Bytes by key, read by any number of threads. Keys have no slash at either end, and the root is ``""``."""

    ahead: int

    def start(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Answer:
        """Begin to fetch, where `ahead` is not 0."""
        ...

    def fetch(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Piece | None:
        """Bytes ``start:stop`` of what is stored under a key; see :class:`bfio.byteio.objects.Objects`."""
        ...

    def nbytes(self, key: str) -> int | None:
        """How many bytes are stored under a key; None where that is not known without reading them."""
        ...

    def names(self, key: str) -> list[str] | None:
        """Names directly below a key, sorted; None where the store can not tell."""
        ...

    def close(self) -> None:
        """Release the store; twice is once."""
        ...


class PerProcess(Generic[T]):
    """Something that a forked process must make anew."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}
        self._lock = threading.Lock()
        self._closed = False

    def get(self) -> T:
        found = self._made.get(os.getpid())
        if found is None:
            with self._lock:
                if self._closed:
                    raise UsageError("the Zarr store is closed")
                found = self._made.get(os.getpid())
                if found is None:
                    found = self._made[os.getpid()] = self._make()
        return found

    def drop(self) -> T | None:
        self._closed = True
        return self._made.pop(os.getpid(), None)


class UrlStore:
    """A folder behind a URL, through fsspec."""

    def __init__(self, url: str, storage_options: Mapping[str, Any] | None = None) -> None:
        options = dict(storage_options or {})
        self._links = PerProcess(lambda: open_objects(url, options))
        self.ahead = self._links.get().ahead

    def start(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Answer:
        return self._links.get().start(key, start, stop, most)

    def fetch(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Piece | None:
        return self._links.get().fetch(key, start, stop, most)

    def nbytes(self, key: str) -> int | None:
        del key
        return None

    def names(self, key: str) -> list[str] | None:
        return self._links.get().names(key)

    def close(self) -> None:
        link = self._links.drop()
        if link is not None:
            link.close()


class MappingStore:
    """A mapping from keys to bytes, such as a dictionary or what ``fsspec.get_mapper`` makes."""

    ahead = 0

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self._mapping = mapping

    def start(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Answer:
        raise NotImplementedError

    def fetch(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Piece | None:
        del start, stop, most
        try:
            data = self._mapping[key]
        except KeyError:
            return None
        return Piece(bytes(data), whole=True)

    def nbytes(self, key: str) -> int | None:
        del key
        return None

    def names(self, key: str) -> list[str]:
        return sorted(children_of(self._mapping).get(key, ()))

    def close(self) -> None:
        """The mapping is its owner's."""


def children_of(keys: Mapping[str, Any]) -> dict[str, set[str]]:
    """Names below each folder."""
    found: dict[str, set[str]] = {}
    for key in keys:
        parts = key.split("/")
        for depth, name in enumerate(parts):
            if name:
                found.setdefault("/".join(parts[:depth]), set()).add(name)
    return found

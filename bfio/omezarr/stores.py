"""Zarr stores that are no local folders, as bytes by key: zip files, URLs, mappings. None of them needs zarr-python."""

from __future__ import annotations

import os
import threading
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

from bfio._locks import ProcessLock
from bfio.byteio.transport import BlockingTransport, Transport, connect, translated
from bfio.errors import FormatError, UsageError
from bfio.omezarr.nodes import DOCUMENTS

__all__ = ["ByteStore", "MappingStore", "UrlStore", "ZipStore", "zip_prefix"]

T = TypeVar("T")

ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""What file systems say of a key that they do not have."""


class ByteStore(Protocol):
    """Bytes by key, read by any number of threads. Keys have no slash at either end, and the root is ``""``."""

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        """Bytes ``start:stop`` of what is stored under a key, as a slice takes them; None where nothing is."""
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


class _PerProcess(Generic[T]):
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


class ZipStore:
    """A zip file whose root is the root of the store, or holds nothing but the folder that is."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._files = _PerProcess(self._open)
        self._children: dict[str, set[str]] | None = None
        self._prefix = zip_prefix(self._files.get().NameToInfo) or ""

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        archive = self._files.get()
        info = archive.NameToInfo.get(self._prefix + key)
        if info is None:
            return None
        start, stop, _ = slice(start, stop).indices(info.file_size)
        try:
            with archive.open(info) as file:
                if start:
                    file.seek(start)
                data = file.read(max(0, stop - start))
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # one for a password, too
            raise FormatError(f"{self._path}: {key!r} can not be taken out of the zip file: {error}") from error
        if len(data) != max(0, stop - start):
            raise FormatError(f"{self._path}: {key!r} ends too early in the zip file")
        return data

    def nbytes(self, key: str) -> int | None:
        info = self._files.get().NameToInfo.get(self._prefix + key)
        return None if info is None else info.file_size

    def names(self, key: str) -> list[str]:
        children = self._children
        if children is None:
            children = self._children = _children(self._files.get().NameToInfo)
        return sorted(children.get((self._prefix + key).rstrip("/"), ()))

    def close(self) -> None:
        archive = self._files.drop()
        if archive is not None:
            archive.close()

    def _open(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self._path)
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise FormatError(f"{self._path} is no zip file that can be read: {error}") from error


def zip_prefix(names: Collection[str]) -> str | None:
    """What stands before all keys in a zip file: nothing, or the name of its only folder; None: it is no Zarr store."""
    if any(name in names for name in DOCUMENTS):
        return ""
    folders = {name.partition("/")[0] for name in names} - {"__MACOSX", ".DS_Store"}
    folder = folders.pop() if len(folders) == 1 else ""
    return f"{folder}/" if folder and any(f"{folder}/{name}" in names for name in DOCUMENTS) else None


class UrlStore:
    """A folder behind a URL, through fsspec."""

    def __init__(self, url: str, storage_options: Mapping[str, Any] | None = None) -> None:
        self._url, options = url, dict(storage_options or {})
        self._links = _PerProcess(lambda: connect(url, options))
        self._lock = ProcessLock()
        self._links.get()

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        if stop is not None and 0 <= stop <= start:
            return b""
        link = self._links.get()
        whole = start == 0 and stop is None
        try:
            with self._turn(link):
                data = _cat(link.fs, self._path(link.path, key), start, stop)
        except ABSENT:
            return None
        except Exception as error:
            raise translated(f"{self._url}: {key}", error) from error
        return bytes(data) if whole else _part(bytes(data), start, stop)

    @contextmanager
    def _turn(self, link: Transport) -> Iterator[None]:
        """One call at a time, where the calls may share an open file, as in a tar file."""
        if not isinstance(link, BlockingTransport):
            yield
            return
        with self._lock:
            yield

    def nbytes(self, key: str) -> int | None:
        del key
        return None

    def names(self, key: str) -> list[str] | None:
        link = self._links.get()
        if "http" in link.fs.protocol:
            return None
        try:
            with self._turn(link):
                found = link.fs.ls(self._path(link.path, key), detail=False)
        except ABSENT:
            return []
        except NotImplementedError:
            return None
        except Exception as error:
            raise translated(f"{self._url}: {key}", error) from error
        return sorted({str(name).rstrip("/").rpartition("/")[2] for name in found} - {""})

    def close(self) -> None:
        self._links.drop()

    def _path(self, root: str, key: str) -> str:
        """Path of a key; the query of a URL stays at the end."""
        folder, mark, query = root.partition("?") if "://" in root else (root, "", "")
        folder = folder.rstrip("/")
        return f"{folder}/{key}{mark}{query}" if folder and key else f"{folder or key}{mark}{query}"


def _cat(fs: Any, path: str, start: int, stop: int | None) -> bytes:
    """A file or a part of it, of a file system of fsspec."""
    if start == 0 and stop is None:
        return bytes(fs.cat_file(path))
    try:
        return bytes(fs.cat_file(path, start=start, end=stop))
    except AttributeError:  # caches of whole files know no parts that are counted from the end
        return bytes(fs.cat_file(path))


def _part(data: bytes, start: int, stop: int | None) -> bytes:
    """What was asked for, of an answer that may be the whole: not every server delivers parts."""
    most = -start if start < 0 else len(data) if stop is None else stop - start
    return data[start:stop] if len(data) > most else data


class MappingStore:
    """A mapping from keys to bytes, such as a dictionary or what ``fsspec.get_mapper`` makes."""

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self._mapping = mapping

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        try:
            data = self._mapping[key]
        except KeyError:
            return None
        return bytes(data)[start:stop]

    def nbytes(self, key: str) -> int | None:
        del key
        return None

    def names(self, key: str) -> list[str]:
        return sorted(_children(self._mapping).get(key, ()))

    def close(self) -> None:
        """The mapping is its owner's."""


def _children(keys: Mapping[str, Any]) -> dict[str, set[str]]:
    """Names below each folder."""
    found: dict[str, set[str]] = {}
    for key in keys:
        parts = key.split("/")
        for depth, name in enumerate(parts):
            if name:
                found.setdefault("/".join(parts[:depth]), set()).add(name)
    return found

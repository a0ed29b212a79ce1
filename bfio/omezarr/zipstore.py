"""Zarr stores in a zip file. Members that are stored as they are, as Zarr wants them, are read by their position."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Collection
from typing import NamedTuple

from bfio.byteio.local import FileSource
from bfio.byteio.objects import Answer, Piece
from bfio.errors import FormatError, LimitError
from bfio.omezarr.nodes import DOCUMENTS
from bfio.omezarr.stores import PerProcess, children_of

__all__ = ["ZipStore", "zip_prefix"]

_HEAD_NBYTES = 30
_ENCRYPTED = 1
_WHOLE_NBYTES = 16 << 20
"""Parts of a compressed member cost all that stands before them: a smaller one is given as a whole."""


class _Open(NamedTuple):
    archive: zipfile.ZipFile
    source: FileSource
    starts: dict[str, int]
    """Where the bytes of members begin that were read already."""


class ZipStore:
    """A zip file whose root is the root of the store, or holds nothing but the folder that is.

    Threads do not wait for each other.
    """

    ahead = 0

    def __init__(self, path: str) -> None:
        self._path = path
        self._files = PerProcess(self._open)
        self._children: dict[str, set[str]] | None = None
        self._prefix = zip_prefix(self._files.get().archive.NameToInfo) or ""

    def start(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Answer:
        raise NotImplementedError

    def fetch(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Piece | None:
        opened = self._files.get()
        info = opened.archive.NameToInfo.get(self._prefix + key)
        if info is None:
            return None
        size = info.file_size
        first, last, _ = slice(start, stop).indices(size)
        n = max(0, last - first)
        if most is not None and n > most:
            raise LimitError(f"{self._path}: {key!r} has {n} bytes, more than what it should hold ({most})")
        try:
            if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & _ENCRYPTED:
                return Piece(self._stored(opened, info, first, n))
            if n < size <= _WHOLE_NBYTES:
                return Piece(self._unpacked(opened, info, 0, size), whole=True)
            return Piece(self._unpacked(opened, info, first, n))
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # one for a password, too
            raise FormatError(f"{self._path}: {key!r} can not be taken out of the zip file: {error}") from error

    def nbytes(self, key: str) -> int | None:
        info = self._files.get().archive.NameToInfo.get(self._prefix + key)
        return None if info is None else info.file_size

    def names(self, key: str) -> list[str]:
        children = self._children
        if children is None:
            children = self._children = children_of(self._files.get().archive.NameToInfo)
        return sorted(children.get((self._prefix + key).rstrip("/"), ()))

    def close(self) -> None:
        opened = self._files.drop()
        if opened is not None:
            opened.archive.close()
            opened.source.close()

    def _stored(self, opened: _Open, info: zipfile.ZipInfo, first: int, n: int) -> bytes:
        """Some bytes of a member that is not compressed; all of them are checked."""
        key = info.filename
        begin = opened.starts.get(key)
        if begin is None:
            begin = opened.starts[key] = _begin(opened.source, info)
        data = opened.source.pread(begin + first, n)
        if len(data) != n:
            raise zipfile.BadZipFile("it ends too early")
        if n == info.file_size and zlib.crc32(data) != info.CRC:
            raise zipfile.BadZipFile("Bad CRC-32")
        return data

    def _unpacked(self, opened: _Open, info: zipfile.ZipInfo, first: int, n: int) -> bytes:
        with opened.archive.open(info) as file:
            if first:
                file.seek(first)
            data = file.read(n)
        if len(data) != n:
            raise zipfile.BadZipFile("it ends too early")
        return data

    def _open(self) -> _Open:
        try:
            archive = zipfile.ZipFile(self._path)
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise FormatError(f"{self._path} is no zip file that can be read: {error}") from error
        try:
            return _Open(archive, FileSource(self._path), {})
        except BaseException:
            archive.close()
            raise


def zip_prefix(names: Collection[str]) -> str | None:
    """What stands before all keys in a zip file: nothing, or the name of its only folder; None: it is no Zarr store."""
    if any(name in names for name in DOCUMENTS):
        return ""
    folders = {name.partition("/")[0] for name in names} - {"__MACOSX", ".DS_Store"}
    folder = folders.pop() if len(folders) == 1 else ""
    return f"{folder}/" if folder and any(f"{folder}/{name}" in names for name in DOCUMENTS) else None


def _begin(source: FileSource, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a member begin: behind its own header, whose extra field may differ from the directory's."""
    head = source.pread(info.header_offset, _HEAD_NBYTES)
    if len(head) != _HEAD_NBYTES or head[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile("Bad magic number for file header")
    name_nbytes, extra_nbytes = struct.unpack("<2H", head[26:])
    begin: int = info.header_offset + _HEAD_NBYTES + name_nbytes + extra_nbytes
    return begin

"""What the first bytes of a file say: its format, or that it is no image at all."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO, TypeAlias

from bfio import byteio
from bfio.errors import FormatError
from bfio.omezarr.nodes import DOCUMENTS

__all__ = [
    "FAKE",
    "NOBODY_READS",
    "TEXT",
    "UNKNOWN",
    "ZARR",
    "Source",
    "detect",
    "format_of",
    "is_zarr_object",
    "local_path",
    "look",
    "source_name",
]

Source: TypeAlias = "str | os.PathLike[str] | BinaryIO"

TEXT, UNKNOWN = "text", "unknown"
"""Formats of files whose first bytes do not tell more."""

FAKE = "Bio-Formats' test images"
"""Format of names that end in .fake; there need not be such a file."""

ZARR = "Zarr"
"""Format of folders, zip files and URLs that hold Zarr arrays."""

NOBODY_READS = frozenset({"JPEG XL", "WebP", "NumPy", "PDF"})
"""Formats that are known here, but neither to bfio nor to Bio-Formats up to 7.3.1."""

_HEAD = 512

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (0, b"ZISRAWFILE", "CZI"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (4, b"jP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (4, b"JXL \r\n\x87\n", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\xda\xce\xbe\x0a", "ND2"),
    (0, b"\x70\0\0\0", "LIF"),
    (0, b"\x89HDF\r\n\x1a\n", "HDF5"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "OLE2 (OIB, ZVI or the like)"),
    (0, b"OMAS_BF\n", "OBF"),
    (128, b"DICM", "DICOM"),
    (208, b"MAP ", "MRC"),
    (8, b"WEBP", "WebP"),
    (8, b"AVI ", "AVI"),
    (4, b"ftyp", "QuickTime or MP4"),
    (4, b"moov", "QuickTime"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"SIMPLE  =", "FITS"),
    (0, b"NRRD", "NRRD"),
    (0, b"\x93NUMPY", "NumPy"),
    (0, b"%PDF", "PDF"),
    (0, b"%!PS-Adobe", "EPS"),
)

_TEXTS: tuple[tuple[bytes, str], ...] = (
    (b"ics_version", "ICS"),
    (b"<ome ", "OME-XML"),
    (b"<ome:ome", "OME-XML"),
    (b"<ome>", "OME-XML"),
    (b"<evaluationinputdata", "Operetta plate"),
    (b'"htsinfofile"', "MetaXpress plate"),
    (b"<imagestack", "InCell plate"),
)
"""Words, in lower case, by which headers of images and of plates that are text are known."""

_PORTABLE_MAPS = tuple(b"P%d" % number for number in range(1, 8))
_ARCHIVE = re.compile(r"(zip|tar|libarchive)(://)?::")


def detect(source: Source, storage_options: Mapping[str, Any] | None = None) -> str:
    """Name of the format of a file, without opening it as an image; raises what :func:`look` raises."""
    opened, found = look(source, storage_options)
    if opened is not None:
        opened.close()
    return found


def look(source: Source, storage_options: Mapping[str, Any] | None = None) -> tuple[byteio.Source | None, str]:
    """The open bytes of a file, and its format as :func:`format_of` names it.

    There are no bytes where the name alone makes the image, and none of a Zarr store.

    Raises
    ------
    FileNotFoundError
    FormatError
        A folder that is no Zarr store, an empty file, a web page, a Git LFS pointer.
    """
    if is_zarr_object(source):
        return None, ZARR
    path, name = local_path(source), source_name(source)
    if path is not None:
        if os.path.isdir(path):
            return None, _format_of_folder(path, name)
        if is_fake(path) and not os.path.lexists(path):
            return None, FAKE
    elif is_zarr_url(name):
        return None, ZARR
    try:
        opened = byteio.open_source(source, storage_options)
    except FormatError:
        if path is None and is_url_of_zarr_folder(name, storage_options):
            return None, ZARR
        raise
    try:
        if path is not None and is_zarr_zip(path):
            opened.close()
            return None, ZARR
        head = bytes(opened.pread(0, min(_HEAD, opened.size)))
        return opened, format_of(head, name)
    except BaseException:
        opened.close()
        raise


def format_of(head: bytes, name: str) -> str:
    """Format of the file `name` that begins with `head`.

    Returns
    -------
    str
        Such as ``"TIFF"`` or ``"CZI"``; :data:`TEXT` or :data:`UNKNOWN` where the bytes do not tell.

    Raises
    ------
    FormatError
        It can not be an image.
    """
    is_text = not any(byte < 9 or 13 < byte < 27 for byte in head)
    for offset, magic, found in _MAGIC:
        if head[offset : offset + len(magic)] == magic and (len(magic) > 2 or not is_text):
            return found
    if head[:2] in _PORTABLE_MAPS and head[2:3].isspace():
        return "PNM"
    if is_fake(name):
        return FAKE
    if not head:
        raise FormatError(f"{name} is empty (0 bytes)")
    return _format_of_text(head, name) if is_text else UNKNOWN


def _format_of_text(head: bytes, name: str) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"version https://git-lfs"):
        raise FormatError(f"{name} is a Git LFS pointer, not the image itself; run 'git lfs pull'")
    if start.startswith((b"<!doctype html", b"<html")):
        raise FormatError(f"{name} is a web page, not an image")
    return next((found for word, found in _TEXTS if word in start), TEXT)


def is_fake(name: str) -> bool:
    """Whether Bio-Formats makes the image up from the name of the file."""
    return name.lower().endswith(".fake")


def _format_of_folder(path: str, name: str) -> str:
    if path.endswith(".zarr") or any(os.path.lexists(os.path.join(path, part)) for part in DOCUMENTS):
        return ZARR
    raise FormatError(f"{name} is a directory, not an image file or a Zarr store")


def is_zarr_object(source: object) -> bool:
    """Whether this is a store of zarr-python, seen without importing it, or a mapping from keys to bytes."""
    return type(source).__module__.partition(".")[0] == "zarr" or isinstance(source, Mapping)


def is_zarr_url(name: str) -> bool:
    """Whether the URL of a folder says that this is a Zarr store, a node in one, or the root of an archive."""
    if not byteio.is_url(name):
        return False
    if _ARCHIVE.match(name):
        return True
    link = next((link for link in name.split("::") if "://" in link and not link.endswith("://")), "")
    *folders, last = link.partition("?")[0].rstrip("/").split("/")
    return last.endswith(".zarr") or ("." not in last and any(folder.endswith(".zarr") for folder in folders[3:]))


def is_url_of_zarr_folder(url: str, storage_options: Mapping[str, Any] | None) -> bool:
    """Whether there is a folder at a URL with the documents of a Zarr store."""
    from bfio.omezarr.stores import UrlStore

    if not byteio.is_url(url):
        return False
    store = UrlStore(url, storage_options)
    try:
        return any(store.fetch(name) is not None for name in DOCUMENTS)
    except OSError:
        return False
    finally:
        store.close()


def is_zarr_zip(path: str) -> bool:
    """Whether a file is a zip file with a Zarr store in it, at its root or in its only folder."""
    from bfio.omezarr.zipstore import zip_prefix

    with open(path, "rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return False
    try:
        with zipfile.ZipFile(path) as archive:
            return zip_prefix(archive.NameToInfo) is not None
    except (
        zipfile.BadZipFile,
        ValueError,
        NotImplementedError,
    ) as error:  # Bio-Formats would look for its end for ever
        raise FormatError(f"{path} is no zip file that can be read: {error}") from error


def local_path(source: Source) -> str | None:
    """Absolute path of a file of this machine; None for file objects and for URLs of other schemes."""
    if not isinstance(source, (str, os.PathLike)):
        return None
    path = os.fspath(source)
    if path.startswith("file://"):
        path = byteio.local_path(path)
    elif byteio.is_url(path):
        return None
    return os.path.abspath(os.path.expanduser(path))


def source_name(source: Source) -> str:
    """The name of a file for messages, as it was given."""
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else str(getattr(source, "name", "the file"))

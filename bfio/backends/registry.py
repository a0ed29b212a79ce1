"""Which backend serves a file: by its first bytes, not by its name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, TypeAlias

from bfio import byteio
from bfio.errors import BackendMissingError, FormatError, UnsupportedError, UsageError

if TYPE_CHECKING:
    from bfio.backends.base import ReaderBackend, WriterBackend
    from bfio.metadata import Series
    from bfio.options import WriteOptions

__all__ = [
    "BACKENDS",
    "READABLE",
    "Source",
    "attach_writer",
    "checked_name",
    "create_writer",
    "detect",
    "open_reader",
    "resume_writer",
    "writer_name",
]

Source: TypeAlias = "str | os.PathLike[str] | BinaryIO"

BACKENDS = ("python", "bioformats", "zarr", "zarr3", "tensorstore")
"""Names that ``backend=`` takes. Old scripts name the last two; they mean whatever serves the file."""

READABLE = frozenset({"TIFF"})
"""Formats, as :func:`detect` names them, that some backend reads."""

TIFF_SUFFIXES = (".tif", ".tiff", ".tf2", ".tf8", ".btf")
"""Ends of file names that are written as TIFF, ``.ome.tif`` and ``.ome.tiff`` among them; in any case."""

_NOT_YET = {"bioformats": "Bio-Formats", "zarr": "OME-Zarr"}
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
    (128, b"DICM", "DICOM"),
    (8, b"WEBP", "WebP"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"SIMPLE  =", "FITS"),
    (0, b"NRRD", "NRRD"),
    (0, b"\x93NUMPY", "NumPy"),
    (0, b"%PDF", "PDF"),
)
_ZARR_FILES = ("zarr.json", ".zgroup", ".zarray", ".zattrs")


def checked_name(backend: object) -> str | None:
    """Name of a backend in lower case, or None for the choice by content."""
    if backend is None:
        return None
    name = backend.lower() if isinstance(backend, str) else backend
    if name not in BACKENDS:
        raise UsageError(f"backend={backend!r} is unknown; use None or one of {', '.join(BACKENDS)}")
    if name in _NOT_YET:
        raise BackendMissingError(
            f"backend={name!r} ({_NOT_YET[name]}) is not in this version of bfio, which reads TIFF"
        )
    return name


def writer_name(path: Path, backend: object = None) -> str:
    """Name of the backend that writes a file of this name.

    Raises
    ------
    UnsupportedError
        No backend writes such files; the message lists what can be written.
    BackendMissingError
    UsageError
    """
    name = checked_name(backend)
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        return "python"
    writable = f"a name that ends in .ome.tif, .ome.tiff, {', '.join(TIFF_SUFFIXES[:-1])} or {TIFF_SUFFIXES[-1]}"
    if suffix == ".zarr" and name != "python":
        raise UnsupportedError(f"{path.name}: this version of bfio does not write OME-Zarr yet; use {writable}")
    raise UnsupportedError(f"{path.name}: bfio writes OME-TIFF; use {writable}")


def create_writer(path: Path, backend_name: str, series: Series, xml: str, options: WriteOptions) -> WriterBackend:
    """Start writing a file.

    Parameters
    ----------
    path : Path
        Absolute. A file of this name stays as it is until the new one is closed.
    backend_name : str
        From :func:`writer_name`.
    series : Series
        The image; of its ``levels`` nothing is needed.
    xml : str
        OME-XML as it goes into the file.
    options : WriteOptions
        The backend decides what they leave open.
    """
    return _writers()[backend_name](path, series, xml, options)


def attach_writer(path: Path, backend_name: str, max_workers: int) -> tuple[WriterBackend, Series]:
    """Join the writing of a file that another process has started; the image as that one described it."""
    return _attachers()[backend_name](path, max_workers)


def resume_writer(path: Path, backend_name: str, options: WriteOptions) -> tuple[WriterBackend, Series]:
    """Go on with ``<name>.part``, whose own sizes and options hold; the image as its writer described it."""
    return _resumers()[backend_name](path, options)


def _resumers() -> dict[str, Callable[..., tuple[WriterBackend, Series]]]:
    from bfio.backends.ometiff_writer import resume_writer

    return {"python": resume_writer}


def _attachers() -> dict[str, Callable[..., tuple[WriterBackend, Series]]]:
    from bfio.backends.ometiff_writer import attach_writer

    return {"python": attach_writer}


def _writers() -> dict[str, Callable[..., WriterBackend]]:
    from bfio.backends.ometiff_writer import open_writer

    return {"python": open_writer}


def open_reader(source: Source, storage_options: dict[str, Any] | None = None, **options: Any) -> ReaderBackend:
    """Open a file with the backend that can read it.

    Raises
    ------
    FileNotFoundError
    FormatError
        A directory, an empty file, text.
    UnsupportedError
        Some other format, which the message names where it is known.
    """
    opened = _opened(source, storage_options)
    try:
        found = _format(_head(opened), _name(source))
        if found not in READABLE:
            raise UnsupportedError(f"{_name(source)} is {_article(found)}; this version of bfio reads TIFF only")
        return _readers()[found](opened, storage_options=storage_options, **options)
    except BaseException:
        opened.close()
        raise


def _readers() -> dict[str, Callable[..., ReaderBackend]]:
    """Format -> class. Imported when a file is opened, so that ``import bfio`` stays cheap."""
    from bfio.backends.ometiff import OmeTiffReader

    return {"TIFF": OmeTiffReader}


def detect(source: Source, storage_options: dict[str, Any] | None = None) -> str:
    """Name of the format that the first bytes tell; ``"unknown"`` where they tell nothing."""
    with _opened(source, storage_options) as opened:
        return _format(_head(opened), _name(source))


def _opened(source: Source, storage_options: dict[str, Any] | None) -> byteio.Source:
    if isinstance(source, (str, os.PathLike)) and not byteio.is_url(os.fspath(source)):
        _refuse_folder(os.fspath(source))
    return byteio.open_source(source, storage_options)


def _head(opened: byteio.Source) -> bytes:
    return bytes(opened.pread(0, min(_HEAD, opened.size)))


def _format(head: bytes, name: str) -> str:
    """Format of a file that begins with `head`; an error for what is no image at all."""
    text = not any(byte < 9 or 13 < byte < 27 for byte in head)
    for offset, magic, found in _MAGIC:
        if head[offset : offset + len(magic)] == magic and (len(magic) > 2 or not text):
            return found
    if not head:
        raise FormatError(f"{name} is empty (0 bytes)")
    if text:
        _refuse_text(head, name)
    return "unknown"


def _refuse_text(head: bytes, name: str) -> NoReturn:
    """FormatError that says what kind of text it seems to be."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"version https://git-lfs"):
        raise FormatError(f"{name} is a Git LFS pointer, not the image itself; run 'git lfs pull'")
    if b"<ome" in start:
        raise FormatError(f"{name} is OME-XML without pixels; open one of the image files that it names")
    if start.startswith((b"<!doctype html", b"<html")):
        raise FormatError(f"{name} is a web page, not an image")
    raise FormatError(f"{name} is a text file, not an image")


def _refuse_folder(path: str) -> None:
    folder = Path(path)
    if not folder.is_dir():
        return
    if folder.suffix == ".zarr" or any((folder / name).exists() for name in _ZARR_FILES):
        raise UnsupportedError(f"{path} is a zarr folder; this version of bfio reads TIFF only")
    raise FormatError(f"{path} is a directory, not an image file")


def _name(source: Source) -> str:
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else str(getattr(source, "name", "the file"))


def _article(found: str) -> str:
    return "no image file that bfio knows" if found == "unknown" else f"of the format {found}"

"""The names of backends, and which of them writes a file: by its name."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bfio.errors import UnsupportedError, UsageError
from bfio.options import check_no_zarr

if TYPE_CHECKING:
    from bfio.backends.base import Collection, WriterBackend
    from bfio.metadata import Series
    from bfio.options import WriteOptions

__all__ = [
    "BACKENDS",
    "append_writer",
    "attach_writer",
    "begin_collection",
    "check_options",
    "checked_name",
    "create_writer",
    "resume_writer",
    "writer_name",
]

BACKENDS = ("python", "bioformats", "zarr", "zarr3", "tensorstore")
"""Names that ``backend=`` takes. Old scripts name the last two; they mean whatever serves the file."""

TIFF_SUFFIXES = (".tif", ".tiff", ".tf2", ".tf8", ".btf")
"""Ends of file names that are written as TIFF, ``.ome.tif`` and ``.ome.tiff`` among them; in any case."""


def checked_name(backend: object) -> str | None:
    """Name of a backend in lower case, or None for the choice by content."""
    if backend is None:
        return None
    name = backend.lower() if isinstance(backend, str) else backend
    if name not in BACKENDS:
        raise UsageError(f"backend={backend!r} is unknown; use None or one of {', '.join(BACKENDS)}")
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
    suffix = path.suffix.lower()
    name = "zarr" if suffix == ".zarr" and str(backend).lower() == "zarr" else checked_name(backend)
    if name == "zarr" and suffix != ".zarr":
        raise UsageError(f"{path.name}: backend='zarr' writes folders whose names end in .zarr")
    if suffix in TIFF_SUFFIXES and name != "bioformats":
        return "python"
    if suffix == ".zarr" and name not in ("python", "bioformats"):
        return "zarr"
    from bfio.backends.bioformats_writer import OWN_SUFFIXES, check_name

    if name == "bioformats" or (name is None and path.name.lower().endswith(OWN_SUFFIXES)):
        check_name(path)
        return "bioformats"
    ends = (".ome.zarr", ".ome.tif", ".ome.tiff", *TIFF_SUFFIXES[:-1])
    writable = f"a name that ends in {', '.join(ends)} or {TIFF_SUFFIXES[-1]}"
    others = "" if name else f"; through Bio-Formats also {', '.join(OWN_SUFFIXES[:-1])} or {OWN_SUFFIXES[-1]}"
    raise UnsupportedError(f"{path.name}: bfio writes OME-TIFF and OME-Zarr; use {writable}{others}")


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
    begun: WriterBackend = _writers(backend_name).open_writer(path, series, xml, options)
    return begun


def check_options(path: Path, backend_name: str, options: WriteOptions) -> None:
    """Refuse what only Zarr has for other files, and ``series=`` for a store that is not one of several images."""
    if backend_name != "zarr":
        check_no_zarr(options)
    elif options.series is not None:
        _writers(backend_name).check_series(path, options)


def begin_collection(path: Path, backend_name: str, signature: Any, options: WriteOptions) -> Collection:
    """Begin a store of several images that gets its name when all are there, or go on with one.

    `signature` is plain data that tells what it is going to be; another one can not be gone on with.
    """
    begun: Collection = _writers(backend_name).begin_collection(path, signature, options)
    return begun


def attach_writer(path: Path, backend_name: str, options: WriteOptions) -> tuple[WriterBackend, Series]:
    """Join the writing of a file that another process has started; the image as that one described it."""
    joined: tuple[WriterBackend, Series] = _writers(backend_name).attach_writer(path, options)
    return joined


def resume_writer(path: Path, backend_name: str, options: WriteOptions) -> tuple[WriterBackend, Series]:
    """Go on with ``<name>.part``, whose own sizes and options hold; the image as its writer described it."""
    resumed: tuple[WriterBackend, Series] = _writers(backend_name).resume_writer(path, options)
    return resumed


def append_writer(path: Path, backend_name: str, options: WriteOptions) -> tuple[WriterBackend, Series]:
    """Write into what has the name already; the image as it stands there."""
    if backend_name != "zarr":
        raise UsageError(f"{path.name}: append=True is for Zarr stores; use resume=True to go on with a .part file")
    opened: tuple[WriterBackend, Series] = _writers(backend_name).append_writer(path, options)
    return opened


def _writers(backend_name: str) -> ModuleType:
    """The module of a backend's writer."""
    if backend_name == "zarr":
        from bfio.backends import omezarr_writer

        return omezarr_writer
    from bfio.backends import bioformats_writer, ometiff_writer

    return bioformats_writer if backend_name == "bioformats" else ometiff_writer

"""Which backend reads a file: by its first bytes, and where these tell nothing, Bio-Formats decides."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bfio import byteio
from bfio.backends.detect import (
    NOBODY_READS,
    TEXT,
    UNKNOWN,
    ZARR,
    Source,
    is_zarr_object,
    local_path,
    look,
    source_name,
)
from bfio.errors import BackendMissingError, FormatError, UnsupportedError

if TYPE_CHECKING:
    from bfio.backends.base import ReaderBackend

__all__ = ["java_installed", "open_reader"]

logger = logging.getLogger("bfio")


def open_reader(
    source: Source, storage_options: Mapping[str, Any] | None = None, backend: str | None = None, **options: Any
) -> ReaderBackend:
    """Open a file with the backend that can read it.

    Parameters
    ----------
    source : str, path or binary file object
    storage_options : mapping, optional
        For fsspec.
    backend : str, optional
        ``"python"``, ``"bioformats"`` or ``"zarr"`` to have this one and no other; else TIFF is read by the first, Zarr
        by the last, and all other formats by the second.
    **options
        For the backend.

    Raises
    ------
    FileNotFoundError
    FormatError
        A folder, an empty file, text that nobody reads.
    UnsupportedError
        Some other format, which the message names where it is known.
    BackendMissingError
        It needs Bio-Formats, which is not installed.
    """
    opened, found = _looked(source, storage_options, backend)
    if opened is not None:
        try:
            if found == "TIFF" and backend not in ("bioformats", "zarr"):
                return _open_tiff(opened, source, backend, {"storage_options": storage_options, **options})
        except BaseException:
            opened.close()
            raise
        opened.close()
    if found == ZARR and backend not in ("python", "bioformats"):
        return _open_zarr(source, storage_options, options)
    if backend in ("python", "zarr") or found == ZARR:
        raise UnsupportedError(
            f"{source_name(source)} is {_kind(found)}, which backend={backend!r} does not read; leave backend= out"
        )
    return _open_foreign(source, found, backend == "bioformats", options)


def _looked(
    source: Source, storage_options: Mapping[str, Any] | None, backend: str | None
) -> tuple[byteio.Source | None, str]:
    """What :func:`look` finds. A server that lists no folders has nothing at the URL of a Zarr store."""
    try:
        return look(source, storage_options)
    except FileNotFoundError:
        if backend == "zarr" and byteio.is_url(source_name(source)) and local_path(source) is None:
            return None, ZARR
        raise


def _open_zarr(source: Source, storage_options: Mapping[str, Any] | None, options: dict[str, Any]) -> ReaderBackend:
    """A Zarr store: a folder, a zip file, a URL or a store of zarr-python."""
    from bfio.backends.omezarr import OmeZarrReader
    from bfio.omezarr.nodes import Folder, Nodes

    path = local_path(source)
    if path is None and is_zarr_object(source):
        from bfio.omezarr.foreign import folder_of

        path = folder_of(source)
    if path is not None and os.path.isdir(path):
        nodes: Nodes = Folder(path)
    else:
        from bfio.omezarr.foreign import ForeignNodes

        nodes = ForeignNodes(path or source, storage_options)
    return OmeZarrReader(nodes, **options)


def _open_tiff(opened: byteio.Source, source: Source, backend: str | None, options: dict[str, Any]) -> ReaderBackend:
    """A TIFF file by the reader for these; what that can not do, Bio-Formats is asked for."""
    from bfio.backends.ometiff import OmeTiffReader

    try:
        return OmeTiffReader(opened, **options)
    except UnsupportedError as error:
        path, refused = local_path(source), error
        if backend == "python" or path is None:
            raise
        if not java_installed():
            raise UnsupportedError(f"{error}; Bio-Formats may read it: {_command()}") from error
    try:
        reader = _java_reader(path, options)
    except Exception as failure:
        raise refused from failure  # what the TIFF reader says of a TIFF file is clearer
    opened.close()
    logger.warning("%s; Bio-Formats reads it instead", refused)
    return reader


def _open_foreign(source: Source, found: str, is_forced: bool, options: dict[str, Any]) -> ReaderBackend:
    """Any other file, by Bio-Formats."""
    name, path = source_name(source), local_path(source)
    is_told = is_forced or found not in {TEXT, UNKNOWN, *NOBODY_READS}
    if path is None:
        if not is_told:
            raise _refusal(name, found)
        raise UnsupportedError(
            f"{name} is {_kind(found)}, which Bio-Formats reads, and from local files only: save it to one first"
        )
    if not java_installed():
        if not is_told:
            raise _refusal(name, found, f" knows; Bio-Formats knows many more: {_command()}")
        raise BackendMissingError(f"{name} is {_kind(found)}, which needs Bio-Formats: {_command()}")
    try:
        return _java_reader(path, options)
    except BackendMissingError as error:
        if not is_told:
            raise _refusal(name, found, f" knows; Bio-Formats could not be asked: {error}") from error
        raise BackendMissingError(f"{name} is {_kind(found)}, which Bio-Formats reads: {error}") from error
    except UnsupportedError as error:
        if not _is_unknown(error):
            raise
        raise _refusal(name, found, " or Bio-Formats knows") from error


def _java_reader(path: str, options: dict[str, Any]) -> ReaderBackend:
    from bfio.backends.bioformats import BioFormatsReader

    return BioFormatsReader(path, **options)


def java_installed() -> bool:
    """Whether Bio-Formats can be asked at all; what else is missing shows when the JVM starts."""
    try:
        return importlib.util.find_spec("jpype") is not None
    except (ImportError, ValueError):  # it is blocked, or None stands in its place
        return False


def _command() -> str:
    from bfio.bioformats.locate import INSTALL  # needed in messages only

    return INSTALL


def _is_unknown(error: UnsupportedError) -> bool:
    """Whether Bio-Formats does not know the format, in contrast to something within a file that it knows."""
    return type(error.__cause__).__name__.endswith("UnknownFormatException")


def _refusal(name: str, found: str, knows: str = " knows") -> FormatError | UnsupportedError:
    """The error for a file that nobody here reads."""
    if found == TEXT:
        return FormatError(f"{name} is a text file, not an image")
    if found == UNKNOWN:
        return UnsupportedError(f"{name} is no image file that bfio{knows}")
    return UnsupportedError(f"{name} is {_kind(found)}, of a kind that neither bfio nor Bio-Formats reads")


def _kind(found: str) -> str:
    return {UNKNOWN: "of an unknown format", TEXT: "text"}.get(found, f"of the format {found}")

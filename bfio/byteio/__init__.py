"""Positional bytes of a file, a URL or an open file object.

Whatever holds the bytes, the rest of the package sees a :class:`Source`: ``pread`` for headers and directories, and
``fileno`` (kernels read by themselves) or ``fetch`` (many ranges into one arena) for tiles.
"""

import io
import os
from collections.abc import Mapping
from typing import Any, BinaryIO, cast

from bfio.byteio.local import FileSource, ObjectSource, adopt
from bfio.byteio.names import is_url, local_path
from bfio.byteio.source import Source
from bfio.errors import UsageError

__all__ = ["FileSource", "ObjectSource", "Source", "is_url", "local_path", "open_source"]


def open_source(
    path: str | os.PathLike[str] | BinaryIO | Source, storage_options: Mapping[str, Any] | None = None
) -> Source:
    """Open the bytes of an image.

    Parameters
    ----------
    path : str, path-like or binary file object
        A path (``~`` is expanded), a URL that fsspec understands (``https://``, ``s3://``, ``zip://a.tif::b.zip``), or
        a seekable file object opened for reading bytes. A file object stays the caller's: it is never closed here.
    storage_options : mapping, optional
        Options for fsspec; only for URLs.

    Returns
    -------
    Source

    Raises
    ------
    FileNotFoundError, PermissionError, OSError
        As the system or the server says.
    FormatError
        The path is a folder, a pipe or a device.
    UnsupportedError
        The server can not deliver parts of a file.
    BackendMissingError
        fsspec or the driver for this kind of URL is not installed.
    UsageError
        `path` is nothing that can be opened.
    """
    if isinstance(path, Source):
        return path
    if hasattr(path, "read") and hasattr(path, "seek"):
        stream = cast(BinaryIO, path)
        return adopt(stream) if isinstance(stream, io.BufferedReader | io.FileIO) else ObjectSource(stream)
    if not isinstance(path, str | bytes | os.PathLike):
        raise UsageError(f"a path, a URL or a binary file object is needed, not {type(path).__name__}")
    name = os.fsdecode(path)
    if "\0" in name:
        raise UsageError(f"{name!r} is not a path: it holds a null character")
    if not is_url(name):
        return FileSource(name)
    if name.startswith("file://"):
        return FileSource(local_path(name))
    from bfio.byteio.remote import RemoteSource

    return RemoteSource(name, storage_options)

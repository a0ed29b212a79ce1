"""Where a file is to be written: checked when the writer is made, not hours later."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from bfio.byteio import is_url
from bfio.errors import UnsupportedError, UsageError

__all__ = ["PART", "check_store", "is_zarr_name", "is_zarr_store", "part_path", "target_path"]

PART = ".part"
"""Ends the name of a file while it is written."""
_ZARR_FILES = ("zarr.json", ".zgroup", ".zarray")


def target_path(
    file_path: Any,
    *,
    overwrite: bool | None = None,
    enter: bool = False,
    resume: bool = False,
    series: int | None = None,
) -> Path:
    """Absolute path of a file, or of a folder with the name of a Zarr store, that can be written.

    Parameters
    ----------
    file_path : str or path
    overwrite : bool, optional
        Whether what has the name may be replaced; None: files, but no Zarr stores.
    enter : bool
        Whether it is written into a Zarr store that has the name.
    resume : bool
        Whether an unfinished file is gone on with, which may replace one in any case.
    series : int, optional
        The image of a Zarr store of several that all of this is about, in place of the whole store.

    Raises
    ------
    UsageError, UnsupportedError
        It is no path, a URL, or a folder that is no Zarr store.
    FileNotFoundError, PermissionError
        Its folder is not there, or can not be written to.
    FileExistsError
        There is such a file, and it is not to be replaced.
    """
    if isinstance(file_path, str) and is_url(file_path):
        raise UnsupportedError(f"{file_path}: bfio writes local files only; write there, then upload the file")
    if not isinstance(file_path, (str, os.PathLike)):
        raise UsageError(f"file_path must be a path, not a {type(file_path).__name__}")
    path = Path(file_path).expanduser().resolve()
    if is_zarr_name(path):
        check_store(path, series, overwrite=bool(overwrite), enter=enter)
    elif path.is_dir():
        raise UsageError(f"{path} is a folder; give the name of a file in it")
    elif path.exists() and overwrite is False and not resume:
        raise FileExistsError(errno.EEXIST, "the file exists; remove it or use overwrite=True", str(path))
    folder = path.parent
    if not folder.exists():
        raise FileNotFoundError(errno.ENOENT, f"the folder {folder} does not exist; make it first", str(path))
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{folder} is a file, not a folder", str(path))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"the folder {folder} can not be written to", str(path))
    return path


def is_zarr_name(path: Path) -> bool:
    """Whether a path has the name of a Zarr store, in any case."""
    return path.suffix.lower() == ".zarr"


def is_zarr_store(path: Path) -> bool:
    """Whether a folder is a Zarr store."""
    return any(os.path.isfile(path / name) for name in _ZARR_FILES)


def check_store(path: Path, series: int | None = None, *, overwrite: bool, enter: bool = False) -> None:
    """Refuse to replace what nobody asked to replace, and ever a folder that is no Zarr store."""
    if not os.path.lexists(path):
        return
    if path.is_dir() and not is_zarr_store(path):
        raise UsageError(f"{path} is a folder, but not a Zarr store, so it stays as it is; choose another name")
    if series is not None and path.is_dir():
        check_store(path / str(series), overwrite=overwrite, enter=enter)
        return
    if enter and path.is_dir():
        return
    if not overwrite or series is not None:
        raise FileExistsError(
            errno.EEXIST, "it exists; use overwrite=True to replace it, or append=True to write into it", str(path)
        )


def part_path(path: Path, series: int | None = None) -> Path:
    """Name of a file, or of one image of a store of several, while it is written."""
    number = "" if series is None else f".{series}"
    return path.with_name(f"{path.name}{number}{PART}")

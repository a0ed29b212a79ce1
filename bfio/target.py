"""Where a file is to be written: checked when the writer is made, not hours later."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from bfio.byteio import is_url
from bfio.errors import UnsupportedError, UsageError

__all__ = ["part_path", "target_path"]


def target_path(file_path: Any, *, overwrite: bool = True) -> Path:
    """Absolute path of a file that can be written.

    Raises
    ------
    UsageError, UnsupportedError
        It is no path, a folder, or a URL.
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
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give the name of a file in it")
    if path.exists() and not overwrite:
        raise FileExistsError(errno.EEXIST, "the file exists; remove it or use overwrite=True", str(path))
    folder = path.parent
    if not folder.exists():
        raise FileNotFoundError(errno.ENOENT, f"the folder {folder} does not exist; make it first", str(path))
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{folder} is a file, not a folder", str(path))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"the folder {folder} can not be written to", str(path))
    return path


def part_path(path: Path) -> Path:
    """Name of a file while it is written."""
    return path.with_name(f"{path.name}.part")

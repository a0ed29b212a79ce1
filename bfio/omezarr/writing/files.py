"""Whole files that appear under their names at once, the folders they stand in, and what killed writers left."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from bfio._positional import pwrite
from bfio.omezarr.writing.names import is_abandoned, own_name

__all__ = ["PARTIAL", "Files", "remove_leftovers", "sync_folder", "walk"]

PARTIAL = ".partial"
"""Ends the name of a file that is not whole yet; no reader takes it for a chunk."""
BINARY = getattr(os, "O_BINARY", 0)


class Files:
    """Writes the files of one array.

    Parameters
    ----------
    root : Path
        The array's folder.
    durable : bool
        Whether a file is on the disk before it gets its name.
    """

    def __init__(self, root: Path, durable: bool) -> None:
        self.root, self._durable = root, durable
        self._known: set[str] = set()
        self._unsynced: set[str] = set()

    def partial(self, path: str | Path) -> str:
        """A name beside `path` that nobody else uses."""
        return own_name(path, PARTIAL)

    def make_folder(self, folder: str) -> None:
        """Make a folder, once."""
        if folder in self._known:
            return
        above = (folder, *map(str, Path(folder).parents)) if self._durable else ()
        missing = [one for one in above if not os.path.exists(one)]
        os.makedirs(folder, exist_ok=True)
        self._known.add(folder)
        self._unsynced.update(map(os.path.dirname, missing))

    def write(self, path: str | Path, pieces: Iterable[bytes | memoryview]) -> None:
        """A file under its name, whole or not at all."""
        partial = self.partial(path)
        try:
            fd = self._create(partial)
            try:
                position = 0
                for piece in pieces:
                    pwrite(fd, piece, position)
                    position += len(piece)
                if self._durable:
                    os.fsync(fd)
            finally:
                os.close(fd)
            self.rename(partial, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(partial)
            raise

    def _create(self, path: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY
        folder = os.path.dirname(path)
        self.make_folder(folder)
        try:
            return os.open(path, flags, 0o666)
        except FileNotFoundError:  # somebody removed the folder
            os.makedirs(folder, exist_ok=True)
            return os.open(path, flags, 0o666)

    def rename(self, src: str | Path, dst: str | Path) -> None:
        """Give a whole file its name."""
        os.replace(src, dst)
        if self._durable:
            self._unsynced.add(os.path.dirname(dst))

    def remove(self, path: str | Path) -> None:
        """Remove a file that may not be there."""
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        if self._durable:
            self._unsynced.add(os.path.dirname(path))

    def sync(self) -> None:
        """What was named or removed so far is so on the disk, too."""
        while self._unsynced:
            sync_folder(self._unsynced.pop())


def sync_folder(folder: str | Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    try:
        fd = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        with suppress(OSError):
            os.fsync(fd)
    finally:
        os.close(fd)


def walk(root: Path) -> Iterator[tuple[str, str]]:
    """Every file below a folder: its key, with ``/``, and its path."""
    folders = [("", str(root))]
    while folders:
        prefix, folder = folders.pop()
        try:
            entries = os.scandir(folder)
        except (FileNotFoundError, NotADirectoryError):
            continue
        with entries:
            for entry in entries:
                if entry.is_dir():
                    folders.append((f"{prefix}{entry.name}/", entry.path))
                else:
                    yield prefix + entry.name, entry.path


def remove_leftovers(root: Path) -> None:
    """Remove the unfinished files of writers that were killed on this machine; those at work keep theirs."""
    for key, path in walk(root):
        if is_abandoned(key, PARTIAL):
            with suppress(OSError):
                os.unlink(path)

"""Whole files that appear under their names at once, the folders they stand in, and what killed writers left."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from bfio._positional import pwrite
from bfio.omezarr.writing.names import is_abandoned, own_name
from bfio.omezarr.writing.unsynced import BINARY, Unsynced

__all__ = ["PARTIAL", "Files", "remove_leftovers", "walk"]

PARTIAL = ".partial"
"""Ends the name of a file that is not whole yet; no reader takes it for a chunk."""


class Files:
    """Writes the files of one array.

    Parameters
    ----------
    root : Path
        The array's folder.
    durable : bool
        Whether files are to be on the disk once :meth:`sync` returns, and those that replace others before they do.
    lost : callable (path), optional
        Is told of files that have their names, and that the disk could not take.
    """

    def __init__(self, root: Path, durable: bool, lost: Callable[[str], None] = lambda _: None) -> None:
        self.root, self._durable = root, durable
        self._known: set[str] = set()
        self._unsynced = Unsynced(lost)

    def partial(self, path: str | Path) -> str:
        """A name beside `path` that nobody else uses."""
        return own_name(path, PARTIAL)

    def make_folder(self, folder: str) -> None:
        """Make a folder, once."""
        if folder in self._known:
            return
        os.makedirs(folder, exist_ok=True)
        if self._durable:
            self._wait_for_folders(folder)
        self._known.add(folder)

    def _wait_for_folders(self, folder: str) -> None:
        """Those above it, too, whoever made them."""
        root = str(self.root)
        for one in map(str, Path(folder).parents):
            if len(one) < len(root):
                break
            self._unsynced.add_folder(one, folder)

    def write(self, path: str | Path, pieces: Iterable[bytes | memoryview], *, first: bool = True) -> None:
        """A file under its name, whole or not at all.

        Parameters
        ----------
        path : str or Path
        pieces : iterable of bytes or memoryview
        first : bool
            Whether it must be on the disk before it gets its name, as somebody counts on what has the name now; that a
            file has it is reason enough.
        """
        name, partial = str(path), self.partial(path)
        try:
            fd = self._create(partial)
            try:
                position = 0
                for piece in pieces:
                    pwrite(fd, piece, position)
                    position += len(piece)
                later = self._durable and not first and not self._replaces(name)
                if self._durable and not later:
                    os.fsync(fd)
            finally:
                os.close(fd)
            self.rename(partial, name)
        except BaseException:
            with suppress(OSError):
                os.unlink(partial)
            raise
        if later:
            self._unsynced.add(name)

    def _replaces(self, path: str) -> bool:
        """Whether a file has the name that others may count on."""
        return path not in self._unsynced and os.path.lexists(path)

    def _create(self, path: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY
        folder = os.path.dirname(path)
        self.make_folder(folder)
        try:
            return os.open(path, flags, 0o666)
        except FileNotFoundError:  # somebody removed the folder
            self._known.discard(folder)
            self.make_folder(folder)
            return os.open(path, flags, 0o666)

    def rename(self, src: str | Path, dst: str | Path) -> None:
        """Give a whole file its name."""
        os.replace(src, dst)
        if self._durable:
            self._unsynced.add_folder(os.path.dirname(dst), str(dst))

    def remove(self, path: str | Path) -> None:
        """Remove a file that may not be there."""
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        if self._durable:
            self._unsynced.add_folder(os.path.dirname(path), str(path))

    def adopt(self, path: str | Path) -> None:
        """Let a file of others, which may not be on the disk, be synced with the own ones."""
        if self._durable:
            name, folder = str(path), os.path.dirname(path)
            self._unsynced.add(name)
            self._unsynced.add_folder(folder, name)
            self._wait_for_folders(folder)

    def relieve(self) -> None:
        """Bring some files to the disk if too many wait for that; see :meth:`Unsynced.relieve`."""
        self._unsynced.relieve()

    def sync(self) -> None:
        """What was named or removed so far is so on the disk, too; see :meth:`Unsynced.sync`."""
        self._unsynced.sync()


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

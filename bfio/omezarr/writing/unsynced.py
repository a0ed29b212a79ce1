"""Files that have their names, and of which the disk may not know yet."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final

from bfio._parallel import Workers

__all__ = ["BINARY", "MOST", "Unsynced", "sync_file", "sync_folder"]

BINARY: Final[int] = getattr(os, "O_BINARY", 0)
MOST = 4096
"""Files that may wait."""
N_THREADS = 32
"""They do nothing but wait, and many files come to the disk at once, with one flush of its cache."""
_LOST = {errno.EIO, errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class Unsynced:
    """Files and folders that wait to be synced. Any number of threads may use it at once.

    Parameters
    ----------
    lost : callable (path)
        Is told of each file that the disk could not take: the system tells it only once, and shows the file afterwards
        as if nothing had happened.
    """

    def __init__(self, lost: Callable[[str], None]) -> None:
        self._lost = lost
        self._files: dict[str, str] = {}  # the oldest first
        self._folders: dict[str, str] = {}  # and a file that needs them
        self._changed = threading.Condition()
        self._n_busy = 0
        self._failure: OSError | None = None

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def __len__(self) -> int:
        return len(self._files)

    def add(self, path: str) -> None:
        """Let a file wait. It must have its name: one that is not there is taken for removed."""
        with self._changed:
            self._files[path] = path

    def add_folder(self, folder: str, path: str) -> None:
        """Let the names in a folder wait, which `path` needs."""
        with self._changed:
            self._folders[folder] = path

    def sync(self) -> None:
        """Return when all that waits now is on the disk.

        Raises
        ------
        OSError
            The disk could not take the file that is its `filename`. Each later call raises it, too.
        """
        with self._changed:
            files, folders = self._files, self._folders
            self._files, self._folders = {}, {}
        self._bring(files, folders)
        with self._changed:
            self._changed.wait_for(lambda: not self._n_busy)  # others may have taken files before

    def relieve(self) -> None:
        """If too many files wait, sync the older half of them.

        Raises
        ------
        OSError
            As :meth:`sync`.
        """
        if len(self._files) <= MOST:
            return
        with self._changed:
            few = dict(islice(self._files.items(), MOST // 2)) if len(self._files) > MOST else {}
            for path in few:
                del self._files[path]
        self._bring(few, {})

    def _bring(self, files: dict[str, str], folders: dict[str, str]) -> None:
        with self._changed:
            self._n_busy += 1
        try:
            self._each(sync_file, files)
            self._each(sync_folder, folders)
        except BaseException:  # an interrupt
            with self._changed:
                self._files, self._folders = files | self._files, folders | self._folders
            raise
        finally:
            with self._changed:
                self._n_busy -= 1
                self._changed.notify_all()
        if self._failure is not None:
            raise self._failure

    def _each(self, sync: Callable[[str], None], paths: Mapping[str, str]) -> None:
        left, lock, stopped = iter(paths.items()), threading.Lock(), threading.Event()

        def work() -> None:
            while self._failure is None and not stopped.is_set():
                with lock:
                    one = next(left, None)
                if one is None:
                    return
                self._one(sync, *one)

        workers = Workers(max(1, min(N_THREADS, len(paths))))
        try:
            workers.run(work, cancel=stopped.set)
        finally:
            workers.close()

    def _one(self, sync: Callable[[str], None], path: str, needed_by: str) -> None:
        try:
            sync(path)
        except OSError as error:
            if sync is sync_file:
                self._lost(path)
            error.filename = needed_by
            with self._changed:
                self._failure = self._failure or error


def sync_file(path: str | os.PathLike[str]) -> None:
    """Wait until a file is on the disk; one that was removed needs nothing.

    It is opened again, as thousands of files can not stay open. What went wrong before that is told all the same: since
    4.13, Linux keeps an error of write-back with the file until somebody who syncs it was told, whenever he opened it.
    """
    try:
        fd = os.open(path, os.O_RDWR | BINARY)  # some systems sync nothing that is only read
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Wait until the names in a folder are on the disk, where the system can sync folders."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno in _LOST:
            raise
    finally:
        os.close(fd)

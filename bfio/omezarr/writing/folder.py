"""The folder of a store: its unfinished name, who may write to it, and how it gets its final name."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from bfio.errors import UsageError
from bfio.omezarr.writing.state import NOTES, STATE, is_unfinished, read_state
from bfio.omezarr.writing.unsynced import sync_file, sync_folder
from bfio.target import part_path, target_path

__all__ = ["Lock", "claim", "create_folder", "open_folder", "publish", "remove_notes", "sync_beginning", "write_file"]

if sys.platform != "win32":
    import fcntl


class Lock:
    """An advisory lock on a file among the notes, until it is closed or the process ends.

    Parameters
    ----------
    folder : Path
        The store.
    name : str
        ``"writer"`` of the one that finishes the store, ``"guests"`` of those that attached.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._fd = os.open(folder / NOTES / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o666)

    def take(self, *, shared: bool = False) -> bool:
        """Whether the lock was free; where there are no locks, all is allowed."""
        if sys.platform == "win32":
            return True
        try:
            fcntl.flock(self._fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in (errno.EACCES, errno.EAGAIN)
        return True

    def close(self) -> None:
        """Let go; closing twice is allowed."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def create_folder(target: Path) -> tuple[Path, Lock]:
    """The empty folder ``<name>.part``, and the lock of its writer; what nobody writes any more is replaced."""
    part = part_path(target)
    if os.path.lexists(part):
        if not is_unfinished(part):
            raise UsageError(f"{part} is in the way, and no unfinished Zarr store: remove it, or choose another name")
        lock = claim(part)
        try:
            shutil.rmtree(part)
        finally:
            lock.close()
    os.mkdir(part)
    os.mkdir(part / NOTES)
    return part, claim(part)


def claim(folder: Path) -> Lock:
    """Become the one writer that may finish a store.

    Raises
    ------
    UsageError
        Another one is writing it.
    """
    lock = Lock(folder, "writer")
    if not lock.take():
        lock.close()
        raise UsageError(
            f"{folder} is being written at this moment; wait for its writer to close, "
            "or write from other processes with BioWriter.attach"
        )
    return lock


def open_folder(target: Path) -> Path:
    """The folder where a store is being written: ``<name>.part``, or the store itself if it is added to.

    Raises
    ------
    FileNotFoundError
    """
    part = part_path(target)
    if is_unfinished(part):
        return part
    if is_unfinished(target) and read_state(target).in_place:
        return target
    raise FileNotFoundError(errno.ENOENT, "nobody has begun to write it", str(part_path(target)))


def publish(part: Path, target: Path, *, overwrite: bool, durable: bool) -> None:
    """Give a finished store its name; a store of that name is removed once the new one has it.

    Raises
    ------
    FileExistsError, UsageError
        What has the name meanwhile is not to be replaced.
    """
    aside = None
    if os.path.lexists(target):
        target_path(target, overwrite=overwrite)
        aside = target.with_name(f"{target.name}.old-{os.getpid()}")
        os.rename(target, aside)
    try:
        os.rename(part, target)
    except OSError:
        if aside is not None:
            os.rename(aside, target)
        raise
    if durable:
        sync_folder(target.parent)
    if aside is not None:
        _remove(aside)


def remove_notes(folder: Path) -> None:
    """Remove the notes of a store that is finished."""
    with suppress(FileNotFoundError):
        os.unlink(folder / NOTES / STATE)
    shutil.rmtree(folder / NOTES, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()


def write_file(path: Path, data: bytes, *, durable: bool) -> None:
    """Write a small file as a whole: either the old one or the new one is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with open(fresh, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def sync_beginning(folder: Path) -> None:
    """Bring to the disk what a store begins with: its documents and notes, and their names."""
    for one in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        for path in one.iterdir():
            if path.suffix in (".json", ".xml") or path.name.startswith(".z"):
                sync_file(path)
        sync_folder(one)
    sync_folder(folder.parent)

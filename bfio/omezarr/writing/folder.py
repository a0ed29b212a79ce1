"""The folder of a store: its unfinished name, who may write to it, and how it gets its final name."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bfio.errors import UsageError
from bfio.omezarr.writing.files import PARTIAL
from bfio.omezarr.writing.names import is_abandoned, own_name
from bfio.omezarr.writing.state import NOTES, STATE, is_unfinished, read_state
from bfio.omezarr.writing.unsynced import sync_file, sync_folder

__all__ = [
    "BEGUN",
    "Lock",
    "claim",
    "create_folder",
    "open_folder",
    "publish",
    "remove_leftover",
    "remove_notes",
    "remove_partials",
    "sweep",
    "sync_beginning",
    "write_file",
]

BEGUN = ".begun"
"""Ends the name of a folder that is about to appear."""
_OLD = ".old"
"""Ends the name of a folder that is about to be removed."""

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


def create_folder(part: Path, mark: str, files: Mapping[str, bytes], *, durable: bool = False) -> Lock:
    """Make the folder ``<name>.part``, which appears with its first files; what nobody writes any more is replaced.

    Parameters
    ----------
    part : Path
    mark : str
        Name of the note that tells such folders; only one with this note is replaced.
    files : mapping
        Contents by key, that note among them.
    durable : bool
        Whether they are on the disk.

    Returns
    -------
    Lock
        Of its writer.
    """
    if os.path.lexists(part):
        remove_leftover(part, mark)
    sweep(part)
    fresh = Path(own_name(part, BEGUN))
    lock = None
    try:
        os.mkdir(fresh)
        for key, data in files.items():
            write_file(fresh / key, data, durable=False)
        if durable:
            sync_beginning(fresh)
        lock = claim(fresh)
        if sys.platform == "win32":
            lock.close()  # folders of open files can not be renamed there
        _appear(fresh, part)
        if durable:
            sync_folder(part.parent)
        return claim(part) if sys.platform == "win32" else lock
    except BaseException:
        if lock is not None:
            lock.close()
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _appear(fresh: Path, part: Path) -> None:
    try:
        os.rename(fresh, part)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise UsageError(f"{part}: another writer has begun it at this moment; wait for it to close") from None


def remove_leftover(part: Path, mark: str) -> None:
    """Remove what a writer that is gone has left; it loses its name first, so that nobody goes on with a part of it.

    Raises
    ------
    UsageError
        It is something else, or another writer has it.
    """
    if not (part / NOTES / mark).is_file() and not _is_hardly_begun(part):
        raise UsageError(f"{part} is in the way, and no unfinished Zarr store: remove it, or choose another name")
    os.makedirs(part / NOTES, exist_ok=True)
    lock = claim(part)
    try:
        if sys.platform == "win32":
            lock.close()  # folders of open files can not be renamed there
        aside = Path(own_name(part, _OLD))
        os.rename(part, aside)
    finally:
        lock.close()
    _remove(aside)


def sweep(path: Path) -> None:
    """Remove what killed writers had beside a path: folders that were about to appear in its place or to be removed."""
    for ending in (BEGUN, _OLD):
        for entry in path.parent.glob(f"{glob.escape(path.name)}.*{ending}"):
            own = entry.name[len(path.name) + 1 : -len(ending)]
            if "." not in own and is_abandoned(entry.name, ending):
                _remove(entry)


def _is_hardly_begun(part: Path) -> bool:
    """Whether a folder is empty, or one of which no note tells what it is to be: somebody was killed while it began."""
    if part.is_symlink() or not part.is_dir():
        return False
    notes = part / NOTES
    return not any(notes.glob("*.json")) if notes.is_dir() else not any(part.iterdir())


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


def open_folder(part: Path, target: Path) -> Path:
    """The folder where an image is being written: ``<name>.part``, or the image itself if it is added to.

    Raises
    ------
    FileNotFoundError
    """
    if is_unfinished(part):
        return part
    if is_unfinished(target) and read_state(target).in_place:
        return target
    raise FileNotFoundError(errno.ENOENT, "nobody has begun to write it", str(part))


def publish(part: Path, target: Path, *, durable: bool) -> None:
    """Give a finished image its name; an image of that name is removed once the new one has it."""
    aside = None
    if os.path.lexists(target):
        aside = Path(own_name(target, _OLD))
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
    sweep(target)


def remove_notes(folder: Path) -> None:
    """Remove the notes of a store that is finished."""
    with suppress(FileNotFoundError):
        os.unlink(folder / NOTES / STATE)
    shutil.rmtree(folder / NOTES, ignore_errors=True)


def remove_partials(folder: Path) -> None:
    """Remove what killed writers had begun of the documents in a folder."""
    for entry in folder.glob(f"*{PARTIAL}"):
        if is_abandoned(entry.name, PARTIAL):
            entry.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()


def write_file(path: Path, data: bytes, *, durable: bool) -> None:
    """Write a small file as a whole: either the old one or the new one is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(own_name(path, PARTIAL))
    try:
        with open(fresh, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(fresh, path)
    except BaseException as error:
        fresh.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def sync_beginning(folder: Path) -> None:
    """Bring to the disk what a store begins with: its documents and notes, and their names."""
    for one in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        for path in one.iterdir():
            if path.suffix in (".json", ".xml") or path.name.startswith(".z"):
                sync_file(path)
        sync_folder(one)
    sync_folder(folder.parent)

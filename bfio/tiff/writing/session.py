"""One file from its beginning to its final name: by the process that began it, and by others that attach to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from bfio._gate import Gate
from bfio._parallel import Workers
from bfio.errors import UsageError
from bfio.selection import Box
from bfio.target import part_path
from bfio.tiff.writing.checkpoint import boot_mark, make_checkpoint, restore, take_back
from bfio.tiff.writing.extents import Extents
from bfio.tiff.writing.finish import finish
from bfio.tiff.writing.front import Front, build_front
from bfio.tiff.writing.missing import Region, missing_regions
from bfio.tiff.writing.partfile import PartFile
from bfio.tiff.writing.recipe import Recipe
from bfio.tiff.writing.state import (
    Field,
    is_complete,
    is_unfinished,
    mark_complete,
    mark_unfinished,
    read_field,
    read_state,
    wipe,
    write_field,
)
from bfio.tiff.writing.store import TileStore
from bfio.tiff.writing.tables import Tables
from bfio.tiff.writing.writer import TiffWriter

__all__ = ["WriteSession", "attach", "create", "resume", "unfinished"]

CLASSIC_LIMIT = (1 << 32) - 1
"""Bytes that the offsets of classic TIFF can reach."""


class WriteSession:
    """A file that is being written. Any number of threads may use it at once.

    Parameters
    ----------
    part : PartFile
    recipe : Recipe
    front : Front
    workers : Workers
    coordinator : bool
        Whether :meth:`close` finishes the file; else it only leaves it.

    Attributes
    ----------
    durable : bool
        Whether the file is on the disk before it gets its name.
    """

    def __init__(self, part: PartFile, recipe: Recipe, front: Front, workers: Workers, coordinator: bool) -> None:
        self.recipe = recipe
        self._part, self._workers, self._coordinator = part, workers, coordinator
        part.limit = 1 << 62 if recipe.big else CLASSIC_LIMIT
        tables = Tables(recipe, front)
        store = TileStore(part, recipe, front, tables, Extents(len(front.data)), workers)
        store.alone = coordinator
        self._writer = TiffWriter(store, workers)
        self.durable = True
        self._failure: BaseException | None = None
        self._closed = False
        self._gate = Gate()

    def hurry(self) -> None:
        """Do not wait for the disk before the file gets its name."""
        self.durable = False
        self._part.linger()

    @property
    def path(self) -> Path:
        """The unfinished file."""
        return self._part.path

    @property
    def writer(self) -> TiffWriter:
        """What writes the tiles."""
        return self._writer

    def write(self, box: Box, block: np.ndarray) -> None:
        """Write a block; see :meth:`TiffWriter.write`.

        Raises
        ------
        TileWriteError
            Names the tile that could not be written; nothing more can be written then, and the unfinished file stays.
        UsageError
        """
        with self._gate.shared(), self._watch():
            self._writer.write(box, block, defer=self._gate.n_inside == 1)

    def flush(self) -> None:
        """Make a checkpoint: everything that was written until now outlives a crash."""
        with self._gate.alone(), self._watch():
            if self._coordinator:
                self._writer.look_around()
                make_checkpoint(self._writer)
            else:
                self._writer.write_ready()
                self._part.sync()

    @contextmanager
    def _watch(self) -> Iterator[None]:
        """Refuse work after a failure; remember the first one, save where the caller was wrong and nothing is lost."""
        self._check_usable()
        self._look_for_others()
        try:
            yield
        except UsageError:
            raise
        except BaseException as error:
            self._failure = self._failure or error
            raise

    @property
    def missing(self) -> list[Region]:
        """Regions that were not written yet."""
        with self._gate.alone(), self._watch():
            self._writer.look_around()
            return missing_regions(self._writer)

    def close(self, fill_missing: bool | None = None) -> None:
        """Finish the file and give it its name.

        Parameters
        ----------
        fill_missing : bool, optional
            Whether pixels that nobody wrote become 0 (with a warning in the log) or are an error. By default they are
            an error if other processes took part: one of them may have died.
        """
        if not self._part.is_ours():
            self._part.close()
            return
        with self._gate.alone():
            if self._closed:
                return
            if self._failure is not None:
                failure = self._failure
                self._release()
                raise UsageError(
                    f"{self.path} is not finished, since an earlier write failed ({failure}); "
                    "go on with it with resume=True, or write it anew"
                ) from failure
            try:
                if self._coordinator:
                    self._finish(fill_missing)
                else:
                    self._writer.write_ready()
                    self._part.sync()
            finally:
                self._release()

    def _finish(self, fill_missing: bool | None) -> None:
        self._look_for_others()
        store = self._writer.store
        if fill_missing is None:
            fill_missing = store.alone
        self._writer.look_around()
        self._part.check_name()
        finish(self._writer, self._workers, fill_missing=fill_missing)
        with self._part.exclusive():  # who attaches looks and signs under the same lock
            mark_complete(self._part.fd)
        self._settle_on_disk()
        self._part.publish()
        with suppress(OSError):  # the file is finished; what is left of the notes does no harm
            wipe(self._part.fd, str(self.path))
        self._part.sync_name()

    def _settle_on_disk(self) -> None:
        """Wait for the disk, if that is wanted."""
        try:
            self._part.trim()
            if self.durable:
                self._part.sync()
        except OSError:  # nobody knows what the disk has: only what the last checkpoint made sure
            with suppress(OSError):
                checkpoint, _ = read_field(self._part.fd, Field.CHECKPOINT, str(self.path))
                write_field(self._part.fd, Field.CHECKPOINT, checkpoint)
                mark_unfinished(self._part.fd)
            raise

    def abandon(self) -> None:
        """Close without finishing, once no thread writes any more: the unfinished file stays as it is."""
        if not self._part.is_ours():
            self._part.close()
            return
        with self._gate.alone():
            self._release()

    def _release(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._writer.partials.close()
        self._workers.close()
        self._part.close()

    def _check_usable(self) -> None:
        if not self._part.is_ours():
            raise UsageError(
                f"the writer of {self._part.target.name} belongs to the process that made it; "
                "in a forked process use BioWriter.attach(path)"
            )
        if self._closed:
            raise UsageError(f"the writer of {self._part.target.name} is closed")
        if self._failure is not None:
            raise UsageError(
                f"nothing more can be written to {self.path}, since an earlier write failed: {self._failure}"
            ) from self._failure

    def _look_for_others(self) -> None:
        """Notice that another process has attached, or has finished the file."""
        store = self._writer.store
        if not self._coordinator:
            _check_open(self._part)
        if store.alone and read_field(self._part.fd, Field.ATTACHMENTS, str(self.path))[0]:
            store.alone = False


def create(target: Path, recipe: Recipe, workers: Workers) -> WriteSession:
    """Begin a file."""
    front = build_front(recipe)
    part = PartFile.create(target)
    try:
        part.claim()
        part.pwrite(front.data, 0)
        part.end[0] = len(front.data)
        write_field(part.fd, Field.CHECKPOINT, 0, boot_mark())
        return WriteSession(part, recipe, front, workers, coordinator=True)
    except BaseException:
        part.close()
        part.path.unlink(missing_ok=True)  # nothing was in it yet
        raise


def resume(target: Path, recipe: Recipe | None, workers: Workers) -> WriteSession:
    """Go on with a file that an earlier writer left.

    Parameters
    ----------
    target : Path
    recipe : Recipe, optional
        What the file must be; by default it is as it was begun.
    workers : Workers

    Raises
    ------
    FileNotFoundError
    UsageError
        It was begun in another way, or another process is writing it.
    FormatError
        It is not an unfinished file, or a damaged one.
    """
    part = PartFile.open(target)
    try:
        part.claim()
        found, _ = read_state(part.fd, str(part.path))
        if recipe is not None:
            _check_same(found, recipe, part.path)
        if is_complete(part.fd):
            take_back(part)
        session = WriteSession(part, found, build_front(found), workers, coordinator=True)
        if not part.has_guests():
            write_field(part.fd, Field.ATTACHMENTS, 0)
        restore(session.writer)
        write_field(part.fd, Field.CHECKPOINT, session.writer.store.extents.checkpoint, boot_mark())
        return session
    except BaseException:
        part.close()
        raise


def attach(target: Path, workers: Workers) -> WriteSession:
    """Write to a file that another process has begun and will finish.

    Raises
    ------
    FileNotFoundError
        No process has begun it.
    """
    try:
        part = PartFile.open(target)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{part_path(target)} is not there: one process must begin the file with BioWriter(path, ...) "
            "and write or flush once, before others attach"
        ) from None
    try:
        if not part.shared:
            raise UsageError(f"{part.path} is on a file system without locks; only one process can write there")
        recipe, _ = read_state(part.fd, str(part.path))
        part.join()
        with part.exclusive():
            _check_open(part)
            n_attached, _ = read_field(part.fd, Field.ATTACHMENTS, str(part.path))
            write_field(part.fd, Field.ATTACHMENTS, n_attached + 1)
        session = WriteSession(part, recipe, build_front(recipe), workers, coordinator=False)
        session.writer.store.tables.load(part)
        return session
    except BaseException:
        part.close()
        raise


def _check_open(part: PartFile) -> None:
    """Refuse to join in what its coordinator has finished."""
    if not is_unfinished(part.fd):
        raise UsageError(
            f"{part.target.name} was finished by the process that began it; "
            "that one must close last, when all others are done"
        )


def unfinished(target: Path) -> Recipe | None:
    """What an unfinished file of that name was begun as; None where there is none."""
    try:
        part = PartFile.open(target)
    except FileNotFoundError:
        return None
    try:
        return read_state(part.fd, str(part.path))[0]
    finally:
        part.close()


_FREE = {"xml", "software", "resolution"}


def _check_same(found: Recipe, wanted: Recipe, path: Path) -> None:
    differ = [
        f"{name} was {getattr(found, name)!s} and is {getattr(wanted, name)!s}"
        for name in Recipe.__dataclass_fields__
        if name not in _FREE and getattr(found, name) != getattr(wanted, name)
    ]
    if differ:
        raise UsageError(
            f"{path} was begun with other values ({'; '.join(differ)}); resume with those, or without resume=True"
        )

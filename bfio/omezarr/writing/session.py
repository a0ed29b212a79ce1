"""One store from its beginning to its final name: by the process that began it, and by others that attach to it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from bfio._gate import Gate
from bfio._parallel import Workers
from bfio.errors import BfioError, UsageError
from bfio.omezarr.arraymeta import ArrayMeta
from bfio.omezarr.writing.assembling import Assembler
from bfio.omezarr.writing.cutting import Index, first_uncut
from bfio.omezarr.writing.destination import Destination
from bfio.omezarr.writing.folder import Lock, remove_notes
from bfio.omezarr.writing.levels import complete_levels
from bfio.omezarr.writing.missing import Region, missing_regions
from bfio.omezarr.writing.notes import WRITER, guest_notes, keep_notes, new_token, restore, take_over
from bfio.omezarr.writing.recipe import array_metas
from bfio.omezarr.writing.sinks import ChunkSink, open_sink
from bfio.omezarr.writing.state import NOTES, STATE, State
from bfio.omezarr.writing.stored import read_image
from bfio.omezarr.writing.windows import set_windows
from bfio.selection import Box

__all__ = ["GUESTS", "ZarrSession"]

logger = logging.getLogger("bfio")

GUESTS = "guests"
"""A file among the notes that is there once another process has attached."""


class ZarrSession:
    """A store that is being written. Any number of threads may use it at once.

    Parameters
    ----------
    target : Destination
        The final name.
    folder : Path
        Where it is written.
    state : State
    workers : Workers
    lock : Lock
        Held until the end.
    coordinator : bool
        Whether :meth:`close` finishes the store; else it only ends this process's share.
    durable : bool
        Whether the store is on the disk before it gets its name.
    resumed : bool
        Whether there is something already.

    Attributes
    ----------
    anew : bool
        Whether nothing that the lower levels have is to be believed.
    overwrite : bool
        Whether a store that has the name may be replaced.
    """

    def __init__(
        self, target: Destination, folder: Path, state: State, workers: Workers, lock: Lock, *,
        coordinator: bool, durable: bool, resumed: bool,
    ) -> None:  # fmt: skip
        self.target, self.folder, self.state = target, folder, state
        self.anew, self.overwrite, self.durable = False, False, durable
        self._workers, self._lock, self._coordinator = workers, lock, coordinator
        self._metas, self._open = _arrays(folder, state, workers, durable=durable)
        sinks = [self._open(level, resumed) for level in range(len(self._metas))]
        self._assembler = Assembler(self._metas, sinks, workers, str(state.recipe.downsample), folder / NOTES)
        self._assembler.feeding = coordinator
        self._token = WRITER if coordinator else new_token()
        self._alone = coordinator
        self._shown: set[Index] = set()  # chunks that were stored before they were whole
        self._failure: BaseException | None = None
        self._closed = False
        self._gate = Gate()
        self._pid = os.getpid()

    @property
    def assembler(self) -> Assembler:
        """What makes chunks of blocks."""
        return self._assembler

    def restore(self, *, alone: bool) -> None:
        """Go on from the notes of earlier writers; see :func:`bfio.omezarr.writing.begin.resume`."""
        self._shown.update(restore(self.folder, self._assembler))
        if alone:
            take_over(self.folder, self._assembler, self._shown, durable=self.durable)

    def write(self, box: Box, block: np.ndarray) -> None:
        """Write a block of full resolution.

        Raises
        ------
        TileWriteError
            A chunk could not be stored; nothing more can be written then, and the unfinished store stays.
        UsageError
        """
        with self._gate.shared(), self._watch():
            if not self._alone and 0 not in box.shape:
                self._check_aligned(box)
            self._assembler.write(box, block, defer=self._gate.n_inside == 1)

    def _check_aligned(self, box: Box) -> None:
        """Where several processes write, nobody has the rest of a chunk."""
        recipe = self.state.recipe
        axis = first_uncut(box, recipe.unit, recipe.shape)
        if axis is not None:
            depth = ", ".join(f"{n} along {name}" for n, name in zip(recipe.unit[:3], "TCZ", strict=True) if n > 1)
            what = "chunks" if recipe.shard is None else "shards"
            raise UsageError(
                f"the block has only parts of {what} along {'TCZYX'[axis]}, of which other processes may be writing "
                f"the rest; cut blocks at multiples of {recipe.unit[3]} rows and {recipe.unit[4]} columns "
                f"(writer.tile_shape){f', and of {depth} (the depth of chunks)' if depth else ''}"
            )

    def flush(self) -> None:
        """Make a checkpoint: everything that was written until now outlives a crash."""
        with self._gate.alone(), self._watch():
            self._checkpoint()

    def _checkpoint(self) -> None:
        assembler = self._assembler
        assembler.write_ready()
        if self._coordinator:
            self._settle_stored()
        for sink in assembler.sinks:
            sink.flush()
        keep_notes(self.folder, assembler, self._token, self._shown, durable=self.durable)
        if self._coordinator:
            self._show_parts()

    def _settle_stored(self) -> None:
        """Merge parts into chunks that were stored before."""
        assembler = self._assembler
        for index in assembler.partials[0].indices():
            if assembler.written[0][index]:
                chunk = assembler.partials[0].pop(index)
                assert chunk is not None
                assembler.put(0, [(index, assembler.merged(0, index, chunk))])

    def _show_parts(self) -> None:
        """Store partial chunks as they are, for those who read the store now."""
        assembler = self._assembler
        for index in assembler.partials[0].indices():
            assembler.sinks[0].put([index], [assembler.partials[0].peek(index)])
            self._shown.add(index)

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
            self._assembler.write_ready()
            if not self._alone:
                self._look_around()
            return missing_regions(self._assembler)

    def close(self) -> None:
        """Finish the store and give it its name; a guest ends its share.

        What nobody wrote becomes 0, with a warning in the log; it is an error if other processes took part, since one
        of them may have died.
        """
        if self._pid != os.getpid():
            return
        with self._gate.alone():
            if self._closed:
                return
            try:
                if self._failure is not None:
                    raise UsageError(
                        f"{self.folder} is not finished, since an earlier write failed ({self._failure}); "
                        "go on with it with resume=True, or write it anew"
                    ) from self._failure
                self._look_for_others()
                self._assembler.write_ready()
                if self._coordinator:
                    self._finish()
                else:
                    for sink in self._assembler.sinks[:1]:
                        sink.finish()
                    keep_notes(self.folder, self._assembler, self._token, durable=self.durable)
            finally:
                self._release()

    def _look_around(self) -> None:
        """Learn what other processes have stored; of unfinished shards, what they have told."""
        sink = self._assembler.sinks[0] if self._metas[0].shard is not None else self._open(0, True)
        guest_notes(self.folder, self._assembler, sink.written(), self._shown)

    def _finish(self) -> None:
        assembler = self._assembler
        if not self._alone:
            assembler.sinks[0].finish()
            assembler.sinks[0] = self._open(0, True)
            guest_notes(self.folder, assembler, assembler.sinks[0].written(), self._shown)
        self._fill_missing()
        complete_levels(assembler, anew=self.anew or not self._alone, in_place=self.state.in_place)
        for sink in assembler.sinks:
            sink.finish()
        set_windows(self.folder, assembler, self.state.series, widen=self.state.in_place, durable=self.durable)
        assembler.close()
        if sys.platform == "win32":
            self._lock.close()  # folders of open files can not be renamed there
        if not self.state.in_place:
            version = self.state.recipe.version
            self.target.publish(self.folder, version, overwrite=self.overwrite, durable=self.durable)
        remove_notes(self.target.path)

    def _fill_missing(self) -> None:
        """Warn of pixels that nobody wrote, and replace chunks that are there and not known to be whole."""
        assembler = self._assembler
        if assembler.written[0].all() or self.state.in_place:
            return
        regions = missing_regions(assembler)
        if not self._alone:
            raise UsageError(
                f"{self.folder} is not finished: {len(regions)} regions were not written (see missing), and other "
                "processes took part; go on with it with resume=True"
            )
        logger.warning("%s: %d regions were never written; they are 0", self.target.path, len(regions))
        meta, partials = assembler.metas[0], dict(assembler.partials[0].items())
        for index in map(tuple, np.argwhere(~assembler.written[0] & assembler.sinks[0].written()).tolist()):
            if index not in partials:
                assembler.put(0, [(index, np.full(meta.chunk, meta.fill, meta.dtype))])

    def abandon(self) -> None:
        """Close without finishing, once no thread writes any more: the unfinished store stays as it is."""
        if self._pid == os.getpid():
            with self._gate.alone():
                if self._failure is None and not self._closed:
                    with suppress(BfioError, OSError):
                        self._assembler.write_ready()
                self._release()

    def _release(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._assembler.close()
        for sink in self._assembler.sinks:
            with suppress(OSError):
                sink.abandon()
        self._workers.close()
        self._lock.close()

    def _check_usable(self) -> None:
        if self._pid != os.getpid():
            raise UsageError(
                f"the writer of {self.target.name} belongs to the process that made it; "
                "in a forked process use BioWriter.attach(path)"
            )
        if self._closed:
            raise UsageError(f"the writer of {self.target.name} is closed")
        if self._failure is not None:
            raise UsageError(
                f"nothing more can be written to {self.folder}, since an earlier write failed: {self._failure}"
            ) from self._failure

    def _look_for_others(self) -> None:
        """Notice that another process has attached, or has finished the store."""
        if not self._coordinator:
            if not (self.folder / NOTES / STATE).exists():
                raise UsageError(
                    f"{self.target.name} was finished by the process that began it; "
                    "that one must close last, when all others are done"
                )
        elif self._alone and (self.folder / NOTES / GUESTS).exists():
            self._alone = False
            self._assembler.feeding = False


def _arrays(
    folder: Path, state: State, workers: Workers, *, durable: bool
) -> tuple[Sequence[ArrayMeta], Callable[[int, bool], ChunkSink]]:
    """The arrays of the levels, and what opens their sinks: by level, and whether what is there counts."""
    if state.in_place:
        image = read_image(folder)
        return image.metas, lambda level, known: image.sink(folder, level, workers, durable=durable, resume=known)
    metas = array_metas(state.recipe)
    return metas, lambda level, known: open_sink(folder, metas[level], workers, durable=durable, resume=known)

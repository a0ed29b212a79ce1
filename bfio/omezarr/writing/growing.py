"""One shard that is being written: ``<name>.part`` grows, its table is in memory, at the end it gets index and name."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from bfio._positional import pread, pwrite
from bfio.errors import FormatError
from bfio.omezarr.arraymeta import ArrayMeta
from bfio.omezarr.shardindex import build_index, index_nbytes
from bfio.omezarr.writing.descriptors import Descriptors
from bfio.omezarr.writing.files import Files
from bfio.omezarr.writing.shardtable import (
    EMPTY,
    checkpoint_bytes,
    empty_table,
    parse_checkpoint,
    read_index,
)

__all__ = ["CHECKPOINT", "PART", "GrowingShard"]

PART, CHECKPOINT = ".part", ".part.index"


class GrowingShard:
    """An unfinished shard. Where there is a finished one, its chunks count, until they are replaced.

    Parameters
    ----------
    meta : ArrayMeta
    path : Path
        The final name.
    expected : ndarray of bool
        The shard's chunks that lie in the array.
    files : Files
    descriptors : Descriptors
    durable : bool
    resume : bool
        Whether to take over what a former session left.

    Attributes
    ----------
    done : ndarray of bool
        Chunks that were put since the shard was last finished.
    n_users : int
        Threads at work on it, and -1 while it gets finished; guarded by the sink.

    Raises
    ------
    FormatError
        The index of the finished shard is damaged: its chunks would be lost.
    """

    def __init__(
        self, meta: ArrayMeta, path: Path, expected: np.ndarray, files: Files, descriptors: Descriptors,
        *, durable: bool, resume: bool,
    ) -> None:  # fmt: skip
        self._meta, self.path, self._files, self._descriptors = meta, path, files, descriptors
        self._part, self._checkpoint = path.with_name(path.name + PART), path.with_name(path.name + CHECKPOINT)
        self._durable, self._expected, self._n = durable, expected, len(expected)
        self._base = 0 if meta.index_at_end else index_nbytes(self._n, meta.index_crc)
        self._lock = threading.Lock()
        self._table, self.done = empty_table(self._n), np.zeros(self._n, bool)
        self._stop = self._base
        self._is_begun = self._is_lost = False
        self.n_users = 0
        if resume:
            self._resume()
        self._old = self._old_table()

    def _resume(self) -> None:
        try:
            size = os.stat(self._part).st_size
            found = parse_checkpoint(self._checkpoint.read_bytes(), self._n, size)
        except FileNotFoundError:
            return
        if found is not None:
            self._table, self.done = found
            there = self._table[self._stored]
            self._stop = int((there[:, 0] + there[:, 1]).max(initial=np.uint64(self._base)))
            self._is_begun = True

    def _old_table(self) -> np.ndarray | None:
        """Table of the finished shard, without what is done anew."""
        try:
            with self._descriptors.use(self.path, os.O_RDONLY) as fd:
                table = read_index(self._meta, fd, self._n)
        except FileNotFoundError:
            return None
        finally:
            self._descriptors.close(self.path)
        table[self.done | ~self._expected] = EMPTY
        return table

    @property
    def _stored(self) -> np.ndarray:
        there: np.ndarray = self._table[:, 0] != EMPTY
        return there

    @property
    def is_full(self) -> bool:
        """Whether all its chunks were put."""
        return bool(self.done[self._expected].all())

    @property
    def written(self) -> np.ndarray:
        """Chunks that were put, or that are in the finished shard."""
        return self.done if self._old is None else self.done | (self._old[:, 0] != EMPTY)

    # -- chunks -------------------------------------------------------------------------------------------------------

    def reserve(self, nbytes: int) -> int:
        """Offset for the next chunk."""
        with self._lock:
            offset = self._stop
            self._stop += nbytes
        return offset

    def write(self, inner: Sequence[int], encoded: Sequence[memoryview | None], offset: int) -> None:
        """Write chunks one behind the other where a place was reserved; None: nothing but the fill value."""
        stored = [data for data in encoded if data is not None]
        if stored:
            self._begin()
            with self._descriptors.use(self._part) as fd:
                pwrite(fd, stored[0] if len(stored) == 1 else b"".join(stored), offset)
        with self._lock:
            for number, data in zip(inner, encoded, strict=True):
                self._table[number] = EMPTY if data is None else (offset, len(data))
                offset += 0 if data is None else len(data)
                self.done[number] = True
                if self._old is not None:
                    self._old[number] = EMPTY

    def _sync(self, fd: int) -> None:
        """Wait for the disk. The system tells an error only once: after one, nothing of the file is certain."""
        if self._is_lost:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if self._durable:
            try:
                os.fsync(fd)
            except OSError:
                self._is_lost = True
                raise

    def _begin(self) -> None:
        """Make the file. A checkpoint that is there belongs to another."""
        with self._lock:
            if self._is_begun:
                return
            self._files.make_folder(str(self.path.parent))
            self._files.remove(self._checkpoint)
            with self._descriptors.use(self._part, os.O_RDWR | os.O_CREAT | os.O_TRUNC):
                self._is_begun = True

    def read(self, inner: int) -> bytes | None:
        """Encoded bytes of a chunk, none for the fill value; None: it was not written."""
        with self._lock:
            offset, nbytes = self._table[inner].tolist()
            old = [int(EMPTY)] if self._old is None else self._old[inner].tolist()
        if offset != EMPTY:
            return self._bytes(self._part, offset, nbytes)
        if old[0] != EMPTY:
            return self._bytes(self.path, *old)
        return b"" if self.done[inner] else None

    def _bytes(self, path: Path, offset: int, nbytes: int) -> bytes:
        with self._descriptors.use(path, os.O_RDWR if path == self._part else os.O_RDONLY) as fd:
            data = pread(fd, nbytes, offset)
        if len(data) != nbytes:
            raise FormatError("the data end too early")
        return data

    # -- ends ---------------------------------------------------------------------------------------------------------

    def checkpoint(self) -> None:
        """Write down what is there, so that another process can go on with it."""
        with self._lock:
            raw = checkpoint_bytes(self._table, self.done)
            if not self._is_begun and not self.done.any():
                return
        if not self._is_begun:
            self._begin()
        if self._durable:
            with self._descriptors.use(self._part) as fd:
                self._sync(fd)
        self._files.write(self._checkpoint, [raw])

    def complete(self) -> None:
        """Give the shard its index and its name. Nobody else may be at work on it."""
        kept = np.zeros(self._n, bool) if self._old is None else self._old[:, 0] != EMPTY
        if not self.done.any():
            pass  # nothing was put: a finished shard stays as it is
        elif not kept.any() and not self._stored.any():
            self._files.remove(self.path)
        elif not kept.any() and self._is_in_order():
            self._complete_in_place()
        else:
            self._rewrite(kept)
        self.close()
        self._files.remove(self._checkpoint)  # first: a checkpoint without its file means nothing
        self._files.remove(self._part)

    def close(self) -> None:
        """Close the files."""
        self._descriptors.close(self._part)
        self._descriptors.close(self.path)

    def _is_in_order(self) -> bool:
        """Whether the chunks stand in the order of the index, and nothing is between them."""
        there = self._table[self._stored].astype(np.int64)
        places = np.concatenate([[self._base], self._base + np.cumsum(there[:, 1])])
        return bool((there[:, 0] == places[:-1]).all()) and places[-1] == self._stop

    def _complete_in_place(self) -> None:
        index = build_index(self._table, self._meta.index_crc)
        with self._descriptors.use(self._part) as fd:
            at = self._stop if self._meta.index_at_end else 0
            pwrite(fd, index, at)
            os.ftruncate(fd, max(self._stop, at + len(index)))  # an index that failed half way may be longer
            self._sync(fd)
        self._descriptors.close(self._part)
        self._files.rename(self._part, self.path)

    def _rewrite(self, kept: np.ndarray) -> None:
        """All chunks into a new file, in the order of the index."""
        source = self._table if self._old is None else np.where(kept[:, None], self._old, self._table)
        there = source[:, 0] != EMPTY
        table = empty_table(self._n)
        counts = source[there, 1].astype(np.int64)
        table[there, 0] = self._base + np.cumsum(counts) - counts
        table[there, 1] = counts
        index = build_index(table, self._meta.index_crc)

        def pieces() -> Iterator[bytes]:
            if not self._meta.index_at_end:
                yield index
            for inner in np.flatnonzero(there).tolist():
                yield self._bytes(self.path if kept[inner] else self._part, *source[inner].tolist())
            if self._meta.index_at_end:
                yield index

        self._files.write(self.path, pieces())

    def give_up(self) -> None:
        """Close the files; try to leave a checkpoint."""
        with suppress(OSError):
            self.checkpoint()
        self.close()

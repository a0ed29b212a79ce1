"""Chunks of an array into files of their own."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from operator import ge
from pathlib import Path

import numpy as np

from bfio._parallel import Workers
from bfio.errors import FormatError, TileDecodeError
from bfio.omezarr.arraymeta import ArrayMeta
from bfio.omezarr.writing.arenas import Arenas, n_jobs
from bfio.omezarr.writing.chunkcodec import ChunkCodec
from bfio.omezarr.writing.failures import Index, write_errors
from bfio.omezarr.writing.files import Files, remove_leftovers, walk

__all__ = ["ChunkFiles", "IndexParser", "checked_index", "read_error"]


class ChunkFiles:
    """The sink of an array without shards; see :class:`bfio.omezarr.writing.sinks.ChunkSink`."""

    def __init__(
        self, folder: Path, meta: ArrayMeta, workers: Workers, *, durable: bool, resume: bool, in_place: bool
    ) -> None:
        self.meta, self._root, self._workers = meta, folder / meta.path, workers
        self._grid, self._prefix = meta.grid, f"{self._root}{os.sep}"
        self._codec = ChunkCodec(meta)
        self._files = Files(self._root, durable, self._lose)
        self._arenas = Arenas(self._codec.room, workers.n)
        self._written = np.zeros(meta.grid, bool)
        self._counted_on = np.full(meta.grid, in_place)  # by a finished store, or by notes
        self._lock = threading.Lock()
        self._unseen = resume  # what is on the disk was not looked for yet
        if resume:
            remove_leftovers(self._root)

    def put(self, indices: Sequence[Index], chunks: Sequence[np.ndarray]) -> None:
        """Encode and store whole chunks."""
        jobs = [(checked_index(self._grid, index), chunk) for index, chunk in zip(indices, chunks, strict=True)]
        for _, chunk in jobs:
            self._codec.check(chunk)
        group = self._codec.group
        left = iter([jobs[at : at + group] for at in range(0, len(jobs), group)])
        lock, stopped = threading.Lock(), threading.Event()

        def work() -> None:
            arena = self._arenas.take()
            try:
                while not stopped.is_set():
                    with lock:
                        few = next(left, None)
                    if few is None:
                        return
                    self._put(few, arena)
            finally:
                self._arenas.give(arena)

        n_groups = -(-len(jobs) // group)
        self._workers.run(work, min(n_groups, n_jobs(len(jobs), self._codec.nbytes)), stopped.set)

    def _put(self, jobs: list[tuple[Index, np.ndarray]], arena: np.ndarray) -> None:
        first = jobs[0][0]
        with write_errors(self.meta, self._path(first), first):
            encoded = self._codec.encode([chunk for _, chunk in jobs], arena)
        for (index, _), data in zip(jobs, encoded, strict=True):
            path = self._path(index)
            with write_errors(self.meta, path, index):
                if data is None:
                    self._files.remove(path)
                else:
                    self._files.write(path, [data], first=bool(self._counted_on[index]))
            self._written[index] = True
        with self._sync_errors():
            self._files.relieve()

    def get(self, index: Index) -> np.ndarray | None:
        """Pixels of a chunk; None: it was never written."""
        index = checked_index(self._grid, index)
        path = self._path(index)
        try:
            with open(path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return np.full(self.meta.chunk, self.meta.fill, self.meta.dtype) if self._written[index] else None
        except OSError as error:
            raise read_error(self.meta, path, index, error.strerror or str(error)) from error
        try:
            return self._codec.decode(data)
        except FormatError as error:
            raise read_error(self.meta, path, index, str(error)) from error

    def mark(self, indices: Sequence[Index]) -> None:
        """Count chunks as written, which a session knows to hold nothing but the fill value."""
        for index in indices:
            self._written[checked_index(self._grid, index)] = True

    def written(self) -> np.ndarray:
        """Copy of the map of the chunks that were written, or that are on the disk."""
        with self._lock:
            if self._unseen:
                self._look()
                self._unseen = False
        return self._written.copy()

    def _look(self) -> None:
        """Learn which chunks are on the disk."""
        index_of = IndexParser(self.meta, self.meta.grid)
        for key, _ in walk(self._root):
            index = index_of(key)
            if index is not None:
                self._written[index] = True

    def adopt(self, noted: np.ndarray, found: np.ndarray) -> None:
        """Begin with what others have written."""
        self._counted_on |= noted
        for index in map(tuple, np.argwhere(found).tolist()):
            self._files.adopt(self._path(index))

    def flush(self) -> None:
        """Bring all files so far to the disk, if that is wanted."""
        written = self._written.copy()
        with self._sync_errors():
            self._files.sync()
        self._counted_on |= written

    def finish(self) -> None:
        """Nothing is left to do but that."""
        self.flush()

    @contextmanager
    def _sync_errors(self) -> Iterator[None]:
        """Let what goes wrong with a file that was written before name its chunk."""
        try:
            yield
        except OSError as error:
            path = str(error.filename)
            with write_errors(self.meta, path, self._index_of(path)):
                raise

    def _index_of(self, path: str) -> Index:
        key = os.path.relpath(path, self._root).replace(os.sep, "/")
        return IndexParser(self.meta, self._grid)(key) or (0,) * len(self._grid)

    def _lose(self, path: str) -> None:
        """Remove a file that the disk could not take: a session that resumes would believe it."""
        index = self._index_of(path)
        if not self._counted_on[index]:
            self._written[index] = False
            with suppress(OSError):
                os.unlink(path)

    def abandon(self) -> None:
        """Whole chunks stay, for a session that resumes."""

    def _path(self, index: Index) -> str:
        return self._prefix + self.meta.key(index)


def checked_index(grid: Index, index: Sequence[int]) -> Index:
    """The index of a chunk as plain integers; IndexError outside the grid."""
    plain = tuple(map(int, index))
    if len(plain) != len(grid) or (plain and min(plain) < 0) or any(map(ge, plain, grid)):
        raise IndexError(f"there is no chunk {plain}, as there are {grid}")
    return plain


class IndexParser:
    """Inverse of :meth:`ArrayMeta.key`, for files of a grid of that size."""

    def __init__(self, meta: ArrayMeta, sizes: tuple[int, ...]) -> None:
        self._meta, self._sizes = meta, sizes

    def __call__(self, key: str) -> Index | None:
        meta = self._meta
        if not self._sizes:
            return () if key == meta.key(()) else None
        if not key.startswith(meta.prefix):
            return None
        parts = key[len(meta.prefix) :].split(meta.separator)
        if len(parts) != len(self._sizes) or not all(part.isascii() and part.isdigit() for part in parts):
            return None
        index = tuple(map(int, parts))
        inside = all(one < size for one, size in zip(index, self._sizes, strict=True))
        return index if inside and meta.key(index) == key else None


def read_error(meta: ArrayMeta, path: str | Path, index: Index, reason: str, offset: int = 0) -> TileDecodeError:
    """The error of a chunk that can not be read back."""
    tile = int(np.ravel_multi_index(index, meta.grid)) if index else 0
    return TileDecodeError(str(path), 0, tile, offset, f"chunk {index} of array {meta.path!r}: {reason}")

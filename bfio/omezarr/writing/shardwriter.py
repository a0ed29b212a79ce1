"""Chunks of an array into shards."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bfio._parallel import Workers
from bfio.errors import FormatError
from bfio.omezarr.arraymeta import ArrayMeta
from bfio.omezarr.shardindex import build_index
from bfio.omezarr.writing.arenas import Arenas, n_jobs
from bfio.omezarr.writing.chunkcodec import ChunkCodec
from bfio.omezarr.writing.chunkwriter import IndexParser, checked_index, read_error
from bfio.omezarr.writing.descriptors import Descriptors
from bfio.omezarr.writing.failures import Index, write_errors
from bfio.omezarr.writing.files import Files, remove_leftovers, walk
from bfio.omezarr.writing.growing import CHECKPOINT, PART, GrowingShard
from bfio.omezarr.writing.ordered import encode_in_order
from bfio.omezarr.writing.shardtable import EMPTY, empty_table, read_index

__all__ = ["ShardFiles"]


class _Group(NamedTuple):
    shard: Index
    inner: list[int]
    indices: list[Index]
    chunks: list[np.ndarray]


class ShardFiles:
    """The sink of an array with shards; see :class:`bfio.omezarr.writing.sinks.ChunkSink`.

    A shard of which all chunks were put is finished at once, another by :meth:`finish`. Chunks that are put into a
    finished shard are collected; :meth:`finish` copies the others and replaces the file.
    """

    def __init__(
        self, folder: Path, meta: ArrayMeta, workers: Workers, *, durable: bool, resume: bool, in_place: bool
    ) -> None:  # a shard is always on the disk before it gets its name
        self.meta, self._root, self._workers = meta, folder / meta.path, workers
        self._durable, self._resume = durable, resume
        self._codec = ChunkCodec(meta)
        if meta.index_crc:
            build_index(empty_table(math.prod(meta.per_shard)), True)  # complain now, not when the first shard is full
        self._grid, self._per = meta.grid, meta.per_shard
        self._n = math.prod(self._per)
        self._shards = tuple(-(-n // per) for n, per in zip(meta.grid, self._per, strict=True))
        self._files, self._descriptors = Files(self._root, durable), Descriptors()
        self._arenas = Arenas(self._codec.room, workers.n)
        self._written = np.zeros(meta.grid, bool)
        self._live: dict[Index, GrowingShard] = {}
        self._changed = threading.Condition()
        self._unseen = resume  # what is on the disk was not looked for yet
        if resume:
            remove_leftovers(self._root)

    # -- chunks -------------------------------------------------------------------------------------------------------

    def put(self, indices: Sequence[Index], chunks: Sequence[np.ndarray]) -> None:
        """Encode and store whole chunks."""
        jobs = []
        for index, chunk in zip(indices, chunks, strict=True):
            self._codec.check(chunk)
            plain = checked_index(self._grid, index)
            jobs.append((*self._place(plain), plain, chunk))
        jobs.sort(key=itemgetter(0, 1))
        entered: dict[Index, GrowingShard] = {}
        last = {job[0]: job[2] for job in jobs}
        try:
            for shard, index in last.items():
                with write_errors(self.meta, self._path(shard), index):
                    entered[shard] = self._enter(shard)
            self._put(self._groups(jobs), entered)
        except BaseException:
            for shard in entered:
                self._leave(shard)
            raise
        self._leave_and_complete(last)

    def _groups(self, jobs: list[tuple[Index, int, Index, np.ndarray]]) -> list[_Group]:
        """Chunks that are encoded and written together: of one shard, in its order."""
        groups: list[_Group] = []
        for shard, inner, index, chunk in jobs:
            if not groups or groups[-1].shard != shard or len(groups[-1].chunks) == self._codec.group:
                groups.append(_Group(shard, [], [], []))
            group = groups[-1]
            group.inner.append(inner)
            group.indices.append(index)
            group.chunks.append(chunk)
        return groups

    def _put(self, groups: list[_Group], shards: dict[Index, GrowingShard]) -> None:
        def encode(job: int, arena: np.ndarray) -> list[memoryview | None]:
            group = groups[job]
            with write_errors(self.meta, shards[group.shard].path, group.indices[0]):
                return self._codec.encode(group.chunks, arena)

        def reserve(job: int, nbytes: int) -> int:
            return shards[groups[job].shard].reserve(nbytes)

        def write(job: int, encoded: list[memoryview | None], offset: int) -> None:
            group = groups[job]
            with write_errors(self.meta, shards[group.shard].path, group.indices[0], offset):
                shards[group.shard].write(group.inner, encoded, offset)
            for index in group.indices:
                self._written[index] = True

        n_threads = min(len(groups), n_jobs(len(groups) * self._codec.group, self._codec.nbytes))
        encode_in_order(self._workers, n_threads, len(groups), self._arenas, encode, reserve, write)

    def get(self, index: Index) -> np.ndarray | None:
        """Pixels of a chunk; None: it was never written."""
        index = checked_index(self._grid, index)
        shard, inner = self._place(index)
        try:
            data = self._encoded(shard, inner)
            if data:
                return self._codec.decode(data)
        except (FormatError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise read_error(self.meta, self._path(shard), index, reason) from error
        if data is None and not self._written[index]:
            return None
        return np.full(self.meta.chunk, self.meta.fill, self.meta.dtype)

    def _encoded(self, shard: Index, inner: int) -> bytes | None:
        """Bytes of a chunk, none for the fill value; None: it is not there."""
        path = self._path(shard)
        with self._changed:
            is_live = shard in self._live or (self._resume and path.with_name(path.name + PART).exists())
        if is_live:
            with self._reading(shard) as growing:
                return growing.read(inner)
        try:
            fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except FileNotFoundError:
            return None
        with os.fdopen(fd, "rb", buffering=0) as file:
            offset, nbytes = read_index(self.meta, file.fileno(), self._n)[inner].tolist()
            if offset == EMPTY:
                return None
            file.seek(offset)
            data = file.read(nbytes)
        if not data:
            raise FormatError("the chunk is empty")
        return data

    def mark(self, indices: Sequence[Index]) -> None:
        """Count chunks as written, which a session knows to hold nothing but the fill value."""
        for index in indices:
            self._written[checked_index(self._grid, index)] = True

    # -- what is there ------------------------------------------------------------------------------------------------

    def written(self) -> np.ndarray:
        """Copy of the map of the chunks that were written, or that are on the disk."""
        with self._changed:
            if self._unseen:
                self._look()
                self._unseen = False
            return self._written.copy()

    def _look(self) -> None:
        """Learn which chunks are on the disk. A damaged shard is an error: its chunks would be taken for missing."""
        for shard in sorted(self._on_disk()):
            first = tuple(one * per for one, per in zip(shard, self._per, strict=True))
            with write_errors(self.meta, self._path(shard), first):
                there = self._live.get(shard) or self._grow(shard, resume=True)
            mask = self._written[self._window(shard)]
            mask |= there.written.reshape(self._per)[tuple(map(slice, mask.shape))]

    def _on_disk(self) -> set[Index]:
        index_of, found = IndexParser(self.meta, self._shards), set()
        for key, _ in walk(self._root):
            index = index_of(key.removesuffix(CHECKPOINT).removesuffix(PART))
            if index is not None:
                found.add(index)
        return found

    # -- shards that are being written --------------------------------------------------------------------------------

    def _place(self, index: Sequence[int]) -> tuple[Index, int]:
        """Shard of a chunk, and the chunk's number in it."""
        shard = tuple(one // per for one, per in zip(index, self._per, strict=True))
        inner = 0
        for one, per in zip(index, self._per, strict=True):
            inner = inner * per + one % per
        return shard, inner

    def _path(self, shard: Index) -> Path:
        return self._root / self.meta.key(shard)

    def _window(self, shard: Index) -> tuple[slice, ...]:
        return tuple(slice(one * per, (one + 1) * per) for one, per in zip(shard, self._per, strict=True))

    def _grow(self, shard: Index, resume: bool) -> GrowingShard:
        expected = np.zeros(self._per, bool)
        expected[tuple(map(slice, self._written[self._window(shard)].shape))] = True
        return GrowingShard(
            self.meta, self._path(shard), expected.reshape(-1), self._files, self._descriptors,
            durable=self._durable, resume=resume,
        )  # fmt: skip

    def _enter(self, shard: Index) -> GrowingShard:
        """Be one who works on a shard; one that is getting finished is waited for."""
        with self._changed:
            self._changed.wait_for(lambda: shard not in self._live or self._live[shard].n_users >= 0)
            growing = self._live.get(shard)
            if growing is None:
                growing = self._live[shard] = self._grow(shard, self._resume)
            growing.n_users += 1
            return growing

    def _leave(self, shard: Index) -> None:
        with self._changed:
            self._live[shard].n_users -= 1
            self._changed.notify_all()

    @contextmanager
    def _reading(self, shard: Index) -> Generator[GrowingShard]:
        growing = self._enter(shard)
        try:
            yield growing
        finally:
            self._leave(shard)

    def _leave_and_complete(self, last: dict[Index, Index]) -> None:
        """Leave shards, and finish those that are full; errors name the last chunk that was put into them."""
        error: BaseException | None = None
        for shard, index in last.items():
            self._leave(shard)
            try:
                with write_errors(self.meta, self._path(shard), index):
                    self._complete(shard, only_full=True)
            except BaseException as failed:  # noqa: BLE001 - the others must be left, too
                error = error or failed
        if error is not None:
            raise error

    def _complete(self, shard: Index, only_full: bool = False) -> None:
        """Finish a shard; if `only_full`, only where all is there and nobody is at work on it."""
        with self._changed:
            if not only_full:
                self._changed.wait_for(lambda: shard not in self._live or self._live[shard].n_users == 0)
            growing = self._live.get(shard)
            if growing is None or (only_full and (growing.n_users or not growing.is_full)):
                return
            growing.n_users = -1
        try:
            growing.complete()
        except BaseException:
            with self._changed:
                growing.n_users = 0
                self._changed.notify_all()
            raise
        with self._changed:
            del self._live[shard]
            self._changed.notify_all()

    # -- ends ---------------------------------------------------------------------------------------------------------

    def adopt(self, noted: np.ndarray, found: np.ndarray) -> None:
        """Begin with what others have written."""
        for shard in {self._place(index)[0] for index in np.argwhere(found).tolist()}:
            path = self._path(shard)
            for one in (path, path.with_name(path.name + PART), path.with_name(path.name + CHECKPOINT)):
                self._files.adopt(one)

    def flush(self) -> None:
        """Write down where the chunks of unfinished shards are."""
        with self._changed:
            live = list(self._live)
        for _ in self._workers.map(self._checkpoint, live):
            pass
        self._sync()

    def _checkpoint(self, shard: Index) -> None:
        with write_errors(self.meta, self._path(shard), self._first(shard)), self._reading(shard) as growing:
            growing.checkpoint()

    def _sync(self) -> None:
        try:
            self._files.sync()
        except OSError as error:
            with write_errors(self.meta, str(error.filename), (0,) * len(self._grid)):
                raise

    def finish(self) -> None:
        """Finish all shards, those too that a former session left."""
        if self._resume:
            for shard in sorted(self._left_behind()):
                with write_errors(self.meta, self._path(shard), self._first(shard)), self._reading(shard):
                    pass
        with self._changed:
            live = sorted(self._live)
        for shard in live:
            with write_errors(self.meta, self._path(shard), self._first(shard)):
                self._complete(shard)
        self._sync()

    def _left_behind(self) -> set[Index]:
        """Shards that are not finished and not being written."""
        index_of, found = IndexParser(self.meta, self._shards), set()
        for key, _ in walk(self._root):
            for suffix in (CHECKPOINT, PART):
                index = index_of(key.removesuffix(suffix)) if key.endswith(suffix) else None
                if index is not None and index not in self._live:
                    found.add(index)
        return found

    def _first(self, shard: Index) -> Index:
        return tuple(one * per for one, per in zip(shard, self._per, strict=True))

    def abandon(self) -> None:
        """Close all files; unfinished shards stay, for a session that resumes."""
        with self._changed:
            live = list(self._live.values())
            self._live.clear()
        for growing in live:
            growing.give_up()
        self._descriptors.close_all()

"""Decode runs of chunks of one file, or of one value of a store that has no files."""

from __future__ import annotations

import os
from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from bfio import _kernels
from bfio._kernels import CAN_READ
from bfio.errors import ChunkDecodeError, FormatError
from bfio.omezarr.arraymeta import ArrayMeta, Route
from bfio.omezarr.bytecodecs import decoder_of
from bfio.omezarr.chunkfile import ChunkFile, open_chunk
from bfio.omezarr.plan import Run
from bfio.omezarr.shardindex import ABSENT, IndexCache, index_nbytes, parse_index
from bfio.omezarr.slots import CacheLease, Hand, give_slots

if TYPE_CHECKING:
    from bfio.omezarr.nodes import Nodes

__all__ = ["ChunkReader"]

BUDGET = 64 << 20
"""Decoded bytes per kernel call: between two calls Python sees signals."""
INDEX_NBYTES = 16 << 20
"""Bytes of indices of shards that are kept."""
SLACK = 1 << 16

_Load = Callable[[int], bytes]
"""Encoded bytes of a chunk, by its number in the run."""


class ChunkReader:
    """Decodes chunks of one array, file by file; threads may call it at once."""

    def __init__(self, nodes: Nodes, meta: ArrayMeta) -> None:
        self._nodes = nodes
        self._meta = meta
        self._folder = None if nodes.root is None else os.path.join(nodes.root, meta.path)
        self._per_shard = np.array(meta.per_shard, np.int64)
        self._inner_steps = np.array([prod(meta.per_shard[axis + 1 :]) for axis in range(len(meta.shape))], np.int64)
        self._indices = IndexCache(INDEX_NBYTES)
        self._unpack = decoder_of(meta.chain) if meta.route is Route.BYTES else None
        self.coded = bool(meta.chain.names)

    def close(self) -> None:
        """Forget the indices of shards."""
        self._indices.clear()

    def check_folder(self) -> None:
        """Chunks may be absent, but not the array."""
        if self._folder is not None and not os.path.isdir(self._folder):
            raise FormatError(f"{self._nodes.name}: array {self._meta.path!r} is not there any more")

    def read(self, run: Run, lease: CacheLease | None, hand: Hand) -> bool:
        """Decode a run; whether one of its chunks is not there.

        Raises
        ------
        ChunkDecodeError
        """
        meta = self._meta
        file_index = [at // per for at, per in zip(run.chunks[0].tolist(), meta.per_shard, strict=True)]
        if self._folder is None:
            return self._read_value(run, meta.store_key(file_index), lease, hand)
        path = os.path.join(self._folder, meta.key(file_index))
        try:
            file = open_chunk(path)
        except OSError as error:
            raise self._error(run, 0, path, f"the file can not be read ({error.strerror or error})") from error
        if file is None:
            self._fill(run, hand, path)
            return True
        with file:
            return self._read_file(run, file, path, lease, hand)

    # -- files ------------------------------------------------------------------------------------------------------

    def _read_file(self, run: Run, file: ChunkFile, path: str, lease: CacheLease | None, hand: Hand) -> bool:
        offsets, nbytes = self._entries(run, file, path)
        present = nbytes > 0
        by_kernel = self._meta.route is Route.KERNEL
        run.tasks["offset"], run.tasks["nbytes"] = np.repeat(offsets, run.counts), np.repeat(nbytes, run.counts)
        cached, hit = give_slots(run, present, lease, file.identity, own=by_kernel and self.coded)
        if by_kernel and CAN_READ:
            self._decode_in_place(run, file, path, cached, lease, hand)
        else:

            def load(number: int) -> bytes:
                return file.pread(int(offsets[number]), int(nbytes[number]))

            self._decode_each(run, load, path, present & ~hit, cached, lease, hand)
        return not present.all()

    def _entries(self, run: Run, file: ChunkFile, path: str) -> tuple[np.ndarray, np.ndarray]:
        """Offsets and byte counts of the chunks of a run; a byte count of 0 where a shard does not hold one."""
        if self._meta.shard is None:
            self._check_nbytes(run, 0, file.size, 0, path)
            return np.zeros(1, np.uint64), np.array([file.size], np.uint64)
        try:
            table = self._indices.get((path, file.identity), lambda: self._load_index(file))
        except (FormatError, OSError) as error:
            raise self._error(run, 0, path, str(error)) from error
        entries = table[(run.chunks % self._per_shard) @ self._inner_steps]
        absent = (entries == ABSENT).all(axis=1)
        for number in np.flatnonzero(~absent).tolist():
            offset, nbytes = entries[number].tolist()
            if offset > file.size or nbytes > file.size - offset:
                raise self._error(run, number, path, "the index of the shard points behind its end", offset)
            self._check_nbytes(run, number, nbytes, offset, path)
        entries = np.where(absent[:, np.newaxis], np.uint64(0), entries)
        return entries[:, 0], entries[:, 1]

    def _load_index(self, file: ChunkFile) -> np.ndarray:
        n_chunks = prod(self._meta.per_shard)
        size = index_nbytes(n_chunks, self._meta.index_crc)
        if size > file.size:
            raise FormatError(f"the shard has {file.size} bytes, fewer than its index ({size})")
        raw = file.pread(file.size - size if self._meta.index_at_end else 0, size)
        return parse_index(raw, n_chunks, self._meta.index_crc)

    def _check_nbytes(self, run: Run, number: int, nbytes: int, offset: int, path: str) -> None:
        """Refuse what can not be a chunk, before anything is read."""
        expected = self._meta.chunk_nbytes
        if not nbytes:
            raise self._error(run, number, path, "it is empty", offset)
        if not self.coded and nbytes != expected:
            raise self._error(run, number, path, f"it has {nbytes} bytes, not {expected}", offset)
        if nbytes > 2 * expected + SLACK:  # the kernels would read no more
            raise self._error(run, number, path, f"it has {nbytes} bytes, too many for {expected} decoded", offset)

    def _decode_in_place(
        self, run: Run, file: ChunkFile, path: str, cached: np.ndarray, lease: CacheLease | None, hand: Hand
    ) -> None:
        """The kernels read the file themselves; chunks in the cache and others are two calls, as their memory is."""
        if lease is None or not cached.any():
            self._decode(run, run.tasks, np.arange(len(run)), file.fd, b"", hand.slab_for(run.tasks), hand, path)
            return
        for mask, in_cache in ((cached, True), (~cached, False)):
            tasks = run.tasks[np.repeat(mask, run.counts)]
            if len(tasks):
                slab = lease.slab if in_cache else hand.slab_for(tasks)
                self._decode(run, tasks, np.flatnonzero(mask), file.fd, b"", slab, hand, path)

    # -- bytes ------------------------------------------------------------------------------------------------------

    def _read_value(self, run: Run, key: str, lease: CacheLease | None, hand: Hand) -> bool:
        """A chunk of a store without files: it is fetched as a whole, unless it is in the cache."""
        where = f"{self._nodes.name}/{key}"
        run.tasks["nbytes"] = 1
        own = self._meta.route is Route.KERNEL and self.coded
        cached, hit = give_slots(run, np.ones(1, bool), lease, None, own=own)
        data = b""
        if not hit[0]:
            try:
                found = self._nodes.get(key)
            except OSError as error:
                raise self._error(run, 0, where, f"it can not be read ({error})") from error
            if found is None:
                if lease is not None:
                    lease.spoil()
                self._fill(run, hand, where)
                return True
            data = found
            self._check_nbytes(run, 0, len(data), 0, where)
            run.tasks["nbytes"] = len(data)
        self._decode_each(run, lambda _: data, where, ~hit, cached, lease, hand)
        return False

    def _decode_each(
        self,
        run: Run,
        load: _Load,
        path: str,
        wanted: np.ndarray,
        cached: np.ndarray,
        lease: CacheLease | None,
        hand: Hand,
    ) -> None:
        """Chunk by chunk; the kernels get the bytes of those that are wanted, the others are cached or absent."""
        bounds = np.concatenate([[0], np.cumsum(run.counts)])
        for number in range(len(run)):
            tasks = run.tasks[bounds[number] : bounds[number + 1]]
            slab = lease.slab if lease is not None and cached[number] else hand.slab_for(tasks)
            data = b""
            if wanted[number]:
                data = self._unpacked(run, number, load, path, int(tasks["offset"][0]))
                tasks["offset"], tasks["nbytes"] = 0, len(data)
            self._decode(run, tasks, np.array([number]), -1, data, slab, hand, path)

    def _unpacked(self, run: Run, number: int, load: _Load, path: str, offset: int) -> bytes:
        """Bytes of a chunk as the kernels take them."""
        try:
            data = load(number)
            return data if self._unpack is None else self._unpack(data, self._meta.chunk_nbytes)
        except OSError as error:
            raise self._error(run, number, path, f"it can not be read ({error.strerror or error})", offset) from error
        except FormatError as error:
            raise self._error(run, number, path, str(error), offset) from error

    # -- the kernels ------------------------------------------------------------------------------------------------

    def _fill(self, run: Run, hand: Hand, path: str) -> None:
        """Chunks that are not there have the fill value."""
        run.tasks["nbytes"], run.tasks["slot"], run.tasks["ready"] = 0, -1, 0
        self._decode(run, run.tasks, np.arange(len(run)), -1, b"", None, hand, path)

    def _decode(
        self,
        run: Run,
        tasks: np.ndarray,
        numbers: np.ndarray,
        fd: int,
        data: bytes,
        slab: np.ndarray | None,
        hand: Hand,
        path: str,
    ) -> None:
        """Run tasks, those of chunks `numbers` of the run, in this thread and in their order."""
        form = run.plan.form if self._unpack is None else run.plan.plain_form
        hand.counter[0] = 0
        while True:
            status, index = _kernels.decode_tiles(form, tasks, fd, data, run.plan.out, slab, hand.counter, BUDGET)
            if status:
                number = int(np.repeat(numbers, run.counts[numbers])[index])
                raise self._error(run, number, path, _kernels.reason(status), int(tasks["offset"][index]))
            if index == -1:
                return

    def _error(self, run: Run, number: int, path: str, reason: str, offset: int = 0) -> ChunkDecodeError:
        chunk = tuple(run.chunks[number].tolist())
        tile = 0
        for at, n in zip(chunk, self._meta.grid, strict=True):
            tile = tile * n + at
        return ChunkDecodeError(path, self._meta.path, chunk, tile, offset, reason)

"""Decode runs of chunks of one file."""

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
from bfio.omezarr.slots import CacheLease, Hand, place_chunk, share_slot
from bfio.plan import NO_SLOT

if TYPE_CHECKING:
    from bfio.omezarr.nodes import Nodes

__all__ = ["ChunkReader"]

BUDGET = 64 << 20
"""Decoded bytes per kernel call: between two calls Python sees signals."""
INDEX_NBYTES = 16 << 20
"""Bytes of indices of shards that are kept."""
SLACK = 1 << 16


class ChunkReader:
    """Decodes chunks of one array, file by file; threads may call it at once."""

    def __init__(self, nodes: Nodes, meta: ArrayMeta) -> None:
        self._nodes = nodes
        self._meta = meta
        self._folder = None if nodes.root is None else os.path.join(nodes.root, meta.path, "")
        self._nbytes = meta.chunk_nbytes
        self._per = meta.per_shard
        self._per_shard = np.array(self._per, np.int64)
        self._inner_steps = np.array([prod(self._per[axis + 1 :]) for axis in range(len(self._per))], np.int64)
        self._indices = IndexCache(INDEX_NBYTES)
        self._unpack = decoder_of(meta.chain) if meta.route is Route.BYTES else None
        self._by_kernel = meta.route is Route.KERNEL
        self._in_place = self._by_kernel and CAN_READ
        self._may_stop = not any(config.get("checksum") for config in meta.chain.config)
        self.coded = bool(meta.chain.names)
        self.cheap = self._in_place and self._folder is not None
        self.kept = self.coded or self._folder is None

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
        file_index = [at // per for at, per in zip(run.chunk, self._per, strict=True)]
        path = f"{self._folder}{meta.key(file_index)}"
        try:
            file = open_chunk(path)
        except OSError as error:
            raise self._error(run, path, f"the file can not be read ({error.strerror or error})") from error
        if file is None:
            self._fill(run, hand, path)
            return True
        with file:
            if meta.shard is not None:
                return self._read_shard(run, file, path, lease, hand)
            self._check_nbytes(run, file.size, 0, path)
            self._read_one(run, file, 0, file.size, path, lease, hand)
            return False

    # -- files ------------------------------------------------------------------------------------------------------

    def _read_shard(self, run: Run, file: ChunkFile, path: str, lease: CacheLease | None, hand: Hand) -> bool:
        offsets, nbytes = self._entries(run, file, path)
        present = nbytes > 0
        if lease is None and self._in_place:
            counts = run.counts
            run.tasks["offset"], run.tasks["nbytes"] = np.repeat(offsets, counts), np.repeat(nbytes, counts)
            if self.coded:
                share_slot(run, present)
            self._decode(run, file.fd, b"", hand.slab, hand, path)
        else:
            for number, place in enumerate(zip(offsets.tolist(), nbytes.tolist(), strict=True)):
                one = run.one(number)
                if place[1]:
                    self._read_one(one, file, *place, path, lease, hand)
                else:
                    self._fill(one, hand, path)
        return not present.all()

    def _read_one(
        self, run: Run, file: ChunkFile, offset: int, nbytes: int, path: str, lease: CacheLease | None, hand: Hand
    ) -> None:
        """A run of one chunk that is there."""
        key = (run.chunks.tobytes(), file.identity)
        cached, hit = place_chunk(run, lease, key, own=self._by_kernel and self.coded, part=self._in_part(run))
        slab = lease.slab if lease is not None and cached else hand.slab
        if self._in_place:
            run.tasks["offset"], run.tasks["nbytes"] = offset, nbytes
            self._decode(run, file.fd, b"", slab, hand, path)
        else:
            data = b"" if hit else self._unpacked(run, lambda: file.pread(offset, nbytes), path, offset)
            self._decode_bytes(run, data, slab, hand, path)

    def _entries(self, run: Run, file: ChunkFile, path: str) -> tuple[np.ndarray, np.ndarray]:
        """Offsets and byte counts of the chunks of a run; a byte count of 0 where a shard does not hold one."""
        try:
            table = self._indices.get((path, file.identity), lambda: self._load_index(file))
        except (FormatError, OSError) as error:
            raise self._error(run, path, str(error)) from error
        return self._checked(run, table, file.size, path)

    def _checked(self, run: Run, table: np.ndarray, nbytes_of_file: int, path: str) -> tuple[np.ndarray, np.ndarray]:
        """What an index says of the chunks of a run, if that can be."""
        entries = table[(run.chunks % self._per_shard) @ self._inner_steps]
        absent = (entries == ABSENT).all(axis=1)
        if absent.any():
            entries = np.where(absent[:, np.newaxis], np.uint64(0), entries)
        offsets, nbytes = entries[:, 0], entries[:, 1]
        size = np.uint64(nbytes_of_file)
        for number in np.flatnonzero((nbytes > size) | (offsets > size - np.minimum(nbytes, size))).tolist():
            reason = "the index of the shard points behind its end"
            raise self._error(run.one(number), path, reason, int(offsets[number]))
        odd = nbytes > 2 * self._nbytes + SLACK if self.coded else nbytes != self._nbytes
        for number in np.flatnonzero((odd | (nbytes == 0)) & ~absent).tolist():
            self._check_nbytes(run.one(number), int(nbytes[number]), int(offsets[number]), path)
        return offsets, nbytes

    def _load_index(self, file: ChunkFile) -> np.ndarray:
        n_chunks = prod(self._per)
        size = index_nbytes(n_chunks, self._meta.index_crc)
        if size > file.size:
            raise FormatError(f"the shard has {file.size} bytes, fewer than its index ({size})")
        raw = file.pread(file.size - size if self._meta.index_at_end else 0, size)
        return parse_index(raw, n_chunks, self._meta.index_crc)

    def _check_nbytes(self, run: Run, nbytes: int, offset: int, path: str, *, exact: bool = True) -> None:
        """Refuse what can not be a chunk, before anything is read."""
        if not nbytes:
            raise self._error(run, path, "it is empty", offset)
        if exact and not self.coded and nbytes != self._nbytes:
            raise self._error(run, path, f"it has {nbytes} bytes, not {self._nbytes}", offset)
        if nbytes > 2 * self._nbytes + SLACK:  # the kernels would read no more
            raise self._error(run, path, f"it has {nbytes} bytes, too many for {self._nbytes} decoded", offset)

    # -- bytes ------------------------------------------------------------------------------------------------------

    def _unpacked(self, run: Run, load: Callable[[], bytes], path: str, offset: int) -> bytes:
        """Bytes of a chunk as the kernels take them."""
        try:
            data = load()
            return data if self._unpack is None else self._unpack(data, self._nbytes)
        except OSError as error:
            raise self._error(run, path, f"it can not be read ({error.strerror or error})", offset) from error
        except FormatError as error:
            raise self._error(run, path, str(error), offset) from error

    def _in_part(self, run: Run) -> bool:
        """Whether the first chunk of a run is decoded only as far as it is wanted."""
        compression = self._meta.chain.compression
        if compression is None or not self._may_stop:
            return False
        rows, tile_rows = run.share
        return _kernels.stops_early(compression, self._nbytes, rows * self._nbytes // tile_rows)

    # -- the kernels ------------------------------------------------------------------------------------------------

    def _fill(self, run: Run, hand: Hand, path: str) -> None:
        """Chunks that are not there have the fill value."""
        run.tasks["nbytes"], run.tasks["slot"], run.tasks["ready"] = 0, NO_SLOT, 0
        self._decode(run, -1, b"", None, hand, path)

    def _decode_bytes(self, run: Run, data: bytes, slab: np.ndarray | None, hand: Hand, path: str) -> None:
        """One chunk from its bytes, which may be none if it is in its slot already."""
        run.tasks["offset"], run.tasks["nbytes"] = 0, max(1, len(data))
        self._decode(run, -1, data, slab, hand, path)

    def _decode(self, run: Run, fd: int, data: bytes, slab: np.ndarray | None, hand: Hand, path: str) -> None:
        """Do the tasks of a run in this thread, and in their order."""
        plan, tasks = run.plan, run.tasks
        form = plan.form if self._unpack is None else plan.plain_form
        hand.counter[0] = 0
        while True:
            status, index = _kernels.decode_tiles(form, tasks, fd, data, plan.out, slab, hand.counter, BUDGET)
            if status:
                number = int(np.searchsorted(plan.bounds, plan.borders[run.first] + index, "right")) - 1 - run.first
                raise self._error(run.one(number), path, _kernels.reason(status), int(tasks["offset"][index]))
            if index == -1:
                return

    def _error(self, run: Run, path: str, reason: str, offset: int = 0) -> ChunkDecodeError:
        """For the first chunk of a run."""
        tile = 0
        for at, n in zip(run.chunk, self._meta.grid, strict=True):
            tile = tile * n + at
        return ChunkDecodeError(path, self._meta.path, tuple(run.chunk), tile, offset, reason)

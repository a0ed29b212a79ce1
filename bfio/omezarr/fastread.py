"""Read boxes of a Zarr array with the kernels: chunk files and shards, several threads, a cache of decoded chunks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from bfio._kernels import can_convert
from bfio._parallel import Workers
from bfio.errors import LimitError, UnsupportedError, UsageError
from bfio.limits import Limits
from bfio.omezarr.arraymeta import ArrayMeta, Route
from bfio.omezarr.chunkread import ChunkReader
from bfio.omezarr.feed import Feed
from bfio.omezarr.plan import ReadPlan, Rescale, Run, plan_reads
from bfio.omezarr.slots import CacheLease, Habit, Hand
from bfio.omezarr.values import ValueReader
from bfio.selection import Box
from bfio.tilecache import TileCache

if TYPE_CHECKING:
    from bfio.omezarr.nodes import Nodes

__all__ = ["ArrayReader", "can_read"]

RUN_NBYTES = 4 << 20
"""Decoded bytes of chunks of one shard that a thread takes at once."""
RAW_SHARE = 1 << 20
CODED_SHARE = 64 << 10
"""Decoded bytes that make another worker thread worth its start: uncompressed, compressed."""
CACHED_NBYTES = 16 << 10
"""Chunks that decode faster than they are found in the cache are not kept."""
HAND_NBYTES = 16 << 20
"""Memory of a thread that is kept from read to read."""
MAX_ITEMS = 1 << 32
"""The kernels count the rows of a chunk with 32 bits."""
MAX_RANK = 5


def can_read(nodes: Nodes, meta: ArrayMeta) -> bool:
    """Whether :class:`ArrayReader` takes an array; else zarr-python must."""
    del nodes
    return meta.route is not Route.FOREIGN and len(meta.shape) <= MAX_RANK


class ArrayReader:
    """Reads one array; any number of threads may call it at once.

    Parameters
    ----------
    nodes : Nodes
        The store.
    meta : ArrayMeta
        An array that :func:`can_read` accepts.
    workers : Workers
    limits : Limits
    cache_nbytes : int
        Bound of the cache of decoded chunks; 0 turns it off.

    Raises
    ------
    LimitError
        A chunk is larger than ``limits.tile_nbytes``.
    """

    def __init__(self, nodes: Nodes, meta: ArrayMeta, workers: Workers, limits: Limits, cache_nbytes: int) -> None:
        if not can_read(nodes, meta):
            raise UnsupportedError(f"{nodes.name}: array {meta.path!r} needs zarr-python to be read")
        nbytes = meta.chunk_nbytes
        if nbytes > limits.tile_nbytes or nbytes // meta.dtype.itemsize >= MAX_ITEMS:
            raise LimitError(
                f"{nodes.name}: chunks of array {meta.path!r} have {nbytes} bytes; "
                f"Limits.tile_nbytes is {limits.tile_nbytes}"
            )
        self._name = nodes.name
        self._meta = meta
        self._workers = workers
        self._cache_nbytes = cache_nbytes
        self._cache: TileCache | None = None
        self._habit = Habit()
        self._hands: list[Hand] = []
        self._chunks = ChunkReader(nodes, meta) if nodes.root is not None else ValueReader(nodes, meta)

    def read(self, axes: str, box: Box, out: np.ndarray, rescale: Rescale) -> None:
        """Fill `out` with the pixels of a box.

        Parameters
        ----------
        axes : str
            Letters of the array's axes, of ``"tczyx"``; an axis that is not among them has length 1.
        box : Box
            Within the array.
        out : ndarray of shape (T, C, Z, Y, X)
            Any strides, any numeric dtype; values saturate.
        rescale : tuple of float or None

        Raises
        ------
        ChunkDecodeError
            A chunk is there, but is damaged or can not be read.
        UsageError
            The pixels can not become those of `out`.
        """
        if 0 in box.shape:
            return
        dtype = self._meta.dtype
        if not can_convert(dtype, out.dtype) or (rescale is not None and out.dtype.kind in "cb"):
            how = " by a scale" if rescale else ""
            raise UsageError(f"{self._name}: pixels of dtype {dtype} can not be read as {out.dtype}{how}")
        absent = False
        for plan in plan_reads(self._meta, axes, box, out, rescale):
            absent |= self._run_cached(plan)
        if absent:
            self._chunks.check_folder()

    def close(self) -> None:
        """Drop the cache and the indices of shards; twice is once."""
        self._cache = None
        self._hands.clear()
        self._chunks.close()

    def _run_cached(self, plan: ReadPlan) -> bool:
        """Do all of a plan; whether a chunk was not there. Large reads would only flush the cache."""
        nbytes = self._meta.chunk_nbytes
        cheap = self._chunks.cheap and nbytes < CACHED_NBYTES
        if cheap or not self._chunks.kept or len(plan.chunks) * nbytes > self._cache_nbytes // 4:
            return self._run(plan, None)
        cache = self._cache
        if cache is None:
            cache = self._cache = TileCache(self._cache_nbytes, nbytes)
        lease = CacheLease(cache, self._habit)
        good = False
        try:
            absent = self._run(plan, lease)
            good = True
        finally:
            lease.release(good)
        return absent

    def _run(self, plan: ReadPlan, lease: CacheLease | None) -> bool:
        if isinstance(self._chunks, ValueReader):
            self._run_feed(plan, self._chunks.feed(plan, lease))
            return False
        runs = iter(self._runs(plan))
        lock = threading.Lock()
        stopped = threading.Event()
        absent = threading.Event()

        def work() -> None:
            hand = self._hand()
            while not stopped.is_set():
                with lock:
                    run = next(runs, None)
                if run is None:
                    break
                if self._chunks.read(run, lease, hand):
                    absent.set()
            self._lay_down(hand)

        self._workers.run(work, self._n_jobs(len(plan.chunks)), stopped.set)
        return absent.is_set()

    def _run_feed(self, plan: ReadPlan, feed: Feed) -> None:
        """The same for a store without files."""

        def work() -> None:
            hand = self._hand()
            feed.work(hand)
            self._lay_down(hand)

        self._workers.run(work, self._n_jobs(len(plan.chunks)), feed.stop)

    def _hand(self) -> Hand:
        """What a thread works with: kept from read to read, if it is not too large."""
        try:
            return self._hands.pop()
        except IndexError:
            return Hand(self._meta.chunk_nbytes)

    def _lay_down(self, hand: Hand) -> None:
        if len(self._hands) < self._workers.n and len(hand.slab) <= HAND_NBYTES:
            self._hands.append(hand)

    def _runs(self, plan: ReadPlan) -> list[Run]:
        """Chunk by chunk; those of a shard by some MB, but so that each worker gets its part."""
        n_chunks = len(plan.chunks)
        if self._meta.shard is None:
            return [Run(plan, number, number + 1) for number in range(n_chunks)]
        shards = plan.chunks // self._meta.per_shard
        if shards.shape[1]:
            order = np.lexsort(shards.T[::-1])
            plan, shards = plan.reordered(order), shards[order]
        nbytes = self._meta.chunk_nbytes
        least, most = (max(1, limit // nbytes) for limit in (CODED_SHARE, RUN_NBYTES))
        most = min(most, max(least, n_chunks // (4 * self._workers.n)))
        borders = np.flatnonzero(np.any(shards[1:] != shards[:-1], axis=1)) + 1
        runs = []
        for first, stop in zip([0, *borders.tolist()], [*borders.tolist(), n_chunks], strict=True):
            runs += [Run(plan, start, min(start + most, stop)) for start in range(first, stop, most)]
        return runs

    def _n_jobs(self, n_chunks: int) -> int:
        """Threads that this many chunks are worth."""
        share = CODED_SHARE if self._chunks.coded else RAW_SHARE
        return max(1, min(n_chunks, n_chunks * self._meta.chunk_nbytes // share))

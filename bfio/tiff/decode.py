"""Run batches: cached tiles, kernels in several threads, foreign decoders, and a second opinion on refused tiles."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from bfio import _kernels
from bfio._kernels import Status
from bfio._parallel import Workers
from bfio.enums import Compression
from bfio.errors import BfioError, TileDecodeError
from bfio.limits import Limits
from bfio.tiff.batch import Batch
from bfio.tiff.layout import BYTE_CODECS, Route
from bfio.tiff.pages import foreign_errors
from bfio.tiff.readahead import Readahead, place_in_cache
from bfio.tilecache import Lease, TileCache

__all__ = ["TileReader"]

STOP = 1 << 62
"""Counter value at which no thread finds a task any more."""
BUDGET = 64 << 20
"""Decoded bytes per kernel call: between two calls Python sees signals."""
FETCH_NBYTES = 64 << 20
"""Encoded bytes held in memory at once for sources without a descriptor."""
RAW_SHARE = 1 << 20
CODED_SHARE = 64 << 10
"""Decoded bytes that make another worker thread worth its start: uncompressed, compressed."""
FINAL = {Status.READ_FAILED, Status.OUT_OF_MEMORY, Status.BAD_TASK}
"""Failures on which no other decoder is asked."""


class TileReader:
    """Decodes batches for one reader; any number of threads may call it at once.

    Parameters
    ----------
    path : str
        Named in errors.
    workers : Workers
    limits : Limits
    cache_nbytes : int
        Size of the cache of decoded tiles; 0 turns it off.
    """

    def __init__(self, path: str, workers: Workers, limits: Limits, cache_nbytes: int) -> None:
        self.path = path
        self._workers = workers
        self._limits = limits
        self._cache_nbytes = cache_nbytes
        self._cache: TileCache | None = None
        self._readahead = Readahead()

    def run(self, batch: Batch) -> None:
        """Decode all tiles of a batch into its output.

        Raises
        ------
        TileDecodeError
            For the first tile that no decoder accepts.
        """
        if batch.layout.route is Route.KERNEL:
            self._run_kernel(batch)
        else:
            self._run_each(batch)

    def close(self) -> None:
        """Drop the cache."""
        self._cache = None

    # -- the kernels ------------------------------------------------------------------------------------------------

    def _run_kernel(self, batch: Batch) -> None:
        tasks, source = batch.tasks, batch.planes[0].source
        leased = self._lease(batch)
        if leased is None:
            with source.descriptor() as fd:
                self._decode_from(fd, batch, tasks, None)
            return
        cache, lease, tasks = leased
        good = False
        try:
            with source.descriptor() as fd:
                good = self._decode_from(fd, batch, tasks, lease.slab)
        finally:
            cache.release(lease, good)

    def _decode_from(self, fd: int, batch: Batch, tasks: np.ndarray, slab: np.ndarray | None) -> bool:
        if fd >= 0:
            return self._decode(batch, tasks, fd, None, slab, 0)
        return self._fetch_and_decode(batch, tasks, slab)

    def _fetch_and_decode(self, batch: Batch, tasks: np.ndarray, slab: np.ndarray | None) -> bool:
        """Hand the kernels the encoded bytes, a bounded part of the tasks at a time; see ``_decode``."""
        good = True
        source = batch.planes[0].source
        nbytes = np.where(tasks["ready"] == 1, 0, tasks["nbytes"])
        bound = np.uint64(2 * batch.layout.tile_nbytes + (1 << 16))
        part = np.cumsum(np.minimum(nbytes, bound), dtype=np.uint64) // np.uint64(FETCH_NBYTES)
        for first, stop in _runs(part):
            few = tasks[first:stop].copy()
            wanted = np.minimum(nbytes[first:stop], bound)
            arena, few["offset"] = source.fetch(few["offset"], wanted)
            good &= self._decode(batch, few, -1, arena, slab, first)
        return good

    def _decode(
        self, batch: Batch, tasks: np.ndarray, fd: int, data: np.ndarray | None, slab: np.ndarray | None, first: int
    ) -> bool:
        """Run tasks, number ``first`` and on of the batch; whether the kernels decoded all, so slots are filled."""
        form = batch.tile_format()
        counter = np.zeros(1, np.int64)
        refused: list[int] = []

        def work() -> None:
            while True:
                status, index = _kernels.decode_tiles(form, tasks, fd, data, batch.out, slab, counter, BUDGET)
                if index == -1:
                    return
                if status != Status.OK:
                    refused.append(index)
                    if first + index < len(batch.tasks):  # the others are decoded ahead: nobody asked for them
                        self._second_opinion(batch, first + index, Status(status))

        def cancel() -> None:
            counter[0] = STOP

        self._workers.run(work, self._n_jobs(batch, tasks), cancel)
        return not refused

    def _n_jobs(self, batch: Batch, tasks: np.ndarray) -> int:
        """Threads that this much work is worth."""
        n_tasks = len(tasks)
        if n_tasks == 1:
            return 1
        layout = batch.layout
        if layout.compression == Compression.NONE:
            return max(1, min(n_tasks, batch.nbytes // RAW_SHARE))
        n_tasks -= int(tasks["ready"].sum())
        return max(1, min(n_tasks, n_tasks * layout.tile_nbytes // CODED_SHARE))

    # -- the cache --------------------------------------------------------------------------------------------------

    def _lease(self, batch: Batch) -> tuple[TileCache, Lease, np.ndarray] | None:
        """Give tasks of a small compressed read their slots; large reads would only flush the cache."""
        tasks, layout = batch.tasks, batch.layout
        if layout.compression == Compression.NONE or len(tasks) * layout.tile_nbytes > self._cache_nbytes // 4:
            return None
        cache = self._cache_for(layout.tile_nbytes)
        lease = cache.lease()
        hits, missed = place_in_cache(cache, lease, batch, tasks)
        self._readahead.used(hits)
        if missed:
            tasks = self._readahead.extended(cache, lease, batch, tasks, missed, self._workers.n)
        return cache, lease, tasks

    def _cache_for(self, tile_nbytes: int) -> TileCache:
        """The cache, remade when tiles of a very different size come up (one slab, so that its bound holds)."""
        cache = self._cache
        if cache is None or not tile_nbytes <= cache.slot_nbytes <= 4 * tile_nbytes:
            cache = self._cache = TileCache(self._cache_nbytes, tile_nbytes)
        return cache

    # -- foreign decoders -------------------------------------------------------------------------------------------

    def _run_each(self, batch: Batch) -> None:
        """Tile by tile through imagecodecs or tifffile, which drop the GIL themselves."""
        decode = self._unpacker(batch) if batch.layout.route is Route.BYTES else self._pager(batch)
        n_tasks = len(batch.tasks)
        indices = iter(range(n_tasks))
        lock = threading.Lock()
        stopped = threading.Event()

        def work() -> None:
            while not stopped.is_set():
                with lock:
                    index = next(indices, None)
                if index is None:
                    return
                decode(index)

        self._workers.run(work, min(n_tasks, max(1, n_tasks * batch.layout.tile_nbytes // CODED_SHARE)), stopped.set)

    def _unpacker(self, batch: Batch) -> Callable[[int], None]:
        """Decompress by imagecodecs; the kernels take the bytes as an uncompressed tile."""
        import imagecodecs

        name = BYTE_CODECS[Compression(batch.layout.compression)]
        decompress = getattr(imagecodecs, name)
        form = batch.tile_format(Compression.NONE)
        tasks = batch.tasks

        def decode(index: int) -> None:
            task = tasks[index : index + 1].copy()
            size = int(task["tile_rows"][0]) * batch.layout.row_nbytes
            data = b""
            if task["nbytes"][0]:
                encoded = self._encoded(batch, index)
                try:
                    data = decompress(encoded, out=size)
                except Exception:  # noqa: BLE001 - the second opinion decides and names the reason
                    return self._second_opinion(batch, index, Status.CORRUPT)
                task["offset"], task["nbytes"] = 0, len(data)
            counter = np.zeros(1, np.int64)
            status, _ = _kernels.decode_tiles(form, task, -1, data, batch.out, None, counter, 1)
            if status != Status.OK or len(data) > size:
                self._second_opinion(batch, index, Status(status) if status else Status.TOO_LONG)
            return None

        return decode

    def _pager(self, batch: Batch) -> Callable[[int], None]:
        def decode(index: int) -> None:
            self._decode_by_page(batch, index, Status.CORRUPT)

        return decode

    def _second_opinion(self, batch: Batch, index: int, status: Status) -> None:
        """A tile that the kernels refuse may still be one that tifffile's more lenient decoder accepts."""
        if status in FINAL or batch.layout.route is Route.PAGE:
            raise self._error(batch, index, _kernels.reason(status))
        try:
            self._decode_by_page(batch, index, status)
        except TileDecodeError as error:
            raise self._error(batch, index, _kernels.reason(status)) from error

    def _decode_by_page(self, batch: Batch, index: int, status: Status) -> None:
        plane, tile = batch.locate(index)
        (rows, cols), target = batch.window(index)
        if not plane.byte_counts[tile]:
            _kernels.convert(np.full((1, 1, 1), batch.layout.nodata, batch.layout.dtype), target, batch.rescale)
            return
        encoded = self._encoded(batch, index)
        try:
            with foreign_errors(self.path, "can not decode"):
                pixels = plane.decoder()(encoded, tile)
        except BfioError as error:
            raise self._error(batch, index, _last_sentence(error)) from error
        first = 0 if batch.layout.planar else batch.places[0].first_sample
        wanted = pixels[rows, cols, first : first + target.shape[2]]
        if wanted.shape != target.shape:
            raise self._error(batch, index, f"decodes to {pixels.shape[:2]} pixels, fewer than the tile has")
        _kernels.convert(wanted, target, batch.rescale)

    def _encoded(self, batch: Batch, index: int) -> bytes:
        plane, tile = batch.locate(index)
        offset, nbytes = int(plane.offsets[tile]), int(plane.byte_counts[tile])
        if offset >= plane.source.size:
            raise self._error(batch, index, "the tile lies behind the end of the file")
        return plane.source.pread(offset, min(nbytes, plane.source.size - offset))

    def _error(self, batch: Batch, index: int, reason: str) -> TileDecodeError:
        plane, tile = batch.locate(index)
        return TileDecodeError(plane.source.path, plane.index, tile, int(plane.offsets[tile]), reason)


def _last_sentence(error: BaseException) -> str:
    return str(error).rpartition("can not decode: ")[2]


def _runs(part: np.ndarray) -> list[tuple[int, int]]:
    """Bounds of runs of equal values."""
    borders = np.flatnonzero(np.diff(part)) + 1
    return list(pairwise([0, *borders.tolist(), len(part)]))

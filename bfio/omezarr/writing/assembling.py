"""Blocks in any order, from any thread, become whole chunks of all levels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import prod
from pathlib import Path

import numpy as np

from bfio._parallel import Workers
from bfio.errors import UsageError
from bfio.omezarr.arraymeta import ArrayMeta
from bfio.omezarr.writing.cutting import Index, Part, Task, cut
from bfio.omezarr.writing.failures import write_errors
from bfio.omezarr.writing.holding import Holding
from bfio.omezarr.writing.partial import PartialChunk, PartialChunks, fill_rest, paste
from bfio.omezarr.writing.sinks import ChunkSink
from bfio.pyramid import halve
from bfio.selection import Box

__all__ = ["BATCH_NBYTES", "Assembler", "held_nbytes", "is_fed"]

BATCH_NBYTES = 32 << 20
"""Bytes of chunks that are encoded together."""
MOST_TASKS = 1024
MEMORY_NBYTES = 160 << 20
"""Bytes of partial chunks of full resolution that are held in memory; the next level has a fourth of it."""
LEAST_NBYTES = 8 << 20
LEAST_CHUNKS = 4
"""Chunks that each level holds in memory, as long as they have no more than ``SOME_NBYTES``."""
SOME_NBYTES = 64 << 20
DEFERRED_NBYTES = 32 << 20
"""Bytes of whole chunks that wait for others, where they come one by one."""


class Assembler:
    """The chunks of one image.

    Parameters
    ----------
    metas : sequence of ArrayMeta
        One array for each level, axes T, C, Z, Y, X.
    sinks : sequence of ChunkSink
    workers : Workers
    downsample : str
    folder : Path
        Where a temporary file may be.

    Attributes
    ----------
    written : list of bool arrays
        For each level and chunk, whether its pixels were all written once; later parts may wait in `partials`.
    partials : list of PartialChunks
    feeding : bool
        Whether written chunks go on to the next level at once; else that is left to the end.
    """

    def __init__(
        self, metas: Sequence[ArrayMeta], sinks: Sequence[ChunkSink], workers: Workers, downsample: str, folder: Path
    ) -> None:
        self.metas, self.sinks, self.workers, self.downsample = metas, list(sinks), workers, downsample
        self.written = [np.zeros(meta.grid, bool) for meta in metas]
        self.partials = [
            PartialChunks(meta.chunk, meta.dtype, folder, held_nbytes(level, meta.chunk_nbytes))
            for level, meta in enumerate(metas)
        ]
        self.feeding = True
        self._holding = Holding()
        self._ready: dict[Index, np.ndarray] = {}  # whole chunks of level 0 that wait for others
        fits = DEFERRED_NBYTES // metas[0].chunk_nbytes
        self._enough = min(2 * workers.n, fits) if workers.n > 1 else 0

    @property
    def n_levels(self) -> int:
        """Resolutions, the full one counted."""
        return len(self.metas)

    def write(self, box: Box, block: np.ndarray, *, defer: bool = False) -> None:
        """Write a block of full resolution; rows and columns have no steps.

        Parameters
        ----------
        box : Box
        block : ndarray
            Shape ``box.shape``, any strides, a dtype that converts to the image's without loss.
        defer : bool
            Whether a few chunks may wait for others, so that all workers have something to do: :meth:`write_ready`
            writes them at last.
        """
        if 0 in box.shape:
            return
        if box.y.step != 1 or box.x.step != 1:
            raise UsageError("rows and columns are written without steps; write the rows one by one")
        for batch in self._batches(0, cut(box, block, self.metas[0].chunk)):
            self._process(0, batch, defer=defer and len(batch) < self._enough)

    def write_ready(self) -> None:
        """Write the whole chunks that wait for others."""
        indices = list(self._ready)
        if indices:
            with self._holding.hold((0, index) for index in indices):
                self.put(0, [(index, self._ready.pop(index)) for index in indices if index in self._ready])

    def extent(self, level: int, index: Index) -> Index:
        """Pixels of a chunk that lie within its level."""
        meta = self.metas[level]
        sizes = zip(meta.shape, meta.chunk, index, strict=True)
        return tuple(min(chunk, size - number * chunk) for size, chunk, number in sizes)

    def put(self, level: int, chunks: Sequence[tuple[Index, np.ndarray]]) -> None:
        """Store whole chunks, and feed the next level with them; nobody else may write them meanwhile."""
        if not chunks:
            return
        self.sinks[level].put([index for index, _ in chunks], [pixels for _, pixels in chunks])
        for index, _ in chunks:
            self.written[level][index] = True
        if self.feeding and is_fed(self.metas, level + 1):
            tasks: dict[Index, Task] = {}
            halved = lambda chunk: self._halved(level, *chunk)  # noqa: E731
            for target, part in self.workers.map(halved, chunks):
                tasks.setdefault(target, Task(target)).parts.append(part)
            for batch in self._batches(level + 1, tasks.values()):
                self._process(level + 1, batch)

    def _batches(self, level: int, tasks: Iterable[Task]) -> Iterator[list[Task]]:
        """Tasks that are done together: enough for all workers, and few enough for the memory."""
        meta = self.metas[level]
        most = max(self.workers.n, min(MOST_TASKS, BATCH_NBYTES // meta.chunk_nbytes))
        batch: list[Task] = []
        for task in tasks:
            batch.append(task)
            if len(batch) == most:
                yield batch
                batch = []
        if batch:
            yield batch

    def _process(self, level: int, tasks: Sequence[Task], *, defer: bool = False) -> None:
        if not level and self._ready and any(task.index in self._ready for task in tasks):
            self.write_ready()
        with self._holding.hold((level, task.index) for task in tasks):
            done = [(task.index, self._whole(level, task)) for task in tasks]
            whole = [(index, pixels) for index, pixels in done if pixels is not None]
            if not defer:
                self.put(level, whole)
                return
            self._ready.update((index, np.array(pixels, order="C")) for index, pixels in whole)
        if len(self._ready) >= self._enough:
            self.write_ready()

    def _whole(self, level: int, task: Task) -> np.ndarray | None:
        """Pixels of a chunk once all of them are known."""
        meta, partials = self.metas[level], self.partials[level]
        extent = self.extent(level, task.index)
        if any(part.pixels.shape == extent for part in task.parts):
            partials.forget(task.index)
            only = task.parts[0].pixels
            if len(task.parts) == 1 and extent == meta.chunk and only.dtype == meta.dtype:
                return only  # the sink gathers it, in the threads that encode
            whole = np.full(meta.chunk, meta.fill, meta.dtype)
            for part in task.parts:
                paste(part, whole)
            return whole
        with write_errors(meta, Path(meta.path), task.index):
            pixels = partials.add(task.index, extent, task.parts)
        if pixels is not None and extent != meta.chunk:
            self._pad(level, pixels, extent)
        return pixels

    def _pad(self, level: int, pixels: np.ndarray, extent: Index) -> None:
        """Give what lies outside of the image the value of what was never written."""
        fill = self.metas[level].fill
        if fill:
            for axis, size in enumerate(extent):
                pixels[(slice(None),) * axis + (slice(size, None),)] = fill

    def _halved(self, level: int, index: Index, pixels: np.ndarray) -> tuple[Index, Part]:
        """A chunk as a part of one of the next level."""
        extent = self.extent(level, index)
        half = halve(pixels[tuple(slice(size) for size in extent)], self.downsample)
        above, below = self.metas[level], self.metas[level + 1]
        target, inside = list(index), [slice(0, size) for size in half.shape]
        for axis in (3, 4):
            start = index[axis] * above.chunk[axis] // 2
            target[axis], start = divmod(start, below.chunk[axis])
            inside[axis] = slice(start, start + half.shape[axis])
        return tuple(target), Part(tuple(inside), half)

    # -- parts that are not going to be whole soon --------------------------------------------------------------------

    def settle(self, level: int) -> None:
        """Store partial chunks: with what was stored of them before, and the fill value elsewhere.

        No other thread may write meanwhile.
        """
        batch: list[tuple[Index, np.ndarray]] = []
        for index in self.partials[level].indices():
            chunk = self.partials[level].pop(index)
            assert chunk is not None
            batch.append((index, self.merged(level, index, chunk)))
            if len(batch) * prod(self.metas[level].chunk) * self.metas[level].dtype.itemsize > BATCH_NBYTES:
                self.put(level, batch)
                batch = []
        self.put(level, batch)

    def merged(self, level: int, index: Index, chunk: PartialChunk) -> np.ndarray:
        """Pixels of a partial chunk that was taken out, completed."""
        assert chunk.pixels is not None
        stored = self.sinks[level].get(index) if self.written[level][index] else None
        fill_rest(chunk, chunk.pixels, np.asarray(self.metas[level].fill) if stored is None else stored)
        self._pad(level, chunk.pixels, chunk.extent)
        return chunk.pixels

    def close(self) -> None:
        """Forget the parts that were not stored."""
        self._ready.clear()
        for partials in self.partials:
            partials.close()


def held_nbytes(level: int, chunk_nbytes: int) -> int:
    """Bytes of partial chunks of a level that stay in memory."""
    return max(LEAST_NBYTES, MEMORY_NBYTES >> 2 * level, min(LEAST_CHUNKS * chunk_nbytes, SOME_NBYTES))


def is_fed(metas: Sequence[ArrayMeta], level: int) -> bool:
    """Whether each chunk of the level before lies within one chunk of this one, so that it can become a part of it."""
    if not 0 < level < len(metas):
        return False
    above = metas[level - 1]
    return all(above.grid[axis] == 1 or above.chunk[axis] % 2 == 0 for axis in (3, 4)) and all(
        metas[level].chunk[axis] in (above.chunk[axis], metas[level].shape[axis]) for axis in (3, 4)
    )

"""Tiles of an image in memory, encoded by the kernels in several threads: into the file, or handed to the caller."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import numpy as np

from bfio import _kernels
from bfio._kernels import Progress, Status
from bfio._parallel import Workers
from bfio.enums import Compression, Predictor
from bfio.errors import TileWriteError, UsageError
from bfio.plan import FORMAT
from bfio.tiff.writing.recipe import Recipe

__all__ = ["TileEncoder"]

CALL_SECONDS = 0.03
"""How long a kernel call should take: between two calls Python sees signals."""
FIRST_BUDGET = 256 << 10
"""Bytes of the first kernel call; then its speed is known."""
RAW_SHARE = 1 << 20
CODED_SHARE = 64 << 10
"""Bytes of tiles that make another worker thread worth its start: uncompressed, compressed."""
SMALL_ARENA = 1 << 20
"""Small tiles have as many slots as fit into this, so that several are written by one system call."""
KEPT_NBYTES = 256 << 20
"""Memory that is kept for the next call, at most."""
CLASSIC_FULL = "the file would be longer than the 4 GiB of classic TIFF; write it with bigtiff=True"


class TileEncoder:
    """Encodes tiles for one file; any number of threads may call it at once.

    Parameters
    ----------
    recipe : Recipe
    workers : Workers
    path : str
        Named in errors.
    """

    def __init__(self, recipe: Recipe, workers: Workers, path: str | os.PathLike[str] = "") -> None:
        self._recipe, self._workers, self._path = recipe, workers, os.fspath(path)
        self._level = -1 if recipe.compression_level is None else recipe.compression_level
        self._tile_nbytes = recipe.tile_rows * recipe.tile_cols * recipe.samples * recipe.dtype.itemsize
        self._slot_nbytes = _kernels.compress_bound(recipe.compression, self._tile_nbytes)
        self._n_slots = max(4, 2 * workers.n, min(SMALL_ARENA // self._slot_nbytes, 64))
        self._arenas: list[np.ndarray] = []
        self._forms: dict[np.dtype, np.ndarray] = {}

    def append(
        self,
        fd: int,
        end: np.ndarray,
        shared: bool,
        src: np.ndarray,
        tasks: np.ndarray,
        offset_entries: np.ndarray,
        count_entries: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Encode tiles, append them to the file in the order of `tasks` and enter them into its tables.

        Parameters
        ----------
        fd : int
        end : ndarray of int64, shape (16,)
            ``end[0]`` is where the next tile goes. One array for all that this process appends to the file.
        shared : bool
            Other processes append too: the end is the size of the file, under an advisory lock.
        src : ndarray (T, C, Z, Y, X)
            Any strides, native byte order; C counts samples, those of a pixel are consecutive.
        tasks : ndarray of TASK
            As of :func:`bfio.plan.plan_planes`; each from the first pixel of its tile on.
        offset_entries, count_entries : ndarray
            Positions in the file of the entries in TileOffsets and TileByteCounts, one for each task.

        Returns
        -------
        offsets, nbytes : ndarray of uint64
            Places and sizes of the encoded tiles.

        Raises
        ------
        TileWriteError
            Names the first tile that could not be written. Tiles before it are in the file, tiles behind it may be
            missing.
        """
        batch = _Batch(self._form(src.dtype), tasks, src, self._level)
        batch.fd, batch.end, batch.shared = fd, end, shared
        batch.offset_entries, batch.count_entries = _positions(offset_entries), _positions(count_entries)
        batch.entry_nbytes = 8 if self._recipe.big else 4
        with self._arena() as arena:
            self._run(batch, arena, self._n_slots)
        return batch.offsets.view(np.uint64), batch.nbytes.view(np.uint64)

    def encode(self, src: np.ndarray, tasks: np.ndarray) -> Iterator[tuple[int, memoryview]]:
        """Encode tiles and write nothing; `src` and `tasks` as for :meth:`append`.

        Yields
        ------
        (int, memoryview)
            Index of the task and the encoded bytes, in order; they hold until the next step.
        """
        with self._arena() as arena:
            for first in range(0, len(tasks), self._n_slots):
                batch = _Batch(self._form(src.dtype), tasks[first : first + self._n_slots], src, self._level)
                self._run(batch, arena, self._n_slots)
                for index, nbytes in enumerate(batch.nbytes.tolist()):
                    start = index * self._slot_nbytes
                    yield first + index, memoryview(arena[start : start + nbytes])

    def _run(self, batch: _Batch, arena: np.ndarray, n_slots: int) -> None:
        def work() -> None:
            budget = FIRST_BUDGET
            while True:
                start = time.perf_counter()
                status, index = batch.call(arena, n_slots, budget)
                if status != Status.OK:
                    raise self._error(batch, Status(status), index)
                if index == -1:
                    return
                seconds = max(time.perf_counter() - start, 1e-6)
                budget = max(1, min(1 << 30, int(budget * CALL_SECONDS / seconds)))

        def cancel() -> None:
            batch.progress[Progress.STOP] = 1

        self._workers.run(work, self._n_jobs(batch), cancel)

    def _n_jobs(self, batch: _Batch) -> int:
        """Threads that this much work is worth."""
        if batch.end is not None and self._in_place(batch.src):
            return 1  # the system lets one after the other write to a file, and there is nothing else to do
        n_tasks = len(batch.tasks)
        share = RAW_SHARE if self._recipe.compression == Compression.NONE else CODED_SHARE
        return max(1, min(n_tasks, n_tasks * self._tile_nbytes // share))

    def _in_place(self, src: np.ndarray) -> bool:
        """Whether tiles are written from where they lie in memory, by rows."""
        recipe = self._recipe
        if recipe.compression != Compression.NONE or recipe.predictor != Predictor.NONE or src.dtype != recipe.dtype:
            return False
        item, pixel = src.itemsize, src.itemsize * recipe.samples
        row = recipe.tile_cols * pixel
        is_packed = src.strides[4] == pixel and (recipe.samples == 1 or src.strides[1] == item)
        return is_packed and (row >= _kernels.LONG_ROW or src.strides[3] == row)

    def _form(self, dtype: np.dtype) -> np.ndarray:
        """How the kernels encode a source of that dtype."""
        form = self._forms.get(dtype)
        if form is None:
            form = self._forms[dtype] = _form(self._recipe, dtype)
        return form

    @contextmanager
    def _arena(self) -> Generator[np.ndarray]:
        """Memory for encoded tiles. Fresh pages cost more than small tiles do, so it is kept."""
        nbytes = self._n_slots * self._slot_nbytes
        try:
            arena = self._arenas.pop()
        except IndexError:
            arena = np.empty(nbytes, np.uint8)
        try:
            yield arena
        finally:
            if len(self._arenas) < max(1, min(2 * self._workers.n, KEPT_NBYTES // nbytes)):
                self._arenas.append(arena)

    def _error(self, batch: _Batch, status: Status, index: int) -> TileWriteError:
        task = batch.tasks[index]
        offset = 0 if batch.end is None else int(batch.end[0])
        errno = int(batch.progress[Progress.ERRNO]) if status == Status.WRITE_FAILED else None
        reason = CLASSIC_FULL if status == Status.LIMIT else _kernels.reason(status)
        if errno:
            reason = os.strerror(errno)
        return TileWriteError(self._path, int(task["plane"]), int(task["tile"]), offset, reason, errno)


class _Batch:
    """All that the workers of one call share."""

    def __init__(self, form: np.ndarray, tasks: np.ndarray, src: np.ndarray, level: int) -> None:
        n = len(tasks)
        self.form, self.tasks, self.src, self.level = form, np.ascontiguousarray(tasks), src, level
        self.progress = np.zeros(_kernels.N_PROGRESS, np.int64)
        self.offsets, self.nbytes = np.zeros((2, n), np.int64)
        self.fd, self.shared, self.entry_nbytes = -1, False, 8
        self.end: np.ndarray | None = None
        self.offset_entries: np.ndarray | None = None
        self.count_entries: np.ndarray | None = None

    def call(self, arena: np.ndarray, n_slots: int, budget: int) -> tuple[int, int]:
        return _kernels.encode_tiles(
            self.form, self.tasks, self.level, self.src, arena, n_slots, self.progress, self.nbytes, self.offsets,
            self.fd, self.end, self.shared, self.offset_entries, self.count_entries, self.entry_nbytes, budget,
        )  # fmt: skip


def _positions(entries: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(entries).astype(np.int64, copy=False)


def _form(recipe: Recipe, dtype: np.dtype) -> np.ndarray:
    if not dtype.isnative or not _kernels.can_convert(dtype, recipe.dtype):
        raise UsageError(f"pixels of {dtype} can not be written as {recipe.dtype}; convert them before")
    form = np.zeros(1, FORMAT)
    form["cols"], form["samples"], form["n_samples"] = recipe.tile_cols, recipe.samples, recipe.samples
    form["y_step"] = form["x_step"] = 1
    form["compression"], form["predictor"] = recipe.compression, recipe.predictor
    form["item_size"] = recipe.dtype.itemsize
    form["src_kind"], form["dst_kind"] = _kernels.kinds(dtype, recipe.dtype)
    return form

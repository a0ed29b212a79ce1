"""Tiles that idle workers decode ahead into the cache: neighbours of those that a small read had to decode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bfio.plan import NO_SLOT
from bfio.tiff.batch import Batch
from bfio.tilecache import Lease, TileCache

__all__ = ["Readahead", "place_in_cache"]

Key = tuple[int, int, int, int]

TRIAL_NBYTES = 16 << 20
"""Decoded bytes of tiles that are decoded ahead before their use is known."""


def _key(batch: Batch, plane: int, offset: int, tile_rows: int) -> Key:
    """What a cached tile is known by: file, position, layout, and rows (a short strip may share its bytes)."""
    return id(batch.planes[plane].source), offset, id(batch.layout), tile_rows


def place_in_cache(cache: TileCache, lease: Lease, batch: Batch, tasks: np.ndarray) -> tuple[list[Key], list[int]]:
    """Give each task that is not sparse its slot, and mark those whose tile is there.

    Returns
    -------
    (hits, missed)
        Keys of the tiles that were there, and indices of the tasks that will fill a slot.
    """
    columns = (tasks[name].tolist() for name in ("plane", "offset", "tile_rows"))
    keys = [_key(batch, *at) for at in zip(*columns, strict=True)]
    stored = [index for index, nbytes in enumerate(tasks["nbytes"].tolist()) if nbytes]
    slots = cache.place(lease, [keys[index] for index in stored])
    if len(stored) == len(tasks):
        tasks["slot"] = [slot for slot, _ in slots]
        tasks["ready"] = [hit for _, hit in slots]
    else:
        tasks["slot"][stored] = [slot for slot, _ in slots]
        tasks["ready"][stored] = [hit for _, hit in slots]
    hits = [keys[index] for index, (_, hit) in zip(stored, slots, strict=True) if hit]
    return hits, [index for index, (slot, hit) in zip(stored, slots, strict=True) if not hit and slot != NO_SLOT]


class Readahead:
    """Decides which neighbours are worth decoding, and stops when too few of them are asked for.

    A read of one compressed tile leaves all workers but one idle, one of three tiles the last of two. They decode
    neighbours meanwhile, at most as many as the read decodes itself: the next ones of a scan, or those nearest to the
    rectangle. It goes on as long as every second tile decoded ahead is used.
    """

    def __init__(self) -> None:
        self._ahead: set[Key] = set()
        self._n_decoded = 0
        self._n_used = 0

    def used(self, hits: list[Key]) -> None:
        """Count the tiles decoded ahead that a read found in the cache."""
        if self._ahead:
            used = self._ahead.intersection(hits)
            self._n_used += len(used)
            self._ahead -= used

    def extended(
        self, cache: TileCache, lease: Lease, batch: Batch, tasks: np.ndarray, missed: list[int], n_workers: int
    ) -> np.ndarray:
        """The tasks, and behind them those of tiles decoded ahead (``rows`` 0: only into their slots)."""
        n_idle = min(-len(missed) % n_workers, len(missed))
        trial = max(1, TRIAL_NBYTES // batch.layout.tile_nbytes)
        if n_idle < 1 or self._n_decoded >= 2 * self._n_used + trial:
            return tasks
        taken = set(tasks["tile"].tolist())
        ahead: list[np.void] = []
        for index in missed:
            for tile in _neighbours(batch, tasks[index]):
                if len(ahead) < n_idle and tile not in taken:
                    taken.add(tile)
                    ahead.extend(self._task(cache, lease, batch, tasks[index], tile))
        return np.concatenate([tasks, np.array(ahead, tasks.dtype)]) if ahead else tasks

    def _task(self, cache: TileCache, lease: Lease, batch: Batch, model: np.void, tile: int) -> Iterator[np.void]:
        """A task that decodes a tile into its slot; none if it is sparse, cached, or there is no slot."""
        plane = batch.planes[model["plane"]]
        offset, nbytes = int(plane.offsets[tile]), int(plane.byte_counts[tile])
        grid = batch.layout.grid
        rows = int(grid.encoded_rows(np.array([tile % grid.n_tiles // grid.tiles_across]))[0])
        key = _key(batch, int(model["plane"]), offset, rows)
        if not nbytes or cache.holds(key):
            return
        ((slot, hit),) = cache.place(lease, [key])
        if slot == NO_SLOT or hit:
            return
        task = model.copy()
        task["offset"], task["nbytes"], task["slot"], task["tile"] = offset, nbytes, slot, tile
        task["rows"], task["tile_rows"] = 0, rows
        self._ahead.add(key)
        self._n_decoded += 1
        yield task


def _neighbours(batch: Batch, task: np.void) -> Iterator[int]:
    """Tiles beside that of a task, the one nearest to its rectangle first; of equals, the next of a scan."""
    grid = batch.layout.grid
    first, place = divmod(int(task["tile"]), grid.n_tiles)
    row, col = divmod(place, grid.tiles_across)
    y0, x0 = int(task["y0"]), int(task["x0"])
    gaps = [
        (grid.tile_cols - x0 - int(task["n_cols"]) * batch.x.step, 0, row, col + 1),
        (grid.tile_rows - y0 - int(task["rows"]) * batch.y.step, 1, row + 1, col),
        (x0, 2, row, col - 1),
        (y0, 3, row - 1, col),
    ]
    for _, _, r, c in sorted(gaps):
        if 0 <= r < grid.tiles_down and 0 <= c < grid.tiles_across:
            yield first * grid.n_tiles + r * grid.tiles_across + c

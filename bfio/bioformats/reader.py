"""Reads any box of a file through Bio-Formats: in parallel, in tiles, and none of them twice."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bfio import _kernels
from bfio._parallel import Workers
from bfio.bioformats.access import Access
from bfio.bioformats.decoded import Decoded, TileKey
from bfio.bioformats.describe import describe
from bfio.bioformats.failures import java_errors
from bfio.bioformats.jvm import attached
from bfio.bioformats.metadata import ome_xml_of
from bfio.bioformats.pool import Desk, ReaderPool
from bfio.bioformats.regions import MAX_NBYTES, Region, overlap, regions
from bfio.bioformats.structure import JavaSeries, read_structure
from bfio.errors import FormatError, LimitError, UsageError
from bfio.limits import Limits
from bfio.metadata import Description
from bfio.selection import Box, sample_runs
from bfio.tiling import Grid

__all__ = ["JavaImages"]

Rescale = tuple[float, float] | None

_SHARE_NBYTES = 1 << 20
"""Decoded bytes that make another worker worth its start."""
_MAX_LOOKUPS = 4096
"""Tiles of one plane that are looked up one by one; larger reads would find few of them."""


@dataclass(frozen=True, slots=True)
class _PlaneUse:
    """One plane of a box: its index in the file, and the parts of the output (count, Y, X) by first sample."""

    plane: int
    position: tuple[int, int, int]
    parts: list[tuple[int, np.ndarray]]


@dataclass(frozen=True, slots=True)
class _Job:
    """One request to Java."""

    use: _PlaneUse
    region: Region


class JavaImages:
    """All images of one file.

    Parameters
    ----------
    path : str
        Absolute.
    max_workers : int
        Most Java readers, and most threads of one read.
    limits : Limits
    cache_bytes : int
        Bound of the decoded tiles that are kept.
    """

    def __init__(self, path: str, *, max_workers: int, limits: Limits, cache_bytes: int) -> None:
        self.path = path
        self._limits = limits
        self._workers = Workers(max_workers)
        self._decoded = Decoded(cache_bytes)
        self._accesses: dict[tuple[int, int], Access] = {}
        self._xml: str | None = None
        self._xml_lock = threading.Lock()
        self._pool = ReaderPool(path, max_workers)
        try:
            with attached(), java_errors(path, "the structure can not be read"):
                self._store = self._pool.first.getMetadataStore()
                self.images = read_structure(self._pool.first)
        except BaseException:
            self._pool.close()
            raise

    def ome_xml(self) -> str:
        """The metadata as OME-XML, made by Bio-Formats when it is first asked for: a plate has megabytes of it."""
        with attached(), self._xml_lock, java_errors(self.path, "its metadata can not be read"):
            if self._xml is None:
                self._xml = ome_xml_of(self._store, self.path, self._limits)
            return self._xml

    def files(self) -> list[str]:
        """Paths of all files that belong to the image."""
        with attached(), self._pool.desk() as desk, java_errors(self.path, "its files can not be listed"):
            return [str(name) for name in desk.reader.getUsedFiles() or () if name is not None]

    def describe(self) -> Description:
        """What the file is, and how its images are stored, as far as Bio-Formats tells."""
        with attached(), self._pool.desk() as desk, java_errors(self.path, "can not be described"):
            return describe(desk.reader, self.images)

    def read(self, series: int, level: int, box: Box, out: np.ndarray, rescale: Rescale) -> None:
        """Fill ``out``, shape ``box.shape`` (T, C with samples, Z, Y, X), with the pixels of a box.

        Raises
        ------
        FormatError
            The file is broken.
        UsageError
            The pixels can not become those of ``out``.
        """
        if 0 in box.shape:
            return
        image = self.images[series]
        if not _kernels.can_convert(image.info.dtype, out.dtype) or (rescale is not None and out.dtype.kind in "cb"):
            how = " by a scale" if rescale else ""
            raise UsageError(f"{self.path}: pixels of dtype {image.info.dtype} can not be read as {out.dtype}{how}")
        with attached():  # first of all: after a fork this raises, before a lock is touched
            _Read(self, image, level, box, rescale, self._access(image, level)).run(_plane_uses(image, box, out))

    def _access(self, image: JavaSeries, level: int) -> Access:
        key = (image.info.index, level)
        access = self._accesses.get(key)
        if access is None:
            pixel_nbytes = image.info.samples * image.stored_dtype.itemsize
            most = min(self._decoded.nbytes, self._limits.tile_nbytes)
            access = self._accesses.setdefault(key, Access(image.info.levels[level], pixel_nbytes, most))
        return access

    def close(self) -> None:
        """Close the file; twice is once."""
        self._workers.close()
        self._decoded.clear()
        self._pool.close()


def _plane_uses(image: JavaSeries, box: Box, out: np.ndarray) -> Iterator[_PlaneUse]:
    """Planes of a box, each once."""
    runs: dict[int, list[tuple[int, int, int]]] = {}
    for start, plane, first, count in sample_runs(box.c, image.info.samples):
        runs.setdefault(plane, []).append((start, first, count))
    for t_index, t in enumerate(box.t):
        for z_index, z in enumerate(box.z):
            for c, places in runs.items():
                parts = [(first, out[t_index, start : start + n, z_index]) for start, first, n in places]
                yield _PlaneUse(image.plane_index(t, c, z), (t, c, z), parts)


class _Read:
    """One call of :meth:`JavaImages.read`."""

    def __init__(
        self, images: JavaImages, image: JavaSeries, level: int, box: Box, rescale: Rescale, access: Access
    ) -> None:
        self._images, self._image, self._level, self._box = images, image, level, box
        self._rescale, self._access = rescale, access
        self._grid = access.grid  # may change while this read goes on
        self._by_tile = (self._grid.tile_rows, self._grid.tile_cols) != (1, 1)
        self._decoded, self._pool = images._decoded, images._pool
        self._target_nbytes = access.target_nbytes(math.prod(box.shape) * image.info.dtype.itemsize, self._pool.n)

    def run(self, uses: Iterator[_PlaneUse]) -> None:
        """Read planes into their places."""
        jobs = [job for use in uses for job in self._jobs(use)]
        if not jobs:
            return
        nbytes = sum(job.region.n_pixels for job in jobs) * self._access.pixel_nbytes
        n = min(self._pool.n_worth(nbytes), len(jobs), max(1, nbytes // _SHARE_NBYTES))
        queue = iter(jobs)
        lock, stopped = threading.Lock(), threading.Event()

        def work() -> None:
            with attached(), self._pool.desk() as desk:
                while not stopped.is_set():
                    with lock:
                        job = next(queue, None)
                    if job is None:
                        return
                    self._do(job, desk)

        self._images._workers.run(work, n, stopped.set)

    # -- planning -----------------------------------------------------------------------------------------------------

    def _jobs(self, use: _PlaneUse) -> Iterator[_Job]:
        """What has to be asked of Java for a plane; tiles that are at hand are placed right away."""
        box, grid = self._box, self._grid
        wanted = regions(box.y, box.x, grid, self._access.pixel_nbytes, self._target_nbytes)
        if not self._decoded.has_plane(*self._plane_key(use)):
            yield from (_Job(use, region) for region in wanted)
            return
        if not self._by_tile:
            plane = self._decoded.get((*self._plane_key(use), 0, 0))
            if plane is not None:
                self._place(plane, self._access.plane, use)
                return
        n_lookups = 0
        for region in wanted:
            n_lookups += _n_tiles(region, grid)
            if n_lookups > _MAX_LOOKUPS:
                yield _Job(use, region)
            else:
                yield from (_Job(use, part) for part in self._not_at_hand(use, region))

    def _not_at_hand(self, use: _PlaneUse, region: Region) -> Iterator[Region]:
        """The tiles of a region that are not kept, as rectangles of neighbours in one row of tiles."""
        if region.n_pixels == 0:
            return
        grid = self._grid
        for y in range(region.y.start, region.y.stop, grid.tile_rows):
            rows = range(y, min(y + grid.tile_rows, region.y.stop))
            first: int | None = None
            for x in range(region.x.start, region.x.stop, grid.tile_cols):
                tile = self._decoded.get(self._tile_key(use, y, x))
                if tile is None:
                    first = x if first is None else first
                    continue
                self._place(tile, Region(rows, range(x, min(x + grid.tile_cols, region.x.stop))), use)
                if first is not None:
                    yield Region(rows, range(first, x))
                    first = None
            if first is not None:
                yield Region(rows, range(first, region.x.stop))

    def _plane_key(self, use: _PlaneUse) -> tuple[int, int, int]:
        return self._image.info.index, self._level, use.plane

    def _tile_key(self, use: _PlaneUse, y: int, x: int) -> TileKey:
        return (*self._plane_key(use), y // self._grid.tile_rows, x // self._grid.tile_cols)

    # -- reading ------------------------------------------------------------------------------------------------------

    def _do(self, job: _Job, desk: Desk) -> None:
        """Ask Java, place the pixels, and keep the tiles of which others are likely to want the rest."""
        use, region = job.use, job.region
        if not self._by_tile:
            self._do_untold(use, region, desk)
        elif _n_tiles(region, self._grid) == 1 and self._is_cut(region):
            key = self._tile_key(use, region.y.start, region.x.start)
            self._place(self._tile(key, use, region, desk), region, use)
        else:
            pixels = self._ask(use, region, desk)
            self._place(pixels, region, use)
            self._keep_cut_tiles(pixels, region, use)

    def _do_untold(self, use: _PlaneUse, region: Region, desk: Desk) -> None:
        """A part of a plane that has no tiles; or the whole, where parts turn out to cost as much."""
        access, plane = self._access, self._access.plane
        key = (*self._plane_key(use), 0, 0)
        if region != plane and (access.wants_whole or self._decoded.has_plane(*key[:3])):
            tile = self._tile(key, use, plane, desk) if access.wants_whole else self._decoded.get(key)
            if tile is not None:
                rows, cols = region.y, region.x
                self._place(tile[rows.start : rows.stop, cols.start : cols.stop], region, use)
                return
        began = time.perf_counter()
        self._place(self._ask(use, region, desk), region, use)
        access.learn_from_part(region, time.perf_counter() - began)

    def _tile(self, key: TileKey, use: _PlaneUse, region: Region, desk: Desk) -> np.ndarray:
        """A tile that is kept; of several threads that want it one decodes it."""

        def decode() -> np.ndarray:
            began = time.perf_counter()
            tile = self._ask(use, region, desk).copy()
            self._access.learn_from_whole(time.perf_counter() - began)
            return tile

        return self._decoded.get_or_make(key, decode)

    def _ask(self, use: _PlaneUse, region: Region, desk: Desk) -> np.ndarray:
        """Pixels (rows, columns, samples) of a region, in the byte order of the file; valid until the next call."""
        image, y, x = self._image, region.y, region.x
        nbytes = region.n_pixels * self._access.pixel_nbytes
        if nbytes > MAX_NBYTES:
            raise LimitError(f"{self._images.path}: one tile has {nbytes:,} bytes, more than Java can hold in an array")
        with java_errors(self._images.path, f"{self._where(use)} can not be read"):
            desk.go_to(image.java_index, image.resolutions[self._level])
            ends = [nbytes]
            array = desk.landing.array(nbytes, ends)
            desk.reader.openBytes(use.plane, array, x.start, y.start, len(x), len(y))
            raw = desk.landing.take(array, nbytes)
        if desk.landing.is_marked(raw, ends):
            raise FormatError(f"{self._images.path}: {self._where(use)} can not be read: its data end too early")
        pixels = raw.view(image.stored_dtype)
        samples = image.info.samples
        if image.interleaved:
            return pixels.reshape(len(y), len(x), samples)
        return pixels.reshape(samples, len(y), len(x)).transpose(1, 2, 0)

    def _where(self, use: _PlaneUse) -> str:
        return f"series {self._image.info.index}, plane {use.plane} (t, c, z = {use.position})"

    # -- placing ------------------------------------------------------------------------------------------------------

    def _place(self, pixels: np.ndarray, region: Region, use: _PlaneUse) -> None:
        """Copy the selected pixels of a region to where they belong."""
        rows_out, rows = overlap(self._box.y, region.y)
        cols_out, cols = overlap(self._box.x, region.x)
        for first, part in use.parts:
            source = pixels[rows, cols, first : first + len(part)]
            target = part[:, rows_out, cols_out].transpose(1, 2, 0)
            if target.dtype == source.dtype.newbyteorder("=") and self._rescale is None:
                np.copyto(target, source)
            else:
                native: Any = source.astype(source.dtype.newbyteorder("="), copy=False)
                _kernels.convert(native, target, self._rescale)

    def _keep_cut_tiles(self, pixels: np.ndarray, region: Region, use: _PlaneUse) -> None:
        """Keep the tiles at the border of the selection, which the reader of the region beside it needs as well."""
        if self._decoded.nbytes == 0 or not self._is_cut(region):
            return
        grid = self._grid
        for y in range(region.y.start, region.y.stop, grid.tile_rows):
            rows = range(y, min(y + grid.tile_rows, region.y.stop))
            inner = _inside(rows, self._box.y)
            for x in range(region.x.start, region.x.stop, grid.tile_cols):
                cols = range(x, min(x + grid.tile_cols, region.x.stop))
                if not (inner and _inside(cols, self._box.x)):
                    tile = pixels[y - region.y.start : rows.stop - region.y.start, x - region.x.start :][:, : len(cols)]
                    self._decoded.put(self._tile_key(use, y, x), tile.copy())

    def _is_cut(self, region: Region) -> bool:
        return not (_inside(region.y, self._box.y) and _inside(region.x, self._box.x))


def _inside(part: range, selected: range) -> bool:
    """Whether a selection holds all of a part of the axis."""
    return selected.step == 1 and selected.start <= part.start and part.stop <= selected.stop


def _n_tiles(region: Region, grid: Grid) -> int:
    return -(-len(region.y) // grid.tile_rows) * -(-len(region.x) // grid.tile_cols)

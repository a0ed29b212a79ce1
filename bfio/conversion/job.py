"""One conversion: the plan, and the stream of blocks from the source to the target."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from bfio._parallel import Workers
from bfio.backends.base import WriterBackend
from bfio.backends.registry import create_writer
from bfio.conversion.blocks import Plan, plan
from bfio.conversion.buffers import Filler
from bfio.conversion.geometry import Block, Geometry
from bfio.conversion.layout import Layout, layout
from bfio.conversion.picture import Picture
from bfio.conversion.todo import Todo
from bfio.enums import Downsample
from bfio.errors import BfioError
from bfio.metadata import Level
from bfio.omexml.build import build_xml
from bfio.options import WriteOptions
from bfio.progress import Progress
from bfio.pyramid import level_sizes
from bfio.target import part_path
from bfio.tiling import Grid

__all__ = ["Job"]

logger = logging.getLogger("bfio")

FLUSH_SECONDS = 60.0
"""Time between two checkpoints."""


class Job:
    """The stream of blocks, and the writer that takes them.

    Parameters
    ----------
    picture : Picture
    path : Path
        The file to write.
    backend : str
        Name of the backend that writes it.
    options : WriteOptions
    memory : int
        Bound for the memory of the process, in bytes.
    kept : int
        What of that the reader of the source keeps for itself.
    """

    def __init__(
        self, picture: Picture, path: Path, backend: str, options: WriteOptions, memory: int, kept: int = 0
    ) -> None:
        self._picture, self._path, self._backend = picture, path, backend
        series = picture.series
        size = (series.size_y, series.size_x)
        if picture.is_labels and options.downsample == Downsample.MEAN and series.dtype.kind in "iu":
            options = replace(options, downsample=Downsample.MODE)
        stored = layout(series, backend, options)
        self._part = part_path(path, options.series)
        resume = options.resume and self._part.exists()
        self._options = replace(options, levels=stored.n_levels, resume=resume)
        shapes = level_sizes(*size, stored.n_levels)
        self.series = replace(series, levels=tuple(Level(*shape, stored.tile) for shape in shapes))
        self._geometry = _geometry(picture, stored, kept)
        self._plan = plan(self._geometry, memory, options.max_workers)
        self._pixel_nbytes = self._geometry.pixel_nbytes

    @property
    def total(self) -> int:
        """Bytes of all pixels."""
        return self._geometry.n_pixels * self._pixel_nbytes

    @property
    def n_pixels(self) -> int:
        """Pixels, as :meth:`run` tells them."""
        return self._geometry.n_pixels

    @property
    def n_tiles(self) -> int:
        """Tiles of full resolution."""
        g = self._geometry
        return Grid(g.size_y, g.size_x, *g.tile).n_tiles * g.n_planes

    def run(self, progress: Progress) -> int:
        """Write the file. Returns the bytes of pixels that were there before."""
        writer = create_writer(self._path, self._backend, self.series, self._xml(), self._options)
        try:
            blocks = _Blocks(self._plan, Todo(self._geometry, writer.missing) if self._options.resume else None)
            self._stream(writer, blocks, progress)
            writer.close()
        except BaseException as error:
            writer.abandon()
            if self._part.exists():
                error.add_note(f"what was written so far is in {self._part}; resume=True goes on with it")
            raise
        return blocks.skipped * self._pixel_nbytes

    def _xml(self) -> str:
        """OME-XML of the target: what that of the source says and is still true."""
        name = self.series.name or self._path.name
        base, index, picked = self._picture.metadata()
        try:
            return build_xml(self.series, name, base, index=index, picked=picked)
        except BfioError as error:
            if base is None:
                raise
            logger.warning("the OME-XML of the source can not be used (%s) and is left out", error)
            return build_xml(self.series, name)

    def _stream(self, writer: WriterBackend, blocks: _Blocks, progress: Progress) -> None:
        """Move all blocks: a thread fills one while this thread writes the one before."""
        fill = Filler(self._picture, self._plan)
        workers = Workers(2 if self._plan.overlapped and self._options.max_workers > 1 else 1)
        flushed, skipped = time.monotonic(), 0
        with closing(workers), closing(workers.map(fill, blocks, window=1)) as filled:
            for block, pixels in filled:
                writer.write(self._picture.stored_box(block), pixels)
                progress.add(block.n_pixels + blocks.skipped - skipped)
                skipped = blocks.skipped
                if time.monotonic() - flushed > FLUSH_SECONDS:
                    writer.flush()
                    flushed = time.monotonic()
            progress.add(blocks.skipped - skipped)


class _Blocks:
    """The blocks of a plan that are to be done, and how many pixels were done before."""

    def __init__(self, plan: Plan, todo: Todo | None) -> None:
        self._plan, self._todo = plan, todo
        self.skipped = 0

    def __iter__(self) -> Iterator[Block]:
        for block in self._plan.blocks():
            rest = block if self._todo is None else self._todo.rest(block)
            self.skipped += block.n_pixels - (0 if rest is None else rest.n_pixels)
            if rest is not None:
                yield rest


def _geometry(picture: Picture, stored: Layout, kept: int) -> Geometry:
    series = picture.series
    return Geometry(
        size_t=series.size_t,
        size_c=series.size_c,
        size_z=series.size_z,
        size_y=series.size_y,
        size_x=series.size_x,
        samples=series.samples,
        item_nbytes=series.dtype.itemsize,
        tile=stored.tile,
        n_levels=stored.n_levels,
        src_tile=picture.src_tile,
        src_pixel_nbytes=picture.src_pixel_nbytes,
        src_origin=picture.origin,
        src_size=picture.src_size,
        is_local=picture.is_local,
        src_kept_nbytes=kept,
        depth=stored.depth,
        shard=stored.shard,
        in_chunks=stored.in_chunks,
    )

"""A finished store that is added to: its arrays as those of an image with all five axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bfio._parallel import Workers
from bfio.enums import Downsample
from bfio.errors import UnsupportedError, UsageError
from bfio.limits import Limits
from bfio.metadata import Series
from bfio.omezarr.arraymeta import ArrayMeta
from bfio.omezarr.nodes import Folder
from bfio.omezarr.series import ZarrSeries, read_series
from bfio.omezarr.writing.cutting import Index
from bfio.omezarr.writing.recipe import AXES, Recipe
from bfio.omezarr.writing.sinks import ChunkSink, open_sink

__all__ = ["StoredImage", "read_image"]


@dataclass(frozen=True, slots=True)
class StoredImage:
    """The first image of a store.

    Attributes
    ----------
    series : Series
    recipe : Recipe
        Its shapes, and how its levels are made; of its codec nothing is told.
    axes : str
        Of the arrays, of ``tczyx``.
    arrays : tuple of ArrayMeta
    """

    series: Series
    recipe: Recipe
    axes: str
    arrays: tuple[ArrayMeta, ...]

    @property
    def metas(self) -> tuple[ArrayMeta, ...]:
        """The arrays, with axes of length 1 where they have none."""
        return tuple(
            replace(
                meta, shape=self._full(meta.shape), chunk=self._full(meta.chunk),
                shard=None if meta.shard is None else self._full(meta.shard),
            )
            for meta in self.arrays
        )  # fmt: skip

    def sink(self, folder: Path, level: int, workers: Workers, *, durable: bool, resume: bool) -> ChunkSink:
        """Where the chunks of one of :attr:`metas` go."""
        opened = open_sink(folder, self.arrays[level], workers, durable=durable, resume=resume, in_place=True)
        return opened if self.axes == AXES else _FewerAxes(opened, self.axes, self.metas[level])

    def _full(self, sizes: Sequence[int]) -> tuple[int, ...]:
        lengths = dict(zip(self.axes, sizes, strict=True))
        return tuple(lengths.get(axis, 1) for axis in AXES)


def read_image(folder: Path, downsample: Downsample = Downsample.MEAN) -> StoredImage:
    """The image of a store that is to be written into.

    Parameters
    ----------
    folder : Path
    downsample : Downsample
        How its levels are made where it does not tell a way that bfio knows.

    Raises
    ------
    UsageError
        It tells another way than `downsample`, which is not the default.
    FormatError, UnsupportedError
        It has none, or several, or one that is stored in a way in which bfio does not write.
    """
    found = read_series(Folder(folder), Limits())
    if len(found) > 1:
        raise UnsupportedError(f"{folder} has {len(found)} images; say with series= which one to write into")
    image = found[0]
    first, info = image.arrays[0], image.info
    if not _in_order(image.axes):
        raise UnsupportedError(f"{folder}: its axes are {image.axes}; append=True writes {AXES}, in this order")
    recipe = _recipe(info, image.axes, first, len(image.arrays))
    recipe = replace(recipe, downsample=_downsample(folder, image, downsample))
    made = StoredImage(info, recipe, image.axes, image.arrays)
    for level, meta in enumerate(made.metas):
        if meta.shape != made.recipe.level_shape(level):
            raise UnsupportedError(
                f"{folder}: level {level} has the shape {meta.shape}, not half of the one before; bfio can not keep "
                "such levels up to date"
            )
    return made


def _recipe(info: Series, axes: str, first: ArrayMeta, n_levels: int) -> Recipe:
    chunk, shard = (dict(zip(axes, sizes, strict=True)) if sizes else None for sizes in (first.chunk, first.shard))
    assert chunk is not None
    return Recipe(
        version="0.5" if first.zarr_format == 3 else "0.4",
        shape=info.shape,
        dtype=first.dtype,
        chunk=tuple(chunk.get(axis, 1) for axis in AXES),
        shard=None if shard is None else tuple(shard.get(axis, 1) for axis in AXES),
        n_levels=n_levels,
    )


def _downsample(folder: Path, image: ZarrSeries, wanted: Downsample) -> Downsample:
    """How levels are kept up to date: as they were made, since one level is of one kind."""
    if len(image.arrays) == 1:
        return wanted
    if image.downsample in tuple(Downsample):
        known = Downsample(image.downsample)
        if wanted not in (known, Downsample.MEAN):
            raise UsageError(
                f"{folder}: its levels are made by {str(known)!r}, not {str(wanted)!r}; leave downsample= out"
            )
        return known
    return Downsample.MODE if image.kind == "label" and wanted == Downsample.MEAN else wanted


def _in_order(axes: str) -> bool:
    places = [AXES.find(axis) for axis in axes]
    return places == sorted(places) and -1 not in places and axes.endswith("yx")


class _FewerAxes:
    """A sink of an array that lacks axes, as one that has them all."""

    def __init__(self, sink: ChunkSink, axes: str, full: ArrayMeta) -> None:
        self._sink, self.meta = sink, full
        self._kept = [AXES.index(axis) for axis in axes]

    def _index(self, index: Index) -> Index:
        return tuple(index[axis] for axis in self._kept)

    def _shape(self) -> Index:
        return self._index(self.meta.chunk)

    def put(self, indices: Sequence[Index], chunks: Sequence[np.ndarray]) -> None:
        self._sink.put([self._index(index) for index in indices], [chunk.reshape(self._shape()) for chunk in chunks])

    def get(self, index: Index) -> np.ndarray | None:
        found = self._sink.get(self._index(index))
        return None if found is None else found.reshape(self.meta.chunk)

    def mark(self, indices: Sequence[Index]) -> None:
        self._sink.mark([self._index(index) for index in indices])

    def written(self) -> np.ndarray:
        return self._sink.written().reshape(self.meta.grid)

    def adopt(self, noted: np.ndarray, found: np.ndarray) -> None:
        grid = self._sink.meta.grid
        self._sink.adopt(noted.reshape(grid), found.reshape(grid))

    def flush(self) -> None:
        self._sink.flush()

    def finish(self) -> None:
        self._sink.finish()

    def abandon(self) -> None:
        self._sink.abandon()

"""Planes that are stored alike, read together: one plan, one run of the workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bfio import _kernels
from bfio.plan import FORMAT, PlaneCut, cut_plane, plan_tasks
from bfio.tiff.layout import Layout
from bfio.tiff.plane import Plane

__all__ = ["Batch", "Rescale", "batches"]

Rescale = tuple[float, float] | None
"""``(scale, offset)``: a value becomes ``value * scale + offset`` before it is converted."""

MAX_BATCH_TASKS = 1 << 20
"""Tasks planned at once, so that plans of huge stacks stay small beside their pixels."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a plane goes in the output: index along T, first index along C, index along Z; and its first sample."""

    t: int
    c: int
    z: int
    first_sample: int
    n_samples: int


@dataclass(frozen=True)
class Batch:
    """Tiles of several planes of one layout, and the output ``(T, C, Z, Y, X)`` they are cut into."""

    layout: Layout
    planes: Sequence[Plane]
    places: Sequence[Place]
    y: range
    x: range
    out: np.ndarray
    rescale: Rescale

    @cached_property
    def cut(self) -> PlaneCut:
        """The rectangles, the same on each plane."""
        return cut_plane(self.layout.grid, self.y, self.x)

    @cached_property
    def tile_table(self) -> np.ndarray:
        """Index of each task's tile in its IFD, shape (n_planes, n_tasks of a plane)."""
        first = np.zeros(len(self.planes), np.int64)
        if self.layout.planar:
            first += [place.first_sample * self.layout.grid.n_tiles for place in self.places]
        return first[:, None] + self.cut.tile

    def tasks(self) -> np.ndarray:
        """One task per tile and plane."""
        table = self.tile_table
        offsets = np.stack([plane.offsets[tiles] for plane, tiles in zip(self.planes, table, strict=True)])
        counts = np.stack([plane.byte_counts[tiles] for plane, tiles in zip(self.planes, table, strict=True)])
        t_stride, c_stride, z_stride, y_stride, x_stride = self.out.strides
        dst = np.array([p.t * t_stride + p.c * c_stride + p.z * z_stride for p in self.places], np.int64)
        return plan_tasks(self.cut, offsets, counts, dst, y_stride, x_stride)

    def tile_format(self, compression: int | None = None) -> np.ndarray:
        """How the kernels decode this batch; ``compression`` replaces the layout's."""
        layout, place = self.layout, self.places[0]
        form = np.zeros(1, FORMAT)
        form["cols"] = layout.grid.tile_cols
        form["samples"] = layout.tile_samples
        form["first_sample"] = 0 if layout.planar else place.first_sample
        form["n_samples"] = place.n_samples
        form["y_step"], form["x_step"] = self.y.step, self.x.step
        form["compression"] = layout.compression if compression is None else compression
        form["predictor"] = layout.predictor
        form["item_size"], form["swap_size"] = layout.dtype.itemsize, layout.swap_size
        form["src_kind"], form["dst_kind"] = _kernels.kinds(layout.dtype, self.out.dtype)
        if self.rescale is not None:
            form["rescale"], form["scale"], form["offset"] = 1, *self.rescale
        fill = np.zeros(1, self.out.dtype)
        _kernels.convert(np.full(1, layout.nodata, layout.dtype), fill, self.rescale)
        form["fill"][0, : fill.nbytes] = fill.view(np.uint8)
        return form

    def window(self, task: int) -> tuple[tuple[slice, slice], np.ndarray]:
        """Rows and columns of a task in its tile, and the output's view (rows, columns, samples) for them."""
        plane, rest = divmod(task, self.cut.n_tasks)
        row, col = divmod(rest, self.cut.x.tile.size)
        place, y, x = self.places[plane], self.cut.y, self.cut.x
        inside = tuple(
            slice(int(cuts.start[i]), int(cuts.start[i] + (cuts.count[i] - 1) * step + 1), step)
            for cuts, i, step in ((y, row, self.y.step), (x, col, self.x.step))
        )
        target = self.out[
            place.t,
            place.c : place.c + place.n_samples,
            place.z,
            y.dst[row] : y.dst[row] + y.count[row],
            x.dst[col] : x.dst[col] + x.count[col],
        ]
        return (inside[0], inside[1]), target.transpose(1, 2, 0)

    def locate(self, task: int) -> tuple[Plane, int]:
        """Plane and tile index of a task."""
        plane = task // self.cut.n_tasks
        return self.planes[plane], int(self.tile_table[plane, task % self.cut.n_tasks])


def _key(plane: Plane, place: Place) -> tuple[int, Layout, int, int]:
    interleaved_sample = 0 if plane.layout.planar else place.first_sample
    return id(plane.source), plane.layout, interleaved_sample, place.n_samples


def batches(
    wanted: Iterator[tuple[Plane, Place]], y: range, x: range, out: np.ndarray, rescale: Rescale
) -> Iterator[Batch]:
    """Group planes as they come: as long as file, layout and samples stay the same, they share a batch."""
    planes: list[Plane] = []
    places: list[Place] = []
    limit = 1
    for plane, place in wanted:
        if planes and (len(planes) >= limit or _key(plane, place) != _key(planes[0], places[0])):
            yield Batch(planes[0].layout, planes, places, y, x, out, rescale)
            planes, places = [], []
        if not planes:
            limit = max(1, MAX_BATCH_TASKS // plane.layout.grid.n_tiles)
        planes.append(plane)
        places.append(place)
    if planes:
        yield Batch(planes[0].layout, planes, places, y, x, out, rescale)



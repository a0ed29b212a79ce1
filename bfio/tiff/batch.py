"""Planes that are stored alike, read together: one plan, one run of the workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from bfio import _kernels
from bfio.plan import FORMAT, plan_planes
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


@dataclass(eq=False)
class Batch:
    """Tiles of several planes of one layout, and the output ``(T, C, Z, Y, X)`` they are cut into.

    ``tasks`` has one task per tile and plane.
    """

    layout: Layout
    planes: Sequence[Plane]
    places: Sequence[Place]
    y: range
    x: range
    out: np.ndarray
    rescale: Rescale
    tasks: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        t_stride, c_stride, z_stride = self.out.strides[:3]
        n_tiles = self.layout.grid.n_tiles if self.layout.planar else 0
        self.tasks = plan_planes(
            self.layout.grid,
            self.y,
            self.x,
            [
                (
                    plane.offsets,
                    plane.byte_counts,
                    place.first_sample * n_tiles,
                    place.t * t_stride + place.c * c_stride + place.z * z_stride,
                )
                for plane, place in zip(self.planes, self.places, strict=True)
            ],
        )

    @property
    def nbytes(self) -> int:
        """Bytes of the output that this batch fills."""
        pixels = len(self.planes) * len(self.y) * len(self.x)
        return pixels * self.places[0].n_samples * self.out.dtype.itemsize

    def tile_format(self, compression: int | None = None) -> np.ndarray:
        """How the kernels decode this batch; ``compression`` replaces the layout's."""
        place = self.places[0]
        return _tile_format(
            self.layout,
            0 if self.layout.planar else place.first_sample,
            place.n_samples,
            self.y.step if len(self.y) > 1 else 1,
            self.x.step if len(self.x) > 1 else 1,
            self.out.dtype,
            self.rescale,
            self.layout.compression if compression is None else compression,
        )

    def window(self, index: int) -> tuple[tuple[slice, slice], np.ndarray]:
        """Rows and columns of a task in its tile, and the output's view (rows, columns, samples) for them."""
        task = self.tasks[index]
        place = self.places[task["plane"]]
        inside = tuple(
            slice(int(task[first]), int(task[first]) + (int(task[count]) - 1) * step + 1, step)
            for first, count, step in (("y0", "rows", self.y.step), ("x0", "n_cols", self.x.step))
        )
        y_dst, x_dst = int(task["y_dst"]), int(task["x_dst"])
        target = self.out[
            place.t,
            place.c : place.c + place.n_samples,
            place.z,
            y_dst : y_dst + int(task["rows"]),
            x_dst : x_dst + int(task["n_cols"]),
        ]
        return (inside[0], inside[1]), target.transpose(1, 2, 0)

    def locate(self, index: int) -> tuple[Plane, int]:
        """Plane and tile index of a task."""
        task = self.tasks[index]
        return self.planes[task["plane"]], int(task["tile"])


@lru_cache(maxsize=256)
def _tile_format(
    layout: Layout,
    first_sample: int,
    n_samples: int,
    y_step: int,
    x_step: int,
    out_dtype: np.dtype,
    rescale: Rescale,
    compression: int,
) -> np.ndarray:
    """One record of :data:`bfio.plan.FORMAT`, read-only."""
    form = np.zeros(1, FORMAT)
    form["cols"] = layout.grid.tile_cols
    form["samples"] = layout.tile_samples
    form["first_sample"], form["n_samples"] = first_sample, n_samples
    form["y_step"], form["x_step"] = y_step, x_step
    form["compression"], form["predictor"] = compression, layout.predictor
    form["item_size"], form["swap_size"] = layout.dtype.itemsize, layout.swap_size
    form["src_kind"], form["dst_kind"] = _kernels.kinds(layout.dtype, out_dtype)
    if rescale is not None:
        form["rescale"], form["scale"], form["offset"] = 1, *rescale
    fill = np.zeros(1, out_dtype)
    _kernels.convert(np.full(1, layout.nodata, layout.dtype), fill, rescale)
    form["fill"][0, : fill.nbytes] = fill.view(np.uint8)
    form.flags.writeable = False
    return form


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

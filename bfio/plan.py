"""What to read, as data: a selection laid over a grid of tiles becomes an array of tasks. Pure; touches no file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bfio import _kernels
from bfio.tiling import Grid, tiles_hit

__all__ = ["FORMAT", "NO_SLOT", "TASK", "PlanePlan", "plan_planes", "tasks_per_plane"]

# Both are read by the kernels: src/_tilecodec/tiletask.pxd
FORMAT = np.dtype(
    [
        ("cols", "u4"),
        ("samples", "u4"),
        ("first_sample", "u4"),
        ("n_samples", "u4"),
        ("y_step", "u4"),
        ("x_step", "u4"),
        ("compression", "u2"),
        ("predictor", "u2"),
        ("item_size", "u1"),
        ("swap_size", "u1"),
        ("src_kind", "u1"),
        ("dst_kind", "u1"),
        ("rescale", "u1"),
        ("scale", "f8"),
        ("offset", "f8"),
        ("fill", "u1", (16,)),
    ]
)
TASK = np.dtype(
    [
        ("offset", "u8"),
        ("nbytes", "u8"),
        ("slot", "i8"),
        ("plane_dst", "i8"),
        ("tile", "u8"),
        ("plane", "u4"),
        ("tile_rows", "u4"),
        ("y0", "u4"),
        ("x0", "u4"),
        ("rows", "u4"),
        ("n_cols", "u4"),
        ("y_dst", "u4"),
        ("x_dst", "u4"),
        ("ready", "u4"),
        ("decoded_rows", "u4"),
    ]
)
NO_SLOT = -1

PlanePlan = tuple[np.ndarray, np.ndarray, int, int]
"""One plane: offsets and byte counts of its tiles (uint64), index of the first tile that counts (where samples are
stored apart), byte offset in the output of the plane's first item."""


def tasks_per_plane(grid: Grid, y: range, x: range) -> int:
    """Number of tiles that the rectangle ``y`` by ``x`` touches."""
    return tiles_hit(y, grid.tile_rows) * tiles_hit(x, grid.tile_cols)


def plan_planes(grid: Grid, y: range, x: range, planes: Sequence[PlanePlan]) -> np.ndarray:
    """Tasks for planes that are cut alike, tile by tile in row-major order.

    Parameters
    ----------
    grid : Grid
    y, x : range
        Rows and columns to read; within the image, positive step, not empty.
    planes : sequence of PlanePlan

    Returns
    -------
    ndarray of TASK, shape (n_planes * tasks_per_plane,)
    """
    n = tasks_per_plane(grid, y, x)
    tasks = np.empty(n * len(planes), TASK)
    raw = tasks.view(np.uint8)
    for number, (offsets, byte_counts, first_tile, plane_dst) in enumerate(planes):
        _kernels.plan_plane(
            raw, number * n, number, offsets, byte_counts, first_tile, plane_dst,
            grid.size_y, grid.tile_rows, grid.tile_cols, grid.tiles_across, grid.strips,
            y.start, y.step, len(y), x.start, x.step, len(x),
        )  # fmt: skip
    return tasks

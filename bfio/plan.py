"""What to read, as data: a selection laid over a grid of tiles becomes an array of tasks. Pure; touches no file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bfio.tiling import AxisCuts, cut_axis

__all__ = ["FORMAT", "NO_SLOT", "TASK", "Grid", "PlaneCut", "cut_plane", "plan_tasks"]

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
        ("dst", "i8"),
        ("tile_rows", "u4"),
        ("y0", "u4"),
        ("x0", "u4"),
        ("rows", "u4"),
        ("n_cols", "u4"),
        ("ready", "u4"),
    ]
)
NO_SLOT = -1


@dataclass(frozen=True, slots=True)
class Grid:
    """Tiles of one plane: image size and tile size in pixels. Strips are tiles of full width, the last one short."""

    size_y: int
    size_x: int
    tile_rows: int
    tile_cols: int
    strips: bool = False

    @property
    def tiles_down(self) -> int:
        """Number of tiles along Y."""
        return -(-self.size_y // self.tile_rows)

    @property
    def tiles_across(self) -> int:
        """Number of tiles along X."""
        return -(-self.size_x // self.tile_cols)

    @property
    def n_tiles(self) -> int:
        """Number of tiles of one plane (of one sample, where samples are stored apart)."""
        return self.tiles_down * self.tiles_across

    def encoded_rows(self, tile_row: np.ndarray) -> np.ndarray:
        """Rows that are stored in tiles of these positions along Y; only the last strip has fewer."""
        rows = np.full(tile_row.shape, self.tile_rows, dtype=np.int64)
        if self.strips:
            np.minimum(rows, self.size_y - tile_row * self.tile_rows, out=rows)
        return rows


@dataclass(frozen=True, slots=True)
class PlaneCut:
    """Rectangles of one plane, tile by tile in row-major order; the same for all planes of one layout."""

    y: AxisCuts
    x: AxisCuts
    tile: np.ndarray
    tile_rows: np.ndarray

    @property
    def n_tasks(self) -> int:
        """Number of tiles that the selection touches."""
        return self.tile.size


def cut_plane(grid: Grid, y: range, x: range) -> PlaneCut:
    """Cut the rectangle ``y`` by ``x`` (ranges with positive step, not empty) at the borders of the grid's tiles."""
    rows, cols = cut_axis(y, grid.tile_rows), cut_axis(x, grid.tile_cols)
    tile = rows.tile[:, None] * grid.tiles_across + cols.tile
    return PlaneCut(rows, cols, tile.ravel(), grid.encoded_rows(rows.tile))


def plan_tasks(
    cut: PlaneCut,
    offsets: np.ndarray,
    byte_counts: np.ndarray,
    plane_dst: np.ndarray,
    y_stride: int,
    x_stride: int,
) -> np.ndarray:
    """Tasks for several planes that are cut alike.

    Parameters
    ----------
    cut : PlaneCut
    offsets, byte_counts : uint64 arrays (n_planes, n_tasks)
        Where the encoded tiles of the cut are; a byte count of 0 is a sparse tile.
    plane_dst : int64 array (n_planes,)
        Byte offset in the output of each plane's first item.
    y_stride, x_stride : int
        Strides of the output in bytes.

    Returns
    -------
    ndarray of TASK, shape (n_planes * n_tasks,)
    """
    n_down, n_across = cut.y.tile.size, cut.x.tile.size
    tasks = np.zeros((len(plane_dst), n_down, n_across), TASK)
    grid_shape = tasks.shape
    tasks["offset"] = offsets.reshape(grid_shape)
    tasks["nbytes"] = byte_counts.reshape(grid_shape)
    tasks["slot"] = NO_SLOT
    rectangle_dst = cut.y.dst[:, None] * y_stride + cut.x.dst * x_stride
    tasks["dst"] = plane_dst[:, None, None] + rectangle_dst
    tasks["tile_rows"] = cut.tile_rows[:, None]
    tasks["y0"] = cut.y.start[:, None]
    tasks["x0"] = cut.x.start
    tasks["rows"] = cut.y.count[:, None]
    tasks["n_cols"] = cut.x.count
    return tasks.reshape(-1)

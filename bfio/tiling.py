"""Grid arithmetic: how a selection of one axis falls on the tiles of that axis."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["AxisCuts", "cut_axis"]


class AxisCuts(NamedTuple):
    """One entry per tile that holds selected indices; all int64 arrays of one length.

    ``tile`` is the tile's index along the axis, ``start`` the first selected index counted from the tile's
    origin, ``count`` how many are selected, ``dst`` the position of the first in the output.
    """

    tile: np.ndarray
    start: np.ndarray
    count: np.ndarray
    dst: np.ndarray


def cut_axis(selected: range, tile_size: int) -> AxisCuts:
    """Cut a range of indices (positive step) at the borders of tiles.

    Parameters
    ----------
    selected : range
        Indices along the axis, within the image; not empty.
    tile_size : int
        Length of a tile along the axis.
    """
    first, last, step = selected[0], selected[-1], selected.step
    tile = np.arange(first // tile_size, last // tile_size + 1, dtype=np.int64)
    origin = tile * tile_size
    # position in the selection of the first index at or after each tile's origin, and after its end
    begin = np.maximum(-((first - origin) // step), 0)
    end = np.minimum(-((first - origin - tile_size) // step), len(selected))
    count = end - begin
    start = first + begin * step - origin
    if step > tile_size:
        hit = count > 0
        tile, start, count, begin = tile[hit], start[hit], count[hit], begin[hit]
    return AxisCuts(tile, start, count, begin)

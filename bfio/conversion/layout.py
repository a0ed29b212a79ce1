"""In which units the target is stored, and how many levels it has: decided before anything is read or written."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bfio.metadata import Series
from bfio.options import WriteOptions
from bfio.pyramid import n_levels

__all__ = ["Layout", "layout"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Tiles of TIFF, or chunks and shards of Zarr.

    Attributes
    ----------
    tile : (int, int)
        Rows and columns of a tile or a chunk.
    n_levels : int
    depth : (int, int, int)
        Planes along T, C and Z of a chunk; where pixels have several samples, planes that are whole chunks.
    shard : (int, int) or None
        Rows and columns of a shard.
    in_chunks : bool
    """

    tile: tuple[int, int]
    n_levels: int
    depth: tuple[int, int, int] = (1, 1, 1)
    shard: tuple[int, int] | None = None
    in_chunks: bool = False


def layout(series: Series, backend: str, options: WriteOptions) -> Layout:
    """The layout of an image that a backend writes with these options.

    Raises
    ------
    UsageError
        The options do not fit together, or not this image.
    """
    if backend != "zarr":
        count = n_levels(options.levels or "auto", (series.size_y, series.size_x), options.tile_size)
        return Layout(options.tile_size, count)
    from bfio.omezarr.writing.choose import choose, flat_series

    recipe = choose(flat_series(series), options)
    t, c, z, *tile = recipe.chunk
    shared = math.lcm(c, series.samples) // series.samples
    shard = None if recipe.shard is None else (recipe.shard[3], recipe.shard[4])
    return Layout((tile[0], tile[1]), recipe.n_levels, (t, min(shared, series.size_c), z), shard, in_chunks=True)

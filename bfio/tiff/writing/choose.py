"""The recipe of a file where its writer was told an image and some options: bfio decides what was left open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bfio.enums import Compression, Predictor
from bfio.errors import UsageError
from bfio.metadata import Series
from bfio.options import AUTO_LEVELS, PREDICTED, WriteOptions
from bfio.pyramid import check_method, n_levels
from bfio.tiff.resolution import pixels_per_centimetre
from bfio.tiff.writing.front import front_nbytes
from bfio.tiff.writing.recipe import Recipe

__all__ = ["choose", "largest_nbytes", "largest_tile_nbytes", "wants_predictor"]

CLASSIC_NBYTES = 1 << 32
GROWTH = {
    Compression.LZW: 1.6,
    Compression.PACKBITS: 1.07,
    Compression.JPEG: 2.0,
    Compression.JPEG2000: 1.5,
    Compression.WEBP: 1.5,
}
"""By how much the worst tile can grow: LZW has 12 bits for a byte, PackBits a byte more in rows of 16.

Other codecs of bytes store what they can not compress.
"""
STORED = 1.01
TILE_OVERHEAD = 1024


def choose(series: Series, options: WriteOptions, xml: str) -> Recipe:
    """Recipe for an image of a kind.

    Tiles are cut down to the image where it is smaller. Without a wish for a predictor, integers get the horizontal
    one. Without a wish for BigTIFF, the file is a classic one only if it stays under 4 GiB whatever its pixels are.

    Raises
    ------
    UsageError
        What was asked for does not fit together.
    """
    rows, cols = (_tile_side(*pair) for pair in zip(options.tile_size, (series.size_y, series.size_x), strict=True))
    levels = "auto" if options.levels == AUTO_LEVELS else options.levels
    predictor = options.predictor
    if predictor is None:
        predictor = wants_predictor(series.dtype, options.compression)
    recipe = Recipe(
        size_t=series.size_t, size_c=series.size_c, size_z=series.size_z, size_y=series.size_y, size_x=series.size_x,
        samples=series.samples, dtype=series.dtype, tile_rows=rows, tile_cols=cols,
        n_levels=n_levels(levels, (series.size_y, series.size_x), (rows, cols)),
        compression=options.compression, compression_level=options.compression_level,
        predictor=predictor, big=options.bigtiff is not False, downsample=options.downsample,
        resolution=pixels_per_centimetre(series.physical_size_x, series.physical_size_y), xml=xml,
    )  # fmt: skip
    if recipe.n_levels > 1:
        check_method(recipe.dtype, str(recipe.downsample))
    if options.bigtiff is None and largest_nbytes(recipe) < CLASSIC_NBYTES:
        return replace(recipe, big=False)
    return recipe


def wants_predictor(dtype: np.dtype, compression: Compression) -> Predictor:
    """The predictor that helps and that every reader undoes."""
    if compression in PREDICTED and np.dtype(dtype).kind in "iu":
        return Predictor.HORIZONTAL
    return Predictor.NONE


def largest_nbytes(recipe: Recipe) -> int:
    """Bytes that the file can not exceed, even if every tile is written twice and never shrinks."""
    n_tiles = recipe.n_planes * sum(recipe.tiles(level).n_tiles for level in range(recipe.n_levels))
    return front_nbytes(recipe) + 2 * largest_tile_nbytes(recipe) * n_tiles


def largest_tile_nbytes(recipe: Recipe) -> int:
    """Bytes that no encoded tile exceeds."""
    return int(recipe.tile_nbytes * GROWTH.get(recipe.compression, STORED)) + TILE_OVERHEAD


def _tile_side(wanted: int, size: int) -> int:
    """Rows or columns of a tile: no more than the image has, as a multiple of 16."""
    if wanted < 16 or wanted % 16:
        raise UsageError(f"tile_size: {wanted} is no multiple of 16; use {max(16, (wanted + 8) // 16 * 16)}")
    return min(wanted, -(-size // 16) * 16)

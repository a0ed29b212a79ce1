"""Encoders through imagecodecs: image codecs, booleans, and the codecs of bytes that this build has no kernel for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from bfio._kernels import has_compressor
from bfio.enums import Compression, Predictor
from bfio.errors import UnsupportedError
from bfio.tiff.writing.recipe import Recipe
from bfio.tiff.writing.rules import JPEG_SUBSAMPLING

__all__ = ["TileFunction", "is_foreign", "is_lossy", "pad_tile", "tile_encoder"]

TileFunction = Callable[[np.ndarray], bytes]
"""A whole tile of shape (rows, columns, samples) -> its encoded bytes. Any number of threads may call it."""

JPEG_QUALITY = 90
WEBP_EFFORT = 6
DEFLATE_LEVEL = 1
ZSTD_LEVEL = 1
WEBP_PRESETS = ((0, 0), (1, 20), (2, 25), (3, 30), (3, 50), (4, 50), (4, 75), (4, 90), (5, 90), (6, 100))
"""Method and quality of libwebp for each effort, as in its own presets for lossless images."""
IMAGE_CODECS = frozenset({Compression.JPEG, Compression.JPEG2000, Compression.WEBP})
NEEDS = {
    Compression.ADOBE_DEFLATE: "DEFLATE",
    Compression.ZSTD: "ZSTD",
    Compression.LZW: "LZW",
    Compression.PACKBITS: "PACKBITS",
    Compression.JPEG: "JPEG8",
    Compression.JPEG2000: "JPEG2K",
    Compression.WEBP: "WEBP",
}
"""What imagecodecs calls the codec of a compression."""


def is_foreign(recipe: Recipe) -> bool:
    """Whether the kernels of this build can not encode the tiles of a file."""
    return recipe.dtype.kind == "b" or not has_compressor(recipe.compression)


def is_lossy(recipe: Recipe) -> bool:
    """Whether the codec changes pixels, so that padding shows in them."""
    if recipe.compression == Compression.JPEG2000:
        return bool(recipe.compression_level)
    return recipe.compression == Compression.JPEG


def pad_tile(block: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Whole tile of a block at the right or lower edge, shape (rows, columns, samples).

    The last row and column are repeated for lossy codecs, which would draw an edge to zeros into the image. All others
    get zeros.
    """
    rows, cols, _ = block.shape
    tile = np.zeros(recipe.tile_shape, recipe.dtype)
    tile[:rows, :cols] = block
    if is_lossy(recipe):
        tile[:rows, cols:] = tile[:rows, cols - 1 : cols]
        tile[rows:] = tile[rows - 1 : rows]
    return tile


def tile_encoder(recipe: Recipe) -> TileFunction:
    """Encoder of whole tiles of a file, in the dtype of the recipe.

    Levels: JPEG has its quality, 1 to 100 (by default 90). JPEG 2000 has the ratio of signal to noise in dB; 0, as by
    default, is without loss. WebP is always without loss and has the effort, 0 to 9. Deflate and zstd have their own.

    Raises
    ------
    UnsupportedError
        This build of imagecodecs lacks the codec.
    """
    import imagecodecs

    name = NEEDS.get(recipe.compression)
    if name is not None and not getattr(imagecodecs, name).available:
        raise UnsupportedError(f"this imagecodecs has no {name}: install one that has it, or write another compression")
    if recipe.compression in IMAGE_CODECS:
        return _image_encoder(imagecodecs, recipe)
    compress = _compressor(imagecodecs, recipe)
    prepare = _predictor(imagecodecs, recipe)
    return lambda tile: bytes(compress(prepare(tile)))


def _image_encoder(codecs: Any, recipe: Recipe) -> TileFunction:
    level = recipe.compression_level
    if recipe.compression == Compression.JPEG:
        encode = partial(codecs.jpeg8_encode, level=JPEG_QUALITY if level is None else level)
        if recipe.samples == 3:
            encode = partial(encode, colorspace="RGB", outcolorspace="YCBCR", subsampling=JPEG_SUBSAMPLING)
    elif recipe.compression == Compression.JPEG2000:
        encode = partial(codecs.jpeg2k_encode, level=level or 0, codecformat="j2k", reversible=not level, numthreads=1)
    else:
        method, quality = WEBP_PRESETS[WEBP_EFFORT if level is None else level]
        encode = partial(codecs.webp_encode, level=quality, lossless=True, method=method, numthreads=1)
    shape = recipe.tile_shape if recipe.samples > 1 else recipe.tile_shape[:2]
    return lambda tile: bytes(encode(np.ascontiguousarray(tile).reshape(shape)))


def _compressor(codecs: Any, recipe: Recipe) -> Callable[[np.ndarray], Any]:
    """Compress rows of bytes, shape (rows, bytes of a row)."""
    level = recipe.compression_level
    if recipe.compression == Compression.ADOBE_DEFLATE:
        return partial(codecs.deflate_encode, level=DEFLATE_LEVEL if level is None else level)
    if recipe.compression == Compression.ZSTD:
        return partial(codecs.zstd_encode, level=ZSTD_LEVEL if level is None else level)
    if recipe.compression == Compression.LZW:
        return partial(codecs.lzw_encode)
    if recipe.compression == Compression.PACKBITS:
        return partial(codecs.packbits_encode, axis=-1)  # each row is packed by itself: TIFF 6.0, section 9
    return np.ndarray.tobytes


def _predictor(codecs: Any, recipe: Recipe) -> Callable[[np.ndarray], np.ndarray]:
    """Apply the predictor to a tile, or pack booleans into bits; gives rows of bytes."""
    apply: Callable[[np.ndarray], np.ndarray] = np.ascontiguousarray
    if recipe.dtype.kind == "b":
        apply = _pack_bits
    elif recipe.predictor == Predictor.HORIZONTAL:
        apply = partial(codecs.delta_encode, axis=-2)
    elif recipe.predictor == Predictor.FLOATING_POINT:
        apply = partial(codecs.floatpred_encode, axis=-2)
    return lambda tile: np.ascontiguousarray(apply(tile)).view(np.uint8).reshape(len(tile), -1)


def _pack_bits(tile: np.ndarray) -> np.ndarray:
    """The first pixel is the highest bit; rows begin with a byte (TIFF 6.0, section 3)."""
    return np.packbits(tile[:, :, 0], axis=1)

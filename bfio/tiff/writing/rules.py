"""What can stand together in a TIFF file that others read: sizes, pixel types, codecs, predictors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bfio.enums import Compression, Predictor
from bfio.errors import UsageError
from bfio.options import LEVELS, PREDICTED

if TYPE_CHECKING:
    from bfio.tiff.writing.recipe import Recipe

__all__ = [
    "CODECS",
    "DTYPES",
    "JPEG_SUBSAMPLING",
    "Codec",
    "check_codec",
    "check_predictor",
    "check_resolution",
    "check_sizes",
]

DTYPES = tuple(np.dtype(name) for name in (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "float16", "float32", "float64", "complex64", "complex128",
))  # fmt: skip
"""Pixel types that TIFF has and others read."""
MAX_SIDE = (1 << 31) - 1
"""Rows or columns that every reader can count."""
MAX_TILE_NBYTES = 1 << 30
"""What our own reader takes without asking; others take less."""
MAX_SAMPLES = (1 << 16) - 1
JPEG_SUBSAMPLING = (2, 2)
"""Of colours, across and down. With (1, 1) Bio-Formats takes what is RGB already for YCbCr and shows wrong colours."""


class Codec(NamedTuple):
    """What a compression can hold."""

    name: str
    dtypes: tuple[str, ...] = ()
    samples: tuple[int, ...] = ()
    max_side: int = MAX_SIDE


CODECS: dict[Compression, Codec] = {
    Compression.NONE: Codec("no compression"),
    Compression.LZW: Codec("LZW"),
    Compression.PACKBITS: Codec("PackBits"),
    Compression.ADOBE_DEFLATE: Codec("deflate"),
    Compression.ZSTD: Codec("zstd"),
    Compression.JPEG: Codec("JPEG", ("uint8",), (1, 3), 65_500),
    Compression.JPEG2000: Codec("JPEG 2000", ("uint8", "int8", "uint16", "int16"), (1, 3, 4)),
    Compression.WEBP: Codec("WebP", ("uint8",), (3, 4), 16_383),
}
"""Compressions that are written; an empty tuple allows all."""


def check_sizes(recipe: Recipe) -> None:
    """Refuse sizes, tiles and pixel types that no file has."""
    for name in ("size_t", "size_c", "size_z", "size_y", "size_x", "samples", "tile_rows", "tile_cols", "n_levels"):
        value: object = getattr(recipe, name)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_SIDE:
            raise UsageError(f"{name}={value!r} must be an integer of at least 1, and below 2**31")
    if recipe.dtype not in DTYPES:
        raise UsageError(f"TIFF has no pixels of dtype {recipe.dtype}; use one of {', '.join(d.name for d in DTYPES)}")
    if recipe.samples > MAX_SAMPLES or (recipe.dtype == bool and recipe.samples > 1):
        most = 1 if recipe.dtype == bool else MAX_SAMPLES
        raise UsageError(f"{recipe.samples} samples per pixel of {recipe.dtype}: at most {most}; use channels instead")
    if recipe.tile_rows % 16 or recipe.tile_cols % 16:
        raise UsageError(f"tiles of {recipe.tile_rows} x {recipe.tile_cols}: TIFF wants multiples of 16")
    if recipe.tile_nbytes > MAX_TILE_NBYTES:
        raise UsageError(f"tiles of {recipe.tile_nbytes} bytes are more than others read: make tile_size smaller")
    most = 1 + (max(recipe.size_y, recipe.size_x) - 1).bit_length()
    if recipe.n_levels > most:
        raise UsageError(f"{recipe.n_levels} levels: {recipe.size_y} x {recipe.size_x} pixels allow {most} at most")


def check_codec(recipe: Recipe) -> None:
    """Refuse a compression that is not written, or that can not hold these pixels, or has no such level."""
    codec = CODECS.get(recipe.compression)
    if codec is None:
        names = ", ".join(codec.name for codec in CODECS.values())
        raise UsageError(f"bfio does not write {recipe.compression.name}; it writes {names}")
    if codec.dtypes and recipe.dtype.name not in codec.dtypes:
        raise UsageError(f"{codec.name} holds {' and '.join(codec.dtypes)}, not {recipe.dtype}; use deflate")
    if codec.samples and recipe.samples not in codec.samples:
        wanted = " or ".join(map(str, codec.samples))
        raise UsageError(f"{codec.name} holds pixels of {wanted} samples, not {recipe.samples}; use deflate")
    if max(recipe.tile_rows, recipe.tile_cols) > codec.max_side:
        raise UsageError(f"{codec.name} tiles have at most {codec.max_side} rows and columns: make tile_size smaller")
    level: object = recipe.compression_level
    if level is None:
        return
    if recipe.compression not in LEVELS:
        raise UsageError(f"{codec.name} has no compression level: leave compression_level out")
    lowest, highest = LEVELS[recipe.compression]
    if not isinstance(level, int) or isinstance(level, bool) or not lowest <= level <= highest:
        raise UsageError(f"compression_level={level!r}: {codec.name} has {lowest} to {highest}")


def check_predictor(recipe: Recipe) -> None:
    """Refuse predictors that readers undo differently, or not at all."""
    wanted = {Predictor.HORIZONTAL: ("numbers", "iuf"), Predictor.FLOATING_POINT: ("floating-point numbers", "f")}
    if recipe.predictor == Predictor.NONE:
        return
    if recipe.predictor not in wanted:
        raise UsageError(f"bfio does not write the predictor {recipe.predictor.name}")
    what, kinds = wanted[recipe.predictor]
    if recipe.dtype.kind not in kinds:
        raise UsageError(f"the {recipe.predictor.name} predictor is for {what}, not for {recipe.dtype}")
    if recipe.compression not in PREDICTED:
        raise UsageError(
            f"a predictor needs deflate, zstd or LZW; with {CODECS[recipe.compression].name} readers skip it"
        )


def check_resolution(recipe: Recipe) -> None:
    """Refuse pixel densities that are no numbers that a TIFF rational holds."""
    if recipe.resolution is None:
        return
    for value in recipe.resolution:
        if not (math.isfinite(value) and 2.0**-32 < value < 2.0**32 - 1):
            raise UsageError(f"resolution {value!r} pixels per centimetre: TIFF holds those between 2**-32 and 2**32")

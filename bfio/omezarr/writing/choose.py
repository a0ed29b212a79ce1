"""The recipe of a store where its writer was told an image and some options: bfio decides what was left open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bfio.enums import Compression, Predictor
from bfio.errors import UnsupportedError, UsageError
from bfio.metadata import Channel, Level, Series
from bfio.omezarr.writing.recipe import Recipe
from bfio.options import AUTO_LEVELS, LEVELS, ZARR_LEVELS, WriteOptions
from bfio.pyramid import check_method, n_levels

__all__ = ["choose", "flat_series"]

MOST_NBYTES = 1 << 30
"""Of a chunk: what readers take without asking."""
_CODECS = {Compression.NONE: "none", Compression.ADOBE_DEFLATE: "gzip", Compression.ZSTD: "zstd"}
"""Version 2 also has zlib, which zarrs, and with it ngff-zarr, does not read."""
_LEVELS = {"gzip": ZARR_LEVELS, "blosc": ZARR_LEVELS, "zstd": LEVELS[Compression.ZSTD]}


def flat_series(series: Series) -> Series:
    """The image with the samples of its pixels as channels: Zarr has no others."""
    channels = [
        Channel(channel.name, 1, channel.color, channel.window if series.samples == 1 else None)
        for channel in (*series.channels, *[Channel()] * series.size_c)[: series.size_c]
        for _ in range(series.samples)
    ]
    level = Level(series.size_y, series.size_x, (0, 0))
    return replace(
        series, size_c=series.size_c * series.samples, samples=1, channels=tuple(channels), levels=(level,),
        interleaved=False, big_endian=False,
    )  # fmt: skip


def choose(series: Series, options: WriteOptions) -> Recipe:
    """Recipe for an image, whose pixels have one sample.

    Raises
    ------
    UsageError
        What was asked for does not fit together.
    """
    if options.predictor not in (None, Predictor.NONE):
        raise UsageError("predictor= is for TIFF only; leave it out")
    shape = series.shape
    chunk = _chunk(shape, options)
    shard = None if options.shards is None else _shard(shape, chunk, options.shards)
    version = options.zarr_version or "0.5"
    if shard is not None and version != "0.5":
        raise UsageError("shards= needs zarr_version=3; Zarr v2 has none")
    codec = _codec(options)
    level = options.compression_level
    low, high = _LEVELS.get(codec, (0, 0))
    if level is not None and not low <= level <= high:
        raise UsageError(f"compression_level={level} must be {low} to {high} for {codec} in Zarr")
    recipe = Recipe(
        version=version, shape=shape, dtype=series.dtype, chunk=chunk, shard=shard,
        n_levels=n_levels("auto" if options.levels == AUTO_LEVELS else options.levels, (series.size_y, series.size_x),
                          (chunk[3], chunk[4])),
        codec=codec, codec_level=(1 if level is None and codec != "none" else level), downsample=options.downsample,
    )  # fmt: skip
    if recipe.n_levels > 1:
        check_method(recipe.dtype, str(recipe.downsample))
    if recipe.chunk_nbytes > MOST_NBYTES:
        raise UsageError(f"chunks of {recipe.chunk_nbytes} bytes are more than others read: make chunks= smaller")
    return recipe


def _codec(options: WriteOptions) -> str:
    if options.any_compression:
        return "zstd"
    name = options.zarr_codec or _CODECS.get(options.compression)
    if name is None:
        raise UnsupportedError(
            f"compression {options.compression.name.lower()!r} is none of Zarr; use 'zstd', 'gzip', 'blosc' or 'none'"
        )
    return name


def _chunk(shape: Sequence[int], options: WriteOptions) -> tuple[int, ...]:
    chunk = (1, 1, 1, *options.tile_size) if options.chunks is None else _full(options.chunks)
    return tuple(min(pair) for pair in zip(chunk, shape, strict=True))


def _full(sizes: Sequence[int]) -> tuple[int, ...]:
    """Sizes along T, C, Z, Y, X, of which the first may be missing."""
    return (*[1] * (5 - len(sizes)), *sizes)


def _shard(shape: Sequence[int], chunk: Sequence[int], sizes: Sequence[int]) -> tuple[int, ...]:
    """Shards, no larger than it takes to hold the image."""
    shard = []
    for axis, outer, inner, size in zip("TCZYX", _full(sizes), chunk, shape, strict=True):
        whole = -(-size // inner) * inner
        if outer < whole and outer % inner:
            raise UsageError(f"shards= along {axis} must be a multiple of the chunk, {inner}, not {outer}")
        shard.append(min(outer, whole))
    return tuple(shard)

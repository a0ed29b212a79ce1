"""How a file is to be written: what users say, checked and turned into values of the package."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from bfio._cpus import available_cpus
from bfio._words import flag, integer, named, plain, refusal
from bfio.enums import Compression, Downsample, Predictor
from bfio.errors import UsageError

__all__ = [
    "AUTO_LEVELS",
    "LEVELS",
    "PREDICTED",
    "ZARR_LEVELS",
    "WriteOptions",
    "check_no_zarr",
    "checked_series",
    "parse_options",
]

Value = TypeVar("Value")

AUTO_LEVELS = 0
"""``levels`` of "auto": as many as it takes until a plane fits into one tile."""

_LEAST_TILE, _MOST_TILE = 16, 1 << 16

_COMPRESSIONS: dict[str, Compression] = {
    "deflate": Compression.ADOBE_DEFLATE,
    "zlib": Compression.ADOBE_DEFLATE,
    "adobe_deflate": Compression.ADOBE_DEFLATE,
    "zstd": Compression.ZSTD,
    "zstandard": Compression.ZSTD,
    "lzw": Compression.LZW,
    "packbits": Compression.PACKBITS,
    "none": Compression.NONE,
    "uncompressed": Compression.NONE,
    "raw": Compression.NONE,
    "jpeg": Compression.JPEG,
    "jpg": Compression.JPEG,
    "jpeg2000": Compression.JPEG2000,
    "jp2k": Compression.JPEG2000,
    "j2k": Compression.JPEG2000,
    "webp": Compression.WEBP,
}
LEVELS: dict[Compression, tuple[int, int]] = {
    Compression.ADOBE_DEFLATE: (0, 12),
    Compression.ZSTD: (-7, 22),
    Compression.JPEG: (1, 100),
    Compression.JPEG2000: (0, 100),
    Compression.WEBP: (0, 9),
}
"""Lowest and highest compression level: for JPEG the quality, for JPEG 2000 the ratio of signal to noise in dB."""

_ZARR_CODECS: dict[str, Compression] = {"gzip": Compression.ADOBE_DEFLATE, "blosc": Compression.ZSTD}
"""Compressions that only Zarr has, and which of those of TIFF is next to them."""
ZARR_LEVELS = (0, 9)
"""Lowest and highest compression level of these."""

_PREDICTORS: dict[str, Predictor] = {
    "none": Predictor.NONE,
    "horizontal": Predictor.HORIZONTAL,
    "float": Predictor.FLOATING_POINT,
    "floatingpoint": Predictor.FLOATING_POINT,
    "floating_point": Predictor.FLOATING_POINT,
}
PREDICTED = frozenset({Compression.ADOBE_DEFLATE, Compression.ZSTD, Compression.LZW})
"""Compressions whose readers look at the predictor; libtiff ignores it with all others."""

_DOWNSAMPLES: dict[str, Downsample] = {
    **{member.value: member for member in Downsample},
    "average": Downsample.MEAN,
    "maximum": Downsample.MAX,
    "labels": Downsample.MODE,
}


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How a file is written. :func:`parse_options` makes one from what users say.

    Attributes
    ----------
    compression : Compression
    compression_level : int or None
        None for the default of the codec.
    predictor : Predictor or None
        None where bfio is to choose.
    tile_size : tuple of int
        Rows and columns, multiples of 16.
    levels : int
        Resolutions, the full one counted; `AUTO_LEVELS` until the sizes of the image are known.
    bigtiff : bool or None
        None where bfio is to choose.
    downsample : Downsample
        How a level becomes the next one.
    max_workers : int
    resume : bool
        Go on with the file that an earlier writer left.
    durable : bool
        Whether closing waits until the file is on the disk.
    overwrite : bool or None
        Whether what has the name may be replaced; None: files, but no Zarr stores.
    append : bool
        Write into the Zarr store that has the name.
    chunks, shards : tuple of int or None
        Of Zarr, along the last of T, C, Z, Y, X; None: planes of ``tile_size``, and no shards.
    zarr_version : str or None
        Of OME-Zarr, ``"0.4"`` or ``"0.5"``; None where bfio is to choose.
    series : int or None
        Number of the image in a Zarr store of several; None for a store of one.
    zarr_codec : str or None
        ``"gzip"`` or ``"blosc"``, which are none of TIFF, where one was asked for.
    any_compression : bool
        Whether nobody asked for `compression`, so that a format may have another default.
    """

    compression: Compression = Compression.ADOBE_DEFLATE
    compression_level: int | None = None
    predictor: Predictor | None = None
    tile_size: tuple[int, int] = (1024, 1024)
    levels: int = 1
    bigtiff: bool | None = None
    downsample: Downsample = Downsample.MEAN
    max_workers: int = 1
    resume: bool = False
    durable: bool = True
    overwrite: bool | None = None
    append: bool = False
    chunks: tuple[int, ...] | None = None
    shards: tuple[int, ...] | None = None
    zarr_version: str | None = None
    series: int | None = None
    zarr_codec: str | None = None
    any_compression: bool = True


def parse_options(
    *,
    compression: Any = "default",
    compression_level: Any = None,
    predictor: Any = None,
    tile_size: Any = 1024,
    levels: Any = 1,
    bigtiff: Any = None,
    downsample: Any = "mean",
    max_workers: Any = None,
    resume: Any = False,
    durable: Any = True,
    overwrite: Any = None,
    append: Any = False,
    chunks: Any = None,
    shards: Any = None,
    zarr_version: Any = None,
    series: Any = None,
) -> WriteOptions:
    """Options from the arguments of a writer.

    Parameters
    ----------
    compression : str, int or None
        ``"default"`` (deflate for TIFF, zstd for Zarr), ``"deflate"``,
        ``"zstd"``, ``"lzw"``, ``"packbits"``, ``"none"`` (or None), ``"jpeg"``, ``"jpeg2000"``,
        ``"webp"``, ``"gzip"``, ``"blosc"``, other names of these in any case, or the number that TIFF has for it.
    compression_level : int, optional
    predictor : str, int or bool, optional
        ``"none"`` or False, ``"horizontal"`` or True or 2, ``"float"`` or 3; None lets bfio choose.
    tile_size : int or (int, int)
        Rows and columns.
    levels : int or "auto"
    bigtiff : bool, optional
    downsample : str
        ``"mean"``, ``"nearest"``, ``"mode"`` or ``"max"``.
    max_workers : int, optional
        By default the CPUs that this process may use.
    resume, durable, append : bool
    overwrite : bool, optional
    chunks, shards : int or sequence of int, optional
        Along Y and X if one number, else along the last of T, C, Z, Y, X.
    zarr_version : int or str, optional
        2 or ``"0.4"``, 3 or ``"0.5"``.
    series : int, optional
        0 or more.

    Raises
    ------
    UsageError
        The message lists what is allowed.
    """
    is_any = isinstance(compression, str) and plain(compression) == "default"
    zarr_codec = plain(compression) if isinstance(compression, str) and plain(compression) in _ZARR_CODECS else None
    codec = Compression.ADOBE_DEFLATE if is_any else _compression(compression)
    return WriteOptions(
        compression=codec,
        compression_level=_compression_level(compression_level, Compression.ZSTD if is_any else codec, zarr_codec),
        predictor=_predictor(predictor, codec),
        tile_size=_tile_size(tile_size),
        levels=_levels(levels),
        bigtiff=None if bigtiff is None else flag("bigtiff", bigtiff),
        downsample=named("downsample", downsample, _DOWNSAMPLES),
        max_workers=available_cpus() if max_workers is None else max(1, integer("max_workers", max_workers)),
        resume=flag("resume", resume),
        durable=flag("durable", durable),
        overwrite=None if overwrite is None else flag("overwrite", overwrite),
        append=flag("append", append),
        chunks=_sizes("chunks", chunks),
        shards=_sizes("shards", shards),
        zarr_version=_zarr_version(zarr_version),
        series=checked_series(series),
        zarr_codec=zarr_codec,
        any_compression=is_any,
    )


def check_no_zarr(options: WriteOptions) -> None:
    """Refuse what only Zarr has.

    Raises
    ------
    UsageError
    """
    for name in ("chunks", "shards", "zarr_version", "series"):
        if getattr(options, name) is not None:
            raise UsageError(f"{name}= is for names that end in .zarr; leave it out, or choose such a name")
    if options.any_compression:
        _compression_level(options.compression_level, options.compression, None)  # was looked at as that of zstd
    if options.zarr_codec is not None:
        raise UsageError(
            f"compression {options.zarr_codec!r} is for names that end in .zarr; TIFF has 'deflate' and 'zstd'"
        )


def _compression(value: Any) -> Compression:
    if value is None or value is False:
        return Compression.NONE
    if isinstance(value, int) and value is not True:
        if value in _COMPRESSIONS.values():
            return Compression(value)
        raise refusal("compression", value, _COMPRESSIONS)
    if isinstance(value, str) and plain(value) in _ZARR_CODECS:
        return _ZARR_CODECS[plain(value)]
    if not isinstance(value, str) or plain(value) not in map(plain, _COMPRESSIONS):
        raise refusal("compression", value, {**_COMPRESSIONS, **{name: name for name in _ZARR_CODECS}})
    return named("compression", value, _COMPRESSIONS)


def _compression_level(value: Any, codec: Compression, zarr_codec: str | None) -> int | None:
    if value is None:
        return None
    level = integer("compression_level", value)
    name = zarr_codec or codec.name.lower().replace("adobe_", "")
    if codec not in LEVELS:
        raise UsageError(f"compression {name!r} has no levels; leave compression_level={level} out")
    low, high = ZARR_LEVELS if zarr_codec else LEVELS[codec]
    if not low <= level <= high:
        raise UsageError(f"compression_level={level} must be {low} to {high} with compression {name!r}")
    return level


def _predictor(value: Any, codec: Compression) -> Predictor | None:
    if value is None:
        return None
    if isinstance(value, (bool, np.bool_)):
        found = Predictor.HORIZONTAL if value else Predictor.NONE
    elif isinstance(value, int):
        if value not in _PREDICTORS.values():
            raise refusal("predictor", value, _PREDICTORS)
        found = Predictor(value)
    else:
        found = named("predictor", value, _PREDICTORS)
    if found != Predictor.NONE and codec not in PREDICTED:
        raise UsageError("a predictor goes with compression 'deflate', 'zstd' or 'lzw' only; leave predictor= out")
    return found


def _tile_size(value: Any) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else (value, value)
    if len(pair) != 2:
        raise UsageError(f"tile_size={value!r} must be an int or a pair (rows, columns)")
    rows, cols = (integer("tile_size", length) for length in pair)
    for length in (rows, cols):
        if length % 16 or not _LEAST_TILE <= length <= _MOST_TILE:
            near = min(max(-(-length // 16) * 16, _LEAST_TILE), _MOST_TILE)
            raise UsageError(
                f"tile_size={value!r}: tiles need multiples of 16 up to {_MOST_TILE}, such as {near}; chunks= of Zarr "
                "may be of any size"
            )
    return rows, cols


def _sizes(argument: str, value: Any) -> tuple[int, ...] | None:
    """Lengths along the last of five axes, Y and X at least."""
    if value is None:
        return None
    lengths = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else (value, value)
    if not 2 <= len(lengths) <= 5:
        raise UsageError(f"{argument}={value!r} must be an int, or two to five for the last of the axes T, C, Z, Y, X")
    sizes = tuple(integer(argument, length) for length in lengths)
    if min(sizes) < 1:
        raise UsageError(f"{argument}={value!r}: lengths are 1 or more")
    return sizes


def _zarr_version(value: Any) -> str | None:
    """Version of OME-Zarr, from its name or from the version of Zarr itself."""
    versions = {None: None, 2: "0.4", 3: "0.5", "2": "0.4", "3": "0.5", "0.4": "0.4", "0.5": "0.5"}
    if isinstance(value, (bool, float)) or not isinstance(value, (int, str, type(None))) or value not in versions:
        raise UsageError(f"zarr_version={value!r} is unknown; use 2 (OME-Zarr 0.4) or 3 (OME-Zarr 0.5)")
    return versions[value]


def checked_series(value: Any) -> int | None:
    """Number of an image in a store of several, or UsageError."""
    if value is None:
        return None
    number = -1 if isinstance(value, (bool, np.bool_)) else integer("series", value)
    if not 0 <= number < 1 << 31:
        raise UsageError(f"series={value!r} must be 0 or more: the number of an image in a Zarr store of several")
    return number


def _levels(value: Any) -> int:
    if isinstance(value, str) and value.strip().lower() == "auto":
        return AUTO_LEVELS
    try:
        levels = operator.index(value)
    except TypeError:
        raise UsageError(f"levels={value!r} must be an int or 'auto'") from None
    if levels < 1:
        raise UsageError(f"levels={levels} must be at least 1 (the full resolution alone) or 'auto'")
    return levels

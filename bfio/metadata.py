"""What an image file says about its images, as plain data. Shapes are in pixels, sizes in the unit given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Channel", "Description", "Length", "Level", "Series", "SeriesStorage", "Storage"]

Length = tuple[float | None, str]
"""A physical size: value (or None where unknown) and the unit's symbol as OME-XML writes it, such as ``"µm"``."""

_UNKNOWN: Length = (None, "µm")


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel; ``samples`` counts its samples per pixel (3 for RGB), ``color`` is a signed RGBA integer of OME.

    ``window``: the values that are shown as black and as full colour, where somebody chose them.
    """

    name: str | None = None
    samples: int = 1
    color: int | None = None
    window: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of a series. Level 0 is the full one."""

    size_y: int
    size_x: int
    tile_shape: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Series:
    """One image of a file: up to five axes ``TCZYX``, and the samples S of a pixel.

    ``size_c`` counts planes along C in the file; the public C axis has ``size_c * samples`` entries.
    """

    index: int
    name: str | None
    dtype: np.dtype
    size_t: int
    size_c: int
    size_z: int
    size_y: int
    size_x: int
    samples: int = 1
    channels: tuple[Channel, ...] = ()
    physical_size_x: Length = _UNKNOWN
    physical_size_y: Length = _UNKNOWN
    physical_size_z: Length = _UNKNOWN
    levels: tuple[Level, ...] = ()
    big_endian: bool = False
    interleaved: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """Full-resolution shape in the order T, C (samples counted), Z, Y, X."""
        return (self.size_t, self.size_c * self.samples, self.size_z, self.size_y, self.size_x)


@dataclass(frozen=True, slots=True)
class Storage:
    """How one level is stored: names of the codec and of the predictor, and the tiles as they are in the file.

    What a file does not tell is ``"unknown"``. Where ``strips`` is None the tiles are unknown too, and ``tile_shape``
    is the unit of reading without waste. Arrays of Zarr have chunks, and shards of chunks, along all of their ``axes``.
    """

    compression: str
    predictor: str = "none"
    tile_shape: tuple[int, int] = (0, 0)
    strips: bool | None = False
    chunk_shape: tuple[int, ...] | None = None
    shard_shape: tuple[int, ...] | None = None
    axes: str | None = None


@dataclass(frozen=True, slots=True)
class SeriesStorage:
    """How one series is stored; ``dimension_order`` is that of the planes in the file, such as ``"XYCZT"``.

    A ``thumbnail`` is a preview, a label or the like of another series.
    """

    levels: tuple[Storage, ...]
    dialect: str | None = None
    dimension_order: str | None = None
    thumbnail: bool = False


@dataclass(frozen=True, slots=True)
class Description:
    """What a file is, for people: nothing of it is needed to read pixels.

    ``byte_order`` is None where the series differ in it, ``nbytes`` where a part of the file is not on disk.
    """

    format: str
    byte_order: str | None
    nbytes: int | None
    series: tuple[SeriesStorage, ...]

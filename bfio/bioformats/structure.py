"""What an open reader of Bio-Formats says of the images in its file, as plain data."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bfio.bioformats.jvm import java
from bfio.bioformats.metadata import Told, told_of
from bfio.errors import FormatError, UnsupportedError
from bfio.metadata import Channel, Level, Series

__all__ = ["JavaSeries", "read_structure"]

logger = logging.getLogger("bfio.bioformats")

_ORDERS = ("XYZCT", "XYZTC", "XYCTZ", "XYCZT", "XYTCZ", "XYTZC")
_DTYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", "u1")
"""By the numbers of FormatTools, which are part of its API. The last is BIT, which comes as one byte a pixel."""


@dataclass(frozen=True, slots=True)
class JavaSeries:
    """One series of a file, and what a reader has to be told to get at it.

    Attributes
    ----------
    info : Series
        ``tile_shape`` of its levels is the unit in which Bio-Formats reads without waste.
    stored_dtype : numpy.dtype
        Of the bytes that ``openBytes`` gives.
    dimension_order : str
        Order of the planes, such as ``"XYCZT"``; C counts planes.
    java_index : int
        For ``setSeries``.
    resolutions : tuple of int
        For ``setResolution``, one for each level.
    interleaved : bool
        Whether the samples of a pixel are side by side in the bytes.
    thumbnail : bool
        Whether the file has this image as a preview, a label or the like.
    """

    info: Series
    stored_dtype: np.dtype
    dimension_order: str
    java_index: int
    resolutions: tuple[int, ...]
    interleaved: bool
    thumbnail: bool = False

    def plane_index(self, t: int, c: int, z: int) -> int:
        """Number of a plane for ``openBytes``."""
        places = {"Z": (z, self.info.size_z), "C": (c, self.info.size_c), "T": (t, self.info.size_t)}
        index = 0
        for axis in reversed(self.dimension_order[2:]):
            place, size = places[axis]
            index = index * size + place
        return index


class _Kind(NamedTuple):
    """What all resolutions of a series have in common."""

    size_t: int
    size_c: int
    size_z: int
    samples: int
    pixel_type: int
    big_endian: bool
    interleaved: bool
    order: str


def read_structure(java_reader: Any) -> tuple[JavaSeries, ...]:
    """Series of an open file.

    Parameters
    ----------
    java_reader : loci.formats.IFormatReader
        Open, with ``setFlattenedResolutions(False)``, and with an OMEXMLMetadata as its metadata store, without which
        images and channels have no names. It is left at the full resolution of its first series.

    Raises
    ------
    FormatError, UnsupportedError
        None of the images can be read.
    jpype.JException
        The same, as the reader raises it.
    """
    name = str(java_reader.getCurrentFile())
    found: list[JavaSeries] = []
    refused: Exception | None = None
    for number in range(int(java_reader.getSeriesCount())):
        try:
            java_reader.setSeries(number)
            found.append(_series(java_reader, number, len(found), name))
        except (FormatError, UnsupportedError, java("java.lang.Exception")) as error:
            logger.warning("%s: series %d is left out: %s", name, number, error)
            refused = refused or error
    java_reader.setSeries(0)
    if found:
        return tuple(found)
    raise refused or FormatError(f"{name}: Bio-Formats finds no image in it")


def _series(java_reader: Any, number: int, index: int, name: str) -> JavaSeries:
    kind = _kind(java_reader, name)
    told = told_of(java_reader.getMetadataStore(), number, kind.size_c, name)
    levels = dict(_levels(java_reader, kind, f"{name}: series {number}"))
    full = levels[0]
    stored = np.dtype(_DTYPES[kind.pixel_type]).newbyteorder(">" if kind.big_endian else "<")
    info = Series(
        index=index,
        name=told.name,
        dtype=stored.newbyteorder("="),
        size_t=kind.size_t,
        size_c=kind.size_c,
        size_z=kind.size_z,
        size_y=full.size_y,
        size_x=full.size_x,
        samples=kind.samples,
        channels=_channels(told, kind),
        physical_size_x=told.physical_size_x,
        physical_size_y=told.physical_size_y,
        physical_size_z=told.physical_size_z,
        levels=tuple(levels.values()),
        big_endian=kind.big_endian,
        interleaved=kind.interleaved,
    )
    thumbnail = bool(java_reader.isThumbnailSeries())
    return JavaSeries(info, stored, kind.order, number, tuple(levels), kind.interleaved, thumbnail)


def _kind(java_reader: Any, name: str) -> _Kind:
    """What the current resolution is, checked."""
    samples = int(java_reader.getRGBChannelCount())
    kind = _Kind(
        int(java_reader.getSizeT()),
        int(java_reader.getEffectiveSizeC()),
        int(java_reader.getSizeZ()),
        samples,
        int(java_reader.getPixelType()),
        not java_reader.isLittleEndian(),
        samples > 1 and bool(java_reader.isInterleaved()),
        str(java_reader.getDimensionOrder()),
    )
    if not 0 <= kind.pixel_type < len(_DTYPES):
        raise UnsupportedError(f"{name}: Bio-Formats has a pixel type {kind.pixel_type} that bfio does not know")
    if kind.order not in _ORDERS:
        raise FormatError(f"{name}: Bio-Formats tells {kind.order!r} as the order of planes")
    if min(kind[:4]) < 1:
        raise FormatError(
            f"{name}: Bio-Formats tells impossible sizes: T {kind.size_t}, C {kind.size_c}, Z {kind.size_z}, "
            f"{samples} samples a pixel"
        )
    return kind


def _levels(java_reader: Any, kind: _Kind, name: str) -> Iterator[tuple[int, Level]]:
    """Number and level of each resolution that is the full one in small; the reader is left at the full one."""
    last = _level(java_reader, name)
    yield 0, last
    n_resolutions = int(java_reader.getResolutionCount())
    for number in range(1, n_resolutions):
        java_reader.setResolution(number)
        try:
            level = _level(java_reader, name)
            alike = _kind(java_reader, name) == kind
        except (FormatError, UnsupportedError):
            alike = False
        if alike and level.size_y <= last.size_y and level.size_x <= last.size_x:
            yield number, level
            last = level
        else:
            logger.warning("%s: resolution %d is left out, for it is not the same image in small", name, number)
    if n_resolutions > 1:
        java_reader.setResolution(0)


def _level(java_reader: Any, name: str) -> Level:
    """The current resolution."""
    size_y, size_x = int(java_reader.getSizeY()), int(java_reader.getSizeX())
    if min(size_y, size_x) < 1:
        raise FormatError(f"{name}: Bio-Formats tells an impossible size of {size_x} x {size_y} pixels")
    rows, cols = int(java_reader.getOptimalTileHeight()), int(java_reader.getOptimalTileWidth())
    return Level(size_y, size_x, (min(max(rows, 1), size_y), min(max(cols, 1), size_x)))


def _channels(told: Told, kind: _Kind) -> tuple[Channel, ...]:
    """One entry per plane along C; the samples are those of the planes."""
    known = [Channel(channel.name, kind.samples, channel.color) for channel in told.channels]
    return (*known, *[Channel(None, kind.samples)] * (kind.size_c - len(known)))

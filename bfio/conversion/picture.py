"""What is converted: the chosen planes and rectangle of a source, in the chosen type, as an image of its own."""

from __future__ import annotations

import operator
import os
import zlib
from dataclasses import replace
from typing import Any

import numpy as np

from bfio.byteio import is_url
from bfio.conversion.geometry import Block
from bfio.conversion.source_xml import SourceXml
from bfio.errors import UsageError
from bfio.metadata import Channel, Length, Series
from bfio.omexml.build import Picked
from bfio.reader import BioReader
from bfio.result import checked_dtype, scaling
from bfio.selection import Box, select_axes

__all__ = ["Picture"]

_COLOURS = (3, 4)
"""Samples per pixel that stay together; others become channels."""


class Picture:
    """An image within a source.

    Parameters
    ----------
    reader : BioReader
        At any level.
    told : SourceXml
        Of its file.
    channels, z, t : int, slice, range or sequence of int, optional
        As in an index of the reader, so `channels` counts the samples of RGB one by one.
    crop : (int, int, int, int), optional
        x, y, width and height.
    dtype, rescale : optional
        As in :meth:`BioReader.read`.

    Attributes
    ----------
    series : Series
        What the image is, without levels.
    origin : (int, int)
        Its first row and column in the source.
    """

    def __init__(
        self,
        reader: BioReader,
        told: SourceXml,
        *,
        channels: Any = None,
        z: Any = None,
        t: Any = None,
        crop: Any = None,
        dtype: Any = None,
        rescale: Any = None,
    ) -> None:
        self._reader, self._told = reader, told
        self._backend = reader._backend
        y, x = _rectangle(crop, reader.Y, reader.X)
        entries = {"Y": y, "X": x, "Z": z, "C": channels, "T": t}
        entries = {axis: slice(None) if entry is None else entry for axis, entry in entries.items()}
        self._box = select_axes(entries, reader._sizes).box
        for axis, indices in (("z", self._box.z), ("t", self._box.t), ("channels", self._box.c)):
            if not indices:
                raise UsageError(f"{axis}={entries['C' if axis == 'channels' else axis.upper()]!r} selects nothing")
        self.origin = (self._box.y.start, self._box.x.start)
        kind = reader.dtype if dtype is None else checked_dtype(dtype)
        self._channels = _grouped(self._box.c, reader.samples_per_pixel, kind)
        self._rescale = scaling(rescale, reader.dtype, kind)
        self.series = self._described(kind)

    def _described(self, dtype: np.dtype) -> Series:
        info, box = self._reader._info, self._box
        samples = len(self._channels[0])
        known = (*info.channels, *[Channel()] * info.size_c)
        names = [known[c] for c in self._source_channels()]
        is_same = dtype == self._reader.dtype and self._rescale is None
        names = [
            channel if is_same and _is_chosen(channel, dtype) else replace(channel, window=None) for channel in names
        ]
        level = self._reader._level
        return replace(
            info,
            index=0,
            dtype=dtype,
            size_t=len(box.t),
            size_c=len(self._channels),
            size_z=len(box.z),
            size_y=len(box.y),
            size_x=len(box.x),
            samples=samples,
            channels=tuple(replace(channel, samples=samples) for channel in names),
            physical_size_x=_scaled(info.physical_size_x, info.size_x, level.size_x),
            physical_size_y=_scaled(info.physical_size_y, info.size_y, level.size_y),
            levels=(),
            interleaved=samples > 1,
        )

    @property
    def choice(self) -> int:
        """A number that tells which pixels of the source become which values: another one where that differs."""
        return zlib.crc32(repr((self._box, self._rescale)).encode())

    def _source_channels(self) -> list[int]:
        """Index of each channel among the channels (not the samples) of the source."""
        return [group[0] // self._reader.samples_per_pixel for group in self._channels]

    @property
    def is_labels(self) -> bool:
        """Whether pixels are numbers of objects, which have no mean."""
        return self._backend.describe().series[self._reader._series_index].dialect == "labels"

    @property
    def src_tile(self) -> tuple[int, int]:
        """Rows and columns that the source decodes as a whole."""
        stored = self._backend.describe().series[self._reader._series_index].levels[self._reader._level_index]
        if stored.compression == "none" and stored.predictor == "none":
            return (1, 1)
        rows, cols = stored.tile_shape
        return (rows or self._reader.Y, cols or self._reader.X)

    @property
    def src_pixel_nbytes(self) -> int:
        """Bytes of a decoded pixel of the source."""
        return int(self._reader.samples_per_pixel * self._reader.dtype.itemsize)

    @property
    def src_size(self) -> tuple[int, int]:
        """Rows and columns of the source."""
        return self._reader.Y, self._reader.X

    @property
    def is_local(self) -> bool:
        """Whether the source is a file of this machine."""
        source = self._reader._file_path
        return isinstance(source, (str, os.PathLike)) and not is_url(os.fspath(source))

    def metadata(self) -> tuple[str | None, int, Picked]:
        """OME-XML of this image, if any, with its number there; which of the planes are taken."""
        picked = Picked(self._box.t, self._source_channels(), self._box.z)
        number = self._image_number()
        return (None, 0, picked) if number is None else (*self._told.of(number), picked)

    def _image_number(self) -> int | None:
        """Which Image of the document this is: the series of a file are those of its images that have planes."""
        info, images = self._reader._info, self._told.images
        alike = [
            number
            for number, image in enumerate(images)
            if image.name == info.name
            and (image.pixels.size_y, image.pixels.size_x) == (info.size_y, info.size_x)
            and (image.pixels.size_t, image.pixels.size_z) == (info.size_t, info.size_z)
        ]
        if info.index in alike or (not alike and len(images) == len(self._reader.series)):
            return info.index
        return alike[0] if alike else None

    def stored_box(self, block: Block) -> Box:
        """A block as the target's backend names it, C counted in samples."""
        samples = self.series.samples
        c = range(block.c.start * samples, block.c.stop * samples)
        return Box(tuple(block.t), tuple(c), tuple(block.z), block.y, block.x)

    def read(self, block: Block, out: np.ndarray) -> None:
        """Fill `out`, shape (T, C with samples, Z, Y, X), with the pixels of a block of this image."""
        box, (top, left) = self._box, self.origin
        wanted = Box(
            tuple(box.t[t] for t in block.t),
            tuple(sample for c in block.c for sample in self._channels[c]),
            tuple(box.z[z] for z in block.z),
            range(top + block.y.start, top + block.y.stop),
            range(left + block.x.start, left + block.x.stop),
        )
        self._backend.read(self._reader._series_index, self._reader._level_index, wanted, out, self._rescale)


def _rectangle(crop: Any, size_y: int, size_x: int) -> tuple[slice, slice]:
    if crop is None:
        return slice(None), slice(None)
    try:
        x, y, width, height = (operator.index(number) for number in crop)
    except (TypeError, ValueError):
        raise UsageError(f"crop={crop!r} must be four integers: x, y, width, height") from None
    if not (x >= 0 and y >= 0 and 0 < width <= size_x - x and 0 < height <= size_y - y):
        raise UsageError(f"crop={(x, y, width, height)} does not lie in the image of {size_x} x {size_y} pixels")
    return slice(y, y + height), slice(x, x + width)


def _grouped(c: tuple[int, ...], samples: int, dtype: np.dtype) -> list[tuple[int, ...]]:
    """The samples of each channel of the target: whole RGB pixels stay together, bits and other selections do not."""
    if samples in _COLOURS and dtype.kind != "b" and len(c) % samples == 0:
        groups = [c[start : start + samples] for start in range(0, len(c), samples)]
        if all(group[0] % samples == 0 and group == tuple(range(group[0], group[0] + samples)) for group in groups):
            return groups
    return [(sample,) for sample in c]


def _is_chosen(channel: Channel, dtype: np.dtype) -> bool:
    """Whether the window of a channel tells something: the whole range of a large type shows black images."""
    if channel.window is None or dtype.kind not in "iu" or dtype.itemsize == 1:
        return True
    return channel.window != (np.iinfo(dtype).min, np.iinfo(dtype).max)


def _scaled(length: Length, full: int, size: int) -> Length:
    value, unit = length
    return (None if value is None else value * full / max(1, size)), unit

"""What the reader needs of an OME-XML document, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from bfio.metadata import Channel, Length

__all__ = ["FileRef", "OmeDocument", "OmeImage", "OmePixels", "TiffDataBlock"]


class FileRef(NamedTuple):
    """A TIFF file as OME-XML names it; one of the two may be missing."""

    uuid: str | None = None
    file_name: str | None = None


class TiffDataBlock(NamedTuple):
    """One TiffData element; None where the attribute is absent."""

    ifd: int | None = None
    first_z: int | None = None
    first_c: int | None = None
    first_t: int | None = None
    plane_count: int | None = None
    uuid: str | None = None
    file_name: str | None = None


@dataclass(frozen=True, slots=True)
class OmePixels:
    """A Pixels element. ``size_c`` counts samples, see :func:`bfio.omexml.channel_planes`."""

    dimension_order: str
    type: str
    size_x: int
    size_y: int
    size_z: int
    size_c: int
    size_t: int
    big_endian: bool | None
    interleaved: bool | None
    significant_bits: int | None
    physical_size_x: Length
    physical_size_y: Length
    physical_size_z: Length
    channels: tuple[Channel, ...]
    tiff_data: tuple[TiffDataBlock, ...]
    has_bin_data: bool = False


@dataclass(frozen=True, slots=True)
class OmeImage:
    """An Image element and its Pixels."""

    id: str | None
    name: str | None
    pixels: OmePixels


@dataclass(frozen=True, slots=True)
class OmeDocument:
    """An OME-XML document. ``binary_only`` is (metadata file, its UUID) where the metadata are elsewhere."""

    uuid: str | None
    images: tuple[OmeImage, ...]
    binary_only: tuple[str | None, str | None] | None = None

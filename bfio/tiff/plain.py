"""TIFF files without a dialect: every IFD of the chain is one plane along T."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bfio.enums import NewSubfileType, Tag
from bfio.errors import BfioError
from bfio.metadata import Channel, Series
from bfio.tiff.file import OpenTiff
from bfio.tiff.ifd import structure
from bfio.tiff.image import TiffImage, with_pixels_of
from bfio.tiff.plane import Plane
from bfio.tiff.resolution import pixel_size
from bfio.tiff.tags import TagValue

__all__ = ["is_plain", "plain_image"]

GENERAL_TAGS = frozenset({33432, 33550, 33723, 33922, 34264, 34377, 34665, 34675, 34735, 34736, 34737, 42112})
"""Private and extension tags that say nothing of series: copyright, Geo, IPTC, Photoshop, EXIF, ICC, GDAL."""
FIRST_PRIVATE_TAG = 700
VENDOR_SOFTWARE = ("PerkinElmer", "Philips", "SI.", "ScanImage", "MetaSeries", "Indica", "Agilent")


def is_plain(tags: Mapping[int, TagValue], file: OpenTiff) -> bool:
    """Whether nothing in the first IFD hints at a dialect and all IFDs are stored alike."""
    if any(tag >= FIRST_PRIVATE_TAG and tag not in GENERAL_TAGS for tag in tags):
        return False
    if text_of(tags, Tag.SOFTWARE).startswith(VENDOR_SOFTWARE):
        return False
    if any(mark in text_of(tags, Tag.IMAGE_DESCRIPTION) for mark in "={<:"):
        return False
    records = file.chain.all()
    first = records[:1]
    return bool(
        not records["sub_ifds"]["count"].any()
        and not records["new_subfile_type"].astype(np.int64).__and__(int(NewSubfileType.REDUCED_IMAGE)).any()
        and (structure(records) == structure(first)).all()
        and file.layout(first[0]) is not None
    )


def text_of(tags: Mapping[int, TagValue], tag: int) -> str:
    """Text of a tag; empty where it is missing or unreadable."""
    try:
        value = tags[tag].value()
    except (KeyError, BfioError):
        return ""
    return value if isinstance(value, str) else ""


class ChainPlanes:
    """IFD number t is the plane at t."""

    def __init__(self, file: OpenTiff) -> None:
        self._file = file

    def plane(self, t: int, c: int, z: int) -> Plane:
        """The plane at time point t; there is one channel and one slice."""
        return self._file.plane(t)


def plain_image(tags: Mapping[int, TagValue], file: OpenTiff) -> TiffImage:
    """The one series of a plain file."""
    first = file.plane(0)
    size_x, size_y = pixel_size(tags)
    info = Series(
        index=0,
        name=None,
        dtype=first.layout.dtype,
        size_t=len(file.chain),
        size_c=1,
        size_z=1,
        size_y=0,
        size_x=0,
        channels=(Channel(None, first.layout.samples),),
        physical_size_x=size_x,
        physical_size_y=size_y,
        big_endian=file.header.byte_order == ">",
    )
    return TiffImage(with_pixels_of(info, [first]), [ChainPlanes(file)])

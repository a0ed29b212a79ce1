"""What a TIFF file is, in words for people: flavour, byte order, and how each level of each image is stored."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, product

from bfio.enums import Compression, Predictor
from bfio.errors import BfioError
from bfio.metadata import Description, SeriesStorage, Storage
from bfio.tiff.file import OpenTiff
from bfio.tiff.image import PlaneTable, TiffImage
from bfio.tiff.plane import Plane

__all__ = ["describe"]

_COMPRESSIONS = {
    Compression.NONE: "none",
    Compression.ADOBE_DEFLATE: "deflate",
    Compression.DEFLATE: "deflate",
    Compression.ZSTD: "zstd",
    Compression.ZSTD_DEPRECATED: "zstd",
    Compression.PACKBITS: "PackBits",
    Compression.OLD_JPEG: "old JPEG",
    Compression.JPEG2000: "JPEG 2000",
    Compression.JPEGXR: "JPEG XR",
    Compression.JPEGXL: "JPEG XL",
    Compression.WEBP: "WebP",
}
"""Names in the spelling of people; all others are those of the enumeration."""

_MAX_TRIED = 64


def describe(file: OpenTiff, images: Sequence[TiffImage]) -> Description:
    """Description of an open file and its images."""
    return Description(
        format="BigTIFF" if file.header.bigtiff else "TIFF",
        byte_order="little" if file.header.byte_order == "<" else "big",
        nbytes=file.source.size,
        series=tuple(_series(image) for image in images),
    )


def _series(image: TiffImage) -> SeriesStorage:
    levels = tuple(_storage(table, image) for table in image.levels)
    return SeriesStorage(levels, image.dialect, image.dimension_order)


def _storage(table: PlaneTable, image: TiffImage) -> Storage:
    """Storage of the first plane that is there: all planes of a level are alike."""
    info = image.info
    places = product(range(info.size_t), range(info.size_c), range(info.size_z))
    planes = (_plane(table, place) for place in islice(places, _MAX_TRIED))
    plane = next(filter(None, planes), None)
    if plane is None:
        return Storage("unknown", "unknown")
    layout = plane.stored or plane.layout
    grid = layout.grid
    return Storage(
        _compression(layout.compression), _predictor(layout.predictor), (grid.tile_rows, grid.tile_cols), grid.strips
    )


def _plane(table: PlaneTable, place: tuple[int, int, int]) -> Plane | None:
    """The plane at a place; None where it is missing, or its file."""
    try:
        return table.plane(*place)
    except (BfioError, OSError):
        return None


def _compression(number: int) -> str:
    try:
        found = Compression(number)
    except ValueError:
        return f"unknown ({number})"
    return _COMPRESSIONS.get(found, found.name.replace("_", " "))


def _predictor(number: int) -> str:
    try:
        return Predictor(number).name.lower().replace("_", " ")
    except ValueError:
        return f"unknown ({number})"

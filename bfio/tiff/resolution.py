"""Pixel sizes of plain TIFF files: XResolution, YResolution and ResolutionUnit (TIFF 6.0, section 8)."""

from __future__ import annotations

from collections.abc import Mapping

from bfio.enums import ResolutionUnit, Tag
from bfio.errors import BfioError
from bfio.metadata import Length
from bfio.tiff.tags import TagValue
from bfio.units import convert

__all__ = ["pixel_size", "pixels_per_centimetre"]

MICROMETRES = {ResolutionUnit.INCH: 25400.0, ResolutionUnit.CENTIMETER: 10000.0}
UNKNOWN: Length = (1.0, "µm")
"""What scripts expect of a file without a unit: one micrometre a pixel."""

_LEAST, _MOST = 2.0**-32, 2.0**32 - 1
"""What a RATIONAL can hold."""


def pixel_size(tags: Mapping[int, TagValue]) -> tuple[Length, Length]:
    """Pixel size along X and Y; (1.0, "µm") where the file does not tell."""
    unit = _number(tags.get(Tag.RESOLUTION_UNIT), float(ResolutionUnit.INCH))
    scale = MICROMETRES.get(ResolutionUnit(int(unit))) if unit in (2, 3) else None
    return _length(tags.get(Tag.X_RESOLUTION), scale), _length(tags.get(Tag.Y_RESOLUTION), scale)


def _length(tag: TagValue | None, scale: float | None) -> Length:
    pixels_per_unit = _number(tag, 0.0)
    if scale is None or not pixels_per_unit > 0:
        return UNKNOWN
    return (scale / pixels_per_unit, "µm")


def pixels_per_centimetre(size_x: Length, size_y: Length) -> tuple[float, float] | None:
    """XResolution and YResolution of pixels of these sizes; None where they are unknown, or not lengths.

    Where only one is known the other one is taken to be equal: a reader that knows no OME-XML needs both.
    """
    across, down = _per_centimetre(size_x), _per_centimetre(size_y)
    if across is None and down is None:
        return None
    return (across or down or 0.0, down or across or 0.0)


def _per_centimetre(size: Length) -> float | None:
    value, unit = size
    centimetres = None if value is None else convert(value, unit, "cm")
    if centimetres is None or not centimetres > 0:
        return None
    pixels = 1 / centimetres
    return pixels if _LEAST < pixels < _MOST else None


def _number(tag: TagValue | None, default: float) -> float:
    """A single number of a tag; the default where it is missing or no number."""
    if tag is None:
        return default
    try:
        value = tag.value()
    except BfioError:
        return default
    if isinstance(value, tuple) and len(value) == 2:
        numerator, denominator = value
        return float(numerator) / float(denominator) if denominator else default  # type: ignore[arg-type]
    return float(value) if isinstance(value, (int, float)) else default

"""Entries of IFDs: which tags an image gets, and how classic TIFF and BigTIFF lay them out."""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from bfio.enums import (
    ExtraSamples,
    FieldType,
    NewSubfileType,
    Photometric,
    PlanarConfiguration,
    Predictor,
    ResolutionUnit,
    SampleFormat,
    Tag,
)
from bfio.tiff.writing.recipe import Recipe
from bfio.tiff.writing.rules import JPEG_SUBSAMPLING

__all__ = ["FORMS", "Entry", "Form", "entries_of", "level_entries"]

SAMPLE_FORMATS = {
    "b": SampleFormat.UINT,
    "u": SampleFormat.UINT,
    "i": SampleFormat.INT,
    "f": SampleFormat.IEEE_FP,
    "c": SampleFormat.COMPLEX_IEEE_FP,
}
LARGEST_LONG = (1 << 32) - 1


class Entry(NamedTuple):
    """One tag; ``raw`` is its value in native byte order, empty where offsets will stand or the value is zero."""

    tag: int
    field_type: int
    n_values: int
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Form:
    """Classic TIFF or BigTIFF: sizes of counts and offsets."""

    big: bool

    @property
    def offset_nbytes(self) -> int:
        """Size of an offset, and of what stands in an entry itself."""
        return 8 if self.big else 4

    @property
    def offset(self) -> str:
        """NumPy type of an offset."""
        return "u8" if self.big else "u4"

    @property
    def entry(self) -> np.dtype:
        """One entry of an IFD."""
        return np.dtype([("tag", "u2"), ("type", "u2"), ("count", self.offset), ("value", self.offset)])

    def ifd(self, n_entries: int) -> np.dtype:
        """A whole IFD, padded to a multiple of 8 bytes."""
        count = np.dtype("u8" if self.big else "u2")
        link = count.itemsize + n_entries * self.entry.itemsize
        return np.dtype(
            {
                "names": ["n_entries", "entries", "link"],
                "formats": [count, (self.entry, (n_entries,)), self.offset],
                "offsets": [0, count.itemsize, link],
                "itemsize": -(-(link + self.offset_nbytes) // 8) * 8,
            }
        )

    def ifd_nbytes(self, n_entries: int) -> int:
        """Size of an IFD with its padding."""
        return self.ifd(n_entries).itemsize

    def value_position(self, index: int) -> int:
        """Position in an IFD of the value field of an entry."""
        return (8 if self.big else 2) + (index + 1) * self.entry.itemsize - self.offset_nbytes

    def header(self, first_ifd: int) -> bytes:
        """The first bytes of the file."""
        mark = b"II" if sys.byteorder == "little" else b"MM"
        if self.big:
            return mark + struct.pack("=HHHQ", 43, 8, 0, first_ifd)
        return mark + struct.pack("=HI", 42, first_ifd)


FORMS = {False: Form(False), True: Form(True)}


def entries_of(recipe: Recipe, xml_nbytes: int, first: bool) -> tuple[Entry, ...]:
    """Entries of a plane's full-resolution IFD, sorted by tag; the file's `first` one tells what holds for all."""
    entries = [*_pixels(recipe, 0), _long(Tag.NEW_SUBFILE_TYPE, NewSubfileType.FULL)]
    if recipe.resolution is not None:
        x, y = recipe.resolution
        entries += [_rational(Tag.X_RESOLUTION, x), _rational(Tag.Y_RESOLUTION, y)]
        entries.append(_short(Tag.RESOLUTION_UNIT, ResolutionUnit.CENTIMETER))
    if recipe.n_levels > 1:
        entries.append(Entry(Tag.SUB_IFDS, FieldType.IFD8 if recipe.big else FieldType.IFD, recipe.n_levels - 1))
    if first:
        software = recipe.software.encode("ascii", "replace") + b"\0"
        entries.append(Entry(Tag.SOFTWARE, FieldType.ASCII, len(software), software))
        if xml_nbytes:
            entries.append(Entry(Tag.IMAGE_DESCRIPTION, FieldType.ASCII, xml_nbytes))
    return tuple(sorted(entries))


def level_entries(recipe: Recipe, level: int) -> tuple[Entry, ...]:
    """Entries of the SubIFD of a lower level, sorted by tag."""
    return tuple(sorted([*_pixels(recipe, level), _long(Tag.NEW_SUBFILE_TYPE, NewSubfileType.REDUCED_IMAGE)]))


def _pixels(recipe: Recipe, level: int) -> list[Entry]:
    """What it takes to decode a level."""
    rows, cols = recipe.level_size(level)
    n = recipe.samples
    bits = 1 if recipe.dtype.kind == "b" else recipe.dtype.itemsize * 8
    table = FieldType.LONG8 if recipe.big else FieldType.LONG
    n_tiles = recipe.tiles(level).n_tiles
    entries = [
        _long(Tag.IMAGE_WIDTH, cols),
        _long(Tag.IMAGE_LENGTH, rows),
        _short(Tag.BITS_PER_SAMPLE, *[bits] * n),
        _short(Tag.COMPRESSION, recipe.compression),
        _short(Tag.PHOTOMETRIC_INTERPRETATION, recipe.photometric),
        _short(Tag.SAMPLES_PER_PIXEL, n),
        _short(Tag.PLANAR_CONFIGURATION, PlanarConfiguration.CONTIG),
        _long(Tag.TILE_WIDTH, recipe.tile_cols),
        _long(Tag.TILE_LENGTH, recipe.tile_rows),
        Entry(Tag.TILE_OFFSETS, table, n_tiles),
        Entry(Tag.TILE_BYTE_COUNTS, table, n_tiles),
        _short(Tag.SAMPLE_FORMAT, *[SAMPLE_FORMATS[recipe.dtype.kind]] * n),
    ]
    if recipe.predictor != Predictor.NONE:
        entries.append(_short(Tag.PREDICTOR, recipe.predictor))
    if n not in (1, 3):
        extra = [ExtraSamples.UNASSOCIATED_ALPHA] if n == 4 else [ExtraSamples.UNSPECIFIED] * (n - 1)
        entries.append(_short(Tag.EXTRA_SAMPLES, *extra))
    if recipe.photometric == Photometric.YCBCR:
        entries.append(_short(Tag.YCBCR_SUBSAMPLING, *JPEG_SUBSAMPLING))
    return entries


def _short(tag: Tag, *values: int) -> Entry:
    return Entry(tag, FieldType.SHORT, len(values), struct.pack(f"={len(values)}H", *values))


def _long(tag: Tag, value: int) -> Entry:
    return Entry(tag, FieldType.LONG, 1, struct.pack("=I", value))


def _rational(tag: Tag, value: float) -> Entry:
    """The nearest fraction of two numbers of 32 bits."""
    exact = Fraction(value)
    nearest = exact.limit_denominator(max(1, min(LARGEST_LONG, int(LARGEST_LONG / exact))))
    return Entry(
        tag, FieldType.RATIONAL, 1, struct.pack("=II", min(nearest.numerator, LARGEST_LONG), nearest.denominator)
    )

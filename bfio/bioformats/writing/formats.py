"""The formats that Bio-Formats writes and reads back: what each takes, as found by trying versions 6.7.0 and 7.3.1."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bfio.enums import Compression

__all__ = ["FORMATS", "OWN_SUFFIXES", "SUFFIXES", "Format", "Stacks", "format_of", "writable"]

_SMALL = ("uint8", "uint16")
_INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32")


class Stacks(Enum):
    """What a format does with the axes Z, C and T."""

    ALL = "all"
    FRAMES = "frames"
    """It has frames in a row; what they are is not kept."""
    NO_T = "no T"
    ONE = "one plane"


@dataclass(frozen=True, slots=True)
class Format:
    """One of Bio-Formats' writers.

    Attributes
    ----------
    name : str
    java : str
        Its class in ``loci.formats.out``.
    suffixes : tuple of str
        Ends of file names in lower case.
    dtypes : tuple of str
        Pixel types that come back as they were written. The classes claim more: signed PNGs come back unsigned,
        JPEG 2000 of 32 bits comes back with other numbers.
    compressions : dict
        Those of bfio, the default first, with Bio-Formats' words; None where there is nothing to set.
    stacks : Stacks
    samples : tuple of int
        Samples per pixel that it takes.
    rgb_width : int
        Width of RGB images must be a multiple of it.
    tiled : bool
        Whether it takes tiles, so that a plane never has to be in memory as a whole.
    narrow : dict
        Pixel types of the compressions that take fewer.
    even_8bit_planes : bool
        Whether planes of 8 bits must have an even number of bytes, where there are several.
    """

    name: str
    java: str
    suffixes: tuple[str, ...]
    dtypes: tuple[str, ...]
    compressions: dict[Compression, str | None]
    stacks: Stacks = Stacks.ALL
    samples: tuple[int, ...] = (1, 3)
    rgb_width: int = 1
    tiled: bool = False
    narrow: dict[Compression, tuple[str, ...]] | None = None
    even_8bit_planes: bool = False

    def dtypes_with(self, compression: Compression) -> tuple[str, ...]:
        """Pixel types that it takes with a compression."""
        return (self.narrow or {}).get(compression, self.dtypes)


FORMATS = (
    Format(
        "OME-TIFF", "OMETiffWriter",
        (".ome.tif", ".ome.tiff", ".ome.tf2", ".ome.tf8", ".ome.btf", ".tif", ".tiff", ".tf2", ".tf8", ".btf"),
        (*_INTEGERS, "float32", "float64"),
        {Compression.ADOBE_DEFLATE: "zlib", Compression.LZW: "LZW", Compression.NONE: "Uncompressed",
         Compression.JPEG: "JPEG", Compression.JPEG2000: "JPEG-2000"},
        tiled=True,
        narrow={Compression.JPEG: ("uint8",), Compression.JPEG2000: ("int8", "uint8", "int16", "uint16")},
    ),
    Format(
        "OME-XML", "OMEXMLWriter", (".ome", ".ome.xml"), (*_INTEGERS, "float32"),
        {Compression.ADOBE_DEFLATE: "zlib", Compression.NONE: "Uncompressed"},
    ),
    Format("ICS", "ICSWriter", (".ics", ".ids"), (*_INTEGERS, "float32"), {Compression.NONE: None}),
    Format("PNG", "APNGWriter", (".png",), _SMALL, {Compression.ADOBE_DEFLATE: None}, stacks=Stacks.FRAMES),
    Format(
        "JPEG", "JPEGWriter", (".jpg", ".jpeg", ".jpe"), ("uint8",), {Compression.JPEG: None}, stacks=Stacks.ONE,
    ),
    Format(
        "JPEG 2000", "JPEG2000Writer", (".jp2",), _SMALL, {Compression.JPEG2000: "JPEG-2000"}, stacks=Stacks.ONE,
    ),
    Format("AVI", "AVIWriter", (".avi",), ("uint8",), {Compression.NONE: None}, stacks=Stacks.FRAMES, rgb_width=4),
    Format("QuickTime", "QTWriter", (".mov",), ("uint8",), {Compression.NONE: None}, stacks=Stacks.FRAMES, rgb_width=4),
    Format("EPS", "EPSWriter", (".eps", ".epsi"), ("uint8",), {Compression.NONE: None}, stacks=Stacks.ONE),
    Format(
        "DICOM", "DicomWriter", (".dcm",), _INTEGERS,
        {Compression.NONE: "Uncompressed", Compression.JPEG: "JPEG", Compression.JPEG2000: "JPEG-2000"},
        stacks=Stacks.NO_T, even_8bit_planes=True,
        narrow={Compression.JPEG: ("uint8",), Compression.JPEG2000: _SMALL},
    ),
)  # fmt: skip

SUFFIXES = tuple(suffix for found in FORMATS for suffix in found.suffixes)
"""Ends of names that Bio-Formats writes, in lower case."""

OWN_SUFFIXES = tuple(suffix for found in FORMATS[1:] for suffix in found.suffixes)
"""Those that bfio's own writer, of TIFF, does not take."""


def format_of(name: str) -> Format | None:
    """The format that a file name stands for."""
    lower = name.lower()
    ends = {suffix: found for found in FORMATS for suffix in found.suffixes if lower.endswith(suffix)}
    return ends[max(ends, key=len)] if ends else None


def writable() -> str:
    """The formats and their names, for messages."""
    return ", ".join(f"{found.name} ({', '.join(found.suffixes)})" for found in FORMATS)

"""What readers are known not to do with files of the matrix: one table, and a test that every row is true."""

from collections.abc import Callable
from dataclasses import dataclass

from bfio.pyramid import level_sizes
from readers.cases import Case

BIO_FORMATS = ("Bio-Formats 6.7.0", "Bio-Formats 7.3.1")


@dataclass(frozen=True)
class Inability:
    """``outcome`` is a word of `picture.outcome`; rows further down apply where none before does."""

    readers: tuple[str, ...]
    outcome: str
    what: str
    applies: Callable[[Case], bool]


def _wide(case):
    """Numbers of 64 bits that OME does not have."""
    return case.dtype in ("uint64", "int64")


def _complex(case):
    return case.dtype.startswith("complex")


def _ragged_bits(case):
    return case.dtype == "bool" and any(cols % 8 for _, cols in level_sizes(*case.size, case.levels))


TABLE = (
    Inability(BIO_FORMATS, "raises", "predictor 3", lambda c: c.predictor == 3),
    Inability(BIO_FORMATS, "raises", "WebP", lambda c: c.compression == "webp"),
    Inability(BIO_FORMATS[:1], "raises", "zstd", lambda c: c.compression == "zstd"),
    Inability(BIO_FORMATS, "raises", "complex numbers", _complex),
    Inability(BIO_FORMATS[:1], "differs", "integers of 64 bits: takes their bits for doubles", _wide),
    Inability(BIO_FORMATS[1:], "raises", "integers of 64 bits", _wide),
    Inability(BIO_FORMATS, "differs", "float16 in OME-TIFF: takes it for float32", lambda c: c.dtype == "float16"),
    Inability(BIO_FORMATS, "differs", "bits in tiles, if a level's width is no multiple of 8", _ragged_bits),
    Inability(BIO_FORMATS, "as uint8", "bits", lambda c: c.dtype == "bool"),
    Inability(("GDAL",), "raises", "JPEG 2000, in its wheel", lambda c: c.compression == "jpeg2000"),
    Inability(("GDAL",), "as uint8", "bits", lambda c: c.dtype == "bool"),
    Inability(("GDAL",), "as float32", "float16", lambda c: c.dtype == "float16"),
    Inability(("Pillow",), "raises", "float64", lambda c: c.dtype == "float64"),
    Inability(("Pillow",), "raises", "float16", lambda c: c.dtype == "float16"),
    Inability(("Pillow",), "raises", "integers of 64 bits", _wide),
    Inability(("Pillow",), "raises", "complex numbers", _complex),
    Inability(("Pillow",), "raises", "float32 of several samples", lambda c: c.dtype == "float32" and c.samples > 1),
    Inability(("Pillow",), "raises", "JPEG 2000", lambda c: c.compression == "jpeg2000"),
    Inability(("Pillow",), "raises", "WebP in TIFF", lambda c: c.compression == "webp"),
    Inability(("Pillow",), "shape", "SubIFDs of BigTIFF: sees no lower levels", lambda c: c.bigtiff and c.levels > 1),
    Inability(("Pillow",), "differs", "int8: takes it for uint8", lambda c: c.dtype == "int8"),
    Inability(("Pillow",), "differs", "uint32: takes it for int32", lambda c: c.dtype == "uint32"),
    Inability(("Pillow",), "differs", "uint16 of several samples: 8 bits", lambda c: c.dtype == "uint16" and c.samples > 1),
    Inability(("Pillow",), "as int32", "int16", lambda c: c.dtype == "int16"),
    Inability(("libvips",), "raises", "float64 in tiles", lambda c: c.dtype == "float64"),
    Inability(("libvips",), "raises", "integers of 64 bits", _wide),
    Inability(("libvips",), "raises", "complex numbers", _complex),
    Inability(("libvips",), "zeros", "zstd, in its wheel: no error, no pixels", lambda c: c.compression == "zstd"),
    Inability(("libvips",), "zeros", "JPEG 2000, in its wheel: no error, no pixels", lambda c: c.compression == "jpeg2000"),
    Inability(("libvips",), "differs", "bits: 0 and 255", lambda c: c.dtype == "bool"),
    Inability(("libvips",), "differs", "float16: NaN becomes infinity", lambda c: c.dtype == "float16"),
)  # fmt: skip


def inability(reader, case):
    """The row that applies to a reader and a file, or None."""
    return next((row for row in TABLE if reader in row.readers and row.applies(case)), None)


def expected_outcome(reader, case):
    """What the reader is known to make of the file."""
    row = inability(reader, case)
    return "equal" if row is None else row.outcome

"""What is to be written and how, checked against what the format can hold before Java is asked."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bfio.bioformats.writing.formats import Format, Stacks, format_of, writable
from bfio.enums import Compression, Predictor
from bfio.errors import UnsupportedError, UsageError
from bfio.metadata import Series
from bfio.options import WriteOptions

__all__ = ["Recipe", "choose"]

logger = logging.getLogger("bfio")

TIFF_WRITER = "bfio's own writer can: backend='python' and a name that ends in .ome.tif"
MOST_NBYTES = (1 << 31) - 8
"""Bytes of the longest array in Java."""
CLASSIC_NBYTES = 3_900_000_000
"""Above that, a TIFF file becomes a BigTIFF."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One file.

    Attributes
    ----------
    format : Format
    series : Series
    compression : str or None
        In Bio-Formats' words.
    tile_shape : tuple of int
        Rows and columns that Java gets at once: those of a tile, or the whole plane.
    big : bool
        Whether it is a BigTIFF.
    """

    format: Format
    series: Series
    compression: str | None
    tile_shape: tuple[int, int]
    big: bool

    @property
    def dtype(self) -> np.dtype:
        """Of the bytes that Java gets."""
        return self.series.dtype.newbyteorder("<")

    @property
    def n_planes(self) -> int:
        """Planes of the file, in the order XYZCT."""
        return self.series.size_t * self.series.size_c * self.series.size_z

    @property
    def n_bands(self) -> int:
        """Bands of one plane: rows of tiles, or the one of all rows."""
        return -(-self.series.size_y // self.tile_shape[0])

    def rows_of(self, band: int) -> range:
        """Rows of one band."""
        first = band * self.tile_shape[0]
        return range(first, min(first + self.tile_shape[0], self.series.size_y))

    def plane_name(self, plane: int) -> str:
        """A plane in words."""
        rest, z = divmod(plane, self.series.size_z)
        t, c = divmod(rest, self.series.size_c)
        return f"plane {plane} (Z {z}, C {c}, T {t})"


def choose(path: Path, series: Series, options: WriteOptions) -> Recipe:
    """How a file of this name is written.

    Raises
    ------
    UnsupportedError
        The format has no such pixels, axes or features.
    UsageError
        An option means nothing here.
    """
    found = format_of(path.name)
    if found is None:
        raise UnsupportedError(f"{path.name}: Bio-Formats does not write such files, but {writable()}")
    _check_options(path, found, options)
    codec = _compression(path, found, options.compression)
    _check_dtype(path, found, series, codec)
    _check_axes(path, found, series)
    rows, cols = options.tile_size if found.tiled else (series.size_y, series.size_x)
    shape = (min(rows, series.size_y), min(cols, series.size_x))
    _check_nbytes(path, found, series, shape)
    big = found.tiled and (_is_large(series) if options.bigtiff is None else options.bigtiff)
    return Recipe(found, series, found.compressions[codec], shape, big)


def _is_large(series: Series) -> bool:
    """Whether a classic TIFF could be too small; Java wants room for one plane more than there are."""
    plane = series.size_y * series.size_x * series.samples * series.dtype.itemsize
    n_planes = series.size_t * series.size_c * series.size_z
    return (n_planes + 1) * plane > CLASSIC_NBYTES


def _check_options(path: Path, found: Format, options: WriteOptions) -> None:
    if options.resume:
        raise UnsupportedError(f"{path.name}: Bio-Formats can not go on with a file (resume=True); {TIFF_WRITER}")
    if options.levels != 1:
        raise UnsupportedError(f"{path.name}: pyramids (levels=) are not written through Bio-Formats; {TIFF_WRITER}")
    if options.compression_level is not None:
        raise UsageError(f"{path.name}: Bio-Formats takes no compression_level; leave it out")
    if options.predictor not in (None, Predictor.NONE):
        raise UsageError(f"{path.name}: Bio-Formats takes no predictor; leave it out")
    if options.bigtiff and not found.tiled:
        raise UsageError(f"{path.name}: bigtiff=True is for TIFF files; leave it out")


def _compression(path: Path, found: Format, asked: Compression) -> Compression:
    """The compression asked for; deflate, as that of a writer that was not told, means the format's own."""
    if asked in found.compressions:
        return asked
    if asked == Compression.ADOBE_DEFLATE:
        return next(iter(found.compressions))
    raise UsageError(f"{path.name}: {found.name} has no compression {_word(asked)!r} here; "
                     f"use {' or '.join(repr(_word(codec)) for codec in found.compressions)}")  # fmt: skip


def _word(codec: Compression) -> str:
    return codec.name.lower().replace("adobe_", "")


def _check_dtype(path: Path, found: Format, series: Series, codec: Compression) -> None:
    allowed = found.dtypes_with(codec)
    if series.dtype.name not in allowed:
        narrow = f" with compression {_word(codec)!r}" if codec in (found.narrow or {}) else ""
        raise UnsupportedError(f"{path.name}: {found.name}{narrow} takes pixels of {', '.join(allowed)}, not of "
                               f"{series.dtype.name}; convert the image, or use an OME-TIFF")  # fmt: skip


def _check_axes(path: Path, found: Format, series: Series) -> None:
    n_planes = series.size_t * series.size_c * series.size_z
    sizes = f"{series.size_z} Z x {series.size_c} C x {series.size_t} T"
    advice = "write each plane to a file of its own, or use an OME-TIFF"
    if series.samples not in found.samples:
        raise UnsupportedError(f"{path.name}: {found.name} takes 1 or 3 samples per pixel, not {series.samples}; "
                               "write them as channels, or use an OME-TIFF")  # fmt: skip
    if found.stacks is Stacks.ONE and n_planes > 1:
        raise UnsupportedError(f"{path.name}: {found.name} holds one plane, not {sizes}; {advice}")
    if found.stacks is Stacks.NO_T and series.size_t > 1:
        raise UnsupportedError(f"{path.name}: {found.name} has no time axis, but the image has T = {series.size_t}; "
                               "write each time point to a file of its own, or use an OME-TIFF")  # fmt: skip
    if found.stacks is Stacks.FRAMES and n_planes > max(1, series.size_t):
        logger.warning("%s: %s knows frames only, in which Z, C and T (%s) follow each other", path, found.name, sizes)
    if series.samples > 1 and series.size_x % found.rgb_width:
        raise UnsupportedError(f"{path.name}: RGB images of {found.name} must have a width that is a multiple of "
                               f"{found.rgb_width}, not {series.size_x}; crop or pad the image")  # fmt: skip
    odd = series.size_y * series.size_x * series.samples * series.dtype.itemsize % 2
    if found.even_8bit_planes and odd and n_planes > 1:
        raise UnsupportedError(f"{path.name}: planes of {found.name} must have an even number of bytes, not "
                               f"{series.size_y} x {series.size_x}; crop the image, or {advice}")  # fmt: skip


def _check_nbytes(path: Path, found: Format, series: Series, shape: tuple[int, int]) -> None:
    nbytes = shape[0] * shape[1] * series.samples * series.dtype.itemsize
    if nbytes <= MOST_NBYTES:
        return
    if found.tiled:
        raise UnsupportedError(f"{path.name}: tiles of {nbytes} bytes are too large for Java; use a smaller tile_size")
    raise UnsupportedError(f"{path.name}: a plane of {nbytes} bytes is too large for {found.name} (2 GB); "
                           "use an OME-TIFF, which is written tile by tile")  # fmt: skip

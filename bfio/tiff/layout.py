"""How the pixels of an IFD are stored: grid, samples, dtype, and which of three routes decodes its tiles."""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from bfio._kernels import has_decompressor
from bfio.enums import Compression, FillOrder, Photometric, PlanarConfiguration, Predictor, SampleFormat
from bfio.errors import FormatError, LimitError
from bfio.limits import Limits
from bfio.tiling import Grid

__all__ = ["Layout", "Route", "layout_of_page", "layout_of_record"]


class Route(enum.Enum):
    """Who decodes a tile."""

    KERNEL = "kernel"
    """The nogil kernels do all of it."""
    BYTES = "bytes"
    """imagecodecs decompresses, the kernels do the rest."""
    PAGE = "page"
    """tifffile's decoder of the page does all of it."""


MAX_SIDE = (1 << 32) - 1
"""No image is larger, whatever the 64 bits of a BigTIFF tag say."""

BYTE_CODECS = {
    Compression.ADOBE_DEFLATE: "deflate_decode",
    Compression.DEFLATE: "deflate_decode",
    Compression.ZSTD: "zstd_decode",
    Compression.ZSTD_DEPRECATED: "zstd_decode",
    Compression.LZMA: "lzma_decode",
}
"""Compressions of plain bytes, with the function of imagecodecs that undoes them.

deflate_decode is libdeflate; zlib_decode is half as fast.
"""

_KINDS: dict[tuple[int, int], str] = {
    (SampleFormat.UINT, 8): "u1",
    (SampleFormat.UINT, 16): "u2",
    (SampleFormat.UINT, 32): "u4",
    (SampleFormat.UINT, 64): "u8",
    (SampleFormat.INT, 8): "i1",
    (SampleFormat.INT, 16): "i2",
    (SampleFormat.INT, 32): "i4",
    (SampleFormat.INT, 64): "i8",
    (SampleFormat.IEEE_FP, 16): "f2",
    (SampleFormat.IEEE_FP, 32): "f4",
    (SampleFormat.IEEE_FP, 64): "f8",
    (SampleFormat.COMPLEX_IEEE_FP, 64): "c8",
    (SampleFormat.COMPLEX_IEEE_FP, 128): "c16",
}
"""What the kernels decode: (sample format, bits per sample) -> dtype. All else is tifffile's."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Storage of one plane; equal layouts can be read in one batch.

    ``samples`` counts the samples of a pixel; ``planar`` tells that each has tiles of its own (planar
    configuration 2). ``swap_size`` is the size of the numbers whose bytes are reversed, 1 for none.
    """

    grid: Grid
    samples: int
    planar: bool
    dtype: np.dtype
    compression: int
    predictor: int
    swap_size: int
    route: Route
    nodata: float | int = 0

    @property
    def n_segments(self) -> int:
        """Number of tiles or strips in the IFD."""
        return self.grid.n_tiles * (self.samples if self.planar else 1)

    @property
    def tile_samples(self) -> int:
        """Samples interleaved in one tile."""
        return 1 if self.planar else self.samples

    @property
    def row_nbytes(self) -> int:
        """Decoded bytes of one row of a tile."""
        return self.grid.tile_cols * self.tile_samples * self.dtype.itemsize

    @property
    def tile_nbytes(self) -> int:
        """Decoded bytes of one whole tile."""
        return self.row_nbytes * self.grid.tile_rows

    @property
    def divisible(self) -> bool:
        """Whether strips may be read in parts: their bytes are the pixels."""
        raw = self.compression == Compression.NONE and self.predictor == Predictor.NONE
        return raw and self.route is Route.KERNEL and self.grid.strips and not self.planar

    def check(self, path: str, limits: Limits, file_nbytes: int = 0) -> None:
        """Refuse images without pixels and tiles beyond the limit, before anything is allocated.

        Strips that can be read in parts may be as large as a file of `file_nbytes`, which writes a plane as one strip.
        """
        if self.grid.size_x < 1 or self.grid.size_y < 1 or self.samples < 1:
            raise FormatError(f"{path}: the image has no pixels ({self.grid.size_x} x {self.grid.size_y})")
        if max(self.grid.size_x, self.grid.size_y) > MAX_SIDE:
            raise FormatError(f"{path}: an image of {self.grid.size_x} x {self.grid.size_y} pixels can not be")
        if self.tile_nbytes > max(limits.tile_nbytes, file_nbytes * self.divisible):
            kind = "strip" if self.grid.strips else "tile"
            raise LimitError(
                f"{path}: one {kind} decodes to {self.tile_nbytes} bytes, more than Limits.tile_nbytes "
                f"({limits.tile_nbytes}); pass limits=Limits.unlimited() if you trust the file"
            )


def _swap_size(dtype: np.dtype, byte_order: str) -> int:
    number = dtype.itemsize // 2 if dtype.kind == "c" else dtype.itemsize
    native = "<" if sys.byteorder == "little" else ">"
    return 1 if byte_order == native else number


def _route(dtype: np.dtype | None, compression: int, predictor: int, plain: bool) -> Route:
    """The fastest route that gives the right pixels."""
    if dtype is None or not plain:
        return Route.PAGE
    if predictor == Predictor.HORIZONTAL and dtype.kind == "c":
        return Route.PAGE
    if predictor == Predictor.FLOATING_POINT and dtype.kind != "f":
        return Route.PAGE
    if predictor not in (Predictor.NONE, Predictor.HORIZONTAL, Predictor.FLOATING_POINT):
        return Route.PAGE
    if has_decompressor(compression):
        return Route.KERNEL
    return Route.BYTES if compression in BYTE_CODECS else Route.PAGE


def _grid(size_y: int, size_x: int, tile_rows: int, tile_cols: int, rows_per_strip: int) -> Grid:
    if tile_cols > 0 and tile_rows > 0:
        return Grid(size_y, size_x, tile_rows, tile_cols)
    rows = size_y if rows_per_strip == 0 else min(rows_per_strip, size_y)
    return Grid(size_y, size_x, max(rows, 1), max(size_x, 1), strips=True)


def layout_of_record(record: np.void, byte_order: str) -> Layout | None:
    """Layout of an IFD record, or None where only tifffile can tell (odd bit depths, JPEG, volumes, ...)."""
    dtype_code = _KINDS.get((int(record["sample_format"]), int(record["bits_per_sample"])))
    plain = (
        dtype_code is not None
        and int(record["flags"]) == 0
        and record["fill_order"] == FillOrder.MSB_TO_LSB
        and record["image_depth"] == 1
        and record["tile_depth"] == 1
        and record["photometric"] != Photometric.YCBCR
        and record["planar_configuration"] in (PlanarConfiguration.CONTIG, PlanarConfiguration.SEPARATE)
    )
    if not plain or dtype_code is None:
        return None
    tiled = bool(record["tiled"])
    if tiled and (record["tile_width"] == 0 or record["tile_length"] == 0):
        return None
    dtype = np.dtype(dtype_code)
    compression, predictor = int(record["compression"]), int(record["predictor"])
    route = _route(dtype, compression, predictor, plain)
    if route is Route.PAGE:
        return None
    return Layout(
        grid=_grid(
            int(record["length"]),
            int(record["width"]),
            int(record["tile_length"]) if tiled else 0,
            int(record["tile_width"]) if tiled else 0,
            int(record["rows_per_strip"]),
        ),
        samples=int(record["samples_per_pixel"]),
        planar=record["planar_configuration"] == PlanarConfiguration.SEPARATE and record["samples_per_pixel"] > 1,
        dtype=dtype,
        compression=compression,
        predictor=predictor,
        swap_size=1 if predictor == Predictor.FLOATING_POINT else _swap_size(dtype, byte_order),
        route=route,
    )


def layout_of_page(page: Any, path: str) -> Layout:
    """Layout of a tifffile page; ``page`` is a keyframe (``TiffPage``) with all its attributes."""
    if page.dtype is None or 0 in page.shaped:
        raise FormatError(
            f"{path}: the image has no pixels of a known data type "
            f"(sample format {page.sampleformat}, {page.bitspersample} bits, shape {page.shape})"
        )
    bits = page.bitspersample
    dtype_code = _KINDS.get((int(page.sampleformat), bits)) if isinstance(bits, int) else None
    plain = (
        dtype_code is not None
        and page.fillorder == FillOrder.MSB_TO_LSB
        and page.imagedepth == 1
        and page.tiledepth == 1
        and not page.is_subsampled
        and page.jpegheader is None
    )
    dtype = np.dtype(dtype_code) if dtype_code is not None else None
    compression, predictor = int(page.compression), int(page.predictor)
    separate, _, length, width, contig = page.shaped
    native = dtype if dtype is not None else np.dtype(page.dtype).newbyteorder("=")
    return Layout(
        grid=_grid(
            length,
            width,
            page.tilelength if page.is_tiled else 0,
            page.tilewidth if page.is_tiled else 0,
            page.rowsperstrip,
        ),
        samples=separate * contig,
        planar=separate > 1,
        dtype=native,
        compression=compression,
        predictor=predictor,
        swap_size=1 if predictor == Predictor.FLOATING_POINT else _swap_size(native, page.parent.byteorder),
        route=_route(dtype, compression, predictor, plain),
        nodata=page.nodata,
    )

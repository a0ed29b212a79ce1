"""One YX image of a file, ready to be decoded: its layout, and where its tiles are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bfio.byteio import Source
from bfio.enums import Compression
from bfio.errors import FormatError
from bfio.tiff.layout import Layout
from bfio.tiff.pages import TileDecoder
from bfio.tiling import Grid

__all__ = ["Plane", "PlaneMemo", "fit_segments", "merge_raw_strips"]

RAW_STRIP_NBYTES = 1 << 20
"""Uncompressed strips that lie side by side are cut anew into strips of about this size."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Where the pixels of one plane are.

    ``offsets`` and ``byte_counts`` have one entry per tile, row-major; with planar samples those of the first
    sample come first. Byte count 0 is a sparse tile. ``decoder`` makes tifffile's decoder of the plane: the only one
    for ``Route.PAGE``, else the second opinion on tiles that the kernels refuse. ``stored`` is the layout in the file
    where `layout` was cut anew.
    """

    source: Source
    layout: Layout
    index: int
    offsets: np.ndarray
    byte_counts: np.ndarray
    decoder: Callable[[], TileDecoder]
    stored: Layout | None = None


class PlaneMemo:
    """The planes read last, so that small reads do not gather their tile tables again; a few MB at most."""

    MAX_PLANES = 64
    MAX_TILES = 1 << 16

    def __init__(self) -> None:
        self._planes: dict[int, Plane] = {}

    def get(self, index: int, make: Callable[[], Plane]) -> Plane:
        """The plane of an index, made if it is not at hand."""
        plane = self._planes.get(index)
        if plane is None:
            plane = make()
            if plane.offsets.size <= self.MAX_TILES:
                if len(self._planes) >= self.MAX_PLANES:
                    self._planes = {}
                self._planes[index] = plane
        return plane


def fit_segments(
    path: str, file_nbytes: int, index: int, layout: Layout, offsets: np.ndarray, byte_counts: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Hold the segment tables against the layout: surplus entries go, missing byte counts of raw data are known."""
    n = layout.n_segments
    if n > file_nbytes:
        raise FormatError(f"{path}: plane {index} has {n} tiles or strips, but the file only {file_nbytes} bytes")
    raw = layout.compression == Compression.NONE
    if offsets.size < n:
        if not (raw and offsets.size == 1 and layout.grid.strips and not layout.planar):
            raise FormatError(f"{path}: plane {index} lists {offsets.size} tiles or strips, but has {n}")
        stride = layout.tile_nbytes
        offsets = offsets[0] + np.arange(n, dtype=np.uint64) * np.uint64(stride)
        byte_counts = None
    if raw and (byte_counts is None or byte_counts.size < n):
        rows = layout.grid.encoded_rows(np.arange(layout.grid.tiles_down))
        counts = np.repeat(rows * layout.row_nbytes, layout.grid.tiles_across)
        byte_counts = np.tile(counts, n // counts.size).astype(np.uint64)
    if byte_counts is None or byte_counts.size < n:
        raise FormatError(f"{path}: plane {index} has no byte count for each of its {n} tiles or strips")
    offsets, byte_counts = offsets[:n], byte_counts[:n]
    if not offsets.all():  # half-sparse entries of other writers: no offset means no data
        byte_counts = np.where(offsets == 0, np.uint64(0), byte_counts)
    return offsets, byte_counts


def merge_raw_strips(
    layout: Layout, offsets: np.ndarray, byte_counts: np.ndarray
) -> tuple[Layout, np.ndarray, np.ndarray]:
    """Cut uncompressed strips that lie side by side anew, so that their size suits reading and not their writer."""
    grid = layout.grid
    if not layout.divisible or not offsets[0]:
        return layout, offsets, byte_counts
    stored = grid.encoded_rows(np.arange(grid.tiles_down)).astype(np.uint64) * np.uint64(layout.row_nbytes)
    begin = offsets[0] + np.concatenate(([np.uint64(0)], np.cumsum(stored, dtype=np.uint64)[:-1]))
    if not np.array_equal(offsets, begin):
        return layout, offsets, byte_counts
    if offsets.size > 1 and not np.array_equal(byte_counts, stored):
        return layout, offsets, byte_counts
    rows = min(max(RAW_STRIP_NBYTES // layout.row_nbytes, 1), grid.size_y)
    cut = Grid(grid.size_y, grid.size_x, rows, grid.tile_cols, strips=True)
    place = np.arange(cut.tiles_down, dtype=np.uint64)
    new_offsets = offsets[0] + place * np.uint64(rows * layout.row_nbytes)
    new_counts = cut.encoded_rows(place.astype(np.int64)).astype(np.uint64) * np.uint64(layout.row_nbytes)
    merged = Layout(
        cut, layout.samples, False, layout.dtype, layout.compression, layout.predictor,
        layout.swap_size, layout.route, layout.nodata,
    )  # fmt: skip
    return merged, new_offsets, new_counts

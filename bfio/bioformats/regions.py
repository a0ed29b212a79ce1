"""Which rectangles of a plane to ask Bio-Formats for: pure arithmetic, no Java."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bfio.tiling import Grid

__all__ = ["MAX_NBYTES", "Region", "default_tile_rows", "overlap", "regions"]

MAX_NBYTES = (1 << 31) - 8
"""Bytes that one Java array can hold."""
_GAP_NBYTES = 1 << 16
"""Pixels between two rectangles that are read along with them rather than to ask twice."""


@dataclass(frozen=True, slots=True)
class Region:
    """Rows and columns of a plane, without gaps."""

    y: range
    x: range

    @property
    def n_pixels(self) -> int:
        """Rows times columns."""
        return len(self.y) * len(self.x)


def default_tile_rows(size_y: int, size_x: int, pixel_nbytes: int) -> int:
    """Rows that Bio-Formats calls optimal where a format does not tell: full rows of 1 MiB together.

    Follows the documentation of ``IFormatReader.getOptimalTileHeight``, tried with 6.7.0 and 7.3.1.
    """
    return min(max((1 << 20) // (size_x * pixel_nbytes), 1), size_y)


def regions(y: range, x: range, grid: Grid, pixel_nbytes: int, target_nbytes: int) -> Iterator[Region]:
    """Rectangles that hold the selected rows and columns of a plane.

    Parameters
    ----------
    y, x : range
        Selected rows and columns, positive step, not empty, within the plane.
    grid : Grid
        Tiles at whose borders rectangles are cut, so that none is decoded twice; of 1 x 1 pixels where anything may
        be asked for.
    pixel_nbytes : int
        Bytes of a pixel, all samples.
    target_nbytes : int
        Rectangles have up to this size, or that of one tile.

    Yields
    ------
    Region
        In the order of rows, then columns; no pixel twice.
    """
    columns = _runs(x, grid.tile_cols, grid.size_x, grid.tile_rows * pixel_nbytes)
    if grid.tile_cols == 1:
        columns = [range(columns[0].start, columns[-1].stop)]
    for column in columns:
        for row in _runs(y, grid.tile_rows, grid.size_y, len(column) * pixel_nbytes):
            yield from _pieces(row, column, grid, pixel_nbytes, target_nbytes)


def _runs(selected: range, tile: int, size: int, line_nbytes: int) -> list[range]:
    """Whole tiles along one axis that hold selected indices, those with small gaps between them as one."""
    gap = max(tile - 1, _GAP_NBYTES // max(1, line_nbytes))
    if selected.step <= gap + 1:
        return [_whole_tiles(selected[0], selected[-1], tile, size)]
    found: list[range] = []
    for index in selected:
        run = _whole_tiles(index, index, tile, size)
        if found and run.start - found[-1].stop <= gap:
            found[-1] = range(found[-1].start, run.stop)
        else:
            found.append(run)
    return found


def _whole_tiles(first: int, last: int, tile: int, size: int) -> range:
    return range(first // tile * tile, min(size, (last // tile + 1) * tile))


def _pieces(row: range, column: range, grid: Grid, pixel_nbytes: int, target_nbytes: int) -> Iterator[Region]:
    """A rectangle cut at tile borders into pieces of about one size."""
    line_nbytes = len(column) * pixel_nbytes * min(grid.tile_rows, len(row))
    n_cols = len(column)
    if line_nbytes > target_nbytes:
        n_cols = max(1, target_nbytes // (line_nbytes // len(column) * grid.tile_cols)) * grid.tile_cols
    n_lines = max(1, target_nbytes // line_nbytes) * grid.tile_rows
    for y in range(row.start, row.stop, n_lines):
        for x in range(column.start, column.stop, n_cols):
            yield Region(range(y, min(y + n_lines, row.stop)), range(x, min(x + n_cols, column.stop)))


def overlap(selected: range, part: range) -> tuple[slice, slice]:
    """Places of a selection that lie in a part of the axis: where they are in the selection, and in the part."""
    step = selected.step
    first = max(0, -((selected.start - part.start) // step))
    stop = min(len(selected), -((selected.start - part.stop) // step))
    if first >= stop:
        return slice(0, 0), slice(0, 0)
    begin = selected.start + first * step - part.start
    return slice(first, stop), slice(begin, begin + (stop - first - 1) * step + 1, step)

"""The order of rectangles: along a curve that completes quarters, and row by row where the target needs it."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["in_cells", "parts", "z_curve"]


def parts(whole: range, step: int) -> list[range]:
    """A range cut into pieces."""
    return [range(start, min(start + step, whole.stop)) for start in range(whole.start, whole.stop, step)]


def in_cells(size: tuple[int, int], rectangle: tuple[int, int], cell: tuple[int, int]) -> Iterator[tuple[range, range]]:
    """Rectangles that cover a plane: along the curve; those within one cell row by row.

    Parameters
    ----------
    size, rectangle, cell : (int, int)
        Rows and columns; of each axis, a rectangle has a multiple of the cell's or is not longer.
    """
    outer = [max(pair) for pair in zip(rectangle, cell, strict=True)]
    y_cells, x_cells = (parts(range(length), step) for length, step in zip(size, outer, strict=True))
    for row, col in z_curve(len(y_cells), len(x_cells)):
        for y in parts(y_cells[row], rectangle[0]):
            for x in parts(x_cells[col], rectangle[1]):
                yield y, x


def z_curve(rows: int, cols: int) -> Iterator[tuple[int, int]]:
    """Cells of a grid, quarter by quarter; row by row where there is one column."""
    side = 1
    while side < min(rows, cols):
        side *= 2
    for row in range(0, rows, side):
        for col in range(0, cols, side):
            yield from _quarters(row, col, side, rows, cols)


def _quarters(row: int, col: int, side: int, rows: int, cols: int) -> Iterator[tuple[int, int]]:
    if row >= rows or col >= cols:
        return
    if side == 1:
        yield row, col
        return
    half = side // 2
    for down, right in ((0, 0), (0, half), (half, 0), (half, half)):
        yield from _quarters(row + down, col + right, half, rows, cols)

"""Cut a block along the grid of tiles: pieces of bounded size, their whole tiles, and the tiles at their border."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bfio._coverage import Rect
from bfio.tiling import Grid

__all__ = ["Piece", "border_tiles", "inner_tiles", "over", "split"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Pixels for a rectangle of several planes.

    Attributes
    ----------
    block : ndarray (T, C, Z, Y, X)
        C counts the samples of the planes, which follow each other.
    planes : int64 array (T, C // samples, Z)
        Index of each plane in the file.
    y0, x0 : int
        Where the rectangle begins in its level.
    """

    block: np.ndarray
    planes: np.ndarray
    y0: int
    x0: int

    @property
    def rect(self) -> Rect:
        """The rectangle in its level."""
        rows, cols = self.block.shape[3:]
        return self.y0, self.y0 + rows, self.x0, self.x0 + cols

    def part(self, rect: Rect) -> Piece:
        """The same planes, a smaller rectangle of the level."""
        y0, y1, x0, x1 = rect
        block = self.block[:, :, :, y0 - self.y0 : y1 - self.y0, x0 - self.x0 : x1 - self.x0]
        return Piece(block, self.planes, y0, x0)


def split(piece: Piece, grid: Grid, max_nbytes: int) -> Iterator[Piece]:
    """Pieces of at most ``max_nbytes``, or of one tile: cut between planes first, then between rows of tiles."""
    if piece.block.nbytes <= max_nbytes:
        yield piece
        return
    for half in _halves(piece, grid):
        if half is piece:
            yield piece
        else:
            yield from split(half, grid, max_nbytes)


def _halves(piece: Piece, grid: Grid) -> Iterator[Piece]:
    samples = piece.block.shape[1] // piece.planes.shape[1]
    for axis in range(3):
        n = piece.planes.shape[axis]
        if n > 1:
            for start, stop in ((0, n // 2), (n // 2, n)):
                unit = samples if axis == 1 else 1
                block = piece.block[(slice(None),) * axis + (slice(start * unit, stop * unit),)]
                yield Piece(block, piece.planes[(slice(None),) * axis + (slice(start, stop),)], piece.y0, piece.x0)
            return
    y0, y1, x0, x1 = piece.rect
    for cut, make in (
        (_middle(y0, y1, grid.tile_rows), lambda at: ((y0, at, x0, x1), (at, y1, x0, x1))),
        (_middle(x0, x1, grid.tile_cols), lambda at: ((y0, y1, x0, at), (y0, y1, at, x1))),
    ):
        if cut is not None:
            yield from (piece.part(rect) for rect in make(cut))
            return
    yield piece


def _middle(start: int, stop: int, tile: int) -> int | None:
    """The border of tiles nearest to the middle of start to stop, or None where there is none in between."""
    first, last = start // tile + 1, (stop - 1) // tile
    return (first + last + 1) // 2 * tile if first <= last else None


def inner_tiles(rect: Rect, grid: Grid) -> Rect | None:
    """The largest rectangle within ``rect`` that is made of whole tiles (as far as they lie in the image)."""
    y0, y1, x0, x1 = rect
    top, bottom = _inner(y0, y1, grid.tile_rows, grid.size_y)
    left, right = _inner(x0, x1, grid.tile_cols, grid.size_x)
    return (top, bottom, left, right) if top < bottom and left < right else None


def _inner(start: int, stop: int, tile: int, size: int) -> tuple[int, int]:
    return -(-start // tile) * tile, stop if stop == size else stop // tile * tile


def border_tiles(rect: Rect, inner: Rect | None, grid: Grid) -> Iterator[tuple[int, Rect]]:
    """Tiles that ``rect`` covers in part: index in the plane, and the covered part in the level."""
    y0, y1, x0, x1 = rect
    for row in range(y0 // grid.tile_rows, (y1 - 1) // grid.tile_rows + 1):
        top, bottom = row * grid.tile_rows, (row + 1) * grid.tile_rows
        inside = inner is not None and inner[0] <= top < inner[1]
        for col in range(x0 // grid.tile_cols, (x1 - 1) // grid.tile_cols + 1):
            left, right = col * grid.tile_cols, (col + 1) * grid.tile_cols
            if inside and inner is not None and inner[2] <= left < inner[3]:
                continue
            yield row * grid.tiles_across + col, (max(y0, top), min(y1, bottom), max(x0, left), min(x1, right))


def over(flags: np.ndarray, grid: Grid) -> np.ndarray:
    """Tiles of the next lower level that are made of a flagged tile of this one, both bool (n_planes, n_tiles)."""
    fine = flags.reshape(len(flags), grid.tiles_down, grid.tiles_across)
    found = np.zeros((len(flags), -(-grid.tiles_down // 2), -(-grid.tiles_across // 2)), bool)
    for y in range(2):
        for x in range(2):
            part = fine[:, y::2, x::2]
            found[:, : part.shape[1], : part.shape[2]] |= part
    return found.reshape(len(flags), -1)

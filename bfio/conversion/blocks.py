"""Which blocks a conversion moves, and in which order, so that they fit into memory and nothing is decoded twice.

A block is whole planes where these are small; else a band of full width, some rows of tiles high; else, where bands
would be too large, a square of tiles. Squares follow a Z-shaped curve, so that the tiles of smaller levels become whole
soon and the writer holds few of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from bfio.conversion.memory import BASE_NBYTES, shown
from bfio.errors import UsageError
from bfio.pyramid import level_sizes

__all__ = ["Block", "Geometry", "Plan", "plan"]

GOAL_NBYTES = 32 << 20
"""Size that a block should have: large enough to keep the workers busy, small enough to overlap with the next."""
TILES_PER_WORKER = 4
FETCH_NBYTES = 64 << 20
"""Encoded bytes of a remote source that a reader holds at once."""
SLOTS_PER_WORKER = 3
"""Tiles that a writer holds for each worker while they are encoded and wait for their turn."""


@dataclass(frozen=True, slots=True)
class Block:
    """Planes (T, C, Z) and a rectangle, in the coordinates of the target; C counts planes, not samples."""

    t: range
    c: range
    z: range
    y: range
    x: range

    @property
    def n_pixels(self) -> int:
        """Pixels of all planes; those of several samples count once."""
        return len(self.t) * len(self.c) * len(self.z) * len(self.y) * len(self.x)


@dataclass(frozen=True, slots=True)
class Geometry:
    """The image that is moved, and the tiles on both sides.

    Attributes
    ----------
    size_t, size_c, size_z, size_y, size_x : int
        Of the target.
    samples, item_nbytes : int
        Of a pixel of the target.
    tile : (int, int)
        Rows and columns of the target's tiles.
    n_levels : int
        Of the target.
    src_tile : (int, int)
        Rows and columns that the source decodes as a whole; (1, 1) where it is not compressed.
    src_pixel_nbytes : int
        Of a decoded pixel of the source.
    src_origin : (int, int)
        Row and column of the source that become the target's first ones.
    src_size : (int, int)
        Rows and columns of the source.
    is_local : bool
        Whether the source is a file of this machine; of others, encoded bytes of many tiles are fetched at once.
    src_kept_nbytes : int
        Decoded bytes that the reader of the source keeps.
    """

    size_t: int
    size_c: int
    size_z: int
    size_y: int
    size_x: int
    samples: int
    item_nbytes: int
    tile: tuple[int, int]
    n_levels: int
    src_tile: tuple[int, int]
    src_pixel_nbytes: int
    src_origin: tuple[int, int]
    src_size: tuple[int, int]
    is_local: bool = True
    src_kept_nbytes: int = 0

    @property
    def pixel_nbytes(self) -> int:
        """Bytes of a pixel of the target."""
        return self.samples * self.item_nbytes

    @property
    def n_planes(self) -> int:
        """Planes of the target."""
        return self.size_t * self.size_c * self.size_z

    @property
    def n_pixels(self) -> int:
        """Pixels of the target, as :attr:`Block.n_pixels` counts them."""
        return self.n_planes * self.size_y * self.size_x

    @property
    def in_strips(self) -> bool:
        """Whether the source decodes rows of its full width only."""
        return self.src_tile != (1, 1) and self.src_tile[1] >= self.src_size[1]

    def read_stop(self, y: int) -> int:
        """Row up to which is read where rows up to `y` are wanted: the source's next tile border."""
        rows, first = self.src_tile[0], self.src_origin[0]
        return min(-(-(first + y) // rows) * rows - first, self.size_y)


@dataclass(frozen=True, slots=True)
class Plan:
    """Blocks of one size.

    ``planes`` in one block; ``rows`` and ``cols`` of its rectangle, multiples of the target's tiles or the whole plane.
    ``buffer_rows`` has room for what is read beyond a band. ``need`` is the peak of memory to be expected.
    """

    geometry: Geometry
    planes: int
    rows: int
    cols: int
    buffer_rows: int
    overlapped: bool
    need: int

    @property
    def in_bands(self) -> bool:
        """Whether blocks have the full width, so that one continues the last."""
        return self.cols >= self.geometry.size_x

    @property
    def buffer_nbytes(self) -> int:
        """Bytes of one buffer."""
        return self.planes * self.buffer_rows * self.cols * self.geometry.pixel_nbytes

    def blocks(self) -> Iterator[Block]:
        """All blocks in the order in which they are moved."""
        g = self.geometry
        n_z = min(self.planes, g.size_z)
        n_c = 1 if g.samples > 1 else min(max(1, self.planes // g.size_z), g.size_c)
        n_t = min(max(1, self.planes // (g.size_z * g.size_c)), g.size_t) if n_c == g.size_c else 1
        for t in _parts(g.size_t, n_t):
            for c in _parts(g.size_c, n_c):
                for z in _parts(g.size_z, n_z):
                    for y, x in self._rectangles():
                        yield Block(t, c, z, y, x)

    def _rectangles(self) -> Iterator[tuple[range, range]]:
        g = self.geometry
        y_parts, x_parts = _parts(g.size_y, self.rows), _parts(g.size_x, self.cols)
        for row, col in z_curve(len(y_parts), len(x_parts)):
            yield y_parts[row], x_parts[col]


def _parts(size: int, step: int) -> list[range]:
    return [range(start, min(start + step, size)) for start in range(0, size, step)]


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


def plan(geometry: Geometry, memory: int, workers: int) -> Plan:
    """The best blocks that fit into `memory` bytes.

    Raises
    ------
    UsageError
        Nothing fits; the message says what would.
    """
    sizes = list(_sizes(geometry, workers))
    found = [_planned(geometry, *size, overlapped, workers) for overlapped in (True, False) for size in sizes]
    if geometry.in_strips:
        found.sort(key=lambda one: not one.in_bands)  # squares would decode each strip many times
    for one in found:
        if one.need <= memory:
            return one
    least = min(one.need for one in found)
    raise UsageError(
        f"memory={shown(memory)} is too little for tiles of {geometry.src_tile[1]} x {geometry.src_tile[0]} pixels in "
        f"the source and {geometry.tile[1]} x {geometry.tile[0]} in the target; it takes {shown(least)}"
    )


def _sizes(g: Geometry, workers: int) -> Iterator[tuple[int, int, int]]:
    """Planes, rows and columns of blocks, the most wanted first."""
    tile_rows, tile_cols = g.tile
    tile_nbytes = tile_rows * tile_cols * g.pixel_nbytes
    goal = max(GOAL_NBYTES, TILES_PER_WORKER * workers * tile_nbytes)
    plane_nbytes = g.size_y * g.size_x * g.pixel_nbytes
    n_planes = g.n_planes if g.samples == 1 else g.size_z
    if plane_nbytes <= goal:
        yield max(1, min(goal // plane_nbytes, n_planes)), g.size_y, g.size_x
    band_nbytes = tile_rows * g.size_x * g.pixel_nbytes
    n_down = -(-g.size_y // tile_rows)
    high = min(max(-(-goal // band_nbytes), -(-g.src_tile[0] // tile_rows)), n_down)
    while high:
        yield 1, min(high * tile_rows, g.size_y), g.size_x
        high //= 2
    least = max(-(-src // tile) for src, tile in zip(g.src_tile, g.tile, strict=True))
    side = max(1 << (math.isqrt(max(1, goal // tile_nbytes)).bit_length() - 1), 1 << (least - 1).bit_length())
    while side:
        yield 1, min(side * tile_rows, g.size_y), min(side * tile_cols, g.size_x)
        side //= 2


def _planned(g: Geometry, planes: int, rows: int, cols: int, overlapped: bool, workers: int) -> Plan:
    buffer_rows = rows
    if cols >= g.size_x and rows < g.size_y:
        aligned = rows % g.src_tile[0] == 0 and g.src_origin[0] % g.src_tile[0] == 0
        buffer_rows = rows if aligned else min(rows + g.src_tile[0] - 1, g.size_y)
    buffer_nbytes = planes * buffer_rows * cols * g.pixel_nbytes
    whole = planes >= g.n_planes and rows >= g.size_y and cols >= g.size_x
    need = (
        BASE_NBYTES
        + g.src_kept_nbytes
        + buffer_nbytes * (2 if overlapped and not whole else 1)
        + _decoding(g, planes * buffer_rows * cols, workers)
        + workers * SLOTS_PER_WORKER * g.tile[0] * g.tile[1] * g.pixel_nbytes
        + _pyramid(g, planes, rows, cols)
    )
    return Plan(g, planes, rows, cols, buffer_rows, overlapped, need)


def _decoding(g: Geometry, n_pixels: int, workers: int) -> int:
    """Of each worker one tile of the source, encoded and decoded; and what is fetched of remote ones."""
    rows, cols = (min(tile, size) for tile, size in zip(g.src_tile, g.src_size, strict=True))
    at_once = min(workers, -(-n_pixels // (rows * cols)))
    fetched = 0 if g.is_local else min(FETCH_NBYTES, n_pixels * g.src_pixel_nbytes)
    return at_once * 2 * rows * cols * g.src_pixel_nbytes + fetched


def _pyramid(g: Geometry, planes: int, rows: int, cols: int) -> int:
    """Smaller levels of a block, and tiles of them that wait for other blocks."""
    if g.n_levels == 1:
        return 0
    own = planes * rows * cols * g.pixel_nbytes // 3
    if rows >= g.size_y and cols >= g.size_x:
        return own
    sizes = level_sizes(g.size_y, g.size_x, g.n_levels)[1:]
    grids = [(-(-size_y // g.tile[0]), -(-size_x // g.tile[1])) for size_y, size_x in sizes]
    if cols >= g.size_x:  # of each level a row of tiles, or three quarters of a square
        waiting = sum(across for _, across in grids)
    else:
        waiting = sum(min(3, down * across) for down, across in grids)
    return own + waiting * g.tile[0] * g.tile[1] * g.pixel_nbytes

"""Which blocks a conversion moves, and in which order, so that they fit into memory and nothing is decoded twice.

A block is whole planes where these are small; else a band of full width, some rows of tiles high; else, where bands
would be too large, a square of tiles. Squares follow a Z-shaped curve, so that the tiles of smaller levels become whole
soon and the writer holds few of them.

Where the target has chunks, a block holds whole ones, of any depth. Those of a shard come in the order in which they
stand in it, since a shard that is written in another order must be written again: planes, then rows, then columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from bfio.conversion.geometry import Block, Geometry
from bfio.conversion.memory import shown
from bfio.conversion.need import need
from bfio.conversion.order import in_cells, parts
from bfio.errors import UsageError

__all__ = ["Plan", "plan"]

GOAL_NBYTES = 32 << 20
"""Size that a block should have: large enough to keep the workers busy, small enough to overlap with the next."""
TILES_PER_WORKER = 4

Counts = tuple[int, int, int]
"""Planes along T, C and Z."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Blocks of one size.

    ``counts``: planes along T, C and Z in one block; ``rows`` and ``cols`` of its rectangle, multiples of the target's
    tiles or the whole plane. ``buffer_rows`` has room for what is read beyond a band. ``need`` is the peak of memory to
    be expected.
    """

    geometry: Geometry
    counts: Counts
    rows: int
    cols: int
    buffer_rows: int
    overlapped: bool
    need: int

    @property
    def planes(self) -> int:
        """Planes in one block."""
        return math.prod(self.counts)

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
        g, (n_t, n_c, n_z) = self.geometry, self.counts
        cell = (self.rows, self.cols) if self.in_bands else g.cell
        for t in parts(range(g.size_t), n_t):
            for c in parts(range(g.size_c), n_c):
                for z in parts(range(g.size_z), n_z):
                    for y, x in in_cells((g.size_y, g.size_x), (self.rows, self.cols), cell):
                        yield Block(t, c, z, y, x)


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
    target = f"{geometry.tile[1]} x {geometry.tile[0]} in the target"
    if geometry.in_chunks:
        target = f"chunks of {(*geometry.depth, *geometry.tile)} in the target"
    raise UsageError(
        f"memory={shown(memory)} is too little for tiles of {geometry.src_tile[1]} x {geometry.src_tile[0]} pixels in "
        f"the source and {target}; it takes {shown(least)}"
    )


def _sizes(g: Geometry, workers: int) -> Iterator[tuple[Counts, int, int]]:
    """Planes, rows and columns of blocks, the most wanted first."""
    tile_rows = g.tile[0]
    goal = max(GOAL_NBYTES, TILES_PER_WORKER * workers * g.unit_nbytes)
    n_deep = math.prod(g.depth)
    slab_nbytes = n_deep * g.size_y * g.size_x * g.pixel_nbytes
    if slab_nbytes <= goal:
        yield _stacked(g, goal // slab_nbytes), g.size_y, g.size_x
    band_nbytes = n_deep * tile_rows * g.size_x * g.pixel_nbytes
    n_down = -(-g.size_y // tile_rows)
    high = min(max(-(-goal // band_nbytes), -(-g.src_tile[0] // tile_rows)), n_down)
    while high:
        yield g.depth, min(high * tile_rows, g.size_y), g.size_x
        high //= 2
    for rows, cols in _rectangles(g, goal):
        yield g.depth, min(rows, g.size_y), min(cols, g.size_x)


def _stacked(g: Geometry, most: int) -> Counts:
    """Planes of at most so many times the depth of a chunk: along Z first, and along others where that is whole."""
    counts, left = list(g.depth), most
    for axis, size in ((2, g.size_z), (1, g.size_c), (0, g.size_t)):
        if axis != 1 or g.samples == 1:
            counts[axis] = min(left * g.depth[axis], size)
        left = left * g.depth[axis] // size if counts[axis] == size else 1
        if left <= 1:
            break
    return counts[0], counts[1], counts[2]


def _rectangles(g: Geometry, goal: int) -> Iterator[tuple[int, int]]:
    """Rows and columns of squares of tiles or shards; then of parts of a shard, as wide as that, while these can be."""
    down, across = (-(-outer // inner) for outer, inner in zip(g.cell, g.tile, strict=True))
    least = max(-(-src // outer) for src, outer in zip(g.src_tile, g.cell, strict=True))
    cell_nbytes = down * across * g.unit_nbytes
    side = max(1 << (math.isqrt(max(1, goal // cell_nbytes)).bit_length() - 1), 1 << (least - 1).bit_length())
    while side:
        if side * side * cell_nbytes <= goal or down * across == 1 or side * g.cell[0] <= g.src_tile[0]:
            yield side * g.cell[0], side * g.cell[1]
        side //= 2
    while down > 1:
        down = -(-down // 2)
        if down * across * g.unit_nbytes <= goal:
            yield down * g.tile[0], g.cell[1]
    while across > 1:
        across = -(-across // 2)
        yield g.tile[0], across * g.tile[1]


def _planned(g: Geometry, counts: Counts, rows: int, cols: int, overlapped: bool, workers: int) -> Plan:
    buffer_rows = rows
    if cols >= g.size_x and rows < g.size_y:
        aligned = rows % g.src_tile[0] == 0 and g.src_origin[0] % g.src_tile[0] == 0
        buffer_rows = rows if aligned else min(rows + g.src_tile[0] - 1, g.size_y)
    whole = math.prod(counts) >= g.n_planes and rows >= g.size_y and cols >= g.size_x
    nbytes = need(g, math.prod(counts), (rows, cols), buffer_rows, 2 if overlapped and not whole else 1, workers)
    return Plan(g, counts, rows, cols, buffer_rows, overlapped, nbytes)

"""What is left to do of a conversion that was interrupted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bfio.backends.base import Key
from bfio.conversion.geometry import Block, Geometry

__all__ = ["Todo"]


class Todo:
    """The tiles of the target that are not there yet.

    Parameters
    ----------
    geometry : Geometry
    missing : sequence of keys
        Regions, as a writer's ``missing`` names them; their C counts samples.
    """

    def __init__(self, geometry: Geometry, missing: Sequence[Key]) -> None:
        g = self._geometry = geometry
        self._tile = g.tile
        down, across = -(-g.size_y // g.tile[0]), -(-g.size_x // g.tile[1])
        self._open = np.zeros((g.size_t, g.size_c, g.size_z, down, across), bool)
        for key in missing:
            y, x, z, c, t = (range(*part.indices(size)) for part, size in zip(key, self._sizes(), strict=True))
            planes = slice(c.start // g.samples, -(-c.stop // g.samples))
            self._open[t.start : t.stop, planes, z.start : z.stop, *self._tiles(y, x)] = True

    def _sizes(self) -> tuple[int, int, int, int, int]:
        g = self._geometry
        return (g.size_y, g.size_x, g.size_z, g.size_c * g.samples, g.size_t)

    def _tiles(self, y: range, x: range) -> tuple[slice, slice]:
        """Rows and columns of tiles that a rectangle touches."""
        rows, cols = self._tile
        return slice(y.start // rows, -(-y.stop // rows)), slice(x.start // cols, -(-x.stop // cols))

    def rest(self, block: Block) -> Block | None:
        """The smallest block of whole tiles that holds all that is missing of another; None where nothing is."""
        planes = tuple(slice(part.start, part.stop) for part in (block.t, block.c, block.z))
        tiles = self._tiles(block.y, block.x)
        part = self._open[(*planes, *tiles)]
        if not part.any():
            return None
        spans = []
        for axis, first in enumerate(one.start for one in (*planes, *tiles)):
            hits = np.flatnonzero(part.any(axis=tuple(other for other in range(5) if other != axis)))
            spans.append(range(first + int(hits[0]), first + int(hits[-1]) + 1))
        t, c, z, rows, cols = spans
        y = range(rows.start * self._tile[0], min(rows.stop * self._tile[0], block.y.stop))
        x = range(cols.start * self._tile[1], min(cols.stop * self._tile[1], block.x.stop))
        return Block(t, c, z, y, x)

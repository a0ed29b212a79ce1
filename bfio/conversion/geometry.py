"""What a conversion moves, and in which units both sides store it."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Block", "Geometry"]


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
        Rows and columns of the target's tiles, or of its chunks.
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
    depth : (int, int, int)
        Planes along T, C and Z of the target's chunks.
    shard : (int, int) or None
        Rows and columns of the target's shards, where it has some.
    in_chunks : bool
        Whether the target is stored in chunks, as Zarr is.
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
    depth: tuple[int, int, int] = (1, 1, 1)
    shard: tuple[int, int] | None = None
    in_chunks: bool = False

    @property
    def pixel_nbytes(self) -> int:
        """Bytes of a pixel of the target."""
        return self.samples * self.item_nbytes

    @property
    def unit_nbytes(self) -> int:
        """Bytes of a tile, or of the chunks of all samples of a pixel."""
        return math.prod(self.depth) * self.tile[0] * self.tile[1] * self.pixel_nbytes

    @property
    def cell(self) -> tuple[int, int]:
        """Rows and columns whose chunks must come in order: those of a shard; else of a tile."""
        return self.shard or self.tile

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

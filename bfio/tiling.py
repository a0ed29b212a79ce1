"""Grid arithmetic: how many tiles an image has, and how many of them a selection touches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Grid", "tiles_hit"]


@dataclass(frozen=True, slots=True)
class Grid:
    """Tiles of one plane: image size and tile size in pixels. Strips are tiles of full width, the last one short."""

    size_y: int
    size_x: int
    tile_rows: int
    tile_cols: int
    strips: bool = False

    @property
    def tiles_down(self) -> int:
        """Number of tiles along Y."""
        return -(-self.size_y // self.tile_rows)

    @property
    def tiles_across(self) -> int:
        """Number of tiles along X."""
        return -(-self.size_x // self.tile_cols)

    @property
    def n_tiles(self) -> int:
        """Number of tiles of one plane (of one sample, where samples are stored apart)."""
        return self.tiles_down * self.tiles_across

    def encoded_rows(self, tile_row: np.ndarray) -> np.ndarray:
        """Rows that are stored in tiles of these positions along Y; only the last strip has fewer."""
        rows = np.full(tile_row.shape, self.tile_rows, dtype=np.int64)
        if self.strips:
            np.minimum(rows, self.size_y - tile_row * self.tile_rows, out=rows)
        return rows


def tiles_hit(selected: range, tile_size: int) -> int:
    """Number of tiles along one axis that hold a selected index (positive step, not empty)."""
    if selected.step > tile_size:
        return len(selected)
    return selected[-1] // tile_size - selected[0] // tile_size + 1

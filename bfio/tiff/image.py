"""One series of a TIFF file: what it says of itself, and the planes of each resolution level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bfio.metadata import Level, Series
from bfio.tiff.plane import Plane

__all__ = ["PlaneTable", "TiffImage", "with_pixels_of"]


class PlaneTable(Protocol):
    """Planes of one resolution level."""

    def plane(self, t: int, c: int, z: int) -> Plane | None:
        """The plane at a position (C counts planes, not samples); None where the file stores none."""


@dataclass(frozen=True, slots=True)
class TiffImage:
    """A series and its levels; ``levels[0]`` is the full resolution."""

    info: Series
    levels: Sequence[PlaneTable]
    dialect: str | None = None
    dimension_order: str | None = None


def level_of(plane: Plane) -> Level:
    """Size and tile shape of the level that a plane belongs to."""
    grid = plane.layout.grid
    return Level(grid.size_y, grid.size_x, (grid.tile_rows, grid.tile_cols))


def with_pixels_of(info: Series, firsts: Sequence[Plane]) -> Series:
    """Complete a series by what the first plane of each level says: the file's structure outranks its metadata."""
    layout = firsts[0].layout
    return replace(
        info,
        dtype=layout.dtype,
        size_y=layout.grid.size_y,
        size_x=layout.grid.size_x,
        samples=layout.samples,
        interleaved=layout.samples > 1 and not layout.planar,
        levels=tuple(level_of(plane) for plane in firsts),
    )

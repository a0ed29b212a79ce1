"""How to ask for parts of planes: by the tiles that a format tells, or by what its reader is seen to do.

Formats without tiles decode a whole plane for each part of it, or read just the part; none tells which. So the first
requests are timed.
"""

from __future__ import annotations

from enum import Enum

from bfio.bioformats.regions import MAX_NBYTES, Region, default_tile_rows
from bfio.metadata import Level
from bfio.tiling import Grid

__all__ = ["Access"]

_TARGET_NBYTES = 4 << 20
"""Bytes of one request: enough to cost no time by itself, and little enough to share among threads."""
_TARGET_UNTOLD_NBYTES = 64 << 20
"""The same while it is not known whether each request decodes the whole plane."""
_SLOW_SECONDS = 0.002
_SLOW_RATE = 40e6
"""A part of a plane that takes longer, and that gives fewer bytes a second, may have cost the whole plane."""


class _Habit(Enum):
    """What a reader does when it is asked for a part of a plane."""

    UNKNOWN = "nobody has asked yet"
    SUSPECT = "a part was slow: the next one is tried by reading the whole plane"
    LIKELY = "the whole plane took no longer than a part did, the first time"
    WHOLE = "it decodes the whole plane"
    PARTS = "it decodes the part"


class Access:
    """What is known of one resolution of a series.

    Parameters
    ----------
    level : Level
        Its ``tile_shape`` is what Bio-Formats calls optimal.
    pixel_nbytes : int
        Bytes of a pixel, all samples.
    most_nbytes : int
        Planes and tiles up to this size may be decoded as a whole to read a part of them.

    Notes
    -----
    Threads share it without a lock: each change is one assignment, and a wrong guess costs time only.
    """

    def __init__(self, level: Level, pixel_nbytes: int, most_nbytes: int) -> None:
        size_y, size_x = level.size_y, level.size_x
        self.pixel_nbytes = pixel_nbytes
        self.whole = Grid(size_y, size_x, size_y, size_x)
        self._exact = Grid(size_y, size_x, 1, 1)
        self._told: Grid | None = None
        self._habit = _Habit.PARTS
        self._seconds = 0.0
        can_keep = size_y * size_x * pixel_nbytes <= min(most_nbytes, MAX_NBYTES)
        rows, cols = (max(1, min(tile, size)) for tile, size in zip(level.tile_shape, (size_y, size_x), strict=True))
        if (rows, cols) == (size_y, size_x):
            self._habit = _Habit.WHOLE if can_keep else _Habit.PARTS
        elif cols == size_x and rows == default_tile_rows(size_y, size_x, pixel_nbytes):
            self._habit = _Habit.UNKNOWN if can_keep else _Habit.PARTS
        elif rows * cols * pixel_nbytes <= MAX_NBYTES // 2:
            self._told = Grid(size_y, size_x, rows, cols)

    @property
    def grid(self) -> Grid:
        """Tiles at which requests are cut; of 1 x 1 pixels where anything can be asked for."""
        if self._told is not None:
            return self._told
        return self.whole if self._habit in (_Habit.SUSPECT, _Habit.WHOLE) else self._exact

    @property
    def target_nbytes(self) -> int:
        """Size of one request."""
        knows_parts = self._told is not None or self._habit is _Habit.PARTS
        return _TARGET_NBYTES if knows_parts else _TARGET_UNTOLD_NBYTES

    def learn_from_part(self, region: Region, seconds: float) -> None:
        """Draw conclusions from the time that a part of a plane took."""
        if self._told is not None or self._habit is _Habit.PARTS or region.n_pixels * 2 > self._exact.n_tiles:
            return
        if self._habit is _Habit.LIKELY:
            self._habit = _Habit.WHOLE if 2 * seconds > self._seconds else _Habit.PARTS
        elif self._habit is _Habit.UNKNOWN:
            rate = region.n_pixels * self.pixel_nbytes / max(seconds, 1e-9)
            if seconds > _SLOW_SECONDS and rate < _SLOW_RATE:
                self._seconds = seconds
                self._habit = _Habit.SUSPECT
            elif seconds > _SLOW_SECONDS or region.n_pixels * 16 > self._exact.n_tiles:
                self._habit = _Habit.PARTS

    def learn_from_whole(self, seconds: float) -> None:
        """Draw conclusions from the time that a whole plane took, of which a part was wanted."""
        if self._habit is _Habit.SUSPECT:
            self._habit = _Habit.LIKELY if seconds < 2 * self._seconds else _Habit.PARTS
            self._seconds = seconds

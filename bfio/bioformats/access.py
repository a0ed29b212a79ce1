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

_LEAST_NBYTES = 512 << 10
_TARGET_NBYTES = 4 << 20
"""Bytes of one request: enough to cost no time by itself, and little enough to share among threads."""
_TARGET_UNTOLD_NBYTES = 64 << 20
"""The same for planes too large to keep, of which each request may decode all."""
_SLOW_SECONDS = 0.002
_SLOW_RATE = 40e6
"""A part of a plane that takes longer, and that gives fewer bytes a second, may have cost the whole plane."""
_SLOWER = 4
"""Once the whole plane was timed: how many times fewer bytes a second a part must give for the whole to be better."""
_DEARER = 8
"""And what part of the time of the whole it must take at least."""


class _Habit(Enum):
    """What a reader does when it is asked for a part of a plane."""

    UNKNOWN = "nobody has asked yet"
    SUSPECT = "a part was slow: the next one is tried by reading the whole plane"
    LIKELY = "the whole plane was better, but the part may have been slow by chance"
    WHOLE = "it decodes the whole plane, or all rows above the part"
    PARTS = "it decodes the part, as far as was seen"


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
        self._whole = Grid(size_y, size_x, size_y, size_x)
        self._exact = Grid(size_y, size_x, 1, 1)
        self._told: Grid | None = None
        self._habit = _Habit.PARTS
        self._part = (0.0, 0.0)
        self._whole_seconds = 0.0
        self._nbytes = size_y * size_x * pixel_nbytes
        self._can_keep = can_keep = self._nbytes <= min(most_nbytes, MAX_NBYTES)
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
        return self._whole if self.wants_whole else self._exact

    @property
    def wants_whole(self) -> bool:
        """Whether planes without tiles are best decoded as a whole."""
        return self._habit in (_Habit.SUSPECT, _Habit.WHOLE)

    @property
    def plane(self) -> Region:
        """The whole plane."""
        return Region(range(self._exact.size_y), range(self._exact.size_x))

    def target_nbytes(self, nbytes: int, n_workers: int) -> int:
        """Size of one request, of a read of so many bytes that so many workers may share."""
        if self._told is not None or (self._can_keep and self._habit is _Habit.PARTS):
            return max(_LEAST_NBYTES, min(_TARGET_NBYTES, nbytes // n_workers))
        return self._nbytes if self._can_keep else _TARGET_UNTOLD_NBYTES

    def learn_from_part(self, region: Region, seconds: float) -> None:
        """Draw conclusions from the time that a part of a plane took."""
        if not self._can_keep or self._habit is _Habit.WHOLE or region.n_pixels * 2 > self._exact.n_tiles:
            return
        rate = region.n_pixels * self.pixel_nbytes / max(seconds, 1e-9)
        if not self._is_slow(seconds, rate):
            self._habit = _Habit.PARTS
        elif self._habit is _Habit.LIKELY:
            self._habit = _Habit.WHOLE
        else:
            self._part = (seconds, rate)
            self._habit = _Habit.LIKELY if self._whole_seconds else _Habit.SUSPECT

    def learn_from_whole(self, seconds: float) -> None:
        """Draw conclusions from the time that a whole plane took, of which a part was wanted."""
        self._whole_seconds = max(seconds, 1e-9)
        if self._habit is _Habit.SUSPECT:
            self._habit = _Habit.LIKELY if self._is_slow(*self._part) else _Habit.PARTS

    def _is_slow(self, seconds: float, rate: float) -> bool:
        """Whether a part took so long that the whole plane is better."""
        if not self._whole_seconds:
            return seconds > _SLOW_SECONDS and rate < _SLOW_RATE
        whole_rate = self._nbytes / self._whole_seconds
        return seconds > _SLOW_SECONDS and rate * _SLOWER < whole_rate and seconds * _DEARER > self._whole_seconds

"""Which pixels of an area were written: a few rectangles, or a bit per pixel where they become many."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

__all__ = ["Coverage", "Rect"]

Rect = tuple[int, int, int, int]
"""Rows and columns ``(y_start, y_stop, x_start, x_stop)``."""

MAX_RECTS = 64
"""More rectangles than that become a mask."""


class Coverage:
    """The written part of an area of ``rows`` by ``cols`` pixels."""

    __slots__ = ("_mask", "_rects", "cols", "n_covered", "rows")

    def __init__(self, rows: int, cols: int, rects: Iterable[Rect] = ()) -> None:
        self.rows, self.cols = rows, cols
        self.n_covered = 0
        self._rects: list[Rect] = []
        self._mask: np.ndarray | None = None
        for rect in rects:
            self.add(rect)

    @property
    def complete(self) -> bool:
        """Whether every pixel was written."""
        return self.n_covered == self.rows * self.cols

    def add(self, rect: Rect) -> None:
        """Note that a rectangle was written; parts of it may have been before."""
        y0, y1, x0, x1 = rect
        if not (0 <= y0 < y1 <= self.rows and 0 <= x0 < x1 <= self.cols):
            raise ValueError(f"the rectangle {rect} does not lie in {self.rows} x {self.cols} pixels")
        if self._mask is not None:
            part = self._mask[y0:y1, x0:x1]
            self.n_covered += part.size - int(np.count_nonzero(part))
            part[...] = True
            return
        fresh = [rect]
        for known in self._rects:
            fresh = [piece for one in fresh for piece in _without(one, known)]
        self.n_covered += sum(_area(piece) for piece in fresh)
        for piece in fresh:
            self._join(piece)
        if len(self._rects) > MAX_RECTS:
            self._mask = self.mask()
            self._rects = []

    def _join(self, piece: Rect) -> None:
        """Keep a piece, as one with its neighbour of the same rows or columns; bands so stay one rectangle."""
        for place, known in enumerate(self._rects):
            joined = _joined(known, piece)
            if joined is not None:
                del self._rects[place]
                return self._join(joined)
        self._rects.append(piece)
        return None

    def covered(self) -> list[Rect]:
        """Disjoint rectangles that were written."""
        return list(self._rects) if self._mask is None else _rects_of(self._mask)

    def uncovered(self) -> list[Rect]:
        """Disjoint rectangles that were not written."""
        if self._mask is not None:
            return _rects_of(~self._mask)
        left = [(0, self.rows, 0, self.cols)]
        for known in self._rects:
            left = [piece for one in left for piece in _without(one, known)]
        return left

    def mask(self) -> np.ndarray:
        """Bool array (rows, cols), True where pixels were written."""
        if self._mask is not None:
            return self._mask.copy()
        mask = np.zeros((self.rows, self.cols), bool)
        for y0, y1, x0, x1 in self._rects:
            mask[y0:y1, x0:x1] = True
        return mask


def _area(rect: Rect) -> int:
    y0, y1, x0, x1 = rect
    return (y1 - y0) * (x1 - x0)


def _without(rect: Rect, hole: Rect) -> list[Rect]:
    """Up to four rectangles that are left of one when another is cut out."""
    y0, y1, x0, x1 = rect
    top, bottom = max(y0, hole[0]), min(y1, hole[1])
    left, right = max(x0, hole[2]), min(x1, hole[3])
    if top >= bottom or left >= right:
        return [rect]
    pieces = [(y0, top, x0, x1), (bottom, y1, x0, x1), (top, bottom, x0, left), (top, bottom, right, x1)]
    return [piece for piece in pieces if piece[0] < piece[1] and piece[2] < piece[3]]


def _joined(one: Rect, other: Rect) -> Rect | None:
    """The rectangle that two neighbours make together, or None."""
    if one[2:] == other[2:] and (one[1] == other[0] or other[1] == one[0]):
        return min(one[0], other[0]), max(one[1], other[1]), one[2], one[3]
    if one[:2] == other[:2] and (one[3] == other[2] or other[3] == one[2]):
        return one[0], one[1], min(one[2], other[2]), max(one[3], other[3])
    return None


def _rects_of(mask: np.ndarray) -> list[Rect]:
    """Rectangles that make up the True part of a mask: runs of each row, joined downwards where they are equal."""
    found: list[Rect] = []
    growing: dict[tuple[int, int], int] = {}
    for y in range(mask.shape[0] + 1):
        runs = _runs(mask[y]) if y < mask.shape[0] else []
        ended = [span for span in growing if span not in runs]
        found.extend((growing.pop(span), y, *span) for span in ended)
        for span in runs:
            growing.setdefault(span, y)
    return found


def _runs(row: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], row, [False])).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]

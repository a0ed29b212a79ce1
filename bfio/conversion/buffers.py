"""The reading side: two buffers that are filled in turn, and rows that are decoded once though two bands need them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bfio.conversion.blocks import Plan
from bfio.conversion.geometry import Block
from bfio.conversion.picture import Picture

__all__ = ["Filler"]


@dataclass(frozen=True, slots=True)
class _Tail:
    """Rows that were read beyond a block: those from ``y.start`` on of the same planes and columns."""

    block: Block
    y: range
    pixels: np.ndarray

    def continues(self, block: Block) -> bool:
        """Whether these are the first rows of another block, and lie beside it."""
        mine = (self.block.t, self.block.c, self.block.z, self.block.x)
        return mine == (block.t, block.c, block.z, block.x) and self.y.start == block.y.start


class Filler:
    """Reads one block after another. A block's pixels stay as they are until the second one after it is read.

    Parameters
    ----------
    picture : Picture
    plan : Plan
    """

    def __init__(self, picture: Picture, plan: Plan) -> None:
        self._picture = picture
        self._plan = plan
        self._dtype = picture.series.dtype
        self._free: list[np.ndarray] = []
        self._tail: _Tail | None = None
        self._n_buffers = 2 if plan.overlapped else 1

    def __call__(self, block: Block) -> tuple[Block, np.ndarray]:
        """The block, and its pixels as an array (T, C with samples, Z, Y, X)."""
        tail, self._tail = self._tail, None
        stop = block.y.stop
        if self._plan.in_bands and len(block.y) < self._plan.geometry.size_y:
            stop = self._plan.geometry.read_stop(stop)
        held = tail.pixels if tail is not None and tail.continues(block) else None
        n_held = 0 if held is None else min(held.shape[3], stop - block.y.start)
        out = self._view(block, stop - block.y.start)
        if held is not None:
            out[..., :n_held, :] = held[..., :n_held, :]
        if block.y.start + n_held < stop:
            wanted = Block(block.t, block.c, block.z, range(block.y.start + n_held, stop), block.x)
            self._picture.read(wanted, out[..., n_held:, :])
        n_rows = len(block.y)
        if stop > block.y.stop:
            self._tail = _Tail(block, range(block.y.stop, stop), out[..., n_rows:, :])
        return block, out[..., :n_rows, :]

    def _view(self, block: Block, n_rows: int) -> np.ndarray:
        """The next buffer in the shape of a block of so many rows; samples of a pixel lie side by side, if C is 1."""
        samples = self._picture.series.samples
        shape = (len(block.t), len(block.c), len(block.z), n_rows, len(block.x))
        n_items = int(np.prod(shape)) * samples
        flat = self._next(n_items)[:n_items]
        t, c, z, y, x = shape
        if samples == 1 or c > 1:
            return flat.reshape(t, c * samples, z, y, x)
        return np.moveaxis(flat.reshape(t, z, y, x, samples), -1, 1)

    def _next(self, n_items: int) -> np.ndarray:
        if len(self._free) < self._n_buffers:
            nbytes = self._plan.buffer_nbytes
            self._free.append(np.empty(max(nbytes // self._dtype.itemsize, n_items), self._dtype))
        else:
            self._free.append(self._free.pop(0))
        return self._free[-1]

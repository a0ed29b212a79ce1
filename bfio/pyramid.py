"""Levels of a pyramid: their number and sizes, and the step from one level to the next."""

from __future__ import annotations

import logging

import numpy as np

from bfio import _kernels
from bfio._parallel import Workers
from bfio.enums import Downsample
from bfio.errors import UsageError

__all__ = ["METHODS", "check_method", "halve", "level_sizes", "n_levels"]

logger = logging.getLogger(__name__)

METHODS = tuple(Downsample)
"""How 2 x 2 pixels become one; see :func:`halve`."""

STOP = 1 << 62
"""Counter value at which no thread finds work any more."""
BUDGET = 256 << 20
"""Bytes per kernel call: between two calls Python sees signals."""
SHARE = 1 << 20
"""Bytes that make another thread worth its start."""


def level_sizes(size_y: int, size_x: int, n: int) -> list[tuple[int, int]]:
    """Rows and columns of `n` levels, the full resolution first; each has half the size of the last, rounded up."""
    sizes = [(size_y, size_x)]
    while len(sizes) < n:
        size_y, size_x = -(-size_y // 2), -(-size_x // 2)
        sizes.append((size_y, size_x))
    return sizes


def n_levels(levels: int | str, size: tuple[int, int], tile: tuple[int, int]) -> int:
    """Number of levels, the full resolution included.

    Parameters
    ----------
    levels : int or "auto"
        "auto": until a plane fits into one tile. A number that asks for levels below one pixel is lowered, and
        logged: a script may write images of any size with one setting.
    size, tile : (int, int)
        Rows and columns of a plane and of a tile.

    Raises
    ------
    UsageError
        Neither "auto" nor a positive integer.
    """
    if isinstance(levels, str) and levels == "auto":
        return 1 + max(_halvings(*pair) for pair in zip(size, tile, strict=True))
    if not isinstance(levels, int | np.integer) or isinstance(levels, bool) or levels < 1:
        raise UsageError(f'levels must be "auto" or an integer from 1 on, not {levels!r}')
    most = 1 + _halvings(max(size), 1)
    if levels > most:
        logger.warning("%d levels of %d x %d pixels: the last of %d is one pixel", levels, *size[::-1], most)
    return min(int(levels), most)


def _halvings(size: int, target: int) -> int:
    """How often a size is halved until it is no longer than the target."""
    return (-(-size // target) - 1).bit_length()


def halve(
    block: np.ndarray, how: str = "mean", workers: Workers | None = None, out: np.ndarray | None = None
) -> np.ndarray:
    """Half the height and width, rounded up: each 2 x 2 pixels become one.

    Parameters
    ----------
    block : ndarray, at most five axes
        The last two are Y and X; any strides.
    how : {"mean", "nearest", "mode", "max"}
        mean: integers are rounded to the nearest, halves up; a real is NaN if one of its pixels is; truth values are
        treated by mode. nearest: the top left pixel. mode, for labels: the most frequent value, of equally frequent
        ones the first in reading order. max: NaN counts as the largest. At an odd edge only pixels that exist count.
    workers : Workers, optional
        Default: the calling thread alone.
    out : ndarray, optional
        Where the result goes; same dtype, any strides, no overlap with `block`.

    Returns
    -------
    ndarray
        `out`, or a new array.

    Raises
    ------
    UsageError
        Unknown method, dtype that the method is not defined for, wrong `out`.
    """
    how = _checked_method(block, how)
    shape = (*block.shape[:-2], *level_sizes(block.shape[-2], block.shape[-1], 2)[1])
    if out is None:
        out = np.empty(shape, block.dtype.newbyteorder("="))
    elif out.shape != shape or out.dtype != block.dtype:
        raise UsageError(f"out must be {block.dtype} of shape {shape}, not {out.dtype} of shape {out.shape}")
    if not out.dtype.isnative:
        raise UsageError("out must have the byte order of this machine")
    src = block.astype(out.dtype, copy=False)
    if block.dtype.kind == "c" and how == "mean":
        _run(src.real, out.real, how, workers)
        _run(src.imag, out.imag, how, workers)
    else:
        _run(src, out, how, workers)
    return out


def _checked_method(block: np.ndarray, how: str) -> str:
    """The method for this dtype, if there is one."""
    if how not in METHODS:
        raise UsageError(f"downsampling is one of {', '.join(METHODS)}, not {how!r}")
    if not 2 <= block.ndim <= 5:
        raise UsageError(f"a block has two to five axes, not {block.ndim}")
    return check_method(block.dtype, how)


def check_method(dtype: np.dtype, how: str) -> str:
    """The method by which pixels of a dtype become fewer, where `how` is asked for.

    Raises
    ------
    UsageError
        There is none.
    """
    kind = dtype.kind
    if kind not in "buifc" or dtype.itemsize > (16 if kind == "c" else 8):
        raise UsageError(f"there is no downsampling of {dtype}")
    if kind == "c" and how in ("mode", "max"):
        raise UsageError(f"complex numbers have no {how}; pass downsample='mean' or 'nearest'")
    return "mode" if kind == "b" and how == "mean" else how


def _run(src: np.ndarray, dst: np.ndarray, how: str, workers: Workers | None) -> None:
    """All threads in one kernel, which share the work through a counter."""
    missing = (np.newaxis,) * (5 - src.ndim)
    src, dst = src[missing], dst[missing]
    counter = np.zeros(1, np.int64)

    def work() -> None:
        while not _kernels.downsample(src, dst, how, counter, BUDGET):
            pass

    def cancel() -> None:
        counter[0] = STOP

    if workers is None:
        work()
    else:
        workers.run(work, max(1, src.nbytes // SHARE), cancel)

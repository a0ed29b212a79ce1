"""Encode tiles one by one through foreign codecs, several at once: they drop the GIL themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bfio import _kernels
from bfio._parallel import Workers
from bfio.tiff.writing.foreign import pad_tile, tile_encoder
from bfio.tiff.writing.recipe import Recipe

__all__ = ["ForeignEncoder"]


class ForeignEncoder:
    """The counterpart of :class:`bfio.tiff.writing.encode.TileEncoder` for codecs that the kernels lack."""

    def __init__(self, recipe: Recipe, workers: Workers) -> None:
        self._recipe, self._workers = recipe, workers
        self._encode_tile = tile_encoder(recipe)

    def encode(self, src: np.ndarray, tasks: np.ndarray) -> Iterator[tuple[int, bytes]]:
        """Index of each task and its encoded tile, in order; see :meth:`TileEncoder.encode`."""

        def encoded(index: int) -> tuple[int, bytes]:
            window = _window(src, tasks[index], self._recipe.samples)
            pixels = np.empty(window.shape, self._recipe.dtype)
            _kernels.convert(window, pixels)
            return index, self._encode_tile(pad_tile(pixels, self._recipe))

        return self._workers.map(encoded, range(len(tasks)), 2 * self._workers.n)


class _Bytes:
    """A view into an array by address, which keeps the array alive."""

    def __init__(self, owner: np.ndarray, interface: dict[str, Any]) -> None:
        self.owner, self.__array_interface__ = owner, interface


def _window(src: np.ndarray, task: np.void, samples: int) -> np.ndarray:
    """What a task takes of ``src`` (T, C, Z, Y, X): view (rows, cols, samples)."""
    _, c_stride, _, y_stride, x_stride = src.strides
    start = int(task["plane_dst"]) + int(task["y_dst"]) * y_stride + int(task["x_dst"]) * x_stride
    interface = {
        "data": (src.__array_interface__["data"][0] + start, True),
        "shape": (int(task["rows"]), int(task["n_cols"]), samples),
        "strides": (y_stride, x_stride, c_stride),
        "typestr": src.dtype.str,
        "version": 3,
    }
    return np.asarray(_Bytes(src, interface))

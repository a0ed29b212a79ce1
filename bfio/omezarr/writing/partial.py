"""Chunks of which only parts were written so far: their pixels, and which of them are there, until they are whole."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from bfio._coverage import Coverage, Rect
from bfio._spill import Spill
from bfio.omezarr.writing.cutting import Index, Part

__all__ = ["Key", "PartialChunk", "PartialChunks", "fill_rest", "paste"]

Key = tuple[int, Index]
"""Level, and position of a chunk in its grid."""


@dataclass(eq=False, slots=True)
class PartialChunk:
    """One chunk: its pixels in memory (or None) or its slot in the file (or -1), and what was written of each plane.

    Attributes
    ----------
    extent : tuple of int
        Pixels of the chunk that lie within the image.
    covered : list of Coverage
        Of the planes (T, C, Z) of the extent.
    """

    extent: Index
    covered: list[Coverage]
    pixels: np.ndarray | None = None
    spilled: int = -1

    @property
    def complete(self) -> bool:
        """Whether every pixel was written."""
        return all(coverage.complete for coverage in self.covered)

    def add(self, inside: Sequence[slice]) -> None:
        """Note that a part was written."""
        _, n_c, n_z, _, _ = self.extent
        t_planes, c_planes, z_planes, rows, cols = inside
        rect: Rect = (rows.start, rows.stop, cols.start, cols.stop)
        for t in range(t_planes.start, t_planes.stop):
            for c in range(c_planes.start, c_planes.stop):
                for z in range(z_planes.start, z_planes.stop):
                    self.covered[(t * n_c + c) * n_z + z].add(rect)


class PartialChunks:
    """Partial chunks of one array, of which a bounded number is in memory. Threads may add to them at once.

    Parameters
    ----------
    shape : tuple of int
        Of a chunk.
    dtype : numpy.dtype
    folder : Path
        Where the temporary file may be.
    most_nbytes : int
        Pixels that stay in memory; those of other chunks wait in the file.
    """

    def __init__(self, shape: Index, dtype: np.dtype, folder: Path, most_nbytes: int) -> None:
        self._shape, self._dtype = shape, dtype
        nbytes = prod(shape) * dtype.itemsize
        self._most = max(1, most_nbytes // nbytes)
        self._spill = Spill(folder, nbytes)
        self._chunks: OrderedDict[Index, PartialChunk] = OrderedDict()  # the one added to last is the last
        self._resident: OrderedDict[Index, PartialChunk] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._chunks)

    def indices(self) -> list[Index]:
        """The positions of the chunks of this moment, in order."""
        with self._lock:
            return sorted(self._chunks)

    def items(self) -> list[tuple[Index, PartialChunk]]:
        """The chunks of this moment, in order of their positions."""
        with self._lock:
            return sorted(self._chunks.items(), key=lambda item: item[0])

    def add(self, index: Index, extent: Index, parts: Sequence[Part]) -> np.ndarray | None:
        """Copy parts of a chunk; its pixels once it is whole, and then it is forgotten here."""
        with self._lock:
            chunk = self._chunks.get(index)
            if chunk is None:
                chunk = PartialChunk(extent, [Coverage(extent[3], extent[4]) for _ in range(prod(extent[:3]))])
            pixels = self._in_memory(index, chunk)
            self._chunks[index] = chunk
            for part in parts:
                paste(part, pixels)
                chunk.add(part.inside)
            return self._pop(index).pixels if chunk.complete else None

    def pop(self, index: Index) -> PartialChunk | None:
        """Take a chunk out, with its pixels in memory; None where there is none."""
        with self._lock:
            chunk = self._chunks.get(index)
            if chunk is None:
                return None
            self._in_memory(index, chunk)
            return self._pop(index)

    def peek(self, index: Index) -> np.ndarray:
        """A copy of the pixels of a chunk."""
        with self._lock:
            return self._in_memory(index, self._chunks[index]).copy()

    def forget(self, index: Index) -> None:
        """Drop what there is of a chunk."""
        if index in self._chunks:
            with self._lock:
                chunk = self._pop(index)
                if chunk.spilled >= 0:
                    self._spill.release(chunk.spilled)

    def close(self) -> None:
        """Forget everything."""
        self._chunks.clear()
        self._resident.clear()
        self._spill.close()

    def _pop(self, index: Index) -> PartialChunk:
        self._resident.pop(index, None)
        return self._chunks.pop(index)

    def _in_memory(self, index: Index, chunk: PartialChunk) -> np.ndarray:
        """Pixels of a chunk, in exchange for those of the one that was not used for the longest time."""
        if chunk.pixels is None:
            while len(self._resident) >= self._most:
                oldest = next(iter(self._resident.values()))
                assert oldest.pixels is not None
                oldest.spilled = self._spill.write(oldest.pixels)
                oldest.pixels = None
                self._resident.popitem(last=False)
            pixels = np.zeros(self._shape, self._dtype)
            if chunk.spilled >= 0:
                self._spill.read(chunk.spilled, pixels)
                chunk.spilled = -1
            chunk.pixels = pixels
            self._resident[index] = chunk
        self._resident.move_to_end(index)
        return chunk.pixels


def paste(part: Part, pixels: np.ndarray) -> None:
    """Copy a part into its chunk."""
    np.copyto(pixels[part.inside], part.pixels, casting="unsafe")


def fill_rest(chunk: PartialChunk, pixels: np.ndarray, base: np.ndarray) -> None:
    """Take from `base` (of the shape of a chunk, or one value) what was not written of a chunk."""
    base = np.broadcast_to(base, pixels.shape)
    for plane, coverage in zip(np.ndindex(*chunk.extent[:3]), chunk.covered, strict=True):
        for y0, y1, x0, x1 in coverage.uncovered():
            pixels[(*plane, slice(y0, y1), slice(x0, x1))] = base[(*plane, slice(y0, y1), slice(x0, x1))]

"""bfio as it is installed, writing."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from multiprocessing.pool import Pool
from typing import Any

import numpy as np
from pixels import pixels, sizes
from protocol import WORKERS, memory, serve, versions

from bfio import BioWriter

TILE = 1024


def _create(path: str, array: np.ndarray, workers: int, options: dict[str, Any]) -> BioWriter:
    sizes_and_type = {**sizes(array.shape), "dtype": array.dtype}
    return BioWriter(path, max_workers=workers, backend="python", **sizes_and_type, **options)


def write(path: str, image: str, shape: str, **options: Any) -> None:
    """A whole image at once."""
    plane = pixels(image, shape)
    with _create(path, plane, WORKERS, options) as writer:
        writer[:] = plane


def planes(path: str, image: str, shape: str, shuffled: bool = False, workers: int = WORKERS, **options: Any) -> None:
    """Plane after plane, in order or not."""
    stack = pixels(image, shape)
    order = np.random.default_rng(20265).permutation(len(stack)) if shuffled else np.arange(len(stack))
    with _create(path, stack, workers, options) as writer:
        for z in order.tolist():
            writer[:, :, z] = stack[z]


def _share(path: str, image: str, shape: str, first: int) -> None:
    """Every second plane, by a process that attaches to the file of another."""
    stack = pixels(image, shape)
    with BioWriter.attach(path, max_workers=1) as writer:
        for z in range(first, len(stack), 2):
            writer[:, :, z] = stack[z]


@lru_cache(maxsize=1)
def _pool() -> Pool:
    """Two processes; started in the first round, which is not counted."""
    return multiprocessing.get_context("spawn").Pool(2)


def two_processes(path: str, image: str, shape: str, **options: Any) -> None:
    """Two processes with one worker each write every second plane; this one creates and closes the file."""
    with _create(path, pixels(image, shape), 1, options) as writer:
        writer.flush()
        _pool().starmap(_share, [(path, image, shape, first) for first in range(2)], chunksize=1)


def _corners(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    for y in range(0, shape[0], TILE):
        for x in range(0, shape[1], TILE):
            yield slice(y, y + TILE), slice(x, x + TILE)


def tiles(path: str, image: str, shape: str, threads: int = 1, **options: Any) -> None:
    """Tile after tile, as old scripts do it, by one thread or by some."""
    plane = pixels(image, shape)

    def put(corner: tuple[slice, slice]) -> None:
        writer[corner] = plane[corner]

    with _create(path, plane, WORKERS, options) as writer, ThreadPoolExecutor(threads) as pool:
        list(pool.map(put, _corners(plane.shape))) if threads > 1 else list(map(put, _corners(plane.shape)))


def bands(path: str, image: str, side: int, rows: int, **options: Any) -> dict[str, int]:
    """An image larger than memory should be, band after band, each made when its turn comes.

    Returns the peak of resident memory, all of Python and the band itself included.
    """
    source = np.load(image, mmap_mode="r")[:rows].copy()
    repeated = -(-side // source.shape[1])
    sizes_and_type = {**sizes((side, side)), "dtype": source.dtype}
    with BioWriter(path, max_workers=WORKERS, backend="python", **sizes_and_type, **options) as writer:
        for number, y in enumerate(range(0, side, rows)):
            band = np.tile(np.roll(source, 97 * number, axis=1), repeated)[: side - y, :side]
            writer[y : y + rows] = band
            del band
    return {"peak": memory("VmHWM")}


if __name__ == "__main__":
    tasks = {"write": write, "planes": planes, "two_processes": two_processes, "tiles": tiles, "bands": bands}
    serve(tasks, versions("bfio", "numpy"))

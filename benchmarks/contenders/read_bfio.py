"""bfio as it is installed."""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
from protocol import WORKERS, serve, versions

from bfio import BioReader


def plane(path: str) -> np.ndarray:
    """The whole image, decoded by two threads."""
    with BioReader(path, max_workers=WORKERS) as reader:
        return reader[:]


def as_float32(path: str) -> np.ndarray:
    """The whole image, converted while it is decoded."""
    with BioReader(path, max_workers=WORKERS) as reader:
        return reader.read(dtype=np.float32)


def regions(path: str, boxes: list[tuple[int, int, int, int]]) -> Iterator[np.ndarray]:
    """Regions one after the other from one open reader, with its default cache of tiles."""
    with BioReader(path, max_workers=WORKERS) as reader:
        for y0, x0, height, width in boxes:
            yield reader[y0 : y0 + height, x0 : x0 + width]


def last_plane(path: str) -> np.ndarray:
    """The last plane along Z."""
    with BioReader(path, max_workers=WORKERS) as reader:
        return reader[:, :, reader.Z - 1]


def cache_bytes(path: str) -> dict[str, Any]:
    """Default size of the cache of decoded tiles."""
    return {"cache_bytes": inspect.signature(BioReader).parameters["cache_bytes"].default}


def gil(path: str, n_tiles: int) -> dict[str, Any]:
    """See ``gil.py``; imported here alone, since it knows the inside of bfio."""
    from gil import held

    return held(path, n_tiles)


if __name__ == "__main__":
    races = {"plane": plane, "float32": as_float32, "regions": regions, "last_plane": last_plane}
    serve({**races, "cache_bytes": cache_bytes, "gil": gil}, versions("bfio", "numpy"))

"""bfio 2.5.0, which without Java reads OME-TIFFs of 1024 x 1024 tiles alone."""

from collections.abc import Iterator

import numpy as np
from protocol import WORKERS, serve, versions

from bfio import BioReader


def plane(path: str) -> np.ndarray:
    """The whole image, decoded by two threads."""
    with BioReader(path, max_workers=WORKERS, backend="python") as reader:
        return reader[:]


def as_float32(path: str) -> np.ndarray:
    """The whole image, then converted."""
    return plane(path).astype(np.float32)


def regions(path: str, boxes: list[tuple[int, int, int, int]]) -> Iterator[np.ndarray]:
    """Regions one after the other from one open reader."""
    with BioReader(path, max_workers=WORKERS, backend="python") as reader:
        for y0, x0, height, width in boxes:
            yield reader[y0 : y0 + height, x0 : x0 + width, 0, 0, 0]


if __name__ == "__main__":
    serve({"plane": plane, "float32": as_float32, "regions": regions}, versions("bfio", "numpy"))

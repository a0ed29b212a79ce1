"""bfio as it is installed, reading and writing OME-Zarr."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from pixels import pixels, sizes
from protocol import WORKERS, serve, versions

from bfio import BioReader, BioWriter

Box = tuple[int, int, int, int, int]


def write(path: str, image: str, **options: Any) -> None:
    """A whole volume at once, with the metadata of OME-Zarr."""
    volume = pixels(image)
    sizes_and_type = {**sizes(volume.shape), "dtype": volume.dtype}
    with BioWriter(path, max_workers=WORKERS, **sizes_and_type, **options) as writer:
        writer[:] = volume.transpose(1, 2, 0)


def volume(path: str) -> np.ndarray:
    """The whole volume, as Z, Y, X."""
    with BioReader(path, max_workers=WORKERS) as reader:
        return reader[:].transpose(2, 0, 1)


def regions(path: str, boxes: list[Box]) -> Iterator[np.ndarray]:
    """Regions one after the other from one open reader, with its default cache of chunks."""
    with BioReader(path, max_workers=WORKERS) as reader:
        for z, y0, x0, height, width in boxes:
            yield reader[y0 : y0 + height, x0 : x0 + width, z]


if __name__ == "__main__":
    serve({"write": write, "volume": volume, "regions": regions}, versions("bfio", "numpy"))

"""bfio 2.5.0 by its backend for Zarr 3."""

from collections.abc import Iterator

import numpy as np
from protocol import WORKERS, serve, versions

from bfio import BioReader

Box = tuple[int, int, int, int, int]


def volume(path: str) -> np.ndarray:
    """The whole volume, as Z, Y, X."""
    with BioReader(path, max_workers=WORKERS, backend="zarr3") as reader:
        return reader[:].squeeze().transpose(2, 0, 1)


def regions(path: str, boxes: list[Box]) -> Iterator[np.ndarray]:
    """Regions one after the other from one open reader."""
    with BioReader(path, max_workers=WORKERS, backend="zarr3") as reader:
        for z, y0, x0, height, width in boxes:
            yield reader[y0 : y0 + height, x0 : x0 + width, z, 0, 0]


if __name__ == "__main__":
    serve({"volume": volume, "regions": regions}, versions("bfio"))

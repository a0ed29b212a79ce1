"""GDAL through rasterio."""

import warnings
from collections.abc import Iterator

import numpy as np
import rasterio
from protocol import WORKERS, serve, versions
from rasterio.windows import Window

warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
OPTIONS = {"NUM_THREADS": WORKERS}


def plane(path: str) -> np.ndarray:
    """The whole image, decoded by two threads."""
    with rasterio.open(path, **OPTIONS) as dataset:
        return dataset.read(1)


def as_float32(path: str) -> np.ndarray:
    """The whole image, then converted."""
    return plane(path).astype(np.float32)


def to_float32(path: str) -> np.ndarray:
    """The whole image, converted by GDAL while it copies."""
    with rasterio.open(path, **OPTIONS) as dataset:
        return dataset.read(1, out_dtype="float32")


def regions(path: str, boxes: list[tuple[int, int, int, int]]) -> Iterator[np.ndarray]:
    """Regions one after the other from one open dataset, with GDAL's block cache."""
    with rasterio.open(path, **OPTIONS) as dataset:
        for y0, x0, height, width in boxes:
            yield dataset.read(1, window=Window(x0, y0, width, height))


def last_page(path: str, n_planes: int) -> np.ndarray:
    """The last page of the file; knows nothing of axes."""
    return plane(f"GTIFF_DIR:{n_planes}:{path}")


if __name__ == "__main__":
    with rasterio.Env(GDAL_NUM_THREADS=WORKERS, GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
        tasks = {"plane": plane, "float32": as_float32, "to_float32": to_float32}
        known = {**versions("rasterio", "numpy"), "GDAL": rasterio.__gdal_version__}
        serve({**tasks, "regions": regions, "last_page": last_page}, known)

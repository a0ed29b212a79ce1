"""GDAL through rasterio, writing."""

import warnings
from typing import Any

import rasterio
from pixels import pixels
from protocol import WORKERS, serve, versions

warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)


def write(path: str, image: str, shape: str, **options: Any) -> None:
    """A whole plane, encoded by two threads."""
    plane = pixels(image, shape)
    size = {"height": plane.shape[0], "width": plane.shape[1], "count": 1, "dtype": plane.dtype}
    with rasterio.open(path, "w", driver="GTiff", num_threads=WORKERS, **size, **options) as dataset:
        dataset.write(plane, 1)


if __name__ == "__main__":
    with rasterio.Env(GDAL_NUM_THREADS=WORKERS):
        serve({"write": write}, {**versions("rasterio", "numpy"), "GDAL": rasterio.__gdal_version__})

"""libvips through pyvips."""

import os
from collections.abc import Iterator

from protocol import WORKERS, serve, versions

os.environ["VIPS_CONCURRENCY"] = str(WORKERS)

import numpy as np
import pyvips

pyvips.cache_set_max(0)  # else a second open of the same file is no open at all


def plane(path: str) -> np.ndarray:
    """The whole image as a stream."""
    return pyvips.Image.new_from_file(path, access="sequential").numpy()


def as_float32(path: str) -> np.ndarray:
    """The whole image, then converted."""
    return plane(path).astype(np.float32)


def regions(path: str, boxes: list[tuple[int, int, int, int]]) -> Iterator[np.ndarray]:
    """Regions one after the other from one open image, with the tile cache of libvips."""
    image = pyvips.Image.new_from_file(path, access="random")
    region = pyvips.Region.new(image)
    for y0, x0, height, width in boxes:
        pixels = region.fetch(x0, y0, width, height)
        yield np.frombuffer(pixels, np.uint16).reshape(height, width)


def last_page(path: str, n_planes: int) -> np.ndarray:
    """The last page of the file; knows nothing of axes."""
    return pyvips.Image.new_from_file(path, page=n_planes - 1).numpy()


if __name__ == "__main__":
    library = ".".join(str(pyvips.version(part)) for part in range(3))
    serve(
        {"plane": plane, "float32": as_float32, "regions": regions, "last_page": last_page},
        {**versions("pyvips", "numpy"), "libvips": library},
    )

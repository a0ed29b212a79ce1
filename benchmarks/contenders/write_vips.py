"""libvips through pyvips, writing."""

import os
from typing import Any

from pixels import pixels
from protocol import WORKERS, serve, versions

os.environ["VIPS_CONCURRENCY"] = str(WORKERS)

import pyvips

pyvips.cache_set_max(0)


def write(path: str, image: str, shape: str, **options: Any) -> None:
    """A whole plane out of memory, not copied."""
    plane = pixels(image, shape)
    pyvips.Image.new_from_memory(plane, plane.shape[1], plane.shape[0], 1, "ushort").tiffsave(path, **options)


if __name__ == "__main__":
    library = ".".join(str(pyvips.version(part)) for part in range(3))
    serve({"write": write}, {**versions("pyvips", "numpy"), "libvips": library})

"""tifffile with imagecodecs, writing."""

from typing import Any

import tifffile
from pixels import pixels
from protocol import WORKERS, serve, versions


def write(path: str, image: str, shape: str, **options: Any) -> None:
    """A whole image, encoded by two threads."""
    tifffile.imwrite(path, pixels(image, shape), maxworkers=WORKERS, **options)


def planes(path: str, image: str, shape: str, **options: Any) -> None:
    """Plane after plane of an OME-TIFF; here no plane is known before its turn."""
    stack = pixels(image, shape)
    with tifffile.TiffWriter(path, ome=True) as tif:
        tif.write(
            iter(stack), shape=stack.shape, dtype=stack.dtype, metadata={"axes": "ZYX"}, maxworkers=WORKERS, **options
        )


if __name__ == "__main__":
    serve({"write": write, "planes": planes}, versions("tifffile", "imagecodecs", "numpy"))

"""bfio 2.5.0, writing: deflate level 1, tiles of 1024 x 1024, nothing to choose."""

from pixels import pixels, sizes
from protocol import WORKERS, serve, versions

from bfio import BioWriter


def write(path: str, image: str, shape: str) -> None:
    """A whole image, encoded by two threads."""
    plane = pixels(image, shape)
    with BioWriter(path, max_workers=WORKERS, backend="python", dtype=plane.dtype, **sizes(plane.shape)) as writer:
        writer[:] = plane


if __name__ == "__main__":
    serve({"write": write}, versions("bfio", "numpy"))

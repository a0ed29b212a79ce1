"""python-bioformats, writing: strips without compression, nothing to choose."""

import os

import bioformats
from pixels import pixels
from protocol import serve, versions
from read_python_bioformats import start


def write(path: str, image: str, shape: str) -> None:
    """A whole plane."""
    start()
    bioformats.write_image(path, pixels(image, shape), bioformats.PT_UINT16)


if __name__ == "__main__":
    try:
        serve({"write": write}, versions("python-bioformats"))
    finally:
        os._exit(0)  # a thread of javabridge does not end

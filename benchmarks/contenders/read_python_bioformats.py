"""python-bioformats: its ``read``, and the call below that, which makes an array of Java's bytes and nothing else."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import bioformats
import javabridge
import numpy as np
from protocol import serve, versions


@cache
def start() -> None:
    """Start Java, with more room than the 256 MiB that it gets otherwise."""
    javabridge.start_vm(class_path=bioformats.JARS, run_headless=True, max_heap_size="4G")
    javabridge.static_call("loci/common/DebugTools", "setRootLevel", "(Ljava/lang/String;)V", "ERROR")


@contextmanager
def opened(path: str, prime: bool = False) -> Iterator[bioformats.ImageReader]:
    """An open reader; primed, it has read the first plane."""
    start()
    reader = bioformats.ImageReader(path)
    try:
        if prime:
            reader.read(index=0, rescale=False)
        yield reader
    finally:
        reader.close()


def _last(reader: bioformats.ImageReader) -> int:
    """Index of the last plane; it may stand along Z or T, as python-bioformats may take the reader of plain TIFF."""
    return reader.rdr.getImageCount() - 1


def plane(reader: bioformats.ImageReader) -> np.ndarray:
    """The last plane."""
    return reader.read(index=_last(reader), rescale=False)


def regions(reader: bioformats.ImageReader, boxes: list[tuple[int, int, int, int]]) -> Iterator[np.ndarray]:
    """Regions of the last plane, one after the other."""
    last = _last(reader)
    for y0, x0, height, width in boxes:
        yield reader.read(index=last, rescale=False, XYWH=(x0, y0, width, height))


def _dtype(reader: bioformats.ImageReader) -> str:
    return "<u2" if reader.rdr.isLittleEndian() else ">u2"


def plane_bytes(reader: bioformats.ImageReader) -> np.ndarray:
    """The last plane of uint16."""
    pixels = np.frombuffer(reader.rdr.openBytes(_last(reader)), _dtype(reader))
    return pixels.reshape(reader.rdr.getSizeY(), reader.rdr.getSizeX())


def regions_bytes(reader: bioformats.ImageReader, boxes: list[tuple[int, int, int, int]]) -> Iterator[np.ndarray]:
    """Regions of the last plane of uint16, one after the other."""
    last, dtype = _last(reader), _dtype(reader)
    for y0, x0, height, width in boxes:
        data = reader.rdr.openBytesXYWH(last, x0, y0, width, height)
        yield np.frombuffer(data, dtype).reshape(height, width)


def only_open(path: str) -> dict[str, Any]:
    """Open the file, look at its size, close it."""
    with opened(path) as reader:
        return {"shape": [reader.rdr.getSizeY(), reader.rdr.getSizeX()]}


def from_scratch(path: str) -> np.ndarray:
    """Open the file and read its last plane."""
    with opened(path) as reader:
        return plane(reader)


if __name__ == "__main__":
    tasks = {"plane": plane, "plane_bytes": plane_bytes, "regions": regions, "regions_bytes": regions_bytes}
    tasks |= {"open": only_open, "from_scratch": from_scratch}
    try:
        serve(tasks, versions("python-bioformats", "python-javabridge"), opened)
    finally:
        os._exit(0)  # a thread of javabridge does not end

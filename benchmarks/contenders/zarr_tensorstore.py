"""tensorstore with two threads for codecs and copies and two for files, and without its cache, as it is by default."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorstore as ts
from pixels import pixels
from protocol import WORKERS, serve, versions

Box = tuple[int, int, int, int, int]


def _opened(path: str, sync: bool = False, **more: Any) -> ts.TensorStore:
    context = {
        "data_copy_concurrency": {"limit": WORKERS},
        "file_io_concurrency": {"limit": WORKERS},
        "file_io_sync": sync,
    }
    store = {"driver": "file", "path": f"{path}/0"}
    return ts.open({"driver": "zarr3", "kvstore": store, "context": context, **more}).result()


def _metadata(shape: tuple[int, ...], chunks: list[int], shards: list[int] | None, level: int) -> dict[str, Any]:
    codecs: list[dict[str, Any]] = [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "zstd", "configuration": {"level": level}},
    ]
    if shards is not None:
        codecs = [{"name": "sharding_indexed", "configuration": {"chunk_shape": chunks, "codecs": codecs}}]
    grid = {"name": "regular", "configuration": {"chunk_shape": shards or chunks}}
    return {"shape": list(shape), "data_type": "uint16", "chunk_grid": grid, "codecs": codecs, "fill_value": 0}


def write(path: str, image: str, chunks: list[int], shards: list[int] | None, level: int, sync: bool = False) -> None:
    """A whole volume at once; ``sync`` waits until the disk has each file, as tensorstore does by default."""
    volume = pixels(image)
    array = _opened(path, sync, create=True, metadata=_metadata(volume.shape, chunks, shards, level))
    array.write(volume).result()


def volume(path: str) -> np.ndarray:
    """The whole volume."""
    return np.asarray(_opened(path).read().result())


def regions(path: str, boxes: list[Box]) -> Iterator[np.ndarray]:
    """Regions one after the other from one open array."""
    array = _opened(path)
    for z, y0, x0, height, width in boxes:
        yield np.asarray(array[z, y0 : y0 + height, x0 : x0 + width].read().result())


if __name__ == "__main__":
    serve({"write": write, "volume": volume, "regions": regions}, versions("tensorstore", "numpy"))

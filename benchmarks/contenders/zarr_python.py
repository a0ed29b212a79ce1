"""zarr-python 3, with its default pipeline of codecs or with that of zarrs, which holds for the whole process."""

from collections.abc import Iterator

import numpy as np
import zarr
from pixels import pixels
from protocol import WORKERS, serve, versions

Box = tuple[int, int, int, int, int]
ZARRS = "zarrs.ZarrsCodecPipeline"


def _configure(zarrs: bool) -> None:
    """Two threads, whichever pipeline it is."""
    zarr.config.set({"threading.max_workers": WORKERS})
    if zarrs:
        zarr.config.set({"codec_pipeline.path": ZARRS})


def _opened(path: str, zarrs: bool) -> zarr.Array:
    _configure(zarrs)
    return zarr.open_array(f"{path}/0", mode="r")


def write(path: str, image: str, chunks: list[int], shards: list[int] | None, level: int, zarrs: bool = False) -> None:
    """A whole volume at once."""
    volume = pixels(image)
    _configure(zarrs)
    array = zarr.create_array(
        f"{path}/0",
        shape=volume.shape,
        dtype=volume.dtype,
        chunks=tuple(chunks),
        shards=None if shards is None else tuple(shards),
        compressors=zarr.codecs.ZstdCodec(level=level),
        zarr_format=3,
    )
    array[:] = volume


def volume(path: str, zarrs: bool = False) -> np.ndarray:
    """The whole volume."""
    return np.asarray(_opened(path, zarrs)[:])


def regions(path: str, boxes: list[Box], zarrs: bool = False) -> Iterator[np.ndarray]:
    """Regions one after the other from one open array."""
    array = _opened(path, zarrs)
    for z, y0, x0, height, width in boxes:
        yield np.asarray(array[z, y0 : y0 + height, x0 : x0 + width])


if __name__ == "__main__":
    serve({"write": write, "volume": volume, "regions": regions}, versions("zarr", "zarrs"))

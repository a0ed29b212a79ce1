"""tifffile with imagecodecs."""

from collections.abc import Iterator

import numpy as np
import tifffile
from protocol import WORKERS, serve, versions


def plane(path: str) -> np.ndarray:
    """The whole image, decoded by two threads."""
    return tifffile.imread(path, maxworkers=WORKERS)


def as_float32(path: str) -> np.ndarray:
    """The whole image, then converted."""
    return tifffile.imread(path, maxworkers=WORKERS).astype(np.float32)


def _cut(page: tifffile.TiffPage, y0: int, x0: int, height: int, width: int) -> np.ndarray:
    """One region out of the tiles that it touches; less work than ``imread(selection=)``, which goes through zarr."""
    out = np.empty((height, width), page.dtype)
    tile_y, tile_x = page.tilelength, page.tilewidth
    across = -(-page.imagewidth // tile_x)
    for row in range(y0 // tile_y, (y0 + height - 1) // tile_y + 1):
        for column in range(x0 // tile_x, (x0 + width - 1) // tile_x + 1):
            index = row * across + column
            page.parent.filehandle.seek(page.dataoffsets[index])
            data = page.parent.filehandle.read(page.databytecounts[index])
            tile = page.decode(data, index)[0].reshape(tile_y, tile_x)
            top, left = max(y0, row * tile_y), max(x0, column * tile_x)
            bottom, right = min(y0 + height, (row + 1) * tile_y), min(x0 + width, (column + 1) * tile_x)
            out[top - y0 : bottom - y0, left - x0 : right - x0] = tile[
                top - row * tile_y : bottom - row * tile_y, left - column * tile_x : right - column * tile_x
            ]
    return out


def regions(path: str, boxes: list[tuple[int, int, int, int]]) -> Iterator[np.ndarray]:
    """Regions one after the other from one open file."""
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[0]
        for box in boxes:
            yield _cut(page, *box)


def last_plane(path: str) -> np.ndarray:
    """The last page of the OME series."""
    with tifffile.TiffFile(path) as tif:
        return tif.series[0].pages[-1].asarray()


def last_page(path: str) -> np.ndarray:
    """The last page of the file; knows nothing of axes."""
    with tifffile.TiffFile(path) as tif:
        return tif.pages[-1].asarray()


if __name__ == "__main__":
    serve(
        {"plane": plane, "float32": as_float32, "regions": regions, "last_plane": last_plane, "last_page": last_page},
        versions("tifffile", "imagecodecs", "numpy"),
    )

"""libdeflate alone: the compressed tiles in memory, two threads, one tile of output each, nothing else.

No reader can be faster with this codec. ctypes lets go of the GIL while libdeflate works. Where there is no shared
libdeflate, the one inside imagecodecs does the same work (a few microseconds of Python more per tile).
"""

import ctypes
import ctypes.util
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import lru_cache
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from protocol import WORKERS, serve

Decode = Callable[[bytes, np.ndarray], Any]


def _library() -> ctypes.CDLL | None:
    """The shared libdeflate of the system."""
    name = ctypes.util.find_library("deflate")
    if name is None:
        return None
    library = ctypes.CDLL(name)
    library.libdeflate_alloc_decompressor.restype = ctypes.c_void_p
    library.libdeflate_free_decompressor.argtypes = [ctypes.c_void_p]
    library.libdeflate_zlib_decompress.argtypes = [
        *(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t),
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p),
    ]
    return library


LIBRARY = _library()


@lru_cache(maxsize=1)
def _tiles(path: str) -> tuple[list[bytes], int]:
    """Compressed tiles of the first page, and the bytes of one tile."""
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[0]
        nbytes = page.tilelength * page.tilewidth * page.dtype.itemsize
        where = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    with Path(path).open("rb") as file:
        return [os.pread(file.fileno(), size, offset) for offset, size in where], nbytes


def _with_libdeflate(tiles: list[bytes], turns: count, nbytes: int) -> None:
    """Decompress until no tile is left, with one decompressor."""
    assert LIBRARY is not None
    out = np.empty(nbytes, np.uint8)
    target = out.ctypes.data
    decompressor = LIBRARY.libdeflate_alloc_decompressor()
    while (index := next(turns)) < len(tiles):
        data = tiles[index]
        if LIBRARY.libdeflate_zlib_decompress(decompressor, data, len(data), target, nbytes, None):
            raise ValueError(f"tile {index} is not deflate")
    LIBRARY.libdeflate_free_decompressor(decompressor)


def _with_imagecodecs(tiles: list[bytes], turns: count, nbytes: int) -> None:
    """Decompress until no tile is left."""
    out = np.empty(nbytes, np.uint8)
    while (index := next(turns)) < len(tiles):
        imagecodecs.deflate_decode(tiles[index], out=out)


def plane(path: str) -> dict[str, Any]:
    """Decompress every tile once. The figure of the first call also reads the file, and is not counted."""
    tiles, nbytes = _tiles(path)
    work = _with_libdeflate if LIBRARY else _with_imagecodecs
    turns = count()
    threads = [Thread(target=work, args=(tiles, turns, nbytes)) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {}


def _version() -> str:
    """Version of the libdeflate in use; a shared one does not know its own, pkg-config may."""
    if LIBRARY is None:
        return imagecodecs.deflate_version().split()[-1] + " of imagecodecs"
    tool = shutil.which("pkg-config")
    command = [tool or "", "--modversion", "libdeflate"]
    known = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() if tool else ""
    return known or "of the system"


if __name__ == "__main__":
    serve({"plane": plane}, {"libdeflate": _version()})

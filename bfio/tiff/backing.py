"""Whether the bytes of a file can be behind the pixels that it claims, asked before memory is touched."""

from __future__ import annotations

import numpy as np

from bfio.enums import Compression
from bfio.errors import LimitError
from bfio.limits import Limits
from bfio.tiff.batch import Batch
from bfio.tiff.layout import Route

__all__ = ["Ledger", "check_backed"]

RATIOS: dict[int, int] = {
    Compression.NONE: 1,
    Compression.PACKBITS: 64,  # 2 bytes repeat one 128 times
    Compression.LZW: 2731,  # a code of 12 bits stands for at most 4096 bytes
    Compression.ADOBE_DEFLATE: 1032,  # a match of 258 bytes in 2 bits
    Compression.DEFLATE: 1032,
    Compression.JPEG: 1 << 11,
    Compression.OLD_JPEG: 1 << 11,
    Compression.CCITT_RLE: 1 << 10,
    Compression.CCITT_T4: 1 << 10,
    Compression.CCITT_T6: 1 << 10,  # blank pages reach more, but not more than a read of 128 MB
    Compression.CCITT_RLEW: 1 << 10,
    Compression.THUNDERSCAN: 64,
}
"""Decoded bytes that one encoded byte can stand for at best."""
OTHER_RATIO = 1 << 16
PACKED_BITS = 8
"""Bits that tifffile's decoders unpack into bytes: up to this many samples for each byte."""
FILE_SHARE = 64
"""A file may have as much nothing in it as this multiple of its size, whatever the limit."""


class Ledger:
    """Adds up, over one read, the bytes of the result that nothing in the file is behind.

    Sparse tiles and missing planes are legitimate, and so is one tile whose data are cut short; but a file of a few
    bytes can claim more pixels than there is memory.

    Parameters
    ----------
    path : str
    file_nbytes : int
    limits : Limits
    """

    def __init__(self, path: str, file_nbytes: int, limits: Limits) -> None:
        self._path = path
        self._file_nbytes = file_nbytes
        self._limits = limits
        self._most = _most_empty(file_nbytes, limits)
        self._empty = 0
        self._total = 0

    def add_batch(self, batch: Batch) -> None:
        """Count a batch before it is decoded.

        Raises
        ------
        LimitError
            More of the result is empty than ``Limits.sparse_nbytes`` allows.
        """
        self._total += batch.nbytes
        if self._total <= self._most:
            return  # even if all of it were empty
        tasks, layout = batch.tasks, batch.layout
        wanted = tasks["rows"].astype(np.float64) * tasks["n_cols"]
        wanted *= batch.places[0].n_samples * layout.dtype.itemsize
        size = np.uint64(batch.planes[0].source.size)
        stored = np.minimum(tasks["nbytes"], size - np.minimum(tasks["offset"], size)).astype(np.float64)
        ratio = RATIOS.get(layout.compression, OTHER_RATIO) * (PACKED_BITS if layout.route is Route.PAGE else 1)
        empty = float(np.maximum(wanted - ratio * stored, 0).sum())
        self._add(int(empty * batch.out.itemsize / layout.dtype.itemsize))

    def add_missing(self, nbytes: int) -> None:
        """Count a plane that the file does not have; raises as :meth:`add_batch` does."""
        self._total += nbytes
        self._add(nbytes)

    def _add(self, nbytes: int) -> None:
        self._empty += nbytes
        if self._empty > self._most:
            raise _refusal(self._path, self._empty, self._file_nbytes, self._limits)


def check_backed(path: str, nbytes: int, file_nbytes: int, limits: Limits) -> None:
    """Refuse pixels in memory that a file so small is not believed to hold, whatever their compression."""
    if nbytes > _most_empty(file_nbytes, limits):
        raise _refusal(path, nbytes, file_nbytes, limits)


def _most_empty(file_nbytes: int, limits: Limits) -> int:
    return max(limits.sparse_nbytes, FILE_SHARE * file_nbytes)


def _refusal(path: str, nbytes: int, file_nbytes: int, limits: Limits) -> LimitError:
    return LimitError(
        f"{path}: {nbytes} bytes of pixels have no data in the file of {file_nbytes} bytes, more than "
        f"Limits.sparse_nbytes allows ({_most_empty(file_nbytes, limits)}); read a region, or pass "
        "limits=Limits.unlimited() if you trust the file"
    )

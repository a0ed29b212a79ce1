"""All images of one Zarr store, read by the kernels where these know the codecs, else by zarr-python."""

from __future__ import annotations

import threading
from typing import Protocol

import numpy as np

from bfio import _kernels
from bfio._parallel import Workers
from bfio.errors import UsageError
from bfio.limits import Limits
from bfio.metadata import Description
from bfio.omezarr.arraymeta import ArrayMeta
from bfio.omezarr.describe import describe
from bfio.omezarr.fastread import ArrayReader, can_read
from bfio.omezarr.nodes import Nodes
from bfio.omezarr.series import ome_xml_of, read_series
from bfio.selection import Box

__all__ = ["ZarrImages"]


_MOST_READERS = 2
"""Arrays whose chunks are kept at the same time; a plate has thousands of them."""


class _Reads(Protocol):
    def read(self, axes: str, box: Box, out: np.ndarray, rescale: tuple[float, float] | None) -> None: ...

    def close(self) -> None: ...


class ZarrImages:
    """The images of a store.

    Parameters
    ----------
    nodes : Nodes
        The store; owned from now on.
    max_workers : int
        Threads of one read.
    limits : Limits
    cache_bytes : int
        Bound of the decoded chunks that are kept, for each array that is read.
    """

    def __init__(self, nodes: Nodes, *, max_workers: int, limits: Limits, cache_bytes: int) -> None:
        self._nodes, self._limits, self._cache_bytes = nodes, limits, cache_bytes
        try:
            self.series = read_series(nodes, limits)
        except BaseException:
            self._close_nodes()
            raise
        self._workers = Workers(max_workers)
        self._readers: dict[tuple[int, int], _Reads] = {}
        self._lock = threading.Lock()
        self._closed = False

    def read(self, series: int, level: int, box: Box, out: np.ndarray, rescale: tuple[float, float] | None) -> None:
        """Fill ``out``, shape ``box.shape`` (T, C, Z, Y, X), with the pixels of a box.

        Raises
        ------
        TileDecodeError
            A chunk is broken; one that is missing has the fill value of its array.
        UsageError
            The pixels can not become those of ``out``.
        """
        if 0 in box.shape:
            return
        image = self.series[series]
        meta = image.arrays[level]
        if not _kernels.can_convert(meta.dtype, out.dtype) or (rescale is not None and out.dtype.kind in "cb"):
            how = " by a scale" if rescale else ""
            raise UsageError(f"{self._nodes.name}: pixels of dtype {meta.dtype} can not be read as {out.dtype}{how}")
        self._reader(series, level, meta).read(image.axes, box, out, rescale)

    def _reader(self, series: int, level: int, meta: ArrayMeta) -> _Reads:
        reader = self._readers.get((series, level))
        if reader is not None:
            return reader
        with self._lock:
            if self._closed:
                raise UsageError(f"{self._nodes.name} is closed")
            reader = self._readers.get((series, level))
            if reader is None:
                while len(self._readers) >= _MOST_READERS:  # a read that goes on keeps its own
                    del self._readers[next(iter(self._readers))]
                reader = self._readers[series, level] = self._opened(meta)
            return reader

    def _opened(self, meta: ArrayMeta) -> _Reads:
        arguments = (self._nodes, meta, self._workers, self._limits, self._cache_bytes)
        if can_read(self._nodes, meta):
            return ArrayReader(*arguments)
        from bfio.omezarr.foreign import ForeignReader

        return ForeignReader(*arguments)

    def describe(self) -> Description:
        """What the store is, and how its images are stored."""
        return describe(self._nodes, self.series)

    def ome_xml(self) -> str | None:
        """``OME/METADATA.ome.xml`` of the store, if any."""
        return ome_xml_of(self._nodes, self._limits)

    def close(self) -> None:
        """Release what is held; twice is once."""
        with self._lock:
            self._closed = True
            readers, self._readers = self._readers, {}
        for reader in readers.values():
            reader.close()
        self._workers.close()
        self._close_nodes()

    def _close_nodes(self) -> None:
        """Zip files and connections; a folder has nothing to close."""
        close = getattr(self._nodes, "close", None)
        if close is not None:
            close()

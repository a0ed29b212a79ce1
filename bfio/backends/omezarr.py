"""Backend ``"zarr"`` as a reader: OME-Zarr and plain Zarr arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bfio.limits import Limits
from bfio.metadata import Description, Series
from bfio.omezarr.nodes import Nodes
from bfio.omezarr.reader import ZarrImages
from bfio.selection import Box

__all__ = ["OmeZarrReader"]


class OmeZarrReader:
    """A Zarr store behind the reader protocol of :mod:`bfio.backends.base`.

    Parameters
    ----------
    nodes : Nodes
        The store.
    max_workers : int
    limits : Limits
    cache_bytes : int
    """

    name = "zarr"

    def __init__(self, nodes: Nodes, *, max_workers: int, limits: Limits, cache_bytes: int) -> None:
        self._images = ZarrImages(nodes, max_workers=max_workers, limits=limits, cache_bytes=cache_bytes)

    @property
    def series(self) -> Sequence[Series]:
        """The images of the store."""
        return [image.info for image in self._images.series]

    def read(self, series: int, level: int, box: Box, out: np.ndarray, rescale: tuple[float, float] | None) -> None:
        """Fill ``out`` with the pixels of a box; see :class:`bfio.backends.base.ReaderBackend`."""
        self._images.read(series, level, box, out, rescale)

    def describe(self) -> Description:
        """What the store is, and how its images are stored."""
        return self._images.describe()

    def ome_xml(self) -> str | None:
        """The OME-XML beside the arrays, if any."""
        return self._images.ome_xml()

    def close(self) -> None:
        """Release the store."""
        self._images.close()

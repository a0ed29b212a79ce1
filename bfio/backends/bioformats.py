"""Backend ``"bioformats"`` as a reader: every format that Bio-Formats knows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bfio.bioformats.reader import JavaImages
from bfio.byteio import open_source
from bfio.limits import Limits
from bfio.metadata import Description, Series
from bfio.selection import Box
from bfio.tiff.complete import check_complete

__all__ = ["BioFormatsReader"]


_MOST_CHECKED = 1000
"""Files of one image that are looked at; there are sets with a file for each of a million planes."""


class BioFormatsReader:
    """A file behind the reader protocol of :mod:`bfio.backends.base`.

    Parameters
    ----------
    path : str or path
        A local file; the name of a ``.fake`` need not exist.
    max_workers : int
        Most Java readers of the file, each of which one thread uses.
    limits : Limits
    cache_bytes : int
    storage_options : mapping, optional
        Not used: Bio-Formats reads local files.
    """

    name = "bioformats"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_workers: int,
        limits: Limits,
        cache_bytes: int,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        path = os.path.abspath(path)
        _check(path, limits)
        self._images = JavaImages(path, max_workers=max_workers, limits=limits, cache_bytes=cache_bytes)
        try:
            for name in self._images.files()[:_MOST_CHECKED]:
                if name != path:
                    _check(name, limits)
        except BaseException:
            self._images.close()
            raise

    @property
    def series(self) -> Sequence[Series]:
        """The images of the file."""
        return [image.info for image in self._images.images]

    def read(self, series: int, level: int, box: Box, out: np.ndarray, rescale: tuple[float, float] | None) -> None:
        """Fill ``out`` with the pixels of a box; see :class:`bfio.backends.base.ReaderBackend`."""
        self._images.read(series, level, box, out, rescale)

    def describe(self) -> Description:
        """What the file is, and how its images are stored."""
        return self._images.describe()

    def ome_xml(self) -> str | None:
        """The metadata of the file, as Bio-Formats puts them into OME-XML."""
        return self._images.ome_xml()

    def close(self) -> None:
        """Close the file."""
        self._images.close()


def _check(path: str, limits: Limits) -> None:
    """Refuse a TIFF file that is not whole.

    Bio-Formats (6.7.0 and 7.3.1, tried) gives zeros for what is not there, and follows a loop of IFDs until its heap
    is full.
    """
    if not os.path.isfile(path) or not os.path.getsize(path):
        return
    with open_source(path) as source:
        check_complete(source, limits)

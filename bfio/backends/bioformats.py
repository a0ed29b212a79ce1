"""Backend ``"bioformats"`` as a reader: every format that Bio-Formats knows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bfio.bioformats.reader import JavaImages
from bfio.limits import Limits
from bfio.metadata import Description, Series
from bfio.selection import Box

__all__ = ["BioFormatsReader"]


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
        self._images = JavaImages(
            os.path.abspath(path), max_workers=max_workers, limits=limits, cache_bytes=cache_bytes
        )

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

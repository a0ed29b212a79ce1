"""Backend ``"python"`` as a reader: TIFF in all its dialects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, BinaryIO

import numpy as np

from bfio.byteio import Source, open_source
from bfio.errors import TileDecodeError
from bfio.limits import Limits
from bfio.metadata import Description, Series
from bfio.selection import Box
from bfio.tiff.reader import TiffReader

__all__ = ["OmeTiffReader"]

_NO_CODEC = ("not supported", "not a known COMPRESSION")
"""Ends of what tifffile says of tiles that it has no decoder for."""


class OmeTiffReader:
    """A TIFF file behind the reader protocol of :mod:`bfio.backends.base`.

    Parameters
    ----------
    path : str, path, binary file object or Source
        A local file or an fsspec URL.
    max_workers : int
    limits : Limits
    cache_bytes : int
    storage_options : mapping, optional
        For fsspec.
    """

    name = "python"

    def __init__(
        self,
        path: str | PathLike[str] | BinaryIO | Source,
        *,
        max_workers: int,
        limits: Limits,
        cache_bytes: int,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        source = open_source(path, storage_options)
        try:
            self._reader = TiffReader(
                source,
                max_workers=max_workers,
                limits=limits,
                cache_bytes=cache_bytes,
                storage_options=storage_options,
            )
        except BaseException:
            source.close()
            raise

    @property
    def series(self) -> Sequence[Series]:
        """The images of the file."""
        return [image.info for image in self._reader.images]

    def read(self, series: int, level: int, box: Box, out: np.ndarray, rescale: tuple[float, float] | None) -> None:
        """Fill ``out`` with the pixels of a box; see :class:`bfio.backends.base.ReaderBackend`."""
        try:
            self._reader.read(series, level, box, out, rescale)
        except TileDecodeError as error:
            if not error.reason.endswith(_NO_CODEC):
                raise
            reason = f"{error.reason}; Bio-Formats may decode it: backend='bioformats'"
            raise TileDecodeError(error.path, error.plane, error.tile, error.offset, reason) from error

    def describe(self) -> Description:
        """What the file is, and how its images are stored."""
        return self._reader.describe()

    def ome_xml(self) -> str | None:
        """The OME-XML in the file, if any."""
        return self._reader.ome_xml()

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

"""Backend ``"python"`` as a writer: tiled, pyramidal OME-TIFF."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from bfio._parallel import Workers
from bfio.backends.base import Key
from bfio.metadata import Series
from bfio.options import WriteOptions
from bfio.selection import Box
from bfio.tiff.writing import session
from bfio.tiff.writing.choose import choose
from bfio.tiff.writing.session import WriteSession

__all__ = ["OmeTiffWriter", "attach_writer", "open_writer", "resume_writer"]

logger = logging.getLogger("bfio")

UNREAD = frozenset({"bool", "int64", "uint64", "float16", "complex64", "complex128"})
"""Pixel types that Bio-Formats refuses or takes for others (versions 6.7.0 and 7.3.1, tried)."""


class OmeTiffWriter:
    """A file that is being written, behind the writer protocol of :mod:`bfio.backends.base`."""

    name = "python"

    def __init__(self, session: WriteSession) -> None:
        self._session = session
        self.tile_shape = (session.recipe.tile_rows, session.recipe.tile_cols)

    def write(self, box: Box, block: np.ndarray) -> None:
        """Store the pixels of a box; see :class:`bfio.backends.base.WriterBackend`."""
        self._session.write(box, block)

    def flush(self) -> None:
        """Make a checkpoint."""
        self._session.flush()

    @property
    def missing(self) -> list[Key]:
        """Regions that were not written yet."""
        return self._session.missing

    def close(self) -> None:
        """Finish the file, or, where another process began it, end this one's share."""
        self._session.close()

    def abandon(self) -> None:
        """Release the file as it is."""
        self._session.abandon()


def open_writer(path: Path, series: Series, xml: str, options: WriteOptions) -> OmeTiffWriter:
    """Start an OME-TIFF file, or go on with one. See :func:`bfio.backends.registry.create_writer`."""
    recipe, workers = choose(series, options, xml), Workers(options.max_workers)
    if recipe.dtype.name in UNREAD:
        logger.warning("%s: Bio-Formats, and so Fiji and QuPath, can not read pixels of %s", path.name, recipe.dtype)
    begin = session.resume if options.resume and session.unfinished(path) is not None else session.create
    begun = begin(path, recipe, workers)
    if not options.durable:
        begun.hurry()
    return OmeTiffWriter(begun)


def attach_writer(path: Path, max_workers: int) -> tuple[OmeTiffWriter, Series]:
    """Join the writing of an OME-TIFF file. See :func:`bfio.backends.registry.attach_writer`."""
    joined = session.attach(path, Workers(max_workers))
    return OmeTiffWriter(joined), _series(joined)


def resume_writer(path: Path, options: WriteOptions) -> tuple[OmeTiffWriter, Series]:
    """Go on with an OME-TIFF file as it was begun. See :func:`bfio.backends.registry.resume_writer`."""
    resumed = session.resume(path, None, Workers(options.max_workers))
    if not options.durable:
        resumed.hurry()
    return OmeTiffWriter(resumed), _series(resumed)


def _series(found: WriteSession) -> Series:
    """The image as the unfinished file describes it."""
    reader = found.writer.store.reader()
    try:
        return reader.images[0].info
    finally:
        reader.close()

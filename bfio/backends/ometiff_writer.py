"""Backend ``"python"`` as a writer: tiled, pyramidal OME-TIFF."""

from __future__ import annotations

import logging
from pathlib import Path

from bfio._parallel import Workers
from bfio.backends.session_writer import SessionWriter
from bfio.metadata import Series
from bfio.options import WriteOptions
from bfio.tiff.writing import session
from bfio.tiff.writing.choose import choose
from bfio.tiff.writing.session import WriteSession

__all__ = ["OmeTiffWriter", "attach_writer", "open_writer", "resume_writer"]

logger = logging.getLogger("bfio")

UNREAD = frozenset({"bool", "int64", "uint64", "float16", "complex64", "complex128"})
"""Pixel types that Bio-Formats refuses or takes for others (versions 6.7.0 and 7.3.1, tried)."""


class OmeTiffWriter(SessionWriter[WriteSession]):
    """A TIFF file that is being written."""

    name = "python"

    def __init__(self, session: WriteSession) -> None:
        super().__init__(session, (session.recipe.tile_rows, session.recipe.tile_cols))


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


def attach_writer(path: Path, options: WriteOptions) -> tuple[OmeTiffWriter, Series]:
    """Join the writing of an OME-TIFF file. See :func:`bfio.backends.registry.attach_writer`."""
    joined = session.attach(path, Workers(options.max_workers))
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

"""Backend ``"bioformats"`` as a writer: files of Bio-Formats' own writers."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import NoReturn

from bfio.backends.session_writer import SessionWriter
from bfio.bioformats.locate import INSTALL
from bfio.bioformats.writing.formats import OWN_SUFFIXES, SUFFIXES, format_of, writable
from bfio.bioformats.writing.recipe import TIFF_WRITER, choose
from bfio.bioformats.writing.session import JavaSession
from bfio.errors import BackendMissingError, UnsupportedError
from bfio.metadata import Series
from bfio.options import WriteOptions

__all__ = [
    "OWN_SUFFIXES",
    "SUFFIXES",
    "BioFormatsWriter",
    "attach_writer",
    "check_name",
    "open_writer",
    "resume_writer",
]


class BioFormatsWriter(SessionWriter[JavaSession]):
    """A file that is being written by one of Bio-Formats' writers, which takes each pixel once."""

    name = "bioformats"

    def __init__(self, session: JavaSession) -> None:
        super().__init__(session, session.recipe.tile_shape)


def check_name(path: Path) -> None:
    """Refuse a name that Bio-Formats does not write, and any name where it is not installed; Java does not start.

    Raises
    ------
    UnsupportedError, BackendMissingError
    """
    found = format_of(path.name)
    if found is None:
        raise UnsupportedError(f"{path.name}: Bio-Formats does not write such files, but {writable()}")
    if not _is_installed():
        raise BackendMissingError(f"{path.name}: {found.name} is written through Bio-Formats, which is not installed; "
                                  f"run: {INSTALL}")  # fmt: skip


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec("jpype") is not None
    except ImportError:
        return False


def open_writer(path: Path, series: Series, xml: str, options: WriteOptions) -> BioFormatsWriter:
    """Start a file. See :func:`bfio.backends.registry.create_writer`."""
    recipe = choose(path, series, options)
    return BioFormatsWriter(JavaSession(path, recipe, xml, durable=options.durable))


def attach_writer(path: Path, options: WriteOptions) -> NoReturn:
    """Refused: Java's writers work in one process."""
    raise UnsupportedError(f"{path.name}: only one process can write a file through Bio-Formats; {TIFF_WRITER}")


def resume_writer(path: Path, options: WriteOptions) -> NoReturn:
    """Refused: Java's writers can not go on with a file."""
    raise UnsupportedError(f"{path.name}: Bio-Formats can not go on with a file (resume=True); {TIFF_WRITER}")

"""bfio: read and write microscopy images of any size with one numpy-like face."""

from __future__ import annotations

import importlib
import logging
import sys
from typing import TYPE_CHECKING, Any

from bfio._version import __version__

if TYPE_CHECKING:
    from bfio._imread import imread
    from bfio._imwrite import imwrite
    from bfio._versions import show_versions, versions
    from bfio.bioformats.jvm import start
    from bfio.conversion import convert
    from bfio.errors import (
        BackendMissingError,
        BfioError,
        FormatError,
        LimitError,
        ReadOnlyError,
        SelectionError,
        TileDecodeError,
        TileWriteError,
        UnsupportedError,
        UsageError,
    )
    from bfio.limits import Limits
    from bfio.reader import BioReader
    from bfio.writer import BioWriter

    JAR_VERSION: str | None
    """Version of Bio-Formats that runs in this process; None before :func:`bfio.start` or its first use."""

__all__ = [
    "JAR_VERSION",
    "BackendMissingError",
    "BfioError",
    "BioReader",
    "BioWriter",
    "FormatError",
    "LimitError",
    "Limits",
    "ReadOnlyError",
    "SelectionError",
    "TileDecodeError",
    "TileWriteError",
    "UnsupportedError",
    "UsageError",
    "__version__",
    "convert",
    "imread",
    "imwrite",
    "show_versions",
    "start",
    "versions",
]

logging.getLogger("bfio").addHandler(logging.NullHandler())

_ERRORS = tuple(name for name in __all__ if name.endswith("Error"))
_HOMES = {
    **dict.fromkeys(_ERRORS, "bfio.errors"),
    "BioReader": "bfio.reader",
    "BioWriter": "bfio.writer",
    "Limits": "bfio.limits",
    "convert": "bfio.conversion",
    "imread": "bfio._imread",
    "imwrite": "bfio._imwrite",
    "show_versions": "bfio._versions",
    "start": "bfio.bioformats.jvm",
    "versions": "bfio._versions",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import bfio`` costs nearly nothing."""
    if name == "JAR_VERSION":
        jvm = sys.modules.get("bfio.bioformats.jvm")
        running = jvm and jvm.running()
        return running.version if running else None
    if name not in _HOMES:
        raise AttributeError(f"module 'bfio' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

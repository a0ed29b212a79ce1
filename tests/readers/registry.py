"""The readers by name; those that are not installed are None."""

import importlib
import importlib.util
from functools import cache

from readers.with_bioformats import JARS, BioFormats, find_jar, find_jvm

LIBRARIES = {"tifffile": "tifffile", "GDAL": "rasterio", "Pillow": "PIL", "libvips": "pyvips"}
"""Readers in this process, and the packages they need; each has a module ``readers.with_<name>``."""
NAMES = (*LIBRARIES, *(f"Bio-Formats {version}" for version in JARS))

_started = []


@cache
def reader(name):
    """Something with ``read(path)`` and ``version()``, or None where it is not installed."""
    if name in LIBRARIES:
        if importlib.util.find_spec(LIBRARIES[name]) is None:
            return None
        return importlib.import_module(f"readers.with_{name.lower().removeprefix('lib')}")
    jvm, jar = find_jvm(), find_jar(JARS[name.partition(" ")[2]])
    if jvm is None or jar is None:
        return None
    _started.append(BioFormats(jvm, jar))
    return _started[-1]


def close_all():
    """End the processes; a later call of :func:`reader` starts new ones."""
    reader.cache_clear()
    while _started:
        _started.pop().close()

"""How much memory Java may take."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from bfio.errors import LimitError, UsageError

__all__ = ["HEAP_VARIABLE", "asked_heap", "heap_options"]

HEAP_VARIABLE = "BFIO_JAVA_MAX_HEAP"
_MB = 1 << 20
_LEAST = 64 * _MB
_BESIDE = 1300 * _MB
"""Address space that Java reserves beside its heap under `_FRUGAL`: 1.2 GB measured for Java 25, 2.5 GB without."""
_FRUGAL = ["-XX:+UseSerialGC", "-XX:CompressedClassSpaceSize=128m", "-XX:ReservedCodeCacheSize=128m"]


def asked_heap(argument: str | None = None) -> int | None:
    """Bytes that the argument or the variable asks for; None where neither does."""
    origin, text = ("max_heap", argument) if argument else (HEAP_VARIABLE, os.environ.get(HEAP_VARIABLE))
    if not text:
        return None
    match = re.fullmatch(r"\s*([1-9]\d{0,15})\s*([mgt])b?\s*", str(text), re.IGNORECASE)
    if not match:
        raise UsageError(f"{origin} is {text!r}; pass a number and a unit m, g or t, such as '4g' or '512m'")
    nbytes = int(match[1]) << {"m": 20, "g": 30, "t": 40}[match[2].lower()]
    if not _LEAST <= nbytes <= 64 << 40:
        raise UsageError(f"{origin} is {text!r}; pass something from 64m to 64t")
    return nbytes


def heap_options(asked: int | None) -> list[str]:
    """Options of the JVM for a heap. It ends the process if it can not reserve one, so that is looked at before."""
    room = _address_space()
    if room is None:
        return [f"-Xmx{asked // _MB}m"] if asked else []
    heap = asked or max(_LEAST, (room - _BESIDE) // 2)  # the other half is for pixels
    if heap + _BESIDE > room:
        raise LimitError(
            f"Java needs {(heap + _BESIDE) // _MB} MB of address space for a heap of {heap // _MB} MB, and the limit "
            f"of this process (ulimit -v) leaves {room // _MB} MB; raise that limit, or set {HEAP_VARIABLE} to less"
        )
    return [f"-Xmx{heap // _MB}m", *_FRUGAL]


def _address_space() -> int | None:
    """Bytes that this process may still reserve; None where nothing limits it."""
    if not sys.platform.startswith("linux"):
        return None
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError):
        return None
    return limit - pages * resource.getpagesize()

"""Names of files and folders that are not whole yet: who makes them, so that what killed writers left can be told."""

from __future__ import annotations

import os
import socket
import zlib
from itertools import count
from pathlib import Path

__all__ = ["is_abandoned", "own_name"]

_NUMBERS = count()


def own_name(path: str | Path, ending: str) -> str:
    """A name beside `path` that nobody else uses."""
    return f"{path}.{_host()}-{os.getpid()}-{next(_NUMBERS)}{ending}"


def is_abandoned(name: str, ending: str) -> bool:
    """Whether a name is that of a process of this machine that is gone."""
    if not name.endswith(ending):
        return False
    host, _, rest = name[: -len(ending)].rpartition(".")[2].partition("-")
    pid = rest.partition("-")[0]
    return host == _host() and pid.isdigit() and not _is_alive(int(pid))


def _host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()) & 0xFFFF:04x}"


def _is_alive(pid: int) -> bool:
    """Whether a process is there; where that can not be asked (Windows), it may be."""
    if os.name == "nt" or pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True

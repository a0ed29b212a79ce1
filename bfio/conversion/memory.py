"""How much memory a conversion may use: what users say, and what each part of the work needs."""

from __future__ import annotations

import operator
import re
from typing import Any

from bfio.errors import UsageError

__all__ = ["BASE_NBYTES", "parse_memory", "shown"]

BASE_NBYTES = 56 << 20
"""The interpreter with numpy and bfio, code and tables of both files."""

_LEAST = 1_000_000
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kMGT]?)(i?)B?\s*", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_memory(value: Any) -> int:
    """Bytes from a number of them, or from text such as ``"512MB"`` or ``"1.5 GiB"``."""
    if isinstance(value, str):
        match = _SIZE.fullmatch(value)
        if match is None:
            raise UsageError(f"memory={value!r} must be a size such as '512MB' or '2GB', or a number of bytes")
        number, prefix, binary = match.groups()
        nbytes = int(float(number) * (1024 if binary else 1000) ** _POWERS[prefix.lower()])
    else:
        try:
            nbytes = operator.index(value)
        except TypeError:
            raise UsageError(f"memory={value!r} must be a size such as '512MB', or a number of bytes") from None
    if nbytes < _LEAST:
        raise UsageError(f"memory={value!r} is less than a megabyte; pass a size such as '512MB'")
    return nbytes


def shown(nbytes: int) -> str:
    """A size as users write it, rounded up: what it says is enough."""
    return f"{-(-nbytes // 10**6)}MB" if nbytes < 10**10 else f"{-(-nbytes // 10**9)}GB"

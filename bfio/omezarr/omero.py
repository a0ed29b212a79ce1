"""The ``omero`` block: how the channels of an image are called and shown. All of it is optional, so nothing raises."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from bfio.metadata import Channel

__all__ = ["Shown", "Window", "clean_text", "color_number", "read_omero"]

logger = logging.getLogger("bfio.omezarr")

_HEX = re.compile(r"#?([0-9a-fA-F]{6})([0-9a-fA-F]{2})?")
_MAX_CHANNELS = 1 << 16


class Window(NamedTuple):
    """Values between which a channel is shown; ``least`` and ``most`` are those it can have. None: not told."""

    start: float | None = None
    end: float | None = None
    least: float | None = None
    most: float | None = None


class Shown(NamedTuple):
    """Channels and their windows."""

    channels: tuple[Channel, ...] = ()
    windows: tuple[Window, ...] = ()


def read_omero(value: Any, where: str) -> Shown:
    """Channels of an ``omero`` block; what is broken in it is unknown, and logged."""
    entries = value.get("channels", []) if isinstance(value, Mapping) else None
    if value is None or entries == []:
        return Shown()
    if not isinstance(entries, list) or len(entries) > _MAX_CHANNELS:
        logger.warning("%s: the omero block is broken; names and colours of channels are unknown", where)
        return Shown()
    known = [entry if isinstance(entry, Mapping) else {} for entry in entries]
    return Shown(tuple(_channel(entry) for entry in known), tuple(_window(entry.get("window")) for entry in known))


def _channel(entry: Mapping[str, Any]) -> Channel:
    start, end, *_ = _window(entry.get("window"))
    window = (start, end) if start is not None and end is not None and start < end else None
    return Channel(clean_text(entry.get("label")), 1, color_number(entry.get("color")), window)


def clean_text(value: Any) -> str | None:
    """Text that can be encoded; None where it is empty or is none."""
    if not isinstance(value, str):
        return None
    return value.encode("utf-8", "replace").decode("utf-8") or None


def color_number(value: Any) -> int | None:
    """Signed RGBA number of OME for six hexadecimal digits; eight are RGBA, six are opaque."""
    match = _HEX.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    number = int(match[1] + (match[2] or "ff"), 16)
    return number - (1 << 32) if number >= 1 << 31 else number


def _window(value: Any) -> Window:
    if not isinstance(value, Mapping):
        return Window()
    return Window(*(_number(value.get(name)) for name in ("start", "end", "min", "max")))


def _number(value: Any) -> float | None:
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None

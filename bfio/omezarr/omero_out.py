"""The ``omero`` block of an image that bfio writes: how viewers name and show its channels."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from bfio.metadata import Channel, Series
from bfio.omezarr.arraymeta import ArrayMeta

__all__ = ["Range", "omero_block"]

Range = tuple[float, float]

_COLORS = ("FF0000", "00FF00", "0000FF", "FF00FF", "00FFFF", "FFFF00")
"""Of channels whose colour is not known."""
_MOST_ACTIVE = 6
"""Channels that viewers show at once."""
_BITS = re.compile(r'SignificantBits="(\d{1,2})"')


def omero_block(
    series: Series, meta: ArrayMeta, axes: str, xml: str, windows: Sequence[Range | None] = ()
) -> dict[str, Any]:
    """Label, colour and window of each channel of an image.

    Parameters
    ----------
    series : Series
        Its channels; one with several samples is as many channels here.
    meta : ArrayMeta
        The full resolution.
    axes : str
    xml : str
        For the number of significant bits.
    windows : sequence of (float, float) or None
        Least and largest value of each channel, where they are known; else the range of the dtype is shown, and
        of real numbers 0 to 1.
    """
    n = meta.shape[axes.index("c")] if "c" in axes else 1
    channels = _channels(series, n)
    least, most = _range(meta.dtype, xml)
    entries = []
    for c, (label, color) in enumerate(channels):
        known = windows[c] if c < len(windows) else _chosen(series, c)
        start, end = (least, most) if known is None else known
        window = {"min": min(least, start), "max": max(most, end), "start": start, "end": end}
        entry = {"label": label, "color": color, "active": c < _MOST_ACTIVE, "window": window}
        entries.append(entry | {"coefficient": 1, "family": "linear", "inverted": False})
    depth = meta.shape[axes.index("z")] if "z" in axes else 1
    shown = {"model": "color" if n > 1 else "greyscale", "defaultT": 0, "defaultZ": depth // 2}
    return {"name": series.name or "", "channels": entries, "rdefs": shown}


def _chosen(series: Series, c: int) -> Range | None:
    """The window that somebody chose for an entry of the axis C."""
    window = series.channels[c].window if series.samples == 1 and c < len(series.channels) else None
    if window is None or series.dtype.kind not in "iu":
        return window
    return math.floor(window[0]), math.ceil(window[1])


def _channels(series: Series, n: int) -> list[tuple[str, str]]:
    """Label and colour of `n` entries of the axis C."""
    found: list[tuple[str, str]] = []
    for channel in series.channels:
        found += _samples(channel, len(found), n)
    found += [(f"Channel {c}", _default_color(c, n)) for c in range(len(found), n)]
    return found[:n]


def _samples(channel: Channel, first: int, n: int) -> list[tuple[str, str]]:
    if channel.samples == 1:
        color = _default_color(first, n) if channel.color is None else _hexadecimal(channel.color)
        return [(channel.name or f"Channel {first}", color)]
    names = "RGBA" if channel.samples in (3, 4) else ""
    return [
        (f"{channel.name or 'Channel'} {names[s] if names else s}", _default_color(s, channel.samples))
        for s in range(channel.samples)
    ]


def _default_color(c: int, n: int) -> str:
    return "FFFFFF" if n == 1 else _COLORS[c % len(_COLORS)]


def _hexadecimal(color: int) -> str:
    """RRGGBB of a signed RGBA number; how opaque it is has no place here."""
    return f"{(color & 0xFFFFFFFF) >> 8:06X}"


def _range(dtype: np.dtype, xml: str) -> tuple[float, float]:
    """Values that pixels can have."""
    if dtype.kind not in "iu":
        return 0.0, 1.0
    info = np.iinfo(dtype)
    bits = _BITS.search(xml)
    if bits is not None and dtype.kind == "u" and 0 < int(bits[1]) < info.bits:
        return 0, (1 << int(bits[1])) - 1
    return int(info.min), int(info.max)

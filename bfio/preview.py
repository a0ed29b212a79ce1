"""Small pictures of large images: thumbnails, PNG, and the table that notebooks show."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from bfio.errors import UsageError
from bfio.result import allocate
from bfio.selection import Box

if TYPE_CHECKING:
    from bfio.backends.base import ReaderBackend
    from bfio.metadata import Series
    from bfio.properties import ImageProperties

__all__ = ["card", "png", "thumbnail"]

_OVERSAMPLING = 4
_MAX_CHANNELS = 8
_CARD_SIZE = 256
_MAX_CARD_PIXELS = 1 << 28  # a larger level takes seconds to decode, too long for a notebook's echo
_MAX_FEW_BITS = 31  # 8-bit RGB that stays below was stored with fewer bits, and would look black
_PERCENTILES = (0.5, 99.5)
_COLORS = (
    (0, 255, 0),
    (255, 0, 255),
    (0, 160, 255),
    (255, 160, 0),
    (255, 255, 0),
    (0, 255, 255),
    (255, 0, 0),
    (255, 255, 255),
)


def thumbnail(backend: ReaderBackend, series: Series, size: int) -> np.ndarray:
    """Picture of the middle plane of a series.

    Parameters
    ----------
    backend : ReaderBackend
    series : Series
    size : int
        The longer side of the picture; smaller images are not enlarged.

    Returns
    -------
    numpy.ndarray
        uint8, (Y, X) for one channel, else (Y, X, 3): RGB as it is, other channels added up in their colours.
        Contrast is stretched between percentiles, save for 8-bit RGB, of which 1 to 5 bits become 8.
    """
    if size < 1:
        raise UsageError(f"size must be at least 1, not {size}")
    level = level_for(series, size)
    if series.samples >= 3:
        planes = [_plane(backend, series, level, c, size) for c in range(3)]
        return _rgb(np.stack(planes, axis=-1), series.dtype)
    step = series.samples
    n_channels = min(series.size_c, _MAX_CHANNELS)
    grey = (_stretched(_plane(backend, series, level, c * step, size)) for c in range(n_channels))
    if n_channels == 1:
        return _to_uint8(next(grey))
    return _to_uint8(_mixed(grey, series))


def level_for(series: Series, size: int) -> int:
    """The smallest level whose longer side is at least `size`, else the full one."""
    sides = [max(level.size_y, level.size_x) for level in series.levels]
    enough = [number for number, side in enumerate(sides) if side >= size]
    return min(enough, key=lambda number: sides[number], default=0)


def _plane(backend: ReaderBackend, series: Series, level: int, c: int, size: int) -> np.ndarray:
    """One channel of the middle z as floats, its longer side at most `size`.

    Reads every n-th pixel, so that the memory depends on `size` and not on the image, and takes means of what was read.
    """
    info = series.levels[level]
    step = max(1, max(info.size_y, info.size_x) // (_OVERSAMPLING * size))
    box = Box((0,), (c,), (series.size_z // 2,), range(0, info.size_y, step), range(0, info.size_x, step))
    pixels = allocate(box.shape, series.dtype)
    if pixels.size:
        backend.read(series.index, level, box, pixels, None)
    plane = pixels[0, 0, 0]
    with np.errstate(all="ignore"):  # NaN, infinities and huge doubles are an image's right
        exact = np.float32 if plane.dtype.itemsize < 4 else np.float64
        return _shrunk((np.abs(plane) if plane.dtype.kind == "c" else plane).astype(exact), size)


def _shrunk(plane: np.ndarray, size: int) -> np.ndarray:
    """Means over rectangles of nearly equal size, so that the longer side becomes `size`."""
    longer = max(plane.shape)
    if longer <= size:
        return plane
    for axis in (0, 1):
        old = plane.shape[axis]
        new = max(1, round(old * size / longer))
        starts = np.arange(new) * old // new
        counts = np.diff(starts, append=old).astype(plane.dtype)
        sums = np.add.reduceat(plane, starts, axis=axis)
        plane = sums / (counts[:, None] if axis == 0 else counts)
    return plane


def _stretched(values: np.ndarray) -> np.ndarray:
    """Values mapped to 0..1 between two percentiles of the finite ones."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.zeros(values.shape, np.float32)
    low, high = np.percentile(finite.astype(np.float64), _PERCENTILES)
    if low == high:
        low, high = finite.min(), finite.max()
    if low == high:
        return np.full(values.shape, 0.5 if high else 0.0, np.float32)
    with np.errstate(all="ignore"):
        stretched: np.ndarray = np.clip(np.nan_to_num((values - low) / (high - low)), 0, 1)
    return stretched


def _rgb(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype == np.uint8:
        peak = int(values.max(initial=0))
        full = (1 << peak.bit_length()) - 1 if 0 < peak <= _MAX_FEW_BITS else 255
        return np.asarray(np.rint(values * (255 / full)), np.uint8)
    return _to_uint8(_stretched(values))


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.rint(np.clip(values, 0, 1) * 255), np.uint8)


def _mixed(planes: Iterable[np.ndarray], series: Series) -> np.ndarray:
    """Sum of the channels, each in its colour."""
    total: np.ndarray | None = None
    for number, plane in enumerate(planes):
        tinted = plane[..., None] * (np.array(_color(series, number), np.float32) / 255)
        total = tinted if total is None else total + tinted
    assert total is not None
    return total


def _color(series: Series, number: int) -> tuple[int, int, int]:
    """Colour of a channel as the file says, or one of our own; OME writes RGBA as a signed 32-bit integer."""
    color = series.channels[number].color if number < len(series.channels) else None
    own = [channel.color for channel in series.channels[: series.size_c]]
    if color is None or len(set(own)) == 1:
        return _COLORS[number]
    return ((color >> 24) & 255, (color >> 16) & 255, (color >> 8) & 255)


def png(picture: np.ndarray) -> bytes:
    """PNG of a uint8 array (Y, X) or (Y, X, 3)."""
    height, width = picture.shape[:2]
    rows = np.zeros((height, 1 + picture[0].size), np.uint8)  # each row starts with its filter, 0 for none
    rows[:, 1:] = picture.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if picture.ndim == 2 else 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def card(image: ImageProperties, name: str, picture: Callable[[int], np.ndarray]) -> str:
    """HTML of a table of properties with a thumbnail beside it. Never raises: notebooks show what is known."""
    try:
        table = _table(_rows(image, name))
    except Exception as error:  # noqa: BLE001
        return f"<p>{html.escape(name)}: {html.escape(str(error))}</p>"
    try:
        level = image._info.levels[level_for(image._info, _CARD_SIZE)]
        if level.size_y * level.size_x > _MAX_CARD_PIXELS:
            return table
        data = base64.b64encode(png(picture(_CARD_SIZE))).decode()
    except Exception:  # noqa: BLE001
        return table
    shown = f"<img alt='thumbnail' src='data:image/png;base64,{data}'>"
    return f"<div style='display:flex;gap:1em;align-items:flex-start'>{table}{shown}</div>"


def _rows(image: ImageProperties, name: str) -> list[tuple[str, str]]:
    info = image._info
    sizes = " × ".join(f"{size} {axis}" for axis, size in zip(image.dims, image.shape, strict=True))
    lengths = [("x", info.physical_size_x), ("y", info.physical_size_y), ("z", info.physical_size_z)]
    return [
        ("file", name),
        ("image", info.name or ""),
        ("size", sizes),
        ("type", str(info.dtype)),
        ("channels", ", ".join(channel or "?" for channel in image.channel_names)),
        (
            "pixel size",
            ", ".join(f"{axis} {value:g} {unit}" for axis, (value, unit) in lengths if value is not None),
        ),
        ("levels", ", ".join(f"{level.size_x} × {level.size_y}" for level in info.levels)),
    ]


def _table(rows: Iterable[tuple[str, str]]) -> str:
    left = "style='text-align:left'"
    cells = (
        f"<tr><th {left}>{html.escape(key)}</th><td {left}>{html.escape(value)}</td></tr>"
        for key, value in rows
        if value
    )
    return f"<table>{''.join(cells)}</table>"

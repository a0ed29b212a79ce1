"""Windows of the channels of a finished image, from its pixels: between which values viewers show them.

They are percentiles of some chunks of the smallest level, the same ones whoever wrote them and in which order.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bfio.errors import BfioError
from bfio.metadata import Series
from bfio.omezarr.omero_out import Range
from bfio.omezarr.writing.assembling import Assembler
from bfio.omezarr.writing.cutting import Index
from bfio.omezarr.writing.folder import write_file
from bfio.omezarr.writing.unsynced import sync_folder

__all__ = ["ranges", "set_windows"]

logger = logging.getLogger("bfio")

CHANNEL_NBYTES = 8 << 20
ALL_NBYTES = 64 << 20
"""Bytes of chunks that are decoded for a channel and for all; one chunk of each in any case."""
MOST_CHUNKS = 64
MOST_PIXELS = 1 << 16
"""Of a channel, that are sorted."""
_OUTSIDE = 0.001
"""Part of the pixels that may be darker, and that may be brighter than what is shown."""
_ROOT = 1.16730397826142  # x**5 == x + 1: multiples of its powers fill four dimensions evenly


def set_windows(folder: Path, assembler: Assembler, series: Series, *, widen: bool, durable: bool) -> None:
    """Write the windows into the document of an image whose levels are finished.

    Parameters
    ----------
    folder : Path
    assembler : Assembler
    series : Series
        Channels that have windows keep them, and colours of RGB their balance.
    widen : bool
        Whether there are windows that somebody may have chosen: they only become wider, and only where they are
        too narrow. Where there are none, none are made.
    durable : bool
    """
    group = assembler.metas[0].path.rpartition("/")[0]
    path = folder / group / ("zarr.json" if assembler.metas[0].zarr_format == 3 else ".zattrs")
    if (folder / ".zmetadata").exists():
        return  # it has a copy of the document
    try:
        document = json.loads(path.read_bytes())
        channels = _channels(document)
        wanted = [c for c in range(len(channels)) if widen or _is_free(series, c)]
        found = ranges(assembler, wanted)
        changed = [_set(channels[c], one, widen=widen) for c, one in found.items()]
    except (BfioError, OSError, ValueError, TypeError, KeyError) as error:
        logger.warning("%s: the windows of the channels stay as they are (%s)", path, error)
        return
    if any(changed):
        write_file(path, json.dumps(document, indent=2).encode("ascii"), durable=durable)
        if durable:
            sync_folder(path.parent)


def _channels(document: Any) -> list[Any]:
    """Entries of the channels in the document of a group."""
    for key in ("attributes", "ome", "omero", "channels"):
        document = document.get(key, document if key in ("attributes", "ome") else {})
        if not isinstance(document, dict):
            break
    return document if isinstance(document, list) else []


def _is_free(series: Series, c: int) -> bool:
    """Whether nobody chose a window for a channel."""
    if series.samples > 1:
        return False
    return c >= len(series.channels) or series.channels[c].window is None


def _set(channel: Any, found: Range, *, widen: bool) -> bool:
    """Put a range into the entry of a channel; whether that changes it."""
    window = channel.get("window") if isinstance(channel, dict) else None
    if not isinstance(window, dict):
        return False
    start, end = found
    if widen:
        start, end = min(start, window["start"]), max(end, window["end"])
    least, most = min(window["min"], start), max(window["max"], end)
    before, after = dict(window), {"min": least, "max": most, "start": start, "end": end}
    window.update(after)
    return before != window


# -- pixels -----------------------------------------------------------------------------------------------------------


def ranges(assembler: Assembler, channels: Sequence[int]) -> dict[int, Range]:
    """Between which values channels are to be shown; those without numbers, and of truth values, are left out."""
    meta = assembler.metas[-1]
    if meta.dtype.kind not in "iuf":
        return {}
    found: dict[int, Range] = {}
    deep = meta.chunk[1]
    places = _places(assembler)
    for number in sorted({c // deep for c in channels if c < meta.shape[1]}):
        wanted = [c for c in channels if c // deep == number]
        samples = _samples(assembler, [(t, number, z, y, x) for t, z, y, x in places], [c % deep for c in wanted])
        for c, pixels in zip(wanted, samples, strict=True):
            shown = _range(np.concatenate(pixels))
            if shown is not None:
                found[c] = shown
    return found


def _places(assembler: Assembler) -> list[Index]:
    """Positions of the chunks that are looked at, along T, Z, Y, X: all, or some at even distances."""
    meta = assembler.metas[-1]
    n_t, n_c, n_z, n_y, n_x = meta.grid
    nbytes = min(CHANNEL_NBYTES * meta.chunk[1], ALL_NBYTES // n_c)
    most = max(1, min(MOST_CHUNKS, nbytes // meta.chunk_nbytes))
    sizes = (n_t, n_z, n_y, n_x)
    if math.prod(sizes) <= most:
        return list(np.ndindex(*sizes))
    found: dict[Index, None] = {}
    for number in range(2 * most):
        shares = ((0.5 + number / _ROOT**power) % 1 for power in range(1, 5))
        found[tuple(int(share * size) for share, size in zip(shares, sizes, strict=True))] = None
        if len(found) == most:
            break
    return list(found)


def _samples(assembler: Assembler, indices: Sequence[Index], inside: Sequence[int]) -> list[list[np.ndarray]]:
    """Pixels of channels of some chunks: `inside` are their numbers within each."""
    most = max(1, MOST_PIXELS // len(indices))
    samples: list[list[np.ndarray]] = [[] for _ in inside]
    for chunk in _chunks(assembler, indices):
        for pixels, c in zip(samples, inside, strict=True):
            one = chunk[:, c]
            rows, cols = _steps(one.shape, most)
            pixels.append(one[..., rows // 2 :: rows, cols // 2 :: cols].ravel())
    return samples


def _steps(shape: Sequence[int], most: int) -> tuple[int, int]:
    """Steps along Y and X that leave about so many pixels."""
    step = math.ceil(math.sqrt(math.prod(shape) / most))
    return min(step, shape[-2]), min(step, shape[-1])


def _chunks(assembler: Assembler, indices: Sequence[Index]) -> Iterator[np.ndarray]:
    """Pixels of chunks that lie within the image; what has no file is of the fill value."""
    level = assembler.n_levels - 1
    meta = assembler.metas[level]

    def get(index: Index) -> np.ndarray:
        extent = assembler.extent(level, index)
        pixels = assembler.sinks[level].get(index)
        if pixels is None:
            return np.full(extent, meta.fill, meta.dtype)
        return pixels[tuple(map(slice, extent))]

    return assembler.workers.map(get, indices)


def _range(pixels: np.ndarray) -> Range | None:
    """Percentiles, or least and largest value where these are one; None where no value is finite."""
    if pixels.dtype.kind == "f":
        pixels = pixels[np.isfinite(pixels)]
    if not len(pixels):
        return None
    outside = int(_OUTSIDE * (len(pixels) - 1))
    ordered = np.partition(pixels, (outside, len(pixels) - 1 - outside))
    start, end = ordered[outside].item(), ordered[len(pixels) - 1 - outside].item()
    if start == end:
        start, end = pixels.min().item(), pixels.max().item()
    return (start, end) if start < end else _around(start, pixels.dtype)


def _around(value: float, dtype: np.dtype) -> Range:
    """A range for pixels that all have one value: one step up, or down where that is the largest one."""
    if dtype.kind == "f":
        return value, value + max(1.0, abs(value) * 1e-3)
    return (value, value + 1) if value < np.iinfo(dtype).max else (value - 1, value)

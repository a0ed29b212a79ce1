"""What ``bfio info`` tells of one open file, as plain data ready for JSON."""

from __future__ import annotations

import math
from typing import Any

from bfio.axes import PUBLIC, trimmed
from bfio.backends.base import ReaderBackend
from bfio.errors import LimitError
from bfio.metadata import Channel, Length, Series, SeriesStorage, Storage

__all__ = ["file_report"]


def file_report(
    backend: ReaderBackend, name: str, chosen: int | None = None, most: int | None = None
) -> dict[str, Any]:
    """All that is known without reading pixels, of the first `most` series; see :mod:`bfio.cli.info` for the keys."""
    described = backend.describe()
    series = backend.series
    numbers = range(len(series))[:most] if chosen is None else [chosen]
    return {
        "file": name,
        "format": described.format,
        "dialect": described.series[numbers[0]].dialect,
        "backend": backend.name,
        "byte_order": described.byte_order,
        "nbytes": described.nbytes,
        "ome_xml": _has_ome_xml(backend),
        "n_series": len(series),
        "series": [_series(series[number], described.series[number]) for number in numbers],
    }


def _has_ome_xml(backend: ReaderBackend) -> bool:
    try:
        return backend.ome_xml() is not None
    except LimitError:
        return True


def _series(series: Series, storage: SeriesStorage) -> dict[str, Any]:
    sizes = {
        "y": series.size_y,
        "x": series.size_x,
        "z": series.size_z,
        "c": series.size_c * series.samples,
        "t": series.size_t,
    }
    shape = trimmed(tuple(sizes.values()))
    lengths = {"x": series.physical_size_x, "y": series.physical_size_y, "z": series.physical_size_z}
    return {
        "index": series.index,
        "name": series.name,
        "dialect": storage.dialect,
        "thumbnail": storage.thumbnail,
        "size": {axis: sizes[axis] for axis in "xyzct"},
        "shape": list(shape),
        "axes": PUBLIC[: len(shape)],
        "dimension_order": storage.dimension_order,
        "n_planes": series.size_z * series.size_c * series.size_t,
        "samples_per_pixel": series.samples,
        "rgb": series.samples >= 3,
        "interleaved": series.interleaved,
        "pixel_type": str(series.dtype),
        "physical_size": {axis: _length(length) for axis, length in lengths.items()},
        "channels": [_channel(channel) for channel in _channels(series)],
        "levels": _levels(series, storage),
    }


def _channels(series: Series) -> tuple[Channel, ...]:
    """One for each plane along C, whatever the file names."""
    unnamed = Channel(samples=series.samples)
    return (*series.channels, *[unnamed] * series.size_c)[: series.size_c]


def _channel(channel: Channel) -> dict[str, Any]:
    color = None if channel.color is None else f"#{channel.color & 0xFFFFFFFF:08x}"
    window = None if channel.window is None else list(channel.window)
    return {"name": channel.name, "samples": channel.samples, "color": color, "window": window}


def _length(length: Length) -> dict[str, Any] | None:
    value, unit = length
    return None if value is None or not math.isfinite(value) else {"value": value, "unit": unit}


def _levels(series: Series, storage: SeriesStorage) -> list[dict[str, Any]]:
    return [
        {
            "x": level.size_x,
            "y": level.size_y,
            "tile_x": stored.tile_shape[1],
            "tile_y": stored.tile_shape[0],
            "strips": stored.strips,
            "compression": stored.compression,
            "predictor": stored.predictor,
            **_chunks(stored),
        }
        for level, stored in zip(series.levels, storage.levels, strict=True)
    ]


def _chunks(stored: Storage) -> dict[str, Any]:
    if stored.chunk_shape is None:
        return {}
    return {
        "axes": stored.axes,
        "chunk": list(stored.chunk_shape),
        "shard": None if stored.shard_shape is None else list(stored.shard_shape),
    }

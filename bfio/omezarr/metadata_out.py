"""Documents of an OME-Zarr image that bfio writes: groups, arrays, OME-XML. Pure: nothing is read or written here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from bfio._version import __version__
from bfio.errors import UsageError
from bfio.metadata import Length, Series
from bfio.omezarr.array_document import array_document
from bfio.omezarr.arraymeta import ArrayMeta
from bfio.omezarr.omero_out import Range, omero_block
from bfio.omezarr.xml_out import metadata_only
from bfio.units import NAMES, convert

__all__ = ["VERSIONS", "documents", "group_documents"]

VERSIONS: Mapping[str, int] = {"0.4": 2, "0.5": 3}
"""Version of Zarr that a version of OME-Zarr stands on."""

_KINDS = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
_TIMES = {
    "s": "second", "ms": "millisecond", "µs": "microsecond", "ns": "nanosecond", "ps": "picosecond",
    "fs": "femtosecond", "as": "attosecond", "zs": "zeptosecond", "ys": "yoctosecond", "min": "minute", "h": "hour",
    "d": "day", "cs": "centisecond", "ds": "decisecond", "ks": "kilosecond", "hs": "hectosecond",
    "Ms": "megasecond", "Gs": "gigasecond", "Ts": "terasecond", "Ps": "petasecond", "Es": "exasecond",
    "Zs": "zettasecond", "Ys": "yottasecond",
}  # fmt: skip
"""Names in OME-Zarr of OME-XML's units of time."""
_UNKNOWN_UNITS = ("decameter",)
"""Names that are missing in OME-Zarr's list."""
_METHODS = {
    "mean": "mean of 2 x 2 pixels",
    "nearest": "top left one of 2 x 2 pixels",
    "mode": "most frequent of 2 x 2 pixels",
    "max": "largest of 2 x 2 pixels",
}


def documents(
    series: Series,
    metas: Sequence[ArrayMeta],
    axes: str,
    version: str,
    xml: str,
    downsample: str,
    windows: Sequence[Range | None] = (),
) -> dict[str, bytes]:
    """All documents of a store with one image at its root.

    Parameters
    ----------
    series : Series
        Name, physical sizes, names and colours of channels.
    metas : sequence of ArrayMeta
        One per level, the full resolution first.
    axes : str
        Letters of their axes, such as ``"tczyx"``.
    version : {"0.4", "0.5"}
        Of OME-Zarr.
    xml : str
        OME-XML with one image; ``""`` for none. What it says of planes in files is replaced by ``MetadataOnly``.
    downsample : str
        How a level becomes the next one.
    windows : sequence of (float, float) or None, optional
        Least and largest value of each channel, where they are known.

    Returns
    -------
    dict
        Content by key, in an order in which each group comes before what it holds.
    """
    if version not in VERSIONS:
        raise UsageError(f"OME-Zarr {version!r} can not be written; pass one of {', '.join(VERSIONS)}")
    if not metas or any(len(meta.shape) != len(axes) or meta.zarr_format != VERSIONS[version] for meta in metas):
        raise UsageError(f"the arrays do not fit the axes {axes!r} and OME-Zarr {version}")
    tidy, time = metadata_only(xml) if xml else ("", None)
    sizes = _pixel_sizes(series, axes, time)
    multiscale: dict[str, Any] = {
        "name": series.name or "",
        "axes": [_axis(letter, unit) for letter, (_, unit) in zip(axes, sizes, strict=True)],
        "datasets": _datasets(metas, axes, [size for size, _ in sizes]),
    }
    if len(metas) > 1:
        multiscale["type"] = downsample
        multiscale["metadata"] = {
            "description": _METHODS.get(downsample, downsample),
            "method": "bfio.pyramid.halve",
            "version": __version__,
            "kwargs": {"how": downsample},
        }
    omero = omero_block(series, metas[0], axes, xml, windows)
    found = _root(version, multiscale, omero)
    for meta in metas:
        found |= _array(meta, axes)
    if tidy:
        found |= group_documents("OME", version, {})
        found["OME/METADATA.ome.xml"] = tidy.encode("utf-8")
    return found


# -- groups and arrays ------------------------------------------------------------------------------------------------


def _root(version: str, multiscale: dict[str, Any], omero: dict[str, Any]) -> dict[str, bytes]:
    if version == "0.5":
        return group_documents("", version, {"multiscales": [multiscale], "omero": omero})
    told = {"version": version}
    return group_documents("", version, {"multiscales": [told | multiscale], "omero": told | omero})


def group_documents(path: str, version: str, attributes: Mapping[str, Any]) -> dict[str, bytes]:
    """Documents of a group, by key.

    Parameters
    ----------
    path : str
        Its key; ``""`` for the root.
    version : {"0.4", "0.5"}
        Of OME-Zarr.
    attributes : mapping
        Those of OME-Zarr; 0.5 has them below ``ome``, beside its own version.
    """
    folder = f"{path}/" if path else ""
    if VERSIONS[version] == 3:
        told = {"ome": {"version": version} | dict(attributes)} if attributes else {}
        return {f"{folder}zarr.json": _json({"zarr_format": 3, "node_type": "group", "attributes": told})}
    found = {f"{folder}.zgroup": _json({"zarr_format": 2})}
    if attributes:
        found[f"{folder}.zattrs"] = _json(attributes)
    return found


def _array(meta: ArrayMeta, axes: str) -> dict[str, bytes]:
    document = _json(array_document(meta, tuple(axes)))
    if meta.zarr_format == 3:
        return {f"{meta.path}/zarr.json": document}
    # xarray's place for the names of axes, as version 2 has none.
    return {f"{meta.path}/.zarray": document, f"{meta.path}/.zattrs": _json({"_ARRAY_DIMENSIONS": list(axes)})}


def _json(node: Mapping[str, Any]) -> bytes:
    return json.dumps(node, indent=2, allow_nan=False).encode("ascii")


# -- axes and places --------------------------------------------------------------------------------------------------


def _axis(letter: str, unit: str | None) -> dict[str, str]:
    found = {"name": letter, "type": _KINDS[letter]}
    return found if unit is None else found | {"unit": unit}


def _pixel_sizes(series: Series, axes: str, time: tuple[float, str] | None) -> list[tuple[float, str | None]]:
    """Step along each axis, and its unit in full; 1 without a unit where it is not known."""
    found: dict[str, tuple[float, str | None]] = {
        "z": _length(series.physical_size_z),
        "y": _length(series.physical_size_y),
        "x": _length(series.physical_size_x),
    }
    if time is not None and time[0] > 0 and time[1] in _TIMES:
        found["t"] = (time[0], _TIMES[time[1]])
    return [found.get(letter, (1.0, None)) for letter in axes]


def _length(length: Length) -> tuple[float, str | None]:
    value, unit = length
    if value is None or not 0 < value < math.inf:
        return 1.0, None
    name = NAMES.get(unit)
    if name is not None and name not in _UNKNOWN_UNITS:
        return float(value), name
    micrometres = convert(float(value), unit, "µm")
    return (float(value), None) if micrometres is None else (micrometres, "micrometer")


def _datasets(metas: Sequence[ArrayMeta], axes: str, sizes: Sequence[float]) -> list[dict[str, Any]]:
    found = []
    for level, meta in enumerate(metas):
        lengths = zip(axes, metas[0].shape, meta.shape, strict=True)
        factors = [_factor(letter, full, size, level) for letter, full, size in lengths]
        scale = [size * factor for size, factor in zip(sizes, factors, strict=True)]
        # The first pixel of a level is the middle of those it was made of.
        moved = [size * (factor - 1) / 2 for size, factor in zip(sizes, factors, strict=True)]
        steps: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if any(moved):
            steps.append({"type": "translation", "translation": moved})
        found.append({"path": meta.path, "coordinateTransformations": steps})
    return found


def _factor(letter: str, full: int, size: int, level: int) -> float:
    """How many pixels one stands for; sizes that were halved and rounded up stand for whole powers of two."""
    nominal = 1 << level
    if letter in "yx" or full != size:
        if size == -(-full // nominal):
            return float(nominal)
        return full / size
    return 1.0

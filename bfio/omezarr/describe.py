"""What a Zarr store is, in words for people."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bfio.metadata import Description, SeriesStorage, Storage
from bfio.omezarr.arraymeta import ArrayMeta
from bfio.omezarr.nodes import Nodes
from bfio.omezarr.series import ZarrSeries

__all__ = ["describe"]

_MAX_FILES = 20_000
_KINDS = {"label": "labels", "field": "plate", "array": "no OME metadata"}


def describe(nodes: Nodes, series: Sequence[ZarrSeries]) -> Description:
    """Description of an open store.

    Parameters
    ----------
    nodes : Nodes
    series : sequence of ZarrSeries
        All that :func:`bfio.omezarr.series.read_series` gave.

    Notes
    -----
    The size is that of all files; unknown where the store is not a folder, or has so many files that counting them
    would take long.
    """
    orders = {meta.big_endian for one in series for meta in one.arrays}
    return Description(
        format=_format(series[0]),
        byte_order=None if len(orders) > 1 else "big" if True in orders else "little",
        nbytes=None if nodes.root is None else _nbytes(nodes.root),
        series=tuple(_series(one) for one in series),
    )


def _format(first: ZarrSeries) -> str:
    zarr = f"Zarr v{first.arrays[0].zarr_format}"
    if first.kind == "array":
        return zarr
    return f"OME-Zarr {first.version} ({zarr})" if first.version else f"OME-Zarr ({zarr})"


def _series(one: ZarrSeries) -> SeriesStorage:
    """Planes vary in the order of the array's axes, the last one first."""
    planes = [axis for axis in reversed(one.axes.upper()) if axis in "ZCT"]
    order = "".join(["XY", *planes, *(axis for axis in "ZCT" if axis not in planes)])
    return SeriesStorage(tuple(_level(meta, one.axes) for meta in one.arrays), _KINDS.get(one.kind), order)


def _level(meta: ArrayMeta, axes: str) -> Storage:
    rows, cols = meta.chunk[axes.index("y")], meta.chunk[axes.index("x")]
    return Storage(_codecs(meta), "none", (rows, cols), chunk_shape=meta.chunk, shard_shape=meta.shard, axes=axes)


def _codecs(meta: ArrayMeta) -> str:
    """Names of the codecs, such as ``"blosc(lz4)"`` or ``"zstd + crc32c"``."""
    names = []
    for name, config in zip(meta.chain.names, meta.chain.config, strict=False):
        inner = config.get("cname") if name == "blosc" else None
        names.append(f"{name}({inner})" if isinstance(inner, str) else name)
    return " + ".join(names) or "none"


def _nbytes(root: Path) -> int | None:
    """Bytes of all files below a folder; None where they are too many, or vanish."""
    total, n_files, folders = 0, 0, [str(root)]
    try:
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    n_files += 1
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        total += entry.stat().st_size
            if n_files > _MAX_FILES:
                return None
    except OSError:
        return None
    return total

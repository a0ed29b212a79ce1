"""The JSON document of an array that bfio writes; :func:`bfio.omezarr.arraymeta.parse_array` is its inverse."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bfio.errors import UnsupportedError
from bfio.omezarr.arraymeta import ArrayMeta

__all__ = ["array_document"]

_OFFICIAL = frozenset({"blosc", "crc32c", "gzip", "zstd"})
"""Codecs of Zarr v3 itself; all others are numcodecs' and carry its name."""


def array_document(meta: ArrayMeta, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Content of ``zarr.json`` or ``.zarray``.

    Parameters
    ----------
    meta : ArrayMeta
    names : sequence of str, optional
        Of the axes, for Zarr v3; version 2 has no place for them.

    Raises
    ------
    UnsupportedError
        The version of Zarr can not say what `meta` asks for.
    """
    return _version_2(meta) if meta.zarr_format == 2 else _version_3(meta, names or meta.dimension_names)


def _version_3(meta: ArrayMeta, names: Sequence[str | None] | None) -> dict[str, Any]:
    separator = {"separator": meta.separator}
    document: dict[str, Any] = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(meta.shape),
        "data_type": meta.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(meta.file_shape)}},
        "chunk_key_encoding": {"name": "default" if meta.prefix else "v2", "configuration": separator},
        "fill_value": _fill(meta.fill),
        "codecs": _sharded(meta) if meta.shard else _codecs(meta),
        "attributes": {},
        "storage_transformers": [],
    }
    if names is not None:
        document["dimension_names"] = list(names)
    return document


def _codecs(meta: ArrayMeta) -> list[dict[str, Any]]:
    """Codecs of one chunk."""
    codecs: list[dict[str, Any]] = []
    if meta.order is not None:
        codecs.append({"name": "transpose", "configuration": {"order": list(meta.order)}})
    codecs.append(_bytes_codec(meta.big_endian, meta.dtype))
    for name, config in zip(meta.chain.names, meta.chain.config, strict=True):
        full = name if name in _OFFICIAL or "." in name else f"numcodecs.{name}"
        given = dict(config)
        if name == "zstd":
            given = {"level": 0, "checksum": False} | given
        codecs.append({"name": full, "configuration": given} if given else {"name": full})
    return codecs


def _bytes_codec(big_endian: bool, dtype: np.dtype) -> dict[str, Any]:
    if dtype.itemsize == 1:
        return {"name": "bytes"}
    return {"name": "bytes", "configuration": {"endian": "big" if big_endian else "little"}}


def _sharded(meta: ArrayMeta) -> list[dict[str, Any]]:
    index: list[dict[str, Any]] = [{"name": "bytes", "configuration": {"endian": "little"}}]
    if meta.index_crc:
        index.append({"name": "crc32c"})
    configuration = {
        "chunk_shape": list(meta.chunk),
        "codecs": _codecs(meta),
        "index_codecs": index,
        "index_location": "end" if meta.index_at_end else "start",
    }
    return [{"name": "sharding_indexed", "configuration": configuration}]


def _fill(value: np.generic) -> Any:
    if value.dtype.kind == "c":
        number = complex(value.item())
        return [_real(number.real), _real(number.imag)]
    return _real(value.item()) if value.dtype.kind == "f" else value.item()


def _real(number: float) -> float | str:
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return number


def _version_2(meta: ArrayMeta) -> dict[str, Any]:
    if meta.shard is not None:
        raise UnsupportedError("Zarr version 2, that of OME-Zarr 0.4, has no shards; write 0.5, or no shards")
    filters, compressor = _filters(meta.chain.names, meta.chain.config)
    return {
        "zarr_format": 2,
        "shape": list(meta.shape),
        "chunks": list(meta.chunk),
        "dtype": meta.dtype.newbyteorder(">" if meta.big_endian else "<").str,
        "compressor": compressor,
        "fill_value": _fill(meta.fill),
        "order": "C" if meta.order is None else "F",
        "filters": filters or None,
        "dimension_separator": meta.separator,
    }


def _filters(
    names: Sequence[str], config: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Filters, and the last codec, which version 2 has a place of its own for."""
    codecs = [{"id": name.removeprefix("filter:"), **one} for name, one in zip(names, config, strict=True)]
    if not codecs or names[-1].startswith("filter:"):
        return codecs, None
    return codecs[:-1], codecs[-1]

"""``zarr.json``: the metadata of an array of Zarr version 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bfio.errors import FormatError, UnsupportedError
from bfio.omezarr.arraymeta import ArrayMeta, Chain, Route
from bfio.omezarr.chains import make_chain, route_of, stored_order
from bfio.omezarr.fields import check_rank, configured, fill_value, number_dtype, short, sizes

__all__ = ["parse"]

_KNOWN = frozenset(
    [
        *("zarr_format", "node_type", "attributes", "shape", "data_type", "fill_value", "codecs", "dimension_names"),
        *("chunk_grid", "chunk_key_encoding", "storage_transformers", "consolidated_metadata"),
    ]
)
_DATA_TYPES = frozenset(
    [
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    ]
)


@dataclass(frozen=True, slots=True)
class _Coding:
    """What the list of codecs says."""

    chain: Chain
    route: Route
    big_endian: bool = False
    order: tuple[int, ...] | None = None
    inner: tuple[int, ...] | None = None
    index_at_end: bool = True
    index_crc: bool = False


def parse(document: Mapping[str, Any], path: str) -> ArrayMeta:
    """See :func:`bfio.omezarr.arraymeta.parse_array`."""
    where = f"array {path!r}"
    if document.get("node_type") != "array":
        raise FormatError(f"{where}: its node_type is {short(document.get('node_type'))}, not 'array'")
    _check_extensions(document, where)
    shape = sizes(document.get("shape"), "shape", where, 0)
    outer = _chunk_grid(document, where)
    check_rank(outer, shape, "chunk_shape", where)
    dtype = _dtype(document, where)
    if "fill_value" not in document:
        raise FormatError(f"{where}: it has no fill_value")
    prefix, separator = _key_encoding(document, where)
    coding = _coding(document.get("codecs"), outer, dtype, where)
    return ArrayMeta(
        path=path,
        zarr_format=3,
        shape=shape,
        chunk=coding.inner or outer,
        shard=outer if coding.inner is not None else None,
        dtype=dtype,
        big_endian=coding.big_endian,
        fill=fill_value(document["fill_value"], dtype, where),
        chain=coding.chain,
        index_at_end=coding.index_at_end,
        index_crc=coding.index_crc,
        separator=separator,
        prefix=prefix,
        dimension_names=_dimension_names(document, shape, where),
        route=coding.route,
        order=coding.order,
    )


def _check_extensions(document: Mapping[str, Any], where: str) -> None:
    """Refuse what must be understood and is not (Zarr v3, "Extension points")."""
    for key, value in document.items():
        if key not in _KNOWN and not (isinstance(value, Mapping) and value.get("must_understand") is False):
            raise UnsupportedError(f"{where}: its metadata hold {short(key)}, which is not known")
    if document.get("storage_transformers"):
        raise UnsupportedError(f"{where}: storage transformers are not known")


def _chunk_grid(document: Mapping[str, Any], where: str) -> tuple[int, ...]:
    name, config = configured(document.get("chunk_grid"), f"{where}: chunk_grid")
    if name != "regular":
        raise UnsupportedError(f"{where}: the chunk grid is {short(name)}; only regular ones are known")
    return sizes(config.get("chunk_shape"), "chunk_shape", where, 1)


def _dtype(document: Mapping[str, Any], where: str) -> np.dtype:
    name = document.get("data_type")
    if isinstance(name, Mapping):
        name, _ = configured(name, f"{where}: data_type")
    if not isinstance(name, str):
        raise FormatError(f"{where}: it has no data_type")
    if name not in _DATA_TYPES:
        raise UnsupportedError(f"{where}: items of data type {short(name)} are no pixels")
    return number_dtype(name, where)


def _key_encoding(document: Mapping[str, Any], where: str) -> tuple[str, str]:
    """Prefix and separator of the keys of chunks."""
    name, config = configured(document.get("chunk_key_encoding", "default"), f"{where}: chunk_key_encoding")
    if name not in ("default", "v2"):
        raise UnsupportedError(f"{where}: the chunk key encoding {short(name)} is not known")
    separator = config.get("separator", "/" if name == "default" else ".")
    if separator not in ("/", "."):
        raise FormatError(f"{where}: the separator is {short(separator)}; '/' and '.' are known")
    return ("c" + separator if name == "default" else ""), separator


def _dimension_names(document: Mapping[str, Any], shape: tuple[int, ...], where: str) -> tuple[str | None, ...] | None:
    names = document.get("dimension_names")
    if names is None:
        return None
    if not isinstance(names, list) or not all(name is None or isinstance(name, str) for name in names):
        raise FormatError(f"{where}: dimension_names are not a list of names")
    check_rank(names, shape, "dimension_names", where)
    return tuple(names)


def _coding(codecs: Any, chunk: tuple[int, ...], dtype: np.dtype, where: str) -> _Coding:
    """From the list of codecs: [transpose], bytes or sharding_indexed, and codecs from bytes to bytes."""
    if not isinstance(codecs, list) or not codecs:
        raise FormatError(f"{where}: it has no codecs")
    named = [configured(codec, f"{where}: codecs") for codec in codecs]
    order = None
    if named[0][0] == "transpose" and len(named) > 1:
        order = stored_order(_permutation(named[0][1], chunk, where), chunk)
        named = named[1:]
    (name, config), rest = named[0], named[1:]
    chain = make_chain([one for one, _ in rest], [one for _, one in rest])
    if name in ("bytes", "endian"):
        return _Coding(chain, route_of(chain), _big_endian(config, dtype, where), order)
    if name == "sharding_indexed":
        return _sharding(config, chunk, dtype, where, plain=order is None and not rest)
    whole = make_chain([one for one, _ in named], [one for _, one in named])
    return _Coding(whole, Route.FOREIGN)


def _permutation(config: Mapping[str, Any], chunk: tuple[int, ...], where: str) -> tuple[int, ...]:
    order = config.get("order")
    if order in ("C", "F"):  # early drafts
        axes = tuple(range(len(chunk)))
        return axes if order == "C" else axes[::-1]
    if not isinstance(order, list) or sorted(map(repr, order)) != sorted(map(repr, range(len(chunk)))):
        raise FormatError(f"{where}: the order of transpose is not a permutation of {len(chunk)} axes")
    return tuple(order)


def _big_endian(config: Mapping[str, Any], dtype: np.dtype, where: str) -> bool:
    endian = config.get("endian")
    if dtype.itemsize == 1:
        return False
    if endian not in ("little", "big"):
        raise FormatError(f"{where}: the codec bytes has the endian {short(endian)}; 'little' and 'big' are known")
    return bool(endian == "big")


def _sharding(
    config: Mapping[str, Any], outer: tuple[int, ...], dtype: np.dtype, where: str, *, plain: bool
) -> _Coding:
    """Shards; what wraps them (``plain`` False), or shards within shards, are left to zarr-python."""
    inner = sizes(config.get("chunk_shape"), "chunk_shape of the shards", where, 1)
    check_rank(inner, outer, "chunk_shape of the shards", where)
    if any(size % part for size, part in zip(outer, inner, strict=True)):
        raise FormatError(f"{where}: shards of {outer} can not be cut into chunks of {inner}")
    coding = _coding(config.get("codecs"), inner, dtype, where)
    location = config.get("index_location", "end")
    if location not in ("start", "end"):
        raise FormatError(f"{where}: the index location is {short(location)}; 'start' and 'end' are known")
    crc = _index_crc(config.get("index_codecs"), where)
    route = coding.route if plain and coding.inner is None and crc is not None else Route.FOREIGN
    return _Coding(coding.chain, route, coding.big_endian, coding.order, inner, location == "end", bool(crc))


def _index_crc(codecs: Any, where: str) -> bool | None:
    """Whether a CRC32C follows the index; None where the index is stored in a way of its own."""
    if not isinstance(codecs, list) or not codecs:
        raise FormatError(f"{where}: the shards have no index_codecs")
    named = [configured(codec, f"{where}: index_codecs") for codec in codecs]
    if named[0][0] != "bytes" or named[0][1].get("endian") != "little":
        return None
    rest = [name for name, _ in named[1:]]
    return {(): False, ("crc32c",): True}.get(tuple(rest))

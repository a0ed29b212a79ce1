"""``.zarray``: the metadata of an array of Zarr version 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bfio.errors import FormatError, UnsupportedError
from bfio.omezarr.arraymeta import ArrayMeta
from bfio.omezarr.chains import make_chain, route_of, stored_order
from bfio.omezarr.fields import check_rank, fill_value, number_dtype, short, sizes

__all__ = ["parse"]


def parse(document: Mapping[str, Any], path: str) -> ArrayMeta:
    """See :func:`bfio.omezarr.arraymeta.parse_array`."""
    where = f"array {path!r}"
    shape = sizes(document.get("shape"), "shape", where, 0)
    chunk = sizes(document.get("chunks"), "chunks", where, 1)
    check_rank(chunk, shape, "chunks", where)
    name = document.get("dtype")
    if isinstance(name, list):
        raise UnsupportedError(f"{where}: items with fields are no pixels")
    if not isinstance(name, str):
        raise FormatError(f"{where}: it has no dtype")
    stored = number_dtype(name, where)
    dtype = stored.newbyteorder("=")
    names, config = _codecs(document, where)
    chain = make_chain(names, config)
    order = document.get("order", "C")
    if order not in ("C", "F"):
        raise FormatError(f"{where}: the order is {short(order)}; C and F are known")
    separator = document.get("dimension_separator") or "."
    if separator not in (".", "/"):
        raise FormatError(f"{where}: the dimension separator is {short(separator)}; '.' and '/' are known")
    return ArrayMeta(
        path=path,
        zarr_format=2,
        shape=shape,
        chunk=chunk,
        shard=None,
        dtype=dtype,
        big_endian=stored.str[0] == ">",
        fill=fill_value(document.get("fill_value"), dtype, where),
        chain=chain,
        separator=separator,
        prefix="",
        route=route_of(chain),
        order=stored_order(tuple(reversed(range(len(shape)))), chunk) if order == "F" else None,
    )


def _codecs(document: Mapping[str, Any], where: str) -> tuple[list[str], list[Mapping[str, Any]]]:
    """Filters and compressor, as codecs in the order of writing."""
    filters, compressor = document.get("filters"), document.get("compressor")
    if filters is not None and not isinstance(filters, list):
        raise FormatError(f"{where}: the filters are not a list")
    codecs = [*((("filter", one)) for one in filters or ())]
    if compressor is not None:
        codecs.append(("compressor", compressor))
    names: list[str] = []
    config: list[Mapping[str, Any]] = []
    for what, codec in codecs:
        if not isinstance(codec, Mapping) or not isinstance(codec.get("id"), str):
            raise FormatError(f"{where}: a {what} is not an object with an id")
        prefix = "" if what == "compressor" else "filter:"
        names.append(prefix + codec["id"])
        config.append({key: value for key, value in codec.items() if key != "id"})
    return names, config

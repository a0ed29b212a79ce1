"""Codecs of a chunk: which of them the kernels know, which a library, and which are left to zarr-python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bfio import _kernels
from bfio.enums import Compression
from bfio.omezarr.arraymeta import Chain, Route

__all__ = ["BYTE_CODECS", "make_chain", "route_of", "stored_order"]

_KERNEL_CODECS: dict[tuple[str, ...], int] = {
    (): Compression.NONE,
    ("zlib",): Compression.ADOBE_DEFLATE,
    ("zstd",): Compression.ZSTD,
}
BYTE_CODECS = frozenset({"blosc", "bz2", "crc32c", "gzip", "lz4", "lzma", "zlib", "zstd"})
"""Codecs from bytes to bytes that :mod:`bfio.omezarr.bytecodecs` decodes."""


def make_chain(names: Sequence[str], config: Sequence[Mapping[str, Any]]) -> Chain:
    """Codecs from bytes to bytes, in the order of writing; ``numcodecs.zlib`` is ``zlib``."""
    plain = tuple(_plain(name) for name in names)
    compression = _KERNEL_CODECS.get(plain)
    if compression is not None and not _kernels.has_decompressor(compression) and compression != Compression.NONE:
        compression = None
    levels = (one.get("level", one.get("clevel")) for one in config)
    level = next((level for level in levels if type(level) is int), None)
    return Chain(compression, plain, tuple(config), level)


def _plain(name: str) -> str:
    """Name of a codec without the prefix that numcodecs gives its own in version 3."""
    short = name.removeprefix("numcodecs.")
    return short if short in BYTE_CODECS else name


def route_of(chain: Chain) -> Route:
    """Who decodes chunks with these codecs."""
    if chain.compression is not None:
        return Route.KERNEL
    return Route.BYTES if BYTE_CODECS.issuperset(chain.names) else Route.FOREIGN


def stored_order(axes: tuple[int, ...], chunk: tuple[int, ...]) -> tuple[int, ...] | None:
    """Order of the axes in the bytes of a chunk; None where it is that of the array: axes of one item do not count."""
    long = [axis for axis in axes if chunk[axis] > 1]
    return None if long == sorted(long) else axes

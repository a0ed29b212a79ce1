"""Encoders from bytes to bytes, for codecs that the kernels lack or that stand in a chain; all drop the GIL.

Their names and configurations are those of numcodecs (v2) and of the Zarr v3 specification. The twin of this file,
which decodes, is :mod:`bfio.omezarr.bytecodecs`.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bfio import _kernels
from bfio._kernels import crc32c
from bfio.enums import Compression

__all__ = ["ENCODERS", "Bytes", "gzip_member", "kernel_level"]

Bytes = bytes | bytearray | memoryview
Config = Mapping[str, Any]
Encoder = Callable[[Bytes, Config, int], Bytes]
"""Of bytes, configuration, and bytes per item."""

_SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")
_AUTOSHUFFLE = -1
_GZIP_HEADER = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255))
"""Of deflate, without a name and a time, and from no system that is told (RFC 1952)."""


def _imagecodecs() -> Any:
    import imagecodecs

    return imagecodecs


# -- encoding ---------------------------------------------------------------------------------------------------------


def _blosc(data: Bytes, config: Config, item_nbytes: int) -> Bytes:
    shuffle = config.get("shuffle", "shuffle")
    if shuffle == _AUTOSHUFFLE:
        shuffle = "bitshuffle" if item_nbytes == 1 else "shuffle"
    elif isinstance(shuffle, int):
        shuffle = _SHUFFLES[shuffle]
    typesize = config.get("typesize", item_nbytes)
    items = np.frombuffer(data, np.uint8)
    if len(items) % typesize == 0:
        items = items.view(f"V{typesize}")  # imagecodecs looks at the items of a buffer, whatever it is told
    encoded: Bytes = _imagecodecs().blosc_encode(
        items,
        config.get("clevel", 5),
        compressor=config.get("cname", "lz4"),
        shuffle=shuffle,
        typesize=typesize,
        blocksize=config.get("blocksize", 0),
        numthreads=1,  # the threads are ours
    )
    return encoded


def _gzip(data: Bytes, config: Config, item_nbytes: int) -> Bytes:
    level = config.get("level", 5)
    if not _kernels.has_compressor(Compression.ADOBE_DEFLATE):
        encoded: Bytes = _imagecodecs().gzip_encode(data, level)
        return encoded
    return gzip_member(_by_kernel(Compression.ADOBE_DEFLATE, data, level), data)


def gzip_member(stream: Bytes, data: Bytes | np.ndarray) -> bytes:
    """The stream of zlib that `data` became, as a file of gzip: other bytes around the same deflate."""
    ends = (zlib.crc32(data), len(data) & 0xFFFFFFFF)
    return b"".join((_GZIP_HEADER, stream[2:-4], *(number.to_bytes(4, "little") for number in ends)))


def _lz4(data: Bytes, config: Config, item_nbytes: int) -> Bytes:
    encoded: Bytes = _imagecodecs().lz4_encode(data, config.get("acceleration", 1), header=True)
    return encoded


def _bz2(data: Bytes, config: Config, item_nbytes: int) -> Bytes:
    return bz2.compress(data, config.get("level", 1))


def _lzma(data: Bytes, config: Config, item_nbytes: int) -> Bytes:
    form, check = config.get("format", lzma.FORMAT_XZ), config.get("check", -1)
    return lzma.compress(data, form, check, config.get("preset"), config.get("filters"))


def _kernel_encoder(compression: Compression, otherwise: str) -> Encoder:
    """By the kernels; in a build without them by the function of imagecodecs."""

    def encode(data: Bytes, config: Config, item_nbytes: int) -> Bytes:
        if not _kernels.has_compressor(compression):
            encoded: Bytes = getattr(_imagecodecs(), otherwise)(data, config.get("level"))
            return encoded
        return _by_kernel(compression, data, config.get("level"), checksum=bool(config.get("checksum")))

    return encode


def _by_kernel(compression: Compression, data: Bytes, level: int | None, *, checksum: bool = False) -> memoryview:
    room = bytearray(_kernels.compress_bound(compression, len(data)))
    status, nbytes = _kernels.compress_into(compression, kernel_level(level), data, room, checksum=checksum)
    if status:
        raise _kernels.failure(status)
    return memoryview(room)[:nbytes]


def kernel_level(level: int | None) -> int:
    """The kernels' level for that of a codec; below -7, zstd of the kernels knows none."""
    return -1 if level is None else max(level, -7)


def _with_crc32c(data: Bytes, config: Config, item_nbytes: int) -> Bytes:
    return bytes(data) + crc32c(bytes(data)).to_bytes(4, "little")


ENCODERS: dict[str, Encoder] = {
    "blosc": _blosc,
    "bz2": _bz2,
    "crc32c": _with_crc32c,
    "gzip": _gzip,
    "lz4": _lz4,
    "lzma": _lzma,
    "zlib": _kernel_encoder(Compression.ADOBE_DEFLATE, "zlib_encode"),
    "zstd": _kernel_encoder(Compression.ZSTD, "zstd_encode"),
}

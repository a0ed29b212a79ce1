"""Codecs from bytes to bytes that the kernels lack or that stand in a chain, encoding and decoding; all drop the GIL.

Their names and configurations are those of numcodecs (v2) and of the Zarr v3 specification.
"""

from __future__ import annotations

import bz2
import lzma
import struct
from collections.abc import Callable, Mapping
from typing import Any

from bfio import _kernels
from bfio.enums import Compression
from bfio.errors import BackendMissingError, FormatError

__all__ = ["DECODERS", "ENCODERS", "Bytes", "crc32c"]

Bytes = bytes | bytearray | memoryview
Config = Mapping[str, Any]
Encoder = Callable[[Bytes, Config, int], Bytes]
"""Of bytes, configuration, and bytes per item."""
Decoder = Callable[[Bytes, Config, int], Bytes]
"""Of bytes, configuration, and the most bytes that there may be."""

_SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")
_AUTOSHUFFLE = -1


def crc32c(data: Bytes) -> int:
    """CRC32C (RFC 3720), of shards' indexes and of the codec of that name."""
    try:
        import google_crc32c  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise BackendMissingError(
            "shards and the codec crc32c need the package google-crc32c: pip install 'bfio[zarr]'"
        ) from None
    return int(google_crc32c.value(bytes(data)))


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
    encoded: Bytes = _imagecodecs().blosc_encode(
        data,
        config.get("clevel", 5),
        compressor=config.get("cname", "lz4"),
        shuffle=shuffle,
        typesize=config.get("typesize", item_nbytes),
        blocksize=config.get("blocksize", 0),
        numthreads=1,  # the threads are ours
    )
    return encoded


def _gzip(data: Bytes, config: Config, item_nbytes: int) -> Bytes:
    encoded: Bytes = _imagecodecs().gzip_encode(data, config.get("level", 5))
    return encoded


def _lz4(data: Bytes, config: Config, item_nbytes: int) -> Bytes:
    encoded: Bytes = _imagecodecs().lz4_encode(data, config.get("acceleration", 1), header=True)
    return encoded


def _bz2(data: Bytes, config: Config, item_nbytes: int) -> Bytes:
    return bz2.compress(data, config.get("level", 1))


def _lzma(data: Bytes, config: Config, item_nbytes: int) -> Bytes:
    form, check = config.get("format", lzma.FORMAT_XZ), config.get("check", -1)
    return lzma.compress(data, form, check, config.get("preset"), config.get("filters"))


def _kernel_encoder(compression: Compression) -> Encoder:
    def encode(data: Bytes, config: Config, item_nbytes: int) -> Bytes:
        room = bytearray(_kernels.compress_bound(compression, len(data)))
        status, nbytes = _kernels.compress_into(compression, kernel_level(config.get("level")), data, room)
        if status:
            raise _kernels.failure(status)
        return memoryview(room)[:nbytes]

    return encode


def kernel_level(level: int | None) -> int:
    """The kernels' level for that of a codec; below -7, zstd of the kernels knows none."""
    return -1 if level is None else max(level, -7)


def _with_crc32c(data: Bytes, config: Config, item_nbytes: int) -> Bytes:
    return bytes(data) + struct.pack("<I", crc32c(data))


ENCODERS: dict[str, Encoder] = {
    "blosc": _blosc,
    "bz2": _bz2,
    "crc32c": _with_crc32c,
    "gzip": _gzip,
    "lz4": _lz4,
    "lzma": _lzma,
    "zlib": _kernel_encoder(Compression.ADOBE_DEFLATE),
    "zstd": _kernel_encoder(Compression.ZSTD),
}

# -- decoding what was written ----------------------------------------------------------------------------------------


def _by_imagecodecs(name: str, **options: Any) -> Decoder:
    def decode(data: Bytes, config: Config, most: int) -> Bytes:
        decoded: Bytes = getattr(_imagecodecs(), name)(data, out=most, **options)
        return decoded

    return decode


def _unblosc(data: Bytes, config: Config, most: int) -> Bytes:
    """The header tells the sizes before and after (bytes 4 and 12), which the decoder takes on trust."""
    if len(data) < 16:
        raise FormatError("the data end too early")
    nbytes, _, encoded_nbytes = struct.unpack("<III", data[4:16])
    if nbytes > most or encoded_nbytes != len(data):
        raise FormatError("the sizes in its header are wrong")
    return _by_imagecodecs("blosc_decode", numthreads=1)(data, config, nbytes)


def _bunzip2(data: Bytes, config: Config, most: int) -> Bytes:
    return _whole(bz2.BZ2Decompressor(), data, most)


def _whole(decompressor: bz2.BZ2Decompressor | lzma.LZMADecompressor, data: Bytes, most: int) -> Bytes:
    decoded = decompressor.decompress(data, most + 1)
    if not decompressor.eof or decompressor.unused_data:
        raise FormatError("there are fewer or more data than expected")
    return decoded


def _unlzma(data: Bytes, config: Config, most: int) -> Bytes:
    form, filters = config.get("format", lzma.FORMAT_XZ), config.get("filters")
    return _whole(lzma.LZMADecompressor(form, filters=filters if form == lzma.FORMAT_RAW else None), data, most)


def _without_crc32c(data: Bytes, config: Config, most: int) -> Bytes:
    if len(data) < 4 or struct.unpack("<I", data[-4:])[0] != crc32c(data[:-4]):
        raise FormatError("the checksum is wrong")
    return data[:-4]


DECODERS: dict[str, Decoder] = {
    "blosc": _unblosc,
    "bz2": _bunzip2,
    "crc32c": _without_crc32c,
    "gzip": _by_imagecodecs("gzip_decode"),
    "lz4": _by_imagecodecs("lz4_decode", header=True),
    "lzma": _unlzma,
    "zlib": _by_imagecodecs("zlib_decode"),
    "zstd": _by_imagecodecs("zstd_decode"),
}

"""Codecs from bytes to bytes that are not in the kernels: imagecodecs and the standard library undo them.

All of them drop the GIL, none starts threads of its own, and none may decode to more than it was told.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from bfio._kernels import crc32c
from bfio.errors import FormatError
from bfio.omezarr.arraymeta import Chain

__all__ = ["decoder_of"]

Decode = Callable[[bytes, int], bytes]
"""Decode bytes, to at most so many."""

_LZMA_RAW = 3
_LZMA_MEMORY = 1 << 30
"""A header may ask for a dictionary of 4 GiB."""
_MOST_MEMBERS = 1 << 12
"""Streams one behind the other: each costs a copy of what follows it."""


def decoder_of(chain: Chain) -> Decode:
    """Undo a chain: a function of the encoded bytes of a chunk and the byte count it must decode to.

    The function raises a FormatError for damaged bytes.
    """
    steps = [_STEPS[name](config) for name, config in zip(chain.names, chain.config, strict=True)]

    def decode(data: bytes, nbytes: int) -> bytes:
        for number, step in enumerate(reversed(steps)):
            last = number == len(steps) - 1
            try:
                data = step(data, nbytes if last else 2 * nbytes + (1 << 16))
            except (FormatError, MemoryError, ImportError):
                raise
            except Exception as error:
                raise FormatError(f"the data are corrupt ({str(error) or type(error).__name__})") from error
        if len(data) != nbytes:
            raise FormatError(f"the data decode to {len(data)} bytes, not to {nbytes}")
        return data

    return decode


def _too_long(found: int, limit: int) -> FormatError:
    return FormatError(f"the data decode to {found} bytes or more, but at most {limit} belong there")


def _blosc(_: Mapping[str, Any]) -> Decode:
    """The header tells versions, flags, type size, and three uint32: decoded, block's and encoded bytes."""
    import imagecodecs

    def decode(data: bytes, limit: int) -> bytes:
        if len(data) < 16 or int.from_bytes(data[12:16], "little") != len(data):
            raise FormatError("the data are corrupt (not as long as the header of blosc says)")
        decoded = int.from_bytes(data[4:8], "little")
        if decoded > limit:
            raise _too_long(decoded, limit)
        if not decoded:
            return b""
        found = imagecodecs.blosc_decode(data, numthreads=1)
        return bytes(found)

    return decode


def _lz4(_: Mapping[str, Any]) -> Decode:
    """The codec of numcodecs puts the decoded byte count in front, as a uint32."""
    import imagecodecs

    def decode(data: bytes, limit: int) -> bytes:
        if len(data) < 4:
            raise FormatError("the data end too early")
        decoded = int.from_bytes(data[:4], "little")
        if decoded > limit:
            raise _too_long(decoded, limit)
        return bytes(imagecodecs.lz4_decode(data[4:], out=decoded)) if decoded else b""

    return decode


def _inflate(wbits: int) -> Callable[[Mapping[str, Any]], Decode]:
    def make(_: Mapping[str, Any]) -> Decode:
        def decode(data: bytes, limit: int) -> bytes:
            return _members(lambda: zlib.decompressobj(wbits), data, limit, several=wbits != zlib.MAX_WBITS)

        return decode

    return make


def _gzip(config: Mapping[str, Any]) -> Decode:
    """One member by imagecodecs, which is faster; zlib takes several, and names what is wrong."""
    import imagecodecs

    slow = _inflate(16 + zlib.MAX_WBITS)(config)

    def decode(data: bytes, limit: int) -> bytes:
        if len(data) >= 18 and int.from_bytes(data[-4:], "little") == limit:
            try:
                found = imagecodecs.gzip_decode(data, out=limit)
            except Exception:  # noqa: BLE001 - zlib decides
                return slow(data, limit)
            if len(found) == limit:
                return bytes(found)
        return slow(data, limit)

    return decode


def _bz2(_: Mapping[str, Any]) -> Decode:
    return lambda data, limit: _members(bz2.BZ2Decompressor, data, limit, several=True)


def _lzma(config: Mapping[str, Any]) -> Decode:
    form = config.get("format", lzma.FORMAT_XZ)
    raw = form == _LZMA_RAW
    options = {"filters": config.get("filters")} if raw else {"memlimit": _LZMA_MEMORY}

    def decode(data: bytes, limit: int) -> bytes:
        several = form == lzma.FORMAT_XZ
        return _members(lambda: lzma.LZMADecompressor(form, **options), data, limit, several=several)

    return decode


def _members(make: Callable[[], Any], data: bytes, limit: int, *, several: bool) -> bytes:
    """All streams of `data`, one behind the other, or the first; each must be complete."""
    parts: list[bytes] = []
    left = limit
    while data or not parts:
        stream = make()
        part = stream.decompress(data, left + 1)
        if len(part) > left:
            raise _too_long(limit + 1, limit)
        if not stream.eof:
            raise FormatError("the data end too early")
        parts.append(part)
        left -= len(part)
        data = stream.unused_data
        if not several:  # nobody refuses what follows
            break
        if len(parts) == _MOST_MEMBERS:
            raise FormatError(f"the data have more than {_MOST_MEMBERS} parts")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _zstd(_: Mapping[str, Any]) -> Decode:
    import imagecodecs

    def decode(data: bytes, limit: int) -> bytes:
        found = imagecodecs.zstd_decode(data, out=limit)
        return bytes(found)

    return decode


def _crc32c(_: Mapping[str, Any]) -> Decode:
    def decode(data: bytes, limit: int) -> bytes:
        if len(data) < 4:
            raise FormatError("the data end too early")
        body = data[:-4]
        if crc32c(body) != int.from_bytes(data[-4:], "little"):
            raise FormatError("the checksum is wrong")
        return body

    return decode


_STEPS: dict[str, Callable[[Mapping[str, Any]], Decode]] = {
    "blosc": _blosc,
    "bz2": _bz2,
    "crc32c": _crc32c,
    "gzip": _gzip,
    "lz4": _lz4,
    "lzma": _lzma,
    "zlib": _inflate(zlib.MAX_WBITS),
    "zstd": _zstd,
}

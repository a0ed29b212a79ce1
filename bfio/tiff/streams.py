"""The size that an image stream (JPEG, PNG, ...) claims in its own header, looked up before a decoder believes it."""

from __future__ import annotations

import struct

from bfio.enums import Compression
from bfio.errors import FormatError, LimitError

__all__ = ["IMAGE_CODECS", "check_claim", "claimed_size"]

Size = tuple[int, int] | None
"""Width and height."""

IMAGE_CODECS = frozenset(
    {
        Compression.OLD_JPEG,
        Compression.JPEG,
        Compression.JPEG_99,
        Compression.JPEGXR_NDPI,
        Compression.APERIO_JP2000_YCBC,
        Compression.JPEG_2000_LOSSY,
        Compression.APERIO_JP2000_RGB,
        Compression.ALT_JPEG,
        Compression.JPEG2000,
        Compression.JPEG_LOSSY,
        Compression.LERC,
        Compression.PNG,
        Compression.JPEGXR,
        Compression.WEBP,
        Compression.JPEGXL,
        Compression.JPEGXL_DNG,
    }
)
"""Compressions whose streams have a header with a size."""
SHORTEST = 8
"""Bytes that every stream has: its signature."""
HARMLESS = 1 << 22
"""Pixels that any stream may have, whatever the tile."""


def check_claim(compression: int, data: bytes, n_pixels: int) -> None:
    """Refuse a stream without a whole signature, or with a claim to far more pixels than its tile has.

    Decoders allocate what is claimed, and imagecodecs compares signatures without a look at the length.

    Raises
    ------
    FormatError, LimitError
    """
    if compression not in IMAGE_CODECS:
        return
    if len(data) < SHORTEST:
        raise FormatError(f"a stream of {len(data)} bytes is no image")
    try:
        size = claimed_size(data)
    except (struct.error, IndexError):  # cut short: the decoder says it better
        return
    if size is not None and size[0] * size[1] > max(2 * n_pixels, HARMLESS):
        raise LimitError(f"the stream claims {size[0]} x {size[1]} pixels, but the tile has {n_pixels}")


def claimed_size(data: bytes) -> Size:
    """Width and height in the header of a stream; None for what is not known, or has none."""
    if data[:2] == b"\xff\xd8":
        return _jpeg(data)
    if data[:4] == b"\xff\x4f\xff\x51" or data[4:8] == b"jP  ":
        return _jpeg2000(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _pair(">II", data, 16)
    if data[8:12] == b"WEBP":
        return _webp(data)
    if data[:2] == b"\xff\x0a" or data[4:8] == b"JXL ":
        return _jpegxl(data)
    if data[:3] == b"II\xbc":
        return _jpegxr(data)
    return _lerc(data) if data[:6] == b"Lerc2 " else None


def _pair(form: str, data: bytes, position: int) -> tuple[int, int]:
    first, second = struct.unpack_from(form, data, position)
    return first, second


def _jpeg(data: bytes) -> Size:
    """Largest frame: markers SOF0 to SOF15 without DHT, JPG and DAC (ITU T.81, B.2.2)."""
    position, largest = 2, (0, 0)
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            position = data.find(b"\xff", position)
            if position < 0:
                break
        marker = data[position + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD9:
            position += 1 if marker == 0xFF else 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = _pair(">HH", data, position + 5)
            largest = max(largest, (width, height), key=lambda size: size[0] * size[1])
        if marker == 0xDA:
            break
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    return largest if largest != (0, 0) else None


def _jpeg2000(data: bytes) -> Size:
    """Image area of the SIZ marker (ITU T.800, A.5.1)."""
    place = data.find(b"\xff\x4f\xff\x51")
    if place < 0:
        return None
    x_stop, y_stop = _pair(">II", data, place + 8)
    x_start, y_start = _pair(">II", data, place + 16)
    return max(x_stop - x_start, 0), max(y_stop - y_start, 0)


def _webp(data: bytes) -> Size:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = _pair("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _jpegxl(data: bytes) -> Size:
    """SizeHeader of the codestream (ISO 18181-1): the first bits after its mark."""
    if data[:2] == b"\xff\x0a":
        place = 0
    else:
        box = max(data.find(b"jxlc\xff\x0a"), data.find(b"jxlp\0\0\0\0\xff\x0a"), data.find(b"jxlp\x80\0\0\0\xff\x0a"))
        if box < 0:
            return None
        place = data.index(b"\xff\x0a", box)
    bits, used = int.from_bytes(data[place + 2 : place + 14], "little"), 0

    def take(n: int) -> int:
        nonlocal used
        used += n
        return bits >> (used - n) & ((1 << n) - 1)

    small = take(1)

    def side() -> int:
        return 8 * (take(5) + 1) if small else 1 + take((9, 13, 18, 30)[take(2)])

    height = side()
    ratio = take(3)
    if ratio == 0:
        return side(), height
    up, down = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
    return height * up // down, height


def _jpegxr(data: bytes) -> Size:
    """IMAGE_WIDTH and IMAGE_HEIGHT of the container, which is laid out like a TIFF file (ITU T.832, annex A)."""
    (place,) = struct.unpack_from("<I", data, 4)
    (n_entries,) = struct.unpack_from("<H", data, place)
    found = {}
    for position in range(place + 2, place + 2 + 12 * n_entries, 12):
        tag, kind, _, value = struct.unpack_from("<HHII", data, position)
        found[tag] = value & 0xFFFF if kind == 3 else value
    return (found[0xBC80], found[0xBC81]) if 0xBC80 in found and 0xBC81 in found else None


def _lerc(data: bytes) -> Size:
    """Version 2: rows and columns after the version and, from 3 on, the checksum."""
    (version,) = struct.unpack_from("<i", data, 6)
    rows, cols = _pair("<ii", data, 14 if version >= 3 else 10)
    return max(cols, 0), max(rows, 0)

"""Zstandard frames by hand (RFC 8878): with a checksum, without a size, of blocks of any kind; a body is its blocks."""

import struct

MAGIC = b"\x28\xb5\x2f\xfd"
SKIPPABLE = b"\x53\x2a\x4d\x18" + struct.pack("<I", 5) + b"notes"
CHECKSUM, SINGLE_SEGMENT = 4, 32
MASK = (1 << 64) - 1
PRIMES = (
    11400714785074694791,
    14029467366897019727,
    1609587929392839161,
    9650029242287828579,
    2870177450012600261,
)


def body(frame):
    """The blocks of a frame without checksum and dictionary."""
    descriptor = frame[4]
    single = bool(descriptor & SINGLE_SEGMENT)
    size_nbytes = (single, 2, 4, 8)[descriptor >> 6]
    return frame[5 + (not single) + size_nbytes :]


def raw_block(data, last=False):
    return (len(data) << 3 | last).to_bytes(3, "little") + data


def rle_block(value, n, last=False):
    return (n << 3 | 1 << 1 | last).to_bytes(3, "little") + value


def frame(blocks, size=None, content=None):
    """A frame of a window of 1 MiB; with ``content`` its checksum follows."""
    descriptor = (0 if size is None else 3 << 6) | (0 if content is None else CHECKSUM)
    header = bytes([descriptor, 10 << 3]) + (b"" if size is None else struct.pack("<Q", size))
    end = b"" if content is None else struct.pack("<I", xxh64(content) & 0xFFFFFFFF)
    return MAGIC + header + blocks + end


def _turn(value, n):
    value &= MASK
    return (value << n | value >> (64 - n)) & MASK


def _round(lane, value):
    return _turn(lane + value * PRIMES[1], 31) * PRIMES[0] & MASK


def xxh64(data):
    """XXH64 of seed 0, as its specification has it."""
    first, second, third, fourth, fifth = PRIMES
    n_long = len(data) // 32
    if n_long:
        lanes = [first + second, second, 0, -first]
        for number, value in enumerate(struct.unpack(f"<{4 * n_long}Q", data[: 32 * n_long])):
            lanes[number % 4] = _round(lanes[number % 4], value)
        value = sum(_turn(lane, n) for lane, n in zip(lanes, (1, 7, 12, 18), strict=True))
        for lane in lanes:
            value = ((value ^ _round(0, lane)) * first + fourth) & MASK
    else:
        value = fifth
    value = (value + len(data)) & MASK
    rest = data[32 * n_long :]
    while len(rest) >= 8:
        value = _turn(value ^ _round(0, int.from_bytes(rest[:8], "little")), 27) * first + fourth
        rest = rest[8:]
    if len(rest) >= 4:
        value = _turn(value ^ int.from_bytes(rest[:4], "little") * first, 23) * second + third
        rest = rest[4:]
    for byte in rest:
        value = _turn(value ^ byte * fifth, 11) * first
    value &= MASK
    value = (value ^ value >> 33) * second & MASK
    value = (value ^ value >> 29) * third & MASK
    return value ^ value >> 32

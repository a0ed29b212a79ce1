"""Deflate of noisy pixels: the default where a tile is large and holds no long copies."""

import zlib

import numpy as np
import pytest
from kernel_cases import guarded

from _tilecodec import compress, decompress
from bfio._kernels import Status

pytestmark = pytest.mark.skipif(not compress.has_compressor(8), reason="no deflate in this build")
LEAST = 1 << 18


def pixels(size, seed=0, deep=True, spread=12.0):
    """Camera noise around a level, as bytes of 16-bit or 8-bit pixels."""
    rng = np.random.default_rng(seed)
    values = np.clip(rng.normal(300 if deep else 120, spread, size), 0, 255 if not deep else 65535)
    return values.astype("<u2" if deep else "u1").tobytes()[:size]


def half_and_half(size, first, second):
    """Samples stand at one and three quarters: the rest is of another kind."""
    data = bytearray(first(size))
    for start in (0, size * 3 // 8, size * 7 // 8):
        data[start : start + size // 8] = second(size // 8)
    return bytes(data)


def uniform(size):
    return np.random.default_rng(1).integers(0, 256, size, np.uint8).tobytes()


CASES = {
    "16 bits": pixels(LEAST + 3),
    "8 bits": pixels(2 * LEAST + 1, deep=False),
    "little noise": pixels(LEAST, spread=0.6),
    "much noise": pixels(LEAST + 2, spread=4000),
    "nothing to gain": uniform(LEAST + 1),
    "one value": bytes(LEAST),
    "bits": (np.frombuffer(uniform(LEAST), np.uint8) & 1).tobytes(),
    "not as sampled": half_and_half(4 * LEAST, pixels, uniform),
    "sampled in vain": half_and_half(4 * LEAST, pixels, lambda n: bytes(n)),
    "zeros sampled": half_and_half(4 * LEAST, lambda n: bytes(n), pixels),
    "predicted": np.diff(np.frombuffer(pixels(2 * LEAST), "<u2"), prepend=np.uint16(0)).tobytes(),
}


@pytest.mark.parametrize("name", CASES)
def test_everyone_reads_it(name):
    data = CASES[name]
    status, encoded = compress.compress(8, -1, data)
    assert status == Status.OK
    assert zlib.decompress(encoded) == data
    assert decompress.decompress(8, encoded, len(data)) == (Status.OK, data)
    assert len(encoded) <= compress.bound(8, len(data))


def test_it_is_what_noise_gets_and_is_not_large():
    data = CASES["predicted"]
    _, encoded = compress.compress(8, -1, data)
    assert encoded[2] & 7 == 0b101, "one block, the last one, with codes of its own"
    assert len(encoded) < 1.05 * len(zlib.compress(data, 1))


def test_sizes_around_the_least_one():
    data = pixels(LEAST + 8)
    for size in range(LEAST - 2, LEAST + 8):
        assert zlib.decompress(compress.compress(8, -1, data[:size])[1]) == data[:size]


def test_one_encoder_for_many_tiles_writes_what_a_new_one_does():
    tiles = [CASES["16 bits"], CASES["one value"], CASES["8 bits"], CASES["not as sampled"], CASES["16 bits"]]
    assert compress.compress_series(8, -1, tiles) == [compress.compress(8, -1, tile) for tile in tiles]


@pytest.mark.parametrize("name", ["16 bits", "not as sampled", "much noise"])
def test_no_byte_is_written_behind_the_room(name):
    data = CASES[name]
    n_bytes = len(compress.compress(8, -1, data)[1])
    for room in (0, 100, 30_000, n_bytes - 1, n_bytes, n_bytes + 50, compress.bound(8, len(data))):
        dst, check = guarded(room)
        status, written = compress.compress_into(8, -1, data, dst)
        check()
        assert status in (Status.OK, Status.TOO_LONG)
        assert status == Status.TOO_LONG or zlib.decompress(dst[:written].tobytes()) == data


def test_more_room_does_not_change_the_bytes():
    data = CASES["not as sampled"]
    _, encoded = compress.compress(8, -1, data)
    dst = bytearray(3 * len(data))
    status, written = compress.compress_into(8, -1, data, dst)
    assert status == Status.OK
    assert bytes(dst[:written]) == encoded

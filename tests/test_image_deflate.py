"""The deflate encoder for tiles of images: round trips through other decoders, codes at their limits, memory."""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import guarded

from _tilecodec import compress, decompress, image_deflate
from bfio._kernels import Status

pytestmark = pytest.mark.skipif(not compress.has_compressor(8), reason="a build without libdeflate")


@pytest.fixture
def rng():
    return np.random.default_rng(20)


def check_round_trip(data, row_nbytes=0):
    """How many bytes it took, once zlib and our decompressor have read them."""
    dst, check = guarded(len(data) + len(data) // 8 + 400)
    status, written = image_deflate.encode_into(data, dst, row_nbytes)
    check()
    assert status == Status.OK
    encoded = dst[:written].tobytes()
    assert zlib.decompress(encoded) == data
    assert decompress.decompress(8, encoded, len(data)) == (Status.OK, data)
    return written


def squares(rng, rows, cols, dtype):
    """A label image: overlapping rectangles, each of one value."""
    image = np.zeros((rows, cols), dtype)
    for value in range(1, 30):
        y, x = rng.integers(0, rows), rng.integers(0, cols)
        image[y : y + rng.integers(1, 40), x : x + rng.integers(1, 40)] = value * 7
    return image


@given(
    st.integers(0, 2**32), st.integers(0, 90), st.integers(1, 300), st.sampled_from(["u1", "<u2", "<f4"]),
    st.sampled_from([0, 1, 9, 4000]), st.booleans(),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_images(seed, rows, cols, dtype, noise, knows_rows):
    rng = np.random.default_rng(seed)
    image = squares(rng, rows, cols, dtype) if rows else np.zeros((0, 1), dtype)
    image += rng.integers(0, noise + 1, image.shape).astype(dtype)
    check_round_trip(image.tobytes(), cols * image.itemsize if knows_rows else 0)


@given(st.binary(max_size=2000), st.integers(1, 40), st.integers(0, 3000))
@settings(max_examples=100, deadline=None)
def test_bytes(data, n, row_nbytes):
    check_round_trip(data * n, row_nbytes)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 257, 258, 259, 260, 273, 274, 275, 276, 277, 300, 516, 517, 70_001])
def test_sizes(size):
    for data in (bytes(size), b"\xff" * size, (b"abc" * size)[:size], np.random.default_rng(size).bytes(size)):
        check_round_trip(data)


def test_copies_of_each_length_and_distance(rng):
    """A copy of each even length, of each power of two as distance and its neighbours."""
    past = rng.integers(0, 256, 1 << 17, np.uint8).tobytes()
    for distance in {min(2**k + d, 1 << 15) for k in range(3, 16) for d in (-2, 0, 2)}:
        check_round_trip(past[:distance] * 2 + past[-1000:], distance)
    pieces = b"".join(past[:n] + past[1000 + 5 * n :][:7] for n in range(3, 270))
    assert check_round_trip(past[:1000] + pieces) < len(pieces) // 3


def test_more_sequences_than_a_block_holds(rng):
    words = rng.integers(0, 256, (64, 8), np.uint8)
    data = words[rng.integers(0, 64, 90_000)].tobytes()
    assert check_round_trip(data) < len(data) // 3


@pytest.mark.parametrize("ratio", [1.3, 2.0, 3.0])
def test_codes_longer_than_deflate_allows(ratio, rng):
    """Counts that grow like this give a Huffman tree deeper than 15."""
    counts = np.minimum(ratio ** np.arange(40), 20_000).astype(int)
    data = rng.permutation(np.repeat(np.arange(40, dtype=np.uint8) * 5, counts)).tobytes()
    check_round_trip(data)


def test_room(rng):
    """Less room than needed: TOO_LONG, and nothing is written behind it."""
    for data in (bytes(5000), rng.bytes(3000), squares(rng, 50, 70, "u2").tobytes()):
        needed = check_round_trip(data)
        for room in {*range(20), needed // 2, *range(needed - 20, needed + 30)}:
            dst, check = guarded(room)
            status, written = image_deflate.encode_into(data, dst)
            check()
            assert status == (Status.OK if room >= needed + 24 else status) and status in (Status.OK, Status.TOO_LONG)
            assert status == Status.TOO_LONG or zlib.decompress(dst[:written].tobytes()) == data


def test_labels_shrink_as_with_zlib(rng):
    image = np.tile(squares(rng, 80, 70, "<u2"), (5, 6)) + squares(rng, 400, 420, "<u2")
    data = image.tobytes()
    knowing = check_round_trip(data, 840)
    assert knowing < 0.8 * len(zlib.compress(data, 1))
    assert knowing <= check_round_trip(data)


def test_noise_grows_little(rng):
    assert check_round_trip(rng.bytes(100_000)) < 100_300

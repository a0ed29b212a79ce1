"""Zstandard frames that are decoded only as far as somebody looks: the same bytes, and the same frames refused."""

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zstd_frames import SKIPPABLE, body, frame, raw_block, rle_block, xxh64

from _tilecodec import zstd_decoder
from bfio import _kernels
from bfio._kernels import Status

pytestmark = pytest.mark.skipif(not _kernels.has_decompressor(50000), reason="no zstd in this build")

BLOCK = 1 << 17
SIZE = 5 * BLOCK + 1000
MANY = 9 * BLOCK


def pixels(nbytes=SIZE, seed=0):
    """Blocks of all kinds: of few values, of one value, and of noise."""
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 30, nbytes // 2 + 1).astype(np.uint16).tobytes()[:nbytes]
    return data[:BLOCK] + bytes(BLOCK) + rng.bytes(BLOCK) + data[3 * BLOCK :]


DATA = pixels()
FRAME = bytes(imagecodecs.zstd_encode(DATA, level=1))


def start(src, wanted, nbytes=SIZE):
    """Status and bytes; through an array, so that a sanitizer sees each read behind the end of the stream."""
    return zstd_decoder.decode(np.frombuffer(src, np.uint8).copy(), nbytes, wanted)


def n_decoded(out):
    """Bytes up to the last that is not zero."""
    return len(out.rstrip(b"\0"))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, SIZE), st.sampled_from([1, 3, 9, 19]))
def test_a_start_is_that_of_the_whole(wanted, level):
    status, out = start(bytes(imagecodecs.zstd_encode(DATA, level=level)), wanted)
    assert status == Status.OK
    assert out[:wanted] == DATA[:wanted]


@pytest.mark.parametrize("wanted", [1, 1000, BLOCK])
def test_no_block_is_decoded_that_nobody_wants(wanted):
    status, out = start(FRAME, wanted)
    assert (status, out[:BLOCK]) == (Status.OK, DATA[:BLOCK])
    assert n_decoded(out) < 3 * BLOCK  # some versions of zstd use what lies behind the block


def test_as_many_blocks_as_are_wanted_whatever_their_size():
    parts = [bytes([value]) * 1000 for value in range(1, 251)] + [b"z" * (MANY - 250_000 - BLOCK), b"end" * BLOCK]
    parts[-1] = parts[-1][:BLOCK]
    parts[250:251] = [parts[250][at : at + BLOCK] for at in range(0, len(parts[250]), BLOCK)]
    content = b"".join(parts)
    blocks = b"".join(raw_block(part) for part in parts[:-1]) + raw_block(parts[-1], last=True)
    assert len(content) == MANY
    for wanted in (1, 999, 1000, 1001, 123_456):
        status, out = start(frame(blocks, MANY), wanted, MANY)
        assert status == Status.OK
        assert out[:wanted] == content[:wanted]
        assert n_decoded(out) == -(-wanted // 1000) * 1000


def test_what_is_worth_it():
    for nbytes in (1, 100, BLOCK - 1, BLOCK, BLOCK + 1):
        assert not any(
            zstd_decoder.stops_early(nbytes, wanted) for wanted in {1, nbytes // 2, nbytes - 1, nbytes} - {0}
        )
    for n_blocks, n_most in ((2, 1), (8, 6), (9, 7), (80, 69)):
        for n in range(1, n_blocks + 1):
            assert [zstd_decoder.stops_early(n_blocks * BLOCK, n * BLOCK + more) for more in (-BLOCK + 1, 0)] == (
                [n <= n_most] * 2
            )
    assert not _kernels.stops_early(8, 8 * BLOCK, 1)
    assert _kernels.stops_early(50000, 8 * BLOCK, 1)


@pytest.mark.parametrize("wanted", [0, 1, BLOCK, 2 * BLOCK + 1, SIZE])
def test_a_frame_that_is_cut_off_is_refused_wherever_it_is(wanted):
    small = bytes(SIZE - 40) + bytes(range(40))
    whole = bytes(imagecodecs.zstd_encode(small, level=1))
    assert start(whole, wanted)[0] == Status.OK
    for nbytes in range(len(whole)):
        assert start(whole[:nbytes], wanted)[0] != Status.OK, nbytes
    for nbytes in (*range(20), *np.random.default_rng(0).integers(20, len(FRAME), 50), len(FRAME) - 1):
        assert start(FRAME[:nbytes], wanted)[0] != Status.OK, nbytes


@pytest.mark.parametrize("wanted", [1, BLOCK, SIZE])
def test_bytes_behind_the_frame_are_refused_but_not_frames(wanted):
    assert start(FRAME + b"\0", wanted)[0] != Status.OK
    assert start(FRAME + FRAME, wanted)[0] == Status.TOO_LONG
    for data in (FRAME + SKIPPABLE, SKIPPABLE + FRAME, SKIPPABLE + FRAME + SKIPPABLE):
        status, out = start(data, wanted)
        assert (status, out) == (Status.OK, DATA)
        assert start(data[:-1], wanted)[0] != Status.OK
    halves = [bytes(imagecodecs.zstd_encode(part, level=1)) for part in (DATA[: 2 * BLOCK], DATA[2 * BLOCK :])]
    assert start(b"".join(halves), wanted) == (Status.OK, DATA)
    assert start(halves[0], wanted)[0] == Status.TOO_SHORT
    assert start(halves[0] + halves[1][:-1], wanted)[0] != Status.OK


@pytest.mark.parametrize("wanted", [1, BLOCK, SIZE])
def test_a_frame_of_another_size_is_refused(wanted):
    assert start(FRAME, wanted, SIZE - 1)[0] == Status.TOO_LONG
    assert start(FRAME, wanted, SIZE + 1)[0] == Status.TOO_SHORT
    blocks = rle_block(b"a", BLOCK) + rle_block(b"b", BLOCK, last=True)
    assert start(frame(blocks, SIZE), 3 * BLOCK)[0] != Status.OK  # it holds less than it says


@pytest.mark.parametrize("wanted", [1, BLOCK, SIZE])
def test_a_frame_without_a_size(wanted):
    assert start(frame(body(FRAME)), wanted) == (Status.OK, DATA)
    assert start(frame(body(FRAME)), wanted, SIZE - 1)[0] == Status.TOO_LONG
    assert start(frame(body(FRAME)), wanted, SIZE + 1)[0] == Status.TOO_SHORT


@pytest.mark.parametrize("size", [None, SIZE])
@pytest.mark.parametrize("wanted", [1, BLOCK, SIZE])
def test_a_checksum_is_verified(size, wanted):
    assert xxh64(b"") == 0xEF46DB3751D8E999
    good = frame(body(FRAME), size, DATA)
    assert start(good, wanted) == (Status.OK, DATA)
    assert start(good[:-1], wanted)[0] != Status.OK
    for place in (-1, -4):
        bad = bytearray(good)
        bad[place] ^= 1
        assert start(bytes(bad), wanted)[0] == Status.CORRUPT


def test_blocks_of_no_kind_and_without_end_are_refused_wherever_they_are():
    good = rle_block(b"a", BLOCK) * 5
    for bad in (b"\x07\0\0", rle_block(b"b", 1000), raw_block(bytes(1000)), rle_block(b"b", 1000, last=True)[:-1]):
        assert start(frame(good + bad, SIZE), 1)[0] != Status.OK


def test_what_is_damaged_where_somebody_looks_is_refused_or_decoded():
    rng = np.random.default_rng(1)
    for _ in range(300):
        bad = bytearray(FRAME)
        bad[rng.integers(len(bad))] ^= 1 << rng.integers(8)
        wanted = int(rng.integers(SIZE))
        status, out = start(bytes(bad), wanted)
        whole_status, whole = start(bytes(bad), SIZE)
        assert status == whole_status or status == Status.OK
        assert status != Status.OK or whole_status != Status.OK or out[:wanted] == whole[:wanted]

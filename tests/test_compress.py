"""The compressors: what they write, our decompressors and those of others give back; memory, levels, determinism."""

import threading
import zlib

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import guarded

from _tilecodec import compress, decompress
from bfio import _kernels
from bfio._kernels import Status

OTHERS = {
    1: bytes,
    5: imagecodecs.lzw_decode,
    8: zlib.decompress,
    32773: imagecodecs.packbits_decode,
    32946: imagecodecs.deflate_decode,
    50000: imagecodecs.zstd_decode,
}
"""Compressions, with a decoder that is not ours."""
LEVELS = {8: range(-1, 13), 32946: [-1], 50000: [*range(-7, 20, 3), 22]}
NATIVE = [number for number in OTHERS if compress.has_compressor(number)]
SETTINGS = [(number, level) for number in NATIVE for level in LEVELS.get(number, [-1])]


def cells(size, seed=0):
    """Bytes like those of a label image, with some noise: long runs, rows that repeat."""
    rng = np.random.default_rng(seed)
    row = np.repeat(rng.integers(0, 300, 40), rng.integers(1, 60, 40)).astype("<u2")
    rows = np.tile(row, size // (2 * len(row)) + 1)[: size // 2 + 1].copy()
    rows[rng.integers(0, len(rows), len(rows) // 200 + 1)] += 1
    return rows.tobytes()[:size]


def noise(size, seed=0, top=256):
    return np.random.default_rng(seed).integers(0, top, size, np.uint8).tobytes()


DATA = st.one_of(
    st.binary(max_size=300),
    st.builds(cells, st.integers(0, 100_000), st.integers(0, 99)),
    st.builds(noise, st.integers(0, 100_000), st.integers(0, 99), st.sampled_from([2, 17, 256])),
    st.builds(lambda value, n: bytes([value]) * n, st.integers(0, 255), st.integers(0, 100_000)),
)


def check_round_trip(compression, level, data, row_nbytes=0):
    """The compressed bytes, once ours and another decoder have read them, and the bound has held."""
    status, encoded = compress.compress(compression, level, data, row_nbytes)
    assert status == Status.OK
    assert len(encoded) <= compress.bound(compression, len(data))
    assert decompress.decompress(compression, encoded, len(data)) == (Status.OK, data)
    if data:
        assert OTHERS[compression](encoded) == data
    return encoded


@pytest.mark.parametrize("compression", NATIVE)
@settings(max_examples=60, deadline=None)
@given(data=DATA, level=st.data())
def test_round_trip(compression, data, level):
    check_round_trip(compression, level.draw(st.sampled_from(LEVELS.get(compression, [-1]))), data)


@pytest.mark.parametrize(("compression", "level"), SETTINGS)
def test_every_level(compression, level):
    for data in (b"", b"a", noise(70_000), cells(70_000), bytes(70_000)):
        check_round_trip(compression, level, data)


@pytest.mark.parametrize(("compression", "level"), SETTINGS)
def test_a_little_room(compression, level):
    """Whatever the room, nothing is written behind it: what fits is right, what does not is TOO_LONG."""
    for data in (noise(3000), cells(9000), b"", b"xy" * 3):
        _, encoded = compress.compress(compression, level, data)
        for room in {*range(12), len(encoded) // 2, *range(max(len(encoded) - 9, 0), len(encoded) + 9)}:
            dst, check = guarded(room)
            status, written = compress.compress_into(compression, level, data, dst)
            check()
            assert status in (Status.OK, Status.TOO_LONG)
            if status == Status.OK:
                assert decompress.decompress(compression, dst[:written].tobytes(), len(data)) == (Status.OK, data)
            assert status == Status.OK or room < compress.bound(compression, len(data))


@pytest.mark.parametrize(("compression", "level"), SETTINGS)
def test_same_bytes_whatever_came_before(compression, level):
    """One compressor for many tiles, one for each, and other memory under them: the bytes are the same."""
    between = noise(8000, 5, 3) + cells(60_000, 6)[:8000] + noise(8000, 7, 60)
    sources = [cells(60_000, 1), noise(30_000, 2), noise(60_000, 3, 9), cells(50_000, 4), b"", bytes(70_000), between]
    wanted = {data: compress.compress(compression, level, data)[1] for data in sources}
    for order in (sources, sources[::-1], sources[2:] + sources[:2] * 2):
        done = compress.compress_series(compression, level, order)
        assert done == [(Status.OK, wanted[data]) for data in order]


@pytest.mark.skipif(8 not in NATIVE, reason="no deflate in this build")
@pytest.mark.parametrize("level", [1, 2, 3])
def test_same_bytes_wherever_the_encoder_stands(level):
    """ISA-L up to 2.30 hashes an address: one small tile in 5,000 differed between two encoders."""
    steps = np.random.default_rng(level).integers(-2, 3, (8000, 600))
    tiles = [tile[: 30 + n % 570].tobytes() for n, tile in enumerate(np.cumsum(steps, axis=1).astype(np.uint8))]
    wanted = compress.compress_series(8, level, tiles)
    assert [compress.compress(8, level, tile) for tile in tiles] == wanted  # each by an encoder of its own


@pytest.mark.parametrize("compression", NATIVE)
def test_same_bytes_from_any_thread(compression):
    sources = [cells(60_000, 1), noise(30_000, 2), noise(60_000, 3, 9)]
    wanted = [compress.compress(compression, -1, data) for data in sources]
    start, same = threading.Barrier(3), []

    def work(order):
        start.wait(10)
        done = compress.compress_series(compression, -1, [sources[i] for i in order])
        same.extend(answer == wanted[i] for i, answer in zip(order, done, strict=True))

    threads = [threading.Thread(target=work, args=(order,)) for order in ([0, 1, 2, 0], [2, 2, 1, 0], [1, 0, 1, 0])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert same == [True] * 12


@pytest.mark.parametrize(("compression", "level"), [(8, -2), (8, 13), (50000, -8), (50000, 23)])
def test_levels_that_are_none(compression, level):
    wanted = Status.BAD_TASK if compression in NATIVE else Status.NO_CODEC
    assert compress.compress(compression, level, b"abc") == (wanted, b"")


@pytest.mark.parametrize("compression", [0, 2, 7, 34925, 65535])
def test_compressions_without_a_kernel(compression):
    assert not _kernels.has_compressor(compression)
    assert compress.compress(compression, -1, b"abc") == (Status.NO_CODEC, b"")


def test_what_a_build_has_agrees_with_what_it_says():
    info = _kernels.build_info()
    assert (info["libdeflate"] is not None) == (8 in NATIVE) == (32946 in NATIVE)
    assert (info["zstd"] is not None) == (50000 in NATIVE)
    assert "isal" in info
    for compression in NATIVE:
        assert decompress.has_decompressor(compression)
    assert {1, 5, 32773} <= set(NATIVE)


def test_door():
    with pytest.raises(TypeError):
        compress.compress(1, -1, None)
    with pytest.raises(BufferError, match="writable"):
        compress.compress_into(1, -1, b"abc", bytes(3))


@pytest.mark.parametrize("row_nbytes", [1, 2, 7, 128, 129, 1000])
def test_packbits_packs_each_row_by_itself(row_nbytes):
    for data in (bytes(1000), noise(1000), cells(1000)):
        encoded = check_round_trip(32773, -1, data, row_nbytes)
        rows = [data[i : i + row_nbytes] for i in range(0, 1000, row_nbytes)]
        assert encoded == b"".join(compress.compress(32773, -1, row)[1] for row in rows)
        assert len(encoded) <= sum(len(row) + -(-len(row) // 128) for row in rows)  # TIFF 6.0, section 9


def test_packbits_example():
    # that of Apple's technical note 1023
    data = bytes.fromhex("AAAAAA80002AAAAAAAAA80002A22" + "AA" * 10)
    assert compress.compress(32773, -1, data) == (0, bytes.fromhex("FEAA0280002AFDAA0380002A22F7AA"))


@pytest.mark.parametrize("first", [250, 506, 765, 1018, 2042, 3830, 7670])
def test_lzw_where_the_codes_grow_and_start_anew(first):
    """Each pair of bytes occurs once, so that each byte is a code: the ends fall on every place around the changes."""
    pairs = np.arange(256, dtype=np.uint8)
    data = np.concatenate([np.cumsum(np.full(256, step, np.uint8), dtype=np.uint8) for step in pairs[1::2]]).tobytes()
    for size in range(first, first + 16):
        check_round_trip(5, -1, data[:size])
    codes = 8 * len(compress.compress(5, -1, data[:first])[1]) / first
    assert codes > 8.9, "strings are repeated"


def test_lzw_is_that_of_libtiff():
    """Where no Clear comes early in theirs, the bytes are the same."""
    for data in (b"", b"a", bytes(70_000), cells(20_000), noise(3000)):
        if data:
            assert compress.compress(5, -1, data)[1] == imagecodecs.lzw_encode(data)
    assert compress.compress(5, -1, b"")[1] == bytes.fromhex("80 40 40".replace(" ", ""))


@pytest.mark.skipif(50000 not in NATIVE, reason="no zstd in this build")
def test_zstd_level_1_hastens_through_noise_alone():
    """Noise is not much larger than by zstd itself, and what is not noise is not changed by it."""
    values = np.random.default_rng(5).normal(0, 12, 300_000).astype("<i2").tobytes()
    tiles = [values, cells(300_000), values[:40_000], cells(40_000)]
    ours = compress.compress_series(50000, 1, tiles)
    for tile, (status, encoded) in zip(tiles, ours, strict=True):
        assert status == Status.OK
        assert imagecodecs.zstd_decode(encoded) == tile
        assert len(encoded) < 1.04 * len(imagecodecs.zstd_encode(tile, 1)) + 50
    assert ours == [compress.compress(50000, 1, tile) for tile in tiles]
    assert ours == compress.compress_series(50000, -1, tiles)

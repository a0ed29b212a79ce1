"""Damaged chunks and shards: an error that names array, chunk and file; never zeros, never other pixels unnoticed."""

import contextlib
import os
import pickle
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from zarr_arrays import ENCODE, open_array, read, tczyx, whole_box, write_array

from bfio import Limits
from bfio.errors import BfioError, ChunkDecodeError, FormatError, LimitError, TileDecodeError, UnsupportedError
from bfio.omezarr.arraymeta import Chain, Route

IMAGE = np.random.default_rng(0).integers(0, 50, (4, 40, 40)).astype(np.uint16)
CODED = [("zlib",), ("zstd",), ("gzip",), ("blosc",), ("lz4",), ("bz2",), ("lzma",), ("crc32c",), ("zstd", "crc32c")]
KEY = "c/1/0/1"


@pytest.fixture(scope="module", autouse=True)
def small_chunks_are_cached_too():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bfio.omezarr.fastread.CACHED_NBYTES", 0)
        yield


def make(folder, codecs=("zstd",), shard=None, **how):
    meta, expected = write_array(folder, IMAGE, (2, 16, 16), shard, codecs, **how)
    return meta, tczyx(expected, "zyx")


def read_all(folder, meta, five, **how):
    return read(open_array(folder, meta, **how), "zyx", whole_box(five), five.dtype)


def refused(folder, meta, five, match=None, path=KEY, **how):
    with pytest.raises(TileDecodeError, match=match) as caught:
        read_all(folder, meta, five, **how)
    error = caught.value
    assert isinstance(error, ChunkDecodeError)
    assert str(folder / path) in str(error)
    assert "array ''" in str(error) and f"chunk {error.chunk}" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.chunk, again.tile, again.path) == (str(error), error.chunk, error.tile, error.path)
    return error


@pytest.mark.parametrize("codecs", [(), *CODED])
def test_a_chunk_that_is_cut_off_empty_or_too_long(tmp_path, codecs):
    meta, five = make(tmp_path, codecs)
    path = tmp_path / KEY
    data = path.read_bytes()
    for nbytes in (0, 1, 3, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:nbytes])
        error = refused(tmp_path, meta, five, "it is empty" if not nbytes else None)
        assert (error.chunk, error.tile, error.array) == ((1, 0, 1), 10, "")
    path.write_bytes(data + b"\0" * 5)
    if codecs != ("zlib",):  # whose end is known: nobody refuses what follows
        refused(tmp_path, meta, five)
    assert codecs != ("zlib",) or np.array_equal(read_all(tmp_path, meta, five), five)
    path.write_bytes(data * 3000)
    refused(tmp_path, meta, five, "bytes")
    path.write_bytes(data)
    assert_array_equal(read_all(tmp_path, meta, five), five)


@pytest.mark.parametrize("codecs", [(), ("zstd",), ("blosc",)])
@pytest.mark.parametrize("cache_nbytes", [0, 1 << 24])
def test_a_chunk_that_is_not_there_has_the_fill_value(tmp_path, codecs, cache_nbytes):
    meta, five = make(tmp_path, codecs, fill=9)
    (tmp_path / KEY).unlink()
    five[0, 0, 2:, :16, 16:32] = 9
    assert_array_equal(read_all(tmp_path, meta, five, cache_nbytes=cache_nbytes), five)


def test_what_stands_in_the_place_of_a_chunk(tmp_path):
    meta, five = make(tmp_path)
    path = tmp_path / KEY
    path.unlink()
    path.mkdir()
    refused(tmp_path, meta, five, "folder")
    path.rmdir()
    path.symlink_to(tmp_path / "nowhere")
    refused(tmp_path, meta, five, "link")
    path.unlink()
    os.mkfifo(path)
    started = time.monotonic()
    refused(tmp_path, meta, five, "not a file")
    assert time.monotonic() - started < 5
    path.unlink()
    path.symlink_to(tmp_path / "c/0/0/1")  # a link to a chunk is one
    five[0, 0, 2:, :16, 16:32] = five[0, 0, :2, :16, 16:32]
    assert_array_equal(read_all(tmp_path, meta, five), five)


def test_a_file_in_the_place_of_a_folder_of_chunks(tmp_path):
    meta, five = make(tmp_path)
    (tmp_path / "c/1").rename(tmp_path / "gone")
    (tmp_path / "c/1").write_bytes(b"")
    refused(tmp_path, meta, five, "Not a directory", path="c/1")


def test_an_array_that_went_away(tmp_path):
    meta, five = make(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    with pytest.raises(FormatError, match="not there any more"):
        read_all(tmp_path / "a", meta, five)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_chunk_that_may_not_be_read(tmp_path):
    meta, five = make(tmp_path)
    (tmp_path / KEY).chmod(0)
    refused(tmp_path, meta, five, "ermission")


@pytest.mark.parametrize("codecs", [("zlib",), ("gzip",), ("lz4",), ("bz2",), ("lzma",), ("crc32c",), ("zstd", "crc32c")])
def test_each_flipped_byte_of_a_chunk_is_seen_where_there_is_a_checksum(tmp_path, codecs):
    image = IMAGE[0, :12, :12]
    meta, expected = write_array(tmp_path, image, (12, 12), codecs=codecs)
    five = tczyx(expected, "yx")
    path, n_seen = tmp_path / "c/0/0", 0
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
        try:
            pixels = read(open_array(tmp_path, meta), "yx", whole_box(five), five.dtype)
        except ChunkDecodeError:
            n_seen += 1
        else:  # such as the time in the header of gzip; lz4 has no checksum
            assert codecs == ("lz4",) or (at < 10 and np.array_equal(pixels, five))
    assert n_seen > (0 if codecs == ("lz4",) else len(data) - 10)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(codecs=st.sampled_from(CODED), at=st.floats(0, 1), value=st.integers(0, 255), cut=st.booleans())
def test_only_errors_of_bfio_come_out(tmp_path, codecs, at, value, cut):
    meta, expected = write_array(tmp_path, IMAGE[0], (20, 20), (40, 40), codecs)
    path = tmp_path / "c/0/0"
    data = bytearray(path.read_bytes())
    place = int(at * (len(data) - 1))
    data[place] = value
    path.write_bytes(data[: place + 1] if cut else data)
    with contextlib.suppress(BfioError):
        read(open_array(tmp_path, meta), "yx", whole_box(tczyx(expected, "yx")), expected.dtype)


# -- shards -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index_at_end", [True, False])
@pytest.mark.parametrize("codecs", [(), ("zstd",), ("blosc",)])
def test_a_shard_that_is_cut_off(tmp_path, codecs, index_at_end):
    meta, five = make(tmp_path, codecs, (4, 32, 32), index_at_end=index_at_end)
    path = tmp_path / "c/0/0/0"
    data = path.read_bytes()
    for nbytes in (0, 1, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:nbytes])
        refused(tmp_path, meta, five, "shard|index", path="c/0/0/0")
    path.unlink()
    five[0, 0, :, :32, :32] = 0
    assert_array_equal(read_all(tmp_path, meta, five), five)


@pytest.mark.parametrize("index_at_end", [True, False])
def test_each_flipped_byte_of_an_index_is_seen(tmp_path, index_at_end):
    meta, five = make(tmp_path, shard=(4, 32, 32), index_at_end=index_at_end)
    path = tmp_path / "c/0/0/0"
    data = path.read_bytes()
    size = 16 * 8 + 4
    for at in range(size):
        place = len(data) - size + at if index_at_end else at
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        refused(tmp_path, meta, five, "checksum of the shard's index", path="c/0/0/0")


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ((1 << 60, 100), "behind its end"),
        ((0, 1 << 60), "behind its end"),
        (((1 << 64) - 1, 100), "behind its end"),
        ((0, (1 << 64) - 1), "behind its end"),
        (((1 << 64) - 2, (1 << 64) - 2), "behind its end"),
        ((5, 0), "empty"),
        ((5, 50), None),
    ],
)
def test_an_index_that_is_wrong_without_a_checksum(tmp_path, entry, match):
    meta, five = make(tmp_path, shard=(4, 32, 32), index_crc=False)
    path = tmp_path / "c/0/0/0"
    data = bytearray(path.read_bytes())
    place = len(data) - 16 * 8 + 16 * 3
    data[place : place + 16] = entry[0].to_bytes(8, "little") + entry[1].to_bytes(8, "little")
    path.write_bytes(data)
    error = refused(tmp_path, meta, five, match, path="c/0/0/0")
    assert error.chunk == (0, 1, 1)


def test_a_shard_is_shorter_than_the_index_it_should_have(tmp_path):
    meta, five = make(tmp_path, shard=(4, 32, 32))
    huge = replace(meta, shard=(2 << 30, 1 << 20, 1 << 20))
    refused(tmp_path, huge, five, "fewer than its index", path="c/0/0/0")


# -- caches -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shard", [None, (4, 32, 32)])
@pytest.mark.parametrize("codecs", [("zstd",), ("blosc",)])
def test_what_is_written_again_is_read_again(tmp_path, codecs, shard):
    meta, five = make(tmp_path, codecs, shard)
    reader = open_array(tmp_path, meta, cache_nbytes=1 << 24)
    box = replace(whole_box(five), z=(1, 2), y=range(3, 30), x=range(5, 29))
    for change in range(3):
        _, expected = write_array(tmp_path, IMAGE + np.uint16(change), (2, 16, 16), shard, codecs)
        for path in (tmp_path / "c").rglob("*"):
            os.utime(path, ns=(change * 10**9, change * 10**9))
        for _ in range(2):
            assert_array_equal(read(reader, "zyx", box, "u2")[0, 0], expected[1:3, 3:30, 5:29])


@pytest.mark.parametrize("shard", [None, (4, 32, 32)])
def test_a_damaged_chunk_does_not_spoil_the_cache(tmp_path, shard):
    meta, five = make(tmp_path, ("zstd",), shard)
    path = tmp_path / "c/0/0/0"
    data = path.read_bytes()
    state = path.stat()
    reader = open_array(tmp_path, meta, cache_nbytes=1 << 24)
    box = replace(whole_box(five), z=(1,), y=range(3, 30), x=range(5, 29))
    path.write_bytes(bytes(8) + data[8:])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    for _ in range(2):
        with pytest.raises(ChunkDecodeError):
            read(reader, "zyx", box, "u2")
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    for _ in range(2):
        assert_array_equal(read(reader, "zyx", box, "u2")[0, 0], IMAGE[1:2, 3:30, 5:29])


# -- limits -----------------------------------------------------------------------------------------------------------


def test_chunks_beyond_the_limit_are_refused_before_anything_is_read(tmp_path):
    meta, _ = make(tmp_path)
    with pytest.raises(LimitError, match=r"tile_nbytes"):
        open_array(tmp_path, meta, limits=Limits(tile_nbytes=1023))
    open_array(tmp_path, meta, limits=Limits(tile_nbytes=1024))
    with pytest.raises(LimitError):
        open_array(tmp_path, replace(meta, chunk=(1 << 20, 1 << 20, 1 << 20)))
    with pytest.raises(LimitError):
        open_array(tmp_path, replace(meta, chunk=(1 << 20, 1 << 20, 1 << 20)), limits=Limits.unlimited())


@pytest.mark.parametrize("codec", [name for name in ENCODE if name != "crc32c"])
def test_bombs_are_refused_without_their_memory(tmp_path, codec):
    import tracemalloc

    meta, five = make(tmp_path, (codec,))
    bomb = ENCODE[codec](bytes(1 << 26))
    (tmp_path / KEY).write_bytes(bomb)
    tracemalloc.start()
    try:
        refused(tmp_path, meta, five)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24  # LZMA's dictionary has 8 MiB
    finally:
        tracemalloc.stop()


def test_other_codecs_are_refused_here(tmp_path):
    meta, _ = make(tmp_path)
    foreign = replace(meta, chain=Chain(None, ("jpegxl",), ({},)), route=Route.FOREIGN)
    with pytest.raises(UnsupportedError, match="zarr-python"):
        open_array(tmp_path, foreign)

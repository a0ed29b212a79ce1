"""Codecs from bytes to bytes, CRC32C, indices of shards; one reader and many threads."""

import gzip
import threading
import zlib

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from zarr_arrays import ENCODE, cut, open_array, read, tczyx, whole_box, write_array

from bfio.errors import ChunkDecodeError, FormatError
from bfio.omezarr.arraymeta import Chain
from bfio.omezarr.bytecodecs import decoder_of
from bfio.omezarr.shardindex import ABSENT, IndexCache, build_index, parse_index
from bfio.selection import Box

DATA = np.random.default_rng(0).integers(0, 9, 5000, np.uint8).tobytes()


def decoder(*names):
    return decoder_of(Chain(None, names, ({},) * len(names)))


@pytest.mark.parametrize("names", [*((name,) for name in ENCODE), ("blosc", "crc32c"), ("crc32c", "gzip"), ("lz4", "zstd")])
def test_decoders(names):
    data = DATA
    for name in names:
        data = ENCODE[name](data)
    decode = decoder(*names)
    assert decode(data, len(DATA)) == DATA
    for nbytes in (0, 1, len(DATA) - 1, len(DATA) + 1):
        with pytest.raises(FormatError, match="data"):
            decode(data, nbytes)
    for damaged in (b"", data[:1], data[: len(data) // 2], data[:-1]):
        with pytest.raises(FormatError):
            decode(damaged, len(DATA))


def test_gzip_of_several_members():
    parts = gzip.compress(DATA[:2000]) + gzip.compress(b"") + gzip.compress(DATA[2000:])
    assert decoder("gzip")(parts, len(DATA)) == DATA
    with pytest.raises(FormatError, match="parts"):
        decoder("gzip")(gzip.compress(b"") * 5000 + gzip.compress(DATA), len(DATA))


def test_zlib_does_not_mind_what_follows():
    assert decoder("zlib")(zlib.compress(DATA) + b"more", len(DATA)) == DATA


@pytest.mark.parametrize("crc", [True, False])
def test_index_there_and_back(crc):
    table = np.array([[0, 5], [ABSENT, ABSENT], [5, 7]], np.uint64)
    assert_array_equal(parse_index(build_index(table, crc), 3, crc), table)
    with pytest.raises(FormatError, match="bytes"):
        parse_index(build_index(table, crc)[1:], 3, crc)


def test_indices_that_were_used_last_are_kept():
    cache, loaded = IndexCache(32), []

    def load(key):
        return cache.get(key, lambda: loaded.append(key) or np.zeros((1, 2), np.uint64))

    for key in "abacab":
        load(key)
    assert loaded == ["a", "b", "c", "b"]


@pytest.mark.parametrize("cache_nbytes", [0, 30_000, 1 << 24])
@pytest.mark.parametrize(("codecs", "shard"), [(("zstd",), None), (("zstd",), (4, 64, 64)), (("blosc",), None)])
def test_random_regions_by_many_threads(tmp_path, monkeypatch, cache_nbytes, codecs, shard):
    monkeypatch.setattr("bfio.omezarr.fastread.CACHED_NBYTES", 0)
    image = np.random.default_rng(1).integers(0, 90, (6, 150, 140), np.uint16)
    meta, _ = write_array(tmp_path, image, (2, 32, 32), shard, codecs)
    five, reader = tczyx(image, "zyx"), open_array(tmp_path, meta, n_workers=3, cache_nbytes=cache_nbytes)
    barrier, errors = threading.Barrier(4), []

    def work(seed):
        rng = np.random.default_rng(seed)
        try:
            barrier.wait(10)
            for _ in range(20):
                z, y, x = (int(rng.integers(n)) for n in image.shape)
                box = Box((0,), (0,), tuple(range(z, 6)), range(y, min(150, y + 70)), range(x, min(140, x + 70)))
                assert_array_equal(read(reader, "zyx", box, np.uint16), cut(five, box))
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not errors, errors[0]
    reader.close()
    reader.close()


@pytest.mark.parametrize("shard", [None, (4, 64, 64)])
def test_errors_of_workers_reach_the_caller_and_the_reader_goes_on(tmp_path, shard):
    image = np.random.default_rng(1).integers(0, 90, (4, 128, 128), np.uint16)
    meta, _ = write_array(tmp_path, image, (2, 16, 16), shard)
    five, reader = tczyx(image, "zyx"), open_array(tmp_path, meta, n_workers=4)
    path = tmp_path / ("c/0/1/1" if shard else "c/1/7/7")
    data = path.read_bytes()
    path.write_bytes(data[:7])
    for _ in range(10):
        with pytest.raises(ChunkDecodeError, match=str(path)):
            read(reader, "zyx", whole_box(five), np.uint16)
    path.write_bytes(data)
    assert_array_equal(read(reader, "zyx", whole_box(five), np.uint16), five)

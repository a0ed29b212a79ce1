"""Whole chunks into chunk files and shards: bytes, faults, threads."""

import dataclasses
import errno
import itertools
import json
import os
import pickle
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from bfio._parallel import Workers
from bfio.errors import BackendMissingError, TileDecodeError, TileWriteError, UsageError
from bfio.omezarr import crc32c
from bfio.omezarr.arraymeta import parse_array
from bfio.omezarr.writing.sinks import open_sink

ZSTD = {"name": "zstd", "configuration": {"level": 1, "checksum": False}}
LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}


def v3(shape, chunk, shard=None, *, dtype="uint16", fill=0, codecs=(ZSTD,), endian="little", index="end", **more):
    inner = [{"name": "bytes", "configuration": {"endian": endian}}, *codecs]
    if shard is not None:
        crc = {"name": "crc32c"}
        config = {"chunk_shape": list(chunk), "codecs": inner, "index_codecs": [LITTLE, crc], "index_location": index}
        inner = [{"name": "sharding_indexed", "configuration": config}]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(shard or chunk)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill,
        "codecs": inner,
        "attributes": {},
    } | more


def v2(shape, chunk, *, dtype="<u2", fill=0, compressor=None, order="C", separator="/"):
    return {
        "zarr_format": 2,
        "shape": list(shape),
        "chunks": list(chunk),
        "dtype": dtype,
        "fill_value": fill,
        "order": order,
        "compressor": compressor,
        "filters": None,
        "dimension_separator": separator,
    }


class Store:
    """An array "0" in a folder, with its document, and a sink."""

    def __init__(self, folder, document, n_workers=2, durable=False, resume=False):
        folder.mkdir(exist_ok=True)
        self.folder, self.document = folder, document
        self.meta = parse_array(document, "0")
        self.root = folder / "0"
        self.root.mkdir(exist_ok=True)
        name = "zarr.json" if document["zarr_format"] == 3 else ".zarray"
        (self.root / name).write_text(json.dumps(document))
        self.sink = open_sink(folder, self.meta, Workers(n_workers), durable=durable, resume=resume)

    def image(self, seed=0):
        meta, rng = self.meta, np.random.default_rng(seed)
        values = rng.integers(0, 200, meta.shape).astype(meta.dtype)
        return values if meta.dtype != bool else rng.integers(0, 2, meta.shape).astype(bool)

    def chunk(self, image, index):
        meta = self.meta
        part = image[tuple(slice(i * n, (i + 1) * n) for i, n in zip(index, meta.chunk, strict=True))]
        whole = np.full(meta.chunk, meta.fill, meta.dtype)
        whole[tuple(slice(0, n) for n in part.shape)] = part
        return whole

    def indices(self):
        return list(np.ndindex(*self.meta.grid))

    def put(self, image, indices=None):
        indices = self.indices() if indices is None else indices
        self.sink.put(indices, [self.chunk(image, index) for index in indices])

    def files(self):
        found = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, self.root)] = file.read()
        return found


def zarr_pixels(store):
    zarr = pytest.importorskip("zarr")
    return zarr.open_array(store.root, mode="r")[...]


def tensorstore_pixels(store):
    ts = pytest.importorskip("tensorstore")
    driver = "zarr3" if store.document["zarr_format"] == 3 else "zarr"
    spec = {"driver": driver, "kvstore": {"driver": "file", "path": f"{store.root}/"}}
    return ts.open(spec).result().read().result()


GZIP = {"name": "gzip", "configuration": {"level": 5}}
CRC = {"name": "crc32c"}


def blosc(cname, shuffle, typesize):
    config = {"typesize": typesize, "cname": cname, "clevel": 5, "shuffle": shuffle, "blocksize": 0}
    return {"name": "blosc", "configuration": config}


V2_ZLIB, V2_GZIP = {"id": "zlib", "level": 1}, {"id": "gzip", "level": 5}
V2_BLOSC = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": -1, "blocksize": 0}
TRANSPOSE = {"name": "transpose", "configuration": {"order": [2, 0, 1]}}

DOCUMENTS = {
    "zstd": v3((3, 50, 37), (1, 32, 16)),
    "zstd deep": v3((5, 50, 37), (2, 16, 16), fill=7),
    "raw": v3((3, 50, 37), (1, 32, 16), codecs=()),
    "zstd level 0": v3((3, 50, 37), (1, 32, 16), codecs=[{"name": "zstd", "configuration": {"level": 0}}]),
    "gzip": v3((3, 50, 37), (1, 32, 16), codecs=[GZIP]),
    "blosc lz4": v3((3, 50, 37), (1, 32, 16), codecs=[blosc("lz4", "shuffle", 2)]),
    "blosc zstd, bits": v3((3, 50, 37), (1, 32, 16), codecs=[blosc("zstd", "bitshuffle", 2)]),
    "blosc, no shuffle": v3((3, 50, 37), (1, 32, 16), codecs=[blosc("lz4hc", "noshuffle", 2)]),
    "zstd and crc32c": v3((3, 50, 37), (1, 32, 16), codecs=[ZSTD, CRC]),
    "big endian": v3((3, 50, 37), (1, 32, 16), endian="big"),
    "float32": v3((50, 37), (32, 16), dtype="float32", fill="NaN"),
    "complex128": v3((50, 37), (32, 16), dtype="complex128", fill=[1.0, 0.0]),
    "bool": v3((50, 37), (32, 16), dtype="bool", fill=False),
    "int8 5D": v3((2, 2, 3, 20, 21), (1, 1, 2, 16, 16), dtype="int8", fill=-1),
    "one axis": v3((50,), (16,)),
    "no axis": v3((), ()),
    "v2 raw": v2((50, 37), (32, 16)),
    "v2 zlib": v2((50, 37), (32, 16), compressor=V2_ZLIB),
    "v2 gzip": v2((50, 37), (32, 16), compressor=V2_GZIP),
    "v2 blosc": v2((50, 37), (32, 16), compressor=V2_BLOSC),
    "v2 blosc, bytes": v2((50, 37), (32, 16), dtype="|u1", compressor=V2_BLOSC, separator="."),
    "v2 zstd, big": v2((50, 37), (32, 16), dtype=">f4", compressor={"id": "zstd", "level": 3}),
    "v2 order F": v2((5, 50, 37), (2, 32, 16), order="F", compressor=V2_ZLIB),
    "v2 lz4": v2((50, 37), (32, 16), compressor={"id": "lz4", "acceleration": 1}),
    "v2 bz2": v2((50, 37), (32, 16), compressor={"id": "bz2", "level": 1}),
    "v2 no fill": v2((50, 37), (32, 16), fill=None, compressor=V2_ZLIB),
}
DOCUMENTS["transpose"] = v3((5, 50, 37), (2, 32, 16))
DOCUMENTS["transpose"]["codecs"].insert(0, TRANSPOSE)
DOCUMENTS |= {
    "shards": v3((5, 50, 70), (2, 16, 16), (4, 32, 32)),
    "shards of one chunk": v3((3, 50, 37), (1, 32, 16), (1, 32, 16)),
    "shards, raw, fill": v3((3, 50, 37), (1, 16, 16), (2, 32, 32), codecs=(), fill=9),
    "shards, index in front": v3((5, 50, 37), (2, 16, 16), (4, 32, 32), index="start"),
    "shards, blosc": v3((5, 50, 37), (2, 16, 16), (4, 32, 32), codecs=[blosc("lz4", "shuffle", 2)]),
    "shards, zstd and crc32c": v3((50, 37), (16, 16), (32, 32), codecs=[ZSTD, CRC]),
    "shards, big endian": v3((2, 50, 37), (1, 16, 16), (2, 64, 64), endian="big", dtype="float64"),
    "shards, one axis": v3((50,), (8,), (16,)),
}
NOT_OF_TENSORSTORE = {"v2 lz4"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_others_read_what_was_put(name, tmp_path):
    store = Store(tmp_path, DOCUMENTS[name])
    image = store.image()
    store.put(image)
    store.sink.finish()
    np.testing.assert_array_equal(zarr_pixels(store), image)
    if name not in NOT_OF_TENSORSTORE:
        np.testing.assert_array_equal(tensorstore_pixels(store), image)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_was_put_can_be_got(name, tmp_path):
    store = Store(tmp_path, DOCUMENTS[name])
    image = store.image()
    first, *others = store.indices()
    assert store.sink.get(first) is None
    store.put(image)
    assert store.sink.written().all()
    for index in (first, *others):
        got = store.sink.get(index)
        assert got.dtype == store.meta.dtype and got.flags.writeable
        np.testing.assert_array_equal(got, store.chunk(image, index))


def test_the_bytes_do_not_depend_on_threads(tmp_path):
    found = []
    for n in (1, 4):
        store = Store(tmp_path / str(n), DOCUMENTS["zstd deep"], n)
        store.put(store.image())
        store.sink.finish()
        found.append(store.files())
    assert found[0] == found[1] and len(found[0]) == 3 * 4 * 3 + 1


def test_chunks_of_the_fill_value_are_not_stored_and_count_as_written(tmp_path):
    store = Store(tmp_path, v3((64, 64), (32, 32), fill=7))
    full, indices = np.full((64, 64), 7, np.uint16), store.indices()
    store.put(full, indices[:2])
    assert list(store.files()) == ["zarr.json"]
    np.testing.assert_array_equal(store.sink.written(), [[True, True], [False, False]])
    np.testing.assert_array_equal(store.sink.get((0, 1)), full[:32, :32])
    assert store.sink.get((1, 1)) is None
    full[-1, -1] = 8
    store.put(full)
    assert set(store.files()) == {"zarr.json", "c/1/1"}
    full[-1, -1] = 7
    store.put(full)  # and a chunk that became fill is no longer stored
    assert list(store.files()) == ["zarr.json"]


def test_negative_zero_and_other_nans_are_not_the_fill_value(tmp_path):
    store = Store(tmp_path, v3((4,), (4,), dtype="float32", fill=0.0))
    store.sink.put([(0,)], [np.full(4, -0.0, np.float32)])
    assert "c/0" in store.files() and np.signbit(store.sink.get((0,))).all()
    store = Store(tmp_path / "nan", v3((4,), (4,), dtype="float32", fill="NaN"))
    store.sink.put([(0,)], [np.full(4, np.nan, np.float32)])
    assert "c/0" not in store.files() and np.isnan(store.sink.get((0,))).all()


def test_resuming_counts_what_is_on_the_disk(tmp_path):
    document = DOCUMENTS["zstd"]
    store = Store(tmp_path, document)
    image, indices = store.image(), store.indices()
    store.put(image, indices[:5])
    (store.root / "c" / "0" / "1" / "x").write_text("")
    (store.root / "c" / "7").mkdir()
    (store.root / "c" / "7" / "0").write_text("")
    again = Store(tmp_path, document, resume=True)
    assert [index for index in indices if again.sink.written()[index]] == indices[:5]
    again.sink.mark(indices[5:6])
    assert again.sink.written()[indices[5]] and not again.sink.get(indices[5]).any()
    assert not Store(tmp_path, document).sink.written().any()


def test_leftovers_of_killed_writers_are_removed(tmp_path):
    store = Store(tmp_path, DOCUMENTS["zstd"])
    store.put(store.image())
    mine = Path(store.sink._files.partial(store.root / "c" / "0"))
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    theirs = mine.with_name(mine.name.replace(f"-{os.getpid()}-", f"-{pid}-"))
    for path in (mine, theirs):
        path.write_text("half")
    Store(tmp_path, DOCUMENTS["zstd"], resume=True)
    assert mine.exists() and not theirs.exists()


# -- faults -----------------------------------------------------------------------------------------------------------


def full_disk(monkeypatch, after=0):
    """Let writing fail as on a full disk, half way through a file."""
    calls, real = itertools.count(), os.pwrite

    def pwrite(fd, data, position):
        if next(calls) < after:
            return real(fd, data, position)
        if len(data) > 1:
            return real(fd, data[: len(data) // 2], position)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", pwrite)


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    store = Store(tmp_path, DOCUMENTS["zstd"], 1)
    image, indices = store.image(), store.indices()
    full_disk(monkeypatch, 2)
    with pytest.raises(TileWriteError, match=r"chunk \(0, 0, 2\) of array '0': No space left") as info:
        store.put(image)
    assert info.value.errno == errno.ENOSPC and info.value.array == "0" and info.value.chunk == indices[2]
    assert info.value.path == str(store.root / "c/0/0/2")
    copy = pickle.loads(pickle.dumps(info.value))
    assert str(copy) == str(info.value) and copy.chunk == indices[2] and copy.errno == errno.ENOSPC
    assert set(store.files()) == {"zarr.json", "c/0/0/0", "c/0/0/1"}
    assert store.sink.written().sum() == 2
    monkeypatch.undo()
    store.put(image)
    np.testing.assert_array_equal(zarr_pixels(store), image)


def test_a_failed_write_leaves_the_older_chunk(tmp_path, monkeypatch):
    store = Store(tmp_path, DOCUMENTS["zstd"])
    image, indices = store.image(), store.indices()
    store.put(image)
    before = store.files()
    full_disk(monkeypatch)
    with pytest.raises(TileWriteError):
        store.put(store.image(1), indices[:1])
    assert store.files() == before


def test_a_folder_or_file_in_the_way_is_an_error(tmp_path):
    store = Store(tmp_path, DOCUMENTS["zstd"])
    (store.root / "c" / "0" / "0" / "1" / "x").mkdir(parents=True)
    with pytest.raises(TileWriteError, match=r"chunk \(0, 0, 1\)"):
        store.put(store.image(), [(0, 0, 1)])
    with pytest.raises(TileDecodeError, match=r"chunk \(0, 0, 1\)"):
        store.sink.get((0, 0, 1))
    (store.root / "c" / "1").write_text("a file where a folder should be")
    with pytest.raises(TileWriteError, match=r"chunk \(1, 0, 0\)") as info:
        store.put(store.image(), [(1, 0, 0)])
    assert info.value.errno in (errno.ENOTDIR, errno.EEXIST)


@pytest.mark.parametrize("name", ["zstd", "raw", "gzip", "blosc lz4", "zstd and crc32c", "v2 zlib", "v2 bz2", "v2 lz4"])
def test_damaged_chunks_are_errors_and_never_pixels(name, tmp_path):
    store = Store(tmp_path, DOCUMENTS[name])
    store.put(store.image())
    index = store.indices()[0]
    path = store.root / store.meta.key(index)
    data = path.read_bytes()
    for damaged in (b"", data[:1], data[:20], data[: len(data) // 2], data[:-1], b"\xff" * len(data[:-1])):
        path.write_bytes(damaged)
        with pytest.raises(TileDecodeError, match="of array '0'"):
            store.sink.get(index)


def test_wrong_chunks_are_refused(tmp_path):
    store = Store(tmp_path, v3((64, 64), (32, 32)))
    for wrong in (np.zeros((32, 31), "u2"), np.zeros((32, 32), "i2"), np.zeros((1, 32, 32), "u2")):
        with pytest.raises(UsageError, match="has chunks of"):
            store.sink.put([(0, 0)], [wrong])
    with pytest.raises(IndexError):
        store.sink.put([(2, 0)], [np.zeros((32, 32), "u2")])
    with pytest.raises(ValueError, match="zip"):
        store.sink.put([(0, 0), (0, 1)], [np.zeros((32, 32), "u2")])
    assert not store.sink.written().any()


def test_strided_chunks(tmp_path):
    store = Store(tmp_path, v3((32, 32), (32, 32)))
    image = store.image()
    for chunk in (np.asfortranarray(image), np.repeat(image, 2, 1)[:, ::2], image[::-1].copy()[::-1]):
        store.sink.put([(0, 0)], [chunk])
        np.testing.assert_array_equal(store.sink.get((0, 0)), image)
    image.flags.writeable = False
    store.sink.put([(0, 0)], [image])


# -- threads ----------------------------------------------------------------------------------------------------------


def run_at_once(functions):
    barrier, errors = threading.Barrier(len(functions)), []

    def run(function):
        barrier.wait()
        try:
            function()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors and not any(thread.is_alive() for thread in threads)


def test_many_threads_put_at_once(tmp_path):
    store = Store(tmp_path, DOCUMENTS["zstd deep"])
    image, indices = store.image(), store.indices()
    run_at_once([lambda k=k: store.put(image, indices[k::8]) for k in range(8)])
    store.sink.finish()
    assert store.sink.written().all()
    np.testing.assert_array_equal(zarr_pixels(store), image)


def test_threads_that_put_the_same_chunk(tmp_path):
    store = Store(tmp_path, DOCUMENTS["zstd"])
    images = [store.image(k) for k in range(4)]
    images[0][...] = 0
    run_at_once([lambda k=k: [store.put(images[k]) for _ in range(3)] for k in range(4)])
    for index in store.indices():
        got = store.sink.get(index)
        assert any(np.array_equal(got, store.chunk(image, index)) for image in images)
    assert not [name for name in store.files() if name.endswith("partial")]


def test_durable_files_are_synced_before_they_get_their_names(tmp_path, monkeypatch):
    log = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, real=real, name=name: (log.append(name), real(*args)))
    store = Store(tmp_path, v3((32, 32), (32, 32)), durable=True)
    store.put(store.image())
    assert log == ["fsync", "replace"]
    store.sink.flush()
    assert log[2:] and set(log[2:]) == {"fsync"}


def test_meta_without_level(tmp_path):
    store = Store(tmp_path, DOCUMENTS["zstd"])
    chain = dataclasses.replace(store.meta.chain, level=None)
    sink = open_sink(tmp_path, dataclasses.replace(store.meta, chain=chain), Workers(1), durable=False, resume=False)
    sink.put([(0, 0, 0)], [store.chunk(store.image(), (0, 0, 0))])


# -- shards -----------------------------------------------------------------------------------------------------------

SHARDED = [name for name in DOCUMENTS if name.startswith("shards")]


def finished(tmp_path, name, image=None, n_workers=2):
    store = Store(tmp_path, DOCUMENTS[name], n_workers)
    store.put(store.image() if image is None else image)
    store.sink.finish()
    return store


@pytest.mark.parametrize("name", SHARDED)
def test_the_bytes_of_shards_do_not_depend_on_order_or_threads(name, tmp_path):
    expected = finished(tmp_path / "a", name, n_workers=1).files()
    assert finished(tmp_path / "b", name, n_workers=4).files() == expected
    store = Store(tmp_path / "c", DOCUMENTS[name])
    image, indices = store.image(), store.indices()
    for index in reversed(indices):
        store.put(image, [index])
        if index[0] % 2:
            store.sink.flush()
    store.sink.finish()
    assert store.files() == expected
    store = Store(tmp_path / "d", DOCUMENTS[name])
    run_at_once([lambda k=k: store.put(image, indices[k::5]) for k in range(5)])
    store.sink.finish()
    assert store.files() == expected
    store.put(store.image(1))
    store.put(image, indices[::2])
    store.put(image, indices[1::2])
    store.sink.finish()
    assert store.files() == expected


def test_a_shard_is_finished_as_soon_as_it_is_full(tmp_path):
    store = Store(tmp_path, DOCUMENTS["shards"])
    image = store.image()
    mine = [index for index in store.indices() if store.sink._place(index)[0] == (1, 1, 2)]
    assert len(mine) == 2  # one chunk deep, two down, one across: the rest lies outside of the array
    store.put(image, mine[:1])
    assert set(store.files()) == {"zarr.json", "c/1/1/2.part"}
    store.put(image, mine[1:])
    assert set(store.files()) == {"zarr.json", "c/1/1/2"}


def test_shards_with_holes(tmp_path):
    store = Store(tmp_path, DOCUMENTS["shards"])
    image = store.image()
    image[:4, :32, 32:64] = 0
    image[:2, :16, :16] = 0
    store.put(image)
    store.sink.finish()
    assert "c/0/0/1" not in store.files() and store.sink.written().all()
    np.testing.assert_array_equal(zarr_pixels(store), image)
    np.testing.assert_array_equal(tensorstore_pixels(store), image)
    assert not store.sink.get((0, 0, 0)).any() and not store.sink.get((1, 1, 3)).any()


def test_few_chunks_of_a_finished_shard_can_be_replaced(tmp_path):
    store = finished(tmp_path, "shards")
    image, other = store.image(), store.image(1)
    image[:2, :16, :16] = other[:2, :16, :16]
    image[2:4, 16:32, 16:32] = 0  # one that is no longer stored
    store.put(image, [(0, 0, 0), (1, 1, 1)])
    assert "c/0/0/0.part" in store.files()
    np.testing.assert_array_equal(zarr_pixels(store), store.image())  # nothing changes before the end
    for index in store.indices():
        np.testing.assert_array_equal(store.sink.get(index), store.chunk(image, index))
    store.sink.finish()
    np.testing.assert_array_equal(zarr_pixels(store), image)
    np.testing.assert_array_equal(tensorstore_pixels(store), image)
    assert store.files() == finished(tmp_path / "b", "shards", image).files()


def test_a_shard_that_becomes_fill_is_removed(tmp_path):
    store = finished(tmp_path, "shards")
    store.put(np.zeros(store.meta.shape, np.uint16))
    store.sink.finish()
    assert list(store.files()) == ["zarr.json"]


@pytest.mark.parametrize("name", SHARDED)
def test_shards_of_a_killed_writer_are_taken_over(name, tmp_path):
    store = Store(tmp_path / "a", DOCUMENTS[name])
    image, indices = store.image(), store.indices()
    flushed = indices[: len(indices) // 2]
    store.put(image, flushed)
    store.sink.flush()
    store.put(image, indices[-1:])  # and this one is lost, if its shard is not finished
    again = Store(tmp_path / "a", DOCUMENTS[name], resume=True)
    written = again.sink.written()
    assert all(written[index] for index in flushed) and written.sum() - len(flushed) in (0, 1)
    for index in flushed:
        np.testing.assert_array_equal(again.sink.get(index), store.chunk(image, index))
    again.put(image, [index for index in indices if not written[index]])
    again.sink.finish()
    assert again.files() == finished(tmp_path / "b", name).files()


def test_finish_also_ends_shards_that_nobody_touched_again(tmp_path):
    store = Store(tmp_path, DOCUMENTS["shards"])
    image, indices = store.image(), store.indices()
    store.put(image, indices[:3])
    store.sink.abandon()
    again = Store(tmp_path, DOCUMENTS["shards"], resume=True)
    again.sink.finish()
    assert not [name for name in again.files() if ".part" in name]
    expected = np.zeros_like(image)
    expected[:2, :16, :48] = image[:2, :16, :48]
    np.testing.assert_array_equal(zarr_pixels(again), expected)


def test_a_checkpoint_that_does_not_fit_is_not_believed(tmp_path):
    damages = (lambda raw: raw[:-1], lambda raw: raw[:40] + b"x" + raw[41:], lambda raw: b"")
    for number, damage in enumerate(damages):
        folder = tmp_path / str(number)
        store = Store(folder, DOCUMENTS["shards"])
        store.put(store.image(), store.indices()[:2])
        store.sink.flush()
        path = store.root / "c/0/0/0.part.index"
        path.write_bytes(damage(path.read_bytes()))
        again = Store(folder, DOCUMENTS["shards"], resume=True)
        assert not again.sink.written().any() and again.sink.get((0, 0, 0)) is None
        again.put(store.image())
        again.sink.finish()
        np.testing.assert_array_equal(zarr_pixels(again), store.image())
    (store.root / "c/0/0/0").rename(store.root / "c/0/0/0.part")  # a file without its checkpoint
    again = Store(folder, DOCUMENTS["shards"], resume=True)
    assert not again.sink.written()[0, 0, 0]


def test_appending_to_finished_shards(tmp_path):
    store = Store(tmp_path, DOCUMENTS["shards"])
    image, indices = store.image(), store.indices()
    store.put(image, indices[::2])
    store.sink.finish()
    again = Store(tmp_path, DOCUMENTS["shards"], resume=True)
    assert [index for index in indices if again.sink.written()[index]] == indices[::2]
    again.put(image, indices[1::2])
    again.sink.finish()
    assert again.files() == finished(tmp_path / "b", "shards").files()


@pytest.mark.parametrize("name", SHARDED)
def test_damaged_shards_are_errors_and_stay(name, tmp_path):
    store = finished(tmp_path, name)
    image, index = store.image(), store.indices()[0]
    path = store.root / store.meta.key(store.sink._place(index)[0])
    data = path.read_bytes()
    at = -10 if store.meta.index_at_end else 5
    flipped = bytearray(data)
    flipped[at] ^= 1
    for damaged in (b"", data[:20], bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(TileDecodeError, match="of array '0'"):
            store.sink.get(index)
        with pytest.raises(TileWriteError, match="of array '0'.*index"):
            store.put(image, [index])
        assert path.read_bytes() == damaged
    path.write_bytes(data)
    store.put(image, [index])


def test_a_full_disk_leaves_no_half_shard(tmp_path, monkeypatch):
    store = Store(tmp_path, DOCUMENTS["shards"], 1)
    image, indices = store.image(), store.indices()
    full_disk(monkeypatch, 5)
    with pytest.raises(TileWriteError, match="of array '0': No space left") as info:
        for index in indices:
            store.put(image, [index])
    assert info.value.errno == errno.ENOSPC and info.value.path == str(store.root / "c/0/0/0")
    assert info.value.chunk == indices[5] == (0, 1, 0)
    parts = {"c/0/0/0.part", "c/0/0/1.part", "c/0/0/2.part"}
    assert store.sink.written().sum() == 5 and set(store.files()) == {"zarr.json"} | parts
    with pytest.raises(TileWriteError):
        store.sink.finish()
    assert "c/0/0/0" not in store.files()
    monkeypatch.undo()
    store.put(image, [index for index in indices if not store.sink.written()[index]])
    store.sink.finish()
    assert store.files() == finished(tmp_path / "b", "shards").files()


@pytest.mark.parametrize("after", range(0, 40, 3))
def test_a_disk_that_is_full_for_a_while(after, tmp_path, monkeypatch):
    """Wherever it fails, in a chunk, an index or a copy: nothing under a final name is wrong, and a new try is enough."""
    store = finished(tmp_path / "a", "shards", np.zeros(DOCUMENTS["shards"]["shape"], np.uint16), 1)
    image, indices = store.image(), store.indices()
    full_disk(monkeypatch, after)
    with pytest.raises(TileWriteError, match="No space left"):
        store.put(image, indices[::2])
        store.sink.flush()
        store.put(image, indices[1::2])
        store.sink.finish()
        raise AssertionError("the disk was never full")
    store.sink.abandon()
    monkeypatch.undo()
    again = Store(tmp_path / "a", DOCUMENTS["shards"], resume=True)
    for index in np.argwhere(again.sink.written()).tolist():
        np.testing.assert_array_equal(again.sink.get(index), again.chunk(image, index))
    again.put(image, [index for index in indices if not again.sink.written()[index]])
    again.sink.finish()
    assert again.files() == finished(tmp_path / "b", "shards").files()


def test_many_shards_need_few_descriptors(tmp_path):
    store = Store(tmp_path, v3((60, 40), (1, 20), (1, 40)))
    image, indices = store.image(), store.indices()
    store.put(image, indices[::2])  # half of each of 60 shards
    assert len(store.sink._descriptors._open) <= 32
    store.put(image, indices[1::2])
    store.sink.finish()
    assert not store.sink._descriptors._open
    np.testing.assert_array_equal(zarr_pixels(store), image)


def test_shards_without_the_checksum_package(tmp_path, monkeypatch):
    expected = finished(tmp_path / "a", "shards").files()
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    crc32c._library.cache_clear()
    try:
        assert finished(tmp_path / "b", "shards").files() == expected
        with pytest.raises(BackendMissingError, match=r"pip install 'bfio\[zarr\]'"):
            Store(tmp_path / "c", v3((1 << 17,), (1,), (1 << 17,)))
    finally:
        crc32c._library.cache_clear()


def test_durable_shards(tmp_path, monkeypatch):
    log = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, real=real, name=name: (log.append(name), real(*args)))
    store = Store(tmp_path, v3((32, 32), (16, 16), (32, 32)), durable=True)
    store.put(store.image())
    assert log == ["fsync", "replace"]


def test_reading_while_others_write(tmp_path):
    store = Store(tmp_path, DOCUMENTS["shards"])
    images, indices = [store.image(k) for k in range(3)], store.indices()
    store.put(images[0])

    def read():
        for index in indices * 3:
            got = store.sink.get(index)
            assert any(np.array_equal(got, store.chunk(image, index)) for image in images)

    run_at_once(
        [read, read, *(lambda k=k: [store.put(images[k]) for _ in range(2)] for k in range(3)), store.sink.flush]
    )
    store.sink.finish()
    assert not [name for name in store.files() if "part" in name]


def test_an_error_of_a_thread_ends_the_others(tmp_path, monkeypatch):
    store = Store(tmp_path, v3((64, 1024), (1, 1024), (64, 1024)), 4)
    monkeypatch.setattr(store.sink._codec, "encode", lambda chunk, arena: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        store.put(store.image())
    monkeypatch.undo()
    store.put(store.image())
    np.testing.assert_array_equal(zarr_pixels(store), store.image())

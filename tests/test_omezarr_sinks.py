"""Whole chunks into chunk files and shards: bytes, faults, threads."""

import dataclasses
import errno
import itertools
import json
import os
import pickle
import threading

import numpy as np
import pytest

from bfio._parallel import Workers
from bfio.errors import TileDecodeError, TileWriteError, UsageError
from bfio.omezarr.arraymeta import parse_array
from bfio.omezarr.writing.sinks import open_sink

ZSTD = {"name": "zstd", "configuration": {"level": 1, "checksum": False}}
LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}


def v3(shape, chunk, shard=None, *, dtype="uint16", fill=0, codecs=(ZSTD,), endian="little", index="end", **more):
    inner = [{"name": "bytes", "configuration": {"endian": endian}}, *codecs]
    if shard is not None:
        crc = {"name": "crc32c"}
        config = {"chunk_shape": chunk, "codecs": inner, "index_codecs": [LITTLE, crc], "index_location": index}
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
        (tmp_path / str(n)).mkdir()
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
    (tmp_path / "nan").mkdir()
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
    mine = store.sink._files.partial(store.root / "c" / "0")
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

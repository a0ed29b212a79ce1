"""Whole chunks into chunk files: bytes, faults, threads. What holds for all sinks is tested with shards, too."""

import dataclasses
import errno
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sink_arrays import (
    DOCUMENTS,
    NOT_OF_TENSORSTORE,
    Store,
    full_disk,
    run_at_once,
    tensorstore_pixels,
    v3,
    zarr_pixels,
)

from bfio._parallel import Workers
from bfio.errors import TileDecodeError, TileWriteError, UsageError
from bfio.omezarr.writing.sinks import open_sink


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
    pid = int(subprocess.check_output([sys.executable, "-c", "import os; print(os.getpid())"]))
    theirs = mine.with_name(mine.name.replace(f"-{os.getpid()}-", f"-{pid}-"))
    for path in (mine, theirs):
        path.write_text("half")
    Store(tmp_path, DOCUMENTS["zstd"], resume=True)
    assert mine.exists() and not theirs.exists()


# -- faults -----------------------------------------------------------------------------------------------------------


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


def test_meta_without_level(tmp_path):
    store = Store(tmp_path, DOCUMENTS["zstd"])
    chain = dataclasses.replace(store.meta.chain, level=None)
    sink = open_sink(tmp_path, dataclasses.replace(store.meta, chain=chain), Workers(1), durable=False, resume=False)
    sink.put([(0, 0, 0)], [store.chunk(store.image(), (0, 0, 0))])

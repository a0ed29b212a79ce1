"""Whole chunks into shards: bytes, rewriting, faults, threads, what killed writers left."""

import errno
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from sink_arrays import (
    DOCUMENTS,
    SHARDED,
    Store,
    finished,
    full_disk,
    run_at_once,
    tensorstore_pixels,
    v3,
    zarr_pixels,
)

from bfio.errors import TileDecodeError, TileWriteError


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


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from sink_arrays import DOCUMENTS, Store
store = Store(Path(sys.argv[2]), DOCUMENTS["shards"])
indices = store.indices()
store.put(store.image(), indices[:20])
store.sink.flush()
print("flushed", flush=True)
while True:
    store.put(store.image(), indices[20:-1])
"""


def test_a_killed_process(tmp_path):
    here = os.path.dirname(__file__)
    with subprocess.Popen([sys.executable, "-c", KILLED, here, tmp_path / "a"], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"flushed\n"
        time.sleep(0.05)
        process.kill()
    again = Store(tmp_path / "a", DOCUMENTS["shards"], resume=True)
    image, written = again.image(), again.sink.written()
    assert all(written[index] for index in again.indices()[:20]) and not written[again.indices()[-1]]
    for index in np.argwhere(written).tolist():
        np.testing.assert_array_equal(again.sink.get(index), again.chunk(image, index))
    again.put(image, [index for index in again.indices() if not written[index]])
    again.sink.finish()
    assert again.files() == finished(tmp_path / "b", "shards").files()

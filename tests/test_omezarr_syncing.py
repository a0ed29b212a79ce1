"""When chunk files come to the disk: at a flush, or before they replace what somebody counts on."""

import errno
import os
import sys

import numpy as np
import pytest
from sink_arrays import DOCUMENTS, Store, v3

import bfio
from bfio import TileWriteError, UsageError
from bfio._parallel import Workers
from bfio.omezarr.writing import unsynced
from bfio.omezarr.writing.sinks import open_sink

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")


@pytest.fixture
def log(monkeypatch):
    """What was synced and renamed, by the names of the files."""
    seen, real_fsync, real_replace, real_rename = [], os.fsync, os.replace, os.rename

    def fsync(fd):
        real_fsync(fd)
        seen.append(("sync", os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))))

    def renaming(real):
        def rename(src, dst):
            real(src, dst)
            seen.append(("name", os.path.basename(dst)))

        return rename

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", renaming(real_replace))
    monkeypatch.setattr(os, "rename", renaming(real_rename))
    return seen


@pytest.fixture
def broken_disk(monkeypatch):
    """Lets syncing some file fail once, as the system does."""
    real, told = os.fsync, []

    def break_(ending, number=errno.EIO):
        def fsync(fd):
            path = os.readlink(f"/proc/self/fd/{fd}")
            if path.endswith(ending) and not told:
                told.append(path)
                raise OSError(number, os.strerror(number))
            real(fd)

        monkeypatch.setattr(os, "fsync", fsync)

    return break_


def partial(name):
    return name.endswith(".partial")


def test_new_files_are_synced_by_flush_and_old_ones_before_they_are_replaced(tmp_path, log):
    store = Store(tmp_path, v3((32, 32), (32, 32)), durable=True)
    store.put(store.image())
    store.put(store.image(1))
    assert log == [("name", "0")] * 2
    store.sink.flush()
    assert log[2] == ("sync", "0") and sorted(log[3:]) == [("sync", "0")] * 2 + [("sync", "c")]  # its three folders
    del log[:]
    store.put(store.image(2))
    assert [what for what, _ in log] == ["sync", "name"] and partial(log[0][1])
    del log[:]
    store.sink.finish()
    assert log == [("sync", "0")]  # the folder


def test_a_chunk_of_nothing_but_the_fill_value_is_counted_on_too(tmp_path, log):
    store = Store(tmp_path, v3((32, 32), (32, 32)), durable=True)
    store.put(np.zeros((32, 32), "u2"))
    store.sink.flush()
    store.put(store.image())
    assert [what for what, _ in log] == ["sync", "name"]


def test_no_file_gets_a_name_in_a_finished_array_before_it_is_on_the_disk(tmp_path, log):
    store = Store(tmp_path, DOCUMENTS["zstd"])
    sink = open_sink(tmp_path, store.meta, Workers(1), durable=True, resume=True, in_place=True)
    sink.put(store.indices(), [store.chunk(store.image(), index) for index in store.indices()])
    assert [what for what, _ in log] == ["sync", "name"] * len(store.indices())


@pytest.mark.parametrize("chunks", [32, (1, 16, 16)])
def test_notes_and_names_come_last(tmp_path, log, chunks):
    with bfio.BioWriter(tmp_path / "a.ome.zarr", X=64, Y=64, dtype="u2", chunks=chunks, levels=2) as writer:
        image = np.random.default_rng(1).integers(1, 9, (64, 64, 1, 1, 1), np.uint16)
        writer[:] = image
        del log[:]
        writer.flush()
        names = [name for _, name in log]
        note = log.index(("name", "stored-writer.json"))
        for number in range(64 // (chunks if isinstance(chunks, int) else 16)):
            assert ("sync", str(number)) in log[:note]
        assert ("sync", "c") in log[:note] and ("sync", "0") in log[:note]
        assert names[note + 1 :] == [".bfio"]
        writer[:] = image + 1
        del log[:]
    end = log.index(("name", "a.ome.zarr"))
    assert log[end + 1 :] == [("sync", tmp_path.name)]
    assert log[end - 1] == ("sync", "a.ome.zarr.part")
    assert [name for what, name in log[:end] if what == "name"] == ["zarr.json"]  # with the windows of the channels
    assert ("sync", "0") in log[:end] and {what for what, _ in log[:3]} == {"sync"}


def test_what_is_not_durable_is_never_synced(tmp_path, log):
    with bfio.BioWriter(tmp_path / "a.ome.zarr", X=64, Y=64, dtype="u2", durable=False) as writer:
        writer[:] = 1
        writer.flush()
    assert not [what for what, _ in log if what == "sync"]


def test_few_files_wait(tmp_path, log, monkeypatch):
    monkeypatch.setattr(unsynced, "MOST", 5)
    store = Store(tmp_path, v3((640,), (16,)), 1, durable=True)
    most = 0
    for index in store.indices():
        store.put(store.image(), [index])
        most = max(most, len(store.sink._files._unsynced))
    assert most == 5
    store.sink.flush()
    assert {name for what, name in log if what == "sync"} == {"0", "c", *map(str, range(40))}
    assert len(store.sink._files._unsynced) == 0


def test_files_that_were_removed_or_replaced_meanwhile(tmp_path):
    store = Store(tmp_path, DOCUMENTS["zstd"], durable=True)
    store.put(store.image())
    for name in ("c/0/0/0", "c/0/0/1"):
        (store.root / name).unlink()
    (store.root / "c/0/0/1").write_bytes(b"another")
    store.sink.flush()


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("most", [1000, 3])
def test_a_disk_that_can_not_take_a_chunk(tmp_path, broken_disk, monkeypatch, number, most):
    monkeypatch.setattr(unsynced, "MOST", most)
    broken_disk("c/1/1/2", number)
    store = Store(tmp_path, DOCUMENTS["zstd"], durable=True)
    with pytest.raises(TileWriteError, match=r"chunk \(1, 1, 2\) of array '0'") as caught:
        store.put(store.image())
        store.sink.flush()
    assert caught.value.errno == number and caught.value.path == str(store.root / "c/1/1/2")
    assert not (store.root / "c/1/1/2").exists()  # the system would show it as if nothing had happened
    if most == 1000:
        assert not store.sink.written()[1, 1, 2]
    for end in (store.sink.flush, store.sink.finish):
        with pytest.raises(TileWriteError):
            end()


@pytest.mark.parametrize("end", ["flush", "close"])
def test_a_writer_whose_disk_can_not_take_a_chunk(tmp_path, broken_disk, end):
    path = tmp_path / "a.ome.zarr"
    image = np.random.default_rng(1).integers(1, 9, (64, 64, 1, 1, 1), np.uint16)
    writer = bfio.BioWriter(path, X=64, Y=64, dtype="u2", chunks=32)
    writer[:] = image
    broken_disk("0/c/0/0/0/1/0")
    with pytest.raises(TileWriteError, match=r"chunk \(0, 0, 0, 1, 0\)"):
        getattr(writer, end)()
    with pytest.raises(UsageError):
        writer[:] = 1
    writer._abandon()
    assert not path.exists()
    with bfio.BioWriter(path, resume=True) as writer:
        assert [key[:2] for key in writer.missing] == [(slice(32, 64), slice(0, 32))]
        writer[32:, :32] = image[32:, :32]
    with bfio.BioReader(path) as reader:
        np.testing.assert_array_equal(reader[:], image.squeeze())


def test_a_broken_disk_leaves_no_checkpoint_of_a_shard(tmp_path, broken_disk):
    store = Store(tmp_path, DOCUMENTS["shards"], durable=True)
    store.put(store.image(), store.indices()[:1])
    broken_disk(".part")
    with pytest.raises(TileWriteError):
        store.sink.flush()
    store.sink.abandon()
    assert not [name for name in store.files() if name.endswith(".index")]


def test_an_interrupt_forgets_nothing(tmp_path, monkeypatch):
    store = Store(tmp_path, DOCUMENTS["zstd"], durable=True)
    store.put(store.image())
    n, real = len(store.sink._files._unsynced), os.fsync

    def fsync(fd):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(KeyboardInterrupt):
        store.sink.flush()
    assert len(store.sink._files._unsynced) == n
    monkeypatch.setattr(os, "fsync", real)
    store.sink.flush()
    assert len(store.sink._files._unsynced) == 0

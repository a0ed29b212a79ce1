"""Zarr in zip files: members by their position, by many threads, and damage of all kinds."""

import threading
import zipfile

import numpy as np
import pytest

import bfio
from bfio.omezarr.zipstore import ZipStore

zarr = pytest.importorskip("zarr")

IMAGE = np.random.default_rng(3).integers(0, 99, (200, 300), np.uint16)


@pytest.fixture(params=["chunks", "shards"])
def store(tmp_path, request):
    """A zip file of members that are not compressed."""
    shards = (128, 128) if request.param == "shards" else None
    path = tmp_path / "a.zip"
    with zarr.storage.ZipStore(path, mode="w") as target:
        zarr.create_array(target, shape=IMAGE.shape, chunks=(32, 32), shards=shards, dtype="u2")[:] = IMAGE
    return path


def test_stored_members_are_read_where_they_stand(store, monkeypatch):
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    with bfio.BioReader(store) as reader:
        np.testing.assert_array_equal(reader[:], IMAGE)
        np.testing.assert_array_equal(reader[60:70, 100:130], IMAGE[60:70, 100:130])


def test_ranges_of_a_shard_are_all_that_is_read(tmp_path, monkeypatch):
    with zarr.storage.ZipStore(tmp_path / "a.zip", mode="w") as target:
        image = np.random.default_rng(0).integers(0, 9999, (1024, 1024), np.uint16)
        zarr.create_array(target, shape=image.shape, chunks=(64, 64), shards=(1024, 1024), dtype="u2")[:] = image
    read = []
    pread = bfio.byteio.FileSource.pread

    def counted(self, offset, nbytes):
        data = pread(self, offset, nbytes)
        read.append(len(data))
        return data

    monkeypatch.setattr(bfio.byteio.FileSource, "pread", counted)
    with bfio.BioReader(tmp_path / "a.zip") as reader:
        np.testing.assert_array_equal(reader[:10, :10], image[:10, :10])
    assert sum(read) < 40_000


def test_many_threads(store):
    with bfio.BioReader(store, max_workers=2) as reader:
        barrier, wrong = threading.Barrier(5), []

        def work(number):
            barrier.wait()
            for _ in range(3):
                if not np.array_equal(reader[number * 9 :, number:], IMAGE[number * 9 :, number:]):
                    wrong.append(number)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(5)]
        [thread.start() for thread in threads]
        [thread.join(60) for thread in threads]
        assert wrong == []


def test_parts(tmp_path):
    data = bytes(range(256)) * 4
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a/stored", data)
        archive.writestr("a/packed", data, zipfile.ZIP_DEFLATED)
        archive.writestr("a/empty", b"")
    found = ZipStore(str(tmp_path / "a.zip"))
    for key in ("a/stored", "a/packed"):
        for start, stop in ((0, None), (3, 9), (-7, None), (-5000, None), (1000, 2000), (5000, 6000)):
            assert found.fetch(key, start, stop).cut(start, stop) == data[start:stop]
        with pytest.raises(bfio.LimitError):
            found.fetch(key, most=1023)
    assert found.fetch("a/empty").data == b"" and found.fetch("a") is None and found.nbytes("a/stored") == 1024
    found.close()
    with pytest.raises(bfio.UsageError, match="closed"):
        found.fetch("a/stored")


@pytest.mark.parametrize("damage", ["byte", "header", "cut"])
def test_damaged_members(tmp_path, damage):
    key, data = "c/0/0", bytes(range(256)) * 20
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("zarr.json", b"{}")
        archive.writestr(key, data)
        info = archive.getinfo(key)
    raw = bytearray(path.read_bytes())
    if damage == "byte":
        raw[info.header_offset + 3000] ^= 1
    elif damage == "header":
        raw[info.header_offset] ^= 1
    else:  # the name in its header reaches behind the end of the file
        raw[info.header_offset + 26 : info.header_offset + 28] = b"\xff\xff"
    path.write_bytes(raw)
    found = ZipStore(str(path))
    with pytest.raises(bfio.FormatError, match="c/0/0"):
        found.fetch(key)
    assert found.fetch("zarr.json").data == b"{}"
    found.close()


def test_a_damaged_chunk_is_named(store):
    raw = bytearray(store.read_bytes())
    with zipfile.ZipFile(store) as archive:
        info = max(archive.infolist(), key=lambda info: info.file_size)
    place = info.header_offset + 30 + len(info.filename) + 40
    raw[place : place + 30] = bytes(30)
    store.write_bytes(raw)
    with bfio.BioReader(store) as reader, pytest.raises(bfio.TileDecodeError) as caught:
        reader[:]
    assert caught.value.path.endswith(info.filename)

"""Zarr stores over HTTP, and others that are no folders: as from the folder, by few requests, many of them in flight."""

import zipfile

import numpy as np
import pytest

import bfio
from bfio.omezarr.foreign import ForeignNodes
from bfio.omezarr.reader import ZarrImages
from bfio.selection import Box

pytest.importorskip("aiohttp")
zarr = pytest.importorskip("zarr")
from served_arrays import IMAGE, KINDS, expected, keys_of, write  # noqa: E402

# -- pixels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cache_bytes", [0, 1 << 24])
def test_as_from_the_folder(tmp_path, open_url, kind, cache_bytes):
    folder = write(tmp_path / "a.zarr", kind)
    reader, _ = open_url(folder, cache_bytes=cache_bytes)
    with bfio.BioReader(folder) as local:
        for _ in range(2):
            for key in (np.s_[:], np.s_[31:33, 60:70], np.s_[5:290:7, 400:3:-9, 1], np.s_[250:270, 120:140]):
                np.testing.assert_array_equal(reader[key], local[key])
    np.testing.assert_array_equal(np.squeeze(reader[:]), expected())


def stored_in(place, folder):
    """The same store somewhere else, as nodes."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if place == "mapping":
        return ForeignNodes(files)
    if place == "memory":
        url = f"memory://{folder.parent.name}/a.zarr"
        pytest.importorskip("fsspec").filesystem("memory").put(str(folder), url, recursive=True)
        return ForeignNodes(url)
    if place == "memory of zarr":
        buffer = zarr.core.buffer.default_buffer_prototype().buffer
        return ForeignNodes(zarr.storage.MemoryStore({key: buffer.from_bytes(data) for key, data in files.items()}))
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w", getattr(zipfile, place)) as archive:
        for key, data in files.items():
            archive.writestr(key, data)
    return ForeignNodes(folder.with_suffix(".zip"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["memory", "mapping", "memory of zarr", "ZIP_STORED", "ZIP_DEFLATED"])
@pytest.mark.parametrize("cache_bytes", [0, 1 << 24])
def test_as_from_the_folder_in_stores_of_all_kinds(tmp_path, kind, place, cache_bytes):
    nodes = stored_in(place, write(tmp_path / "a.zarr", kind))
    images = ZarrImages(nodes, max_workers=2, limits=bfio.Limits(), cache_bytes=cache_bytes)
    for _ in range(2):
        for y, x in ((range(300), range(410)), (range(30, 70, 3), range(250, 290)), (range(250, 270), range(5))):
            out = np.zeros((1, 1, 2, len(y), len(x)), "u2")
            images.read(0, 0, Box((0,), (0,), (0, 1), y, x), out, None)
            want = expected()[y.start : y.stop : y.step, x.start : x.stop : x.step]
            np.testing.assert_array_equal(out[0, 0].transpose(1, 2, 0), want)
    images.close()


def test_a_server_without_ranges(tmp_path, open_url, monkeypatch):
    folder = write(tmp_path / "a.zarr", "shards")
    reader, server = open_url(folder, ranges=False)
    np.testing.assert_array_equal(np.squeeze(reader[:]), expected())
    assert len(keys_of(server)) == 3 * 4  # a shard each, of which 4 were never written
    np.testing.assert_array_equal(np.squeeze(reader[:40, :40]), expected()[:40, :40])  # with an index that is known
    monkeypatch.setattr("bfio.byteio.httpobjects.WHOLE_NBYTES", 1000)
    with pytest.raises(bfio.UnsupportedError, match="range requests"):
        reader[64:70, 64:70]


# -- requests ---------------------------------------------------------------------------------------------------------


def test_many_requests_are_in_flight_over_connections_that_are_kept(tmp_path, open_url):
    reader, server = open_url(write(tmp_path / "a.zarr"), delay=0.05)
    reader[:]
    assert len(keys_of(server)) == len(set(keys_of(server))) == 2 * 10 * 13  # each chunk once, the missing ones too
    assert 16 <= server.most_at_once <= 32
    reader[:]
    assert server.connections <= 33


def test_shards_take_an_index_each_and_few_ranges(tmp_path, open_url):
    reader, server = open_url(write(tmp_path / "a.zarr", "shards"), delay=0.02)
    reader[:128, :256]
    assert [entry[2:] for entry in server.log if entry[3] is None] == []
    assert len(server.log) == 2 * 2  # an index and all chunks at once, of each of two shards
    assert server.most_at_once == 2
    server.log.clear()
    reader[:32, :32]
    assert len(server.log) == 1  # the index is known
    server.log.clear()
    reader[:]
    assert len(set(keys_of(server))) == 12 and len(server.log) == 4 + 2 * 6 + 2 - 2 + 2  # 4 have none, 2 are known
    with bfio.BioReader(tmp_path / "a.zarr") as local:
        np.testing.assert_array_equal(reader[:], local[:])


@pytest.mark.parametrize("kind", ["v3", "shards"])
def test_what_is_in_the_cache_is_not_fetched(tmp_path, open_url, kind):
    reader, server = open_url(write(tmp_path / "a.zarr", kind), cache_bytes=1 << 24)
    first = reader[10:50, 20:90]
    server.log.clear()
    np.testing.assert_array_equal(reader[10:50, 20:90], first)
    assert server.log == []


@pytest.mark.parametrize(("version", "n_requests"), [(3, 2 + 4 + 1), (2, 2 + 4 + 4 + 3)])
def test_opening_takes_few_requests_at_once(tmp_path, http_server, version, n_requests):
    with bfio.BioWriter(tmp_path / "a.zarr", image=IMAGE[0], tile_size=32, levels=4, zarr_version=version):
        pass
    server = http_server(tmp_path, delay=0.05)
    with bfio.BioReader(f"{server.url}/a.zarr") as reader, bfio.BioReader(tmp_path / "a.zarr") as local:
        assert len(reader.levels) == 4
        assert len(server.log) == len({entry[1] for entry in server.log}) == n_requests
        assert server.most_at_once >= 4
        np.testing.assert_array_equal(reader[:], local[:])


def test_consolidated_metadata_are_two_requests(tmp_path, http_server):
    group = zarr.create_group(str(tmp_path / "a.zarr"), zarr_format=2)
    for name in "abc":
        group.create_array(name, shape=(40, 50), chunks=(16, 16), dtype="u2")[:] = IMAGE[0, :40, :50]
    zarr.consolidate_metadata(group.store)
    server = http_server(tmp_path)
    with bfio.BioReader(f"{server.url}/a.zarr") as reader:
        assert len(reader.series) == 3
        assert {entry[1] for entry in server.log} <= {
            f"a.zarr/{name}" for name in ("zarr.json", ".zmetadata", ".zgroup", ".zattrs", ".zarray")
        } | {"a.zarr/OME/METADATA.ome.xml"}


def test_arrays_that_nobody_lists_are_looked_for_at_once(tmp_path, http_server):
    group = zarr.create_group(str(tmp_path / "a.zarr"))
    for name in "02":
        group.create_array(name, shape=(40, 50), chunks=(16, 16), dtype="u2")
    server = http_server(tmp_path, delay=0.02)
    with bfio.BioReader(f"{server.url}/a.zarr") as reader:
        assert [one.name for one in reader.series] == ["0", "2"]
    assert server.most_at_once > 8


# -- other file systems -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["v3", "shards"])
def test_s3(tmp_path, http_server, monkeypatch, kind):
    pytest.importorskip("s3fs")
    registry = pytest.importorskip("fsspec.registry")
    for name in ("s3", "s3a"):  # other tests begin without a driver
        monkeypatch.setitem(registry._registry, name, object)
        del registry._registry[name]
    write(tmp_path / "bucket" / "a.zarr", kind)
    server = http_server(tmp_path, delay=0.02)
    options = {"anon": True, "client_kwargs": {"endpoint_url": server.url}, "skip_instance_cache": True}
    with bfio.BioReader("s3://bucket/a.zarr", storage_options=options, max_workers=2) as reader:
        server.log.clear()
        server.most_at_once = 0
        np.testing.assert_array_equal(np.squeeze(reader[:]), expected())
    assert {entry[0] for entry in server.log} == {"GET"}
    if kind == "v3":
        assert len(server.log) == 260 and server.most_at_once > 10

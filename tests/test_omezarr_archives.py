"""Zarr stores in zip and tar files: whole, in a folder, cut off, and far larger inside than outside."""

import tarfile
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import bfio
from bfio.omezarr.foreign import ForeignNodes
from bfio.omezarr.stores import UrlStore
from bfio.omezarr.zipstore import zip_prefix

IMAGE = np.random.default_rng(8).integers(0, 9999, (45, 61), np.uint16)


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "a.ome.zarr"
    with bfio.BioWriter(path, image=IMAGE, tile_size=16):
        pass
    return path


def zipped(store, name="a.zip", prefix="", more=(), without=(), compression=zipfile.ZIP_STORED):
    """All files of a store in a zip file, except some, and with some more."""
    path = store.parent / name
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(store.rglob("*")):
            key = file.relative_to(store).as_posix()
            if file.is_file() and key not in without:
                archive.write(file, prefix + key)
        for key, data in more:
            archive.writestr(key, data)
    return path


@pytest.mark.parametrize("prefix", ["a.ome.zarr/", "Ümläut 50%/"])
@pytest.mark.parametrize("folders", [True, False])
def test_a_zip_file_of_the_folder_itself(store, prefix, folders):
    more = [("__MACOSX/x", b""), *([(prefix, b""), (f"{prefix}0/", b"")] if folders else [])]
    path = zipped(store, prefix=prefix, more=more)
    with bfio.BioReader(path) as reader:
        assert reader._backend_name == "zarr" and np.array_equal(reader[:], IMAGE)


def test_the_root_of_a_zip_file():
    assert zip_prefix(["0/.zarray", ".zgroup"]) == ""
    assert zip_prefix(["a/0/zarr.json", "a/zarr.json"]) == "a/"
    assert zip_prefix(["a/zarr.json", "b/zarr.json"]) is None
    assert zip_prefix(["a/b/zarr.json"]) is None
    assert zip_prefix([]) is None


@pytest.mark.parametrize("url", ["zip://::{}", "zip::{}", "zip://0::{}", "zip://::simplecache::{}"])
def test_urls_of_zip_files(store, url):
    pytest.importorskip("fsspec")
    with bfio.BioReader(url.format(zipped(store).as_uri())) as reader:
        assert reader._backend_name == "zarr" and np.array_equal(reader[:], IMAGE)
    folder = zipped(store, "b.zip", "x.ome.zarr/").as_uri()
    with bfio.BioReader(f"zip://x.ome.zarr::{folder}") as reader:
        assert np.array_equal(reader[:], IMAGE)


def test_threads_on_a_tar_file(tmp_path):
    """The file system of fsspec has one open file for all of them."""
    pytest.importorskip("fsspec")
    keys = [f"{n}.bin" for n in range(64)]
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for number, key in enumerate(keys):
            (tmp_path / key).write_bytes(bytes([number]) * 30_000)
            archive.add(tmp_path / key, key)
    store = UrlStore(f"tar://::{(tmp_path / 'a.tar').as_uri()}")
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda key: store.fetch(key).data, keys * 20))
    assert found == [bytes([number]) * 30_000 for number in range(64)] * 20
    store.close()


@pytest.mark.parametrize("kept", [10, 500, -30, -1])
def test_a_zip_file_that_is_cut_off(store, kept):
    path = zipped(store)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(bfio.FormatError, match="no zip file that can be read"):
        bfio.BioReader(path)


@pytest.mark.parametrize("key", ["zarr.json", "0/c/0/0/0/0/1"])
def test_what_is_far_too_large_is_not_inflated(store, key):
    path = zipped(store, more=[(key, bytes(100 << 20))], without=[key], compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    try:
        with (
            pytest.raises((bfio.LimitError, bfio.TileDecodeError), match="104,?857,?600 bytes"),
            bfio.BioReader(path) as reader,
        ):
            reader[:]
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()


def test_parts_of_what_is_far_too_large(store):
    """As zarr-python asks for them in shards."""
    adapter = pytest.importorskip("bfio.omezarr.adapter")
    nodes = ForeignNodes(zipped(store, more=[("big", bytes(1 << 20))], compression=zipfile.ZIP_DEFLATED))
    source = adapter.NodesStore(nodes, 1000)
    with pytest.raises(bfio.FormatError, match="more than what it should hold"):
        source._bytes("big", adapter.SuffixByteRequest(20))
    nodes.close()

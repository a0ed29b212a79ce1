"""Where Zarr stores may be: folders under any name, zip files, URLs, stores in memory; and what is none."""

import pickle
import uuid
import zipfile

import numpy as np
import pytest

import bfio

IMAGE = np.random.default_rng(8).integers(0, 9999, (45, 61), np.uint16)
zarr = pytest.importorskip("zarr")


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "a.ome.zarr"
    with bfio.BioWriter(path, image=IMAGE, tile_size=16):
        pass
    return path


def test_a_folder_under_another_name(store, tmp_path):
    store.rename(tmp_path / "renamed")
    with bfio.BioReader(tmp_path / "renamed") as reader:
        assert reader._backend_name == "zarr" and np.array_equal(reader[:], IMAGE)
    assert bfio.BioReader.image_size(tmp_path / "renamed") == (61, 45)
    assert np.array_equal(bfio.imread(tmp_path / "renamed"), IMAGE)


def test_the_array_itself(store):
    with bfio.BioReader(store / "0") as reader:
        assert reader.shape == IMAGE.shape and np.array_equal(reader[:], IMAGE)


def test_a_zip_file(store, tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(store.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(store))
    with bfio.BioReader(path) as reader:
        assert reader._backend_name == "zarr" and np.array_equal(reader[:], IMAGE)


def test_a_store_in_memory():
    memory = zarr.storage.MemoryStore()
    zarr.create_array(memory, shape=IMAGE.shape, chunks=(16, 16), dtype="u2")[:] = IMAGE
    with bfio.BioReader(memory) as reader:
        assert np.array_equal(reader[:], IMAGE)
        assert np.array_equal(reader[5:30:3, 7:9], IMAGE[5:30:3, 7:9])


@pytest.mark.parametrize(
    "make",
    [lambda p: zarr.open_group(p, mode="r"), lambda p: zarr.open_group(p, mode="r")["0"], zarr.storage.LocalStore],
)
def test_objects_of_zarr_in_a_folder(store, make):
    """The kernels read the folder, and a copy finds it again."""
    reader = bfio.BioReader(make(str(store)))
    assert reader._backend._images._nodes.root is not None
    with reader, pickle.loads(pickle.dumps(reader)) as copied:
        assert np.array_equal(reader[:], IMAGE) and np.array_equal(copied[:], IMAGE)


def test_a_mapping(store):
    files = {file.relative_to(store).as_posix(): file.read_bytes() for file in store.rglob("*") if file.is_file()}
    with bfio.BioReader(files) as reader:
        assert reader._backend_name == "zarr" and np.array_equal(reader[:], IMAGE)


def test_over_http(store, http_server):
    server = http_server(store.parent)
    for url in ("/a.ome.zarr", "/a.ome.zarr/0", "/a.ome.zarr/0/"):
        with bfio.BioReader(server.url + url) as reader:
            assert np.array_equal(reader[10:20, :], IMAGE[10:20])


def test_a_url_that_does_not_say_what_it_is(store, http_server):
    """A file system that knows folders is asked, of others the backend must be told."""
    fsspec = pytest.importorskip("fsspec")
    name = uuid.uuid4().hex
    memory = fsspec.filesystem("memory")
    memory.put(str(store), f"/{name}", recursive=True)
    for source in (f"memory://{name}", f"memory://{name}/0"):
        with bfio.BioReader(source) as reader:
            assert np.array_equal(reader[:], IMAGE)
    memory.rm(f"/{name}/zarr.json")
    with pytest.raises(bfio.FormatError, match="is a folder"):
        bfio.BioReader(f"memory://{name}")
    memory.rm(f"/{name}", recursive=True)
    store.rename(store.with_name("b"))
    url = f"{http_server(store.parent).url}/b"
    with pytest.raises(FileNotFoundError):
        bfio.BioReader(url)
    with bfio.BioReader(url, backend="zarr") as reader:
        assert np.array_equal(reader[:], IMAGE)


def test_other_backends_refuse_a_store(store):
    for backend in ("python", "bioformats"):
        with pytest.raises(bfio.UnsupportedError, match="Zarr"):
            bfio.BioReader(store, backend=backend)
    for backend in ("zarr", "zarr3", "tensorstore", "ZARR"):
        assert bfio.BioReader(store, backend=backend)._backend_name == "zarr"


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        bfio.BioReader(tmp_path / "none.zarr")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(bfio.FormatError, match="no Zarr store"):
        bfio.BioReader(tmp_path / "empty.zarr")

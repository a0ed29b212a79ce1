"""Where Zarr stores may be: folders under any name, zip files, URLs, stores in memory; and what is none."""

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


def test_over_http(store, http_server):
    url = f"{http_server(store.parent).url}/a.ome.zarr"
    with bfio.BioReader(url) as reader:
        assert np.array_equal(reader[10:20, :], IMAGE[10:20])


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

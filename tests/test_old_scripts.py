"""Idioms of scripts written for bfio 2.x, on a fake file and on real ones."""

import operator
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
from fakes import FakeBackend, public, sample_image

import bfio
from bfio import BioReader

TILE_SIZE = 64


def write_ome(path, image):
    metadata = {
        "axes": "TCZYX",
        "Channel": {"Name": [f"channel {c}" for c in range(image.shape[1])]},
        "PhysicalSizeX": 0.5,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 0.25,
        "PhysicalSizeYUnit": "µm",
    }
    tifffile.imwrite(path, image, ome=True, metadata=metadata, tile=(32, 32), photometric="minisblack")


@pytest.fixture(params=["fake", "tiff"])
def make(request, tmp_path, monkeypatch):
    """Factory: array (T, C, Z, Y, X) -> path of an image with these pixels."""

    def from_tiff(image):
        path = tmp_path / "image.ome.tif"
        write_ome(path, image)
        return path

    def from_fake(image):
        monkeypatch.setattr("bfio.handle.open_reader", lambda source, **options: FakeBackend(image))
        return tmp_path / "image.ome.tif"

    return from_tiff if request.param == "tiff" else from_fake


@pytest.fixture
def image():
    return sample_image(2, 3, 4, 150, 100, np.uint32)


def test_whole_image(make):
    plane = sample_image(y=150, x=100)
    with BioReader(make(plane)) as br:
        assert br.shape == (150, 100) == br[:].shape == br.read().squeeze().shape
        np.testing.assert_array_equal(br[:], plane[0, 0, 0])


def test_positional_and_keyword_construction(make, image):
    path = make(image)
    with BioReader(path, 2) as a, BioReader(file_path=str(path), max_workers=1, backend="python") as b:
        np.testing.assert_array_equal(a[:10], b[:10])
    assert bfio.BioReader is BioReader


def test_loop_over_tiles(make, image):
    with BioReader(make(image)) as br:
        result = np.zeros((br.Y, br.X, br.Z), br.dtype)
        for z in range(br.Z):
            for y in range(0, br.Y, TILE_SIZE):
                y_max = min(br.Y, y + TILE_SIZE)
                for x in range(0, br.X, TILE_SIZE):
                    x_max = min(br.X, x + TILE_SIZE)
                    result[y:y_max, x:x_max, z : z + 1] = br[y:y_max, x:x_max, z : z + 1, 0, 0].reshape(
                        y_max - y, x_max - x, 1
                    )
    np.testing.assert_array_equal(result, image[0, 0].transpose(1, 2, 0))


KEYS = {
    "whole": np.s_[:],
    "ellipsis last": np.s_[3:70, 5:66, ...],
    "one plane": np.s_[3:70, 5:66, 2:3, 0, 0],
    "three slices": np.s_[3:70, 5:66, 1:3],
    "all z": np.s_[:, :, :, 0, 0],
    "first z": np.s_[:, :, 0:1, 0, 0],
    "two slices": np.s_[3:70, 5:66],
    "ints": np.s_[:, :, 0, 0, 0],
    "int z": np.s_[3:70, 5:66, 2, 0, 0],
    "ellipsis first": np.s_[..., 0, 0],
    "channels": np.s_[:, :, 0, 0:2, 0],
    "more channels": np.s_[:, :, 0, 1:3, 0],
    "all of c and t": np.s_[3:70, 5:66, 1:2, :, :],
    "all channels": np.s_[3:70, 5:66, 0, :, 0],
    "three only": np.s_[:100, :25, :],
    "window": (slice(3, 70), slice(5, 66)),
    "numpy bounds": np.s_[np.int64(3) : np.int64(9), np.int64(0) : np.int32(4), 0, 0, 0],
    "numpy ints": (slice(0, 5), slice(0, 5), np.int64(1), np.int16(2), np.uint8(1)),
}


@pytest.mark.parametrize("name", KEYS)
def test_subscripts_of_real_scripts(make, image, name):
    key = KEYS[name] if isinstance(KEYS[name], tuple) else (KEYS[name],)
    slices = [slice(part, part + 1) if hasattr(part, "__index__") else part for part in key]
    wanted = public(image)[tuple(slices)]
    while wanted.ndim > 2 and wanted.shape[-1] == 1:
        wanted = wanted[..., 0]
    with BioReader(make(image)) as br:
        got = br[KEYS[name]]
    assert got.shape == wanted.shape
    np.testing.assert_array_equal(got, wanted)


def test_read_by_bounds(make, image):
    with BioReader(make(image)) as br:
        got = br.read(X=[5, 66], Y=(3, 70), Z=[0, 2], C=[0], T=[1])
    np.testing.assert_array_equal(got, public(image)[3:70, 5:66, 0:2, 0, 1])


def test_names_units_and_types(make, image):
    from ome_types.model import UnitsLength

    with BioReader(make(image)) as br:
        assert br.channel_names == br.cnames == ["channel 0", "channel 1", "channel 2"]
        assert br.ps_x == (0.5, UnitsLength.MICROMETER) and br.physical_size_y[0] == 0.25
        assert {"UnitsLength.MICROMETER": 1}[str(br.ps_x[1])] == 1 and br.ps_y[1].value == "µm"
        assert None in br.ps_z
        assert np.dtype(br.dtype) == np.uint32 and br.bpp == 4 and br.spp == 1


def test_metadata_is_an_ome_object(make, image):
    from ome_types import OME

    with BioReader(make(image)) as br:
        metadata = br.metadata
        assert isinstance(metadata, OME) and br.metadata is metadata
    pixels = metadata.images[0].pixels
    assert (pixels.size_x, pixels.size_y, pixels.size_z, pixels.size_c, pixels.size_t) == (100, 150, 4, 3, 2)
    pixels.size_c = 1
    pixels.channels[0].name = "other"


def test_metadata_after_close(make, image):
    with BioReader(make(image)) as br:
        pass
    assert br.metadata.images[0].pixels.size_x == 100


def test_closing_twice_and_never(make, image):
    with BioReader(make(image)) as br:
        br.close()
    unclosed = BioReader(make(image))
    assert unclosed.X == 100


def test_attributes_of_clients(make, image):
    with BioReader(make(image)) as br:
        br.max_workers = 4
        br.cache = {}
        br.ndim = len(br.shape)
        assert br._TILE_SIZE == 1024 and br._backend_name == "python" and br._backend is not None


def test_one_reader_for_many_threads(make, image):
    def part(y):
        return br[y : y + 10, :, 1, 2, 1]

    with BioReader(make(image)) as br, ThreadPoolExecutor(4) as executor:
        parts = list(executor.map(part, range(0, 150, 10)))
    np.testing.assert_array_equal(np.concatenate(parts), image[1, 2, 1])


def test_pickled_readers(make, image):
    with BioReader(make(image)) as br, pickle.loads(pickle.dumps(br)) as twin:
        np.testing.assert_array_equal(twin[5:9], br[5:9])


def test_as_a_dask_source(make):
    """What ``dask.array.from_array`` uses: shape, dtype, ndim and one slice per axis."""
    plane = sample_image(z=3, y=50, x=40)
    with BioReader(make(plane)) as br:
        slices = tuple(slice(0, min(16, size)) for size in br.shape)
        np.testing.assert_array_equal(operator.getitem(br, slices), br[:][slices])
        assert br.ndim == len(slices)


def test_missing_files(tmp_path):
    for name in ("missing.ome.tif", "missing.tif", "missing.ome.zarr"):
        with pytest.raises(FileNotFoundError):
            BioReader(tmp_path / name)


def test_image_size(make):
    path = make(sample_image(y=150, x=100))
    if not path.exists():
        path.write_bytes(b"II*\0" + bytes(20))
    assert BioReader.image_size(path) == BioReader.image_size(str(path)) == (100, 150)


def test_home_folder_is_expanded(make, image, monkeypatch):
    path = make(image)
    monkeypatch.setenv("HOME", str(path.parent))
    with BioReader("~/image.ome.tif") as br:
        assert br._file_path == path.resolve()


def test_a_url_reads_as_the_file_does(tmp_path, image, http_server):
    pytest.importorskip("aiohttp")
    write_ome(tmp_path / "image.ome.tif", image)
    url = f"{http_server(tmp_path).url}/image.ome.tif"
    with BioReader(url) as br, pickle.loads(pickle.dumps(br)) as twin:
        np.testing.assert_array_equal(br[:, :, 1, 2, 1], image[1, 2, 1])
        np.testing.assert_array_equal(twin[3:9], br[3:9])
        assert br._file_path == url and "image.ome.tif" in repr(br)

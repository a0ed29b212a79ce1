"""Idioms of scripts that write with bfio 2.x, on a fake backend and on real files."""

import itertools
import logging
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from fake_writer import FakeWriter
from fakes import public, sample_image

from bfio import BioReader, BioWriter
from bfio.omexml import parse

TILE_SIZE = 64


class Written:
    """What a script has written: pixels as Y, X, Z, C, T, and OME-XML."""

    def __init__(self, pixels, xml):
        self.pixels = pixels
        self.image = parse(xml).images[0]


@pytest.fixture(params=["fake", "tiff"])
def read_back(request, monkeypatch):
    """Function that reads a finished file with others than bfio's reader."""
    if request.param == "tiff":
        return _with_tifffile
    made = {}

    def create(path, name, series, xml, options):
        made[path] = FakeWriter(path, series, xml, options)
        return made[path]

    def from_fake(path):
        backend = made[Path(path).resolve()]
        assert backend.state == "finished"
        return Written(backend.public, backend.xml)

    monkeypatch.setattr("bfio.writer.create_writer", create)
    return from_fake


def _with_tifffile(path):
    with tifffile.TiffFile(path) as file:
        array, axes, xml = file.series[0].asarray(), file.series[0].axes, file.ome_metadata
    if axes == "YXS":
        array, axes = np.moveaxis(array, -1, 0), "CYX"
    return Written(public(np.expand_dims(array, [k for k, axis in enumerate("TCZYX") if axis not in axes])), xml)


def write_source(path, image):
    metadata = {
        "axes": "TCZYX",
        "Channel": {"Name": [f"channel {c}" for c in range(image.shape[1])]},
        "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 250.0, "PhysicalSizeYUnit": "nm",
    }  # fmt: skip
    tifffile.imwrite(path, image, ome=True, metadata=metadata, tile=(32, 32), photometric="minisblack")
    return path


@pytest.fixture
def source(tmp_path):
    return write_source(tmp_path / "source.ome.tif", sample_image(2, 3, 2, 150, 100, np.uint16))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.ome.tif"


def tiles(image):
    for y, x in itertools.product(range(0, image.Y, TILE_SIZE), range(0, image.X, TILE_SIZE)):
        yield y, min(image.Y, y + TILE_SIZE), x, min(image.X, x + TILE_SIZE)


def test_copy_by_tiles(read_back, source, out):
    with BioReader(source, 2) as br, BioWriter(out, 2, metadata=br.metadata) as bw:
        bw.dtype = br.dtype
        for y, y_max, x, x_max in tiles(br):
            bw[y:y_max, x:x_max, ...] = br[y:y_max, x:x_max, ...]
        whole = br[:]
    found = read_back(out)
    np.testing.assert_array_equal(found.pixels, whole)
    pixels = found.image.pixels
    assert [channel.name for channel in pixels.channels] == ["channel 0", "channel 1", "channel 2"]
    assert pixels.physical_size_x == (0.5, "µm") and pixels.physical_size_y == (250.0, "nm")


def test_one_channel_of_another_dtype(read_back, source, out):
    with BioReader(source, backend="python") as br:
        metadata = br.metadata
        with BioWriter(file_path=out, metadata=metadata, backend="python") as bw:
            bw.C = 1
            bw.T = 1
            bw.dtype = np.float32
            bw.channel_names = ["mask"]
            for z in range(br.Z):
                for y, y_max, x, x_max in tiles(br):
                    bw[y:y_max, x:x_max, z : z + 1, 0, 0] = (br[y:y_max, x:x_max, z : z + 1, 1, 0] / 7).astype(bw.dtype)
        assert metadata.images[0].pixels.size_c == 3
        wanted = (br[:, :, :, 1, 0] / 7).astype(np.float32)
    found = read_back(out)
    np.testing.assert_array_equal(found.pixels[..., 0, 0], wanted)
    assert found.pixels.shape[3:] == (1, 1) and found.image.pixels.channels[0].name == "mask"


@pytest.mark.parametrize(
    "key", [np.s_[:], np.s_[:, :], np.s_[:, :, 0, 0, 0], np.s_[:, :, :, :, :], np.s_[:, :, 0:1, 0, 0]]
)
@pytest.mark.parametrize("rank", [2, 3, 5])
def test_attributes_then_the_whole(read_back, out, key, rank):
    image = sample_image(y=150, x=100, dtype=np.uint32)[0, 0, 0]
    writer = BioWriter(str(out))
    writer.dtype = image.dtype
    writer.Y = image.shape[0]
    writer.X = image.shape[1]
    writer.Z = 1
    writer.C = 1
    writer.T = 1
    writer[key] = image.reshape(image.shape + (1,) * (rank - 2))
    writer.close()
    np.testing.assert_array_equal(read_back(out).pixels[..., 0, 0, 0], image)


@pytest.mark.parametrize("rank", [3, 5])
def test_a_stack_as_a_whole(read_back, out, rank):
    image = public(sample_image(z=3, y=20, x=30, dtype=np.int16))
    with BioWriter(out, X=30, Y=20, Z=3, C=1, T=1, dtype=np.int16) as bw:
        bw[:] = image if rank == 5 else image[..., 0, 0]
    np.testing.assert_array_equal(read_back(out).pixels, image)


def test_shape_of_another_array(read_back, out):
    image = np.random.default_rng(1).integers(0, 255, (33, 44), np.uint8)
    with BioWriter(out) as writer:
        writer.shape = image.shape
        writer.dtype = np.uint8
        writer[:] = image
    np.testing.assert_array_equal(read_back(out).pixels[..., 0, 0, 0], image)


def test_planes_in_any_order(read_back, source, out):
    with BioReader(source) as br, BioWriter(out, metadata=br.metadata) as bw:
        for t, c, z in reversed(list(itertools.product(range(br.T), range(br.C), range(br.Z)))):
            bw[:, :, z, c, t] = br[:, :, z, c, t]
        whole = br[:]
    np.testing.assert_array_equal(read_back(out).pixels, whole)


def test_channels_one_by_one(read_back, out):
    planes = public(sample_image(c=3, y=40, x=50))
    with BioWriter(out, X=50, Y=40, C=3, dtype=np.uint16) as bw:
        for di in range(3):
            bw[:, :, 0, di : di + 1, 0] = planes[:, :, 0, di : di + 1, 0]
        bw[10:20, 5:9, 0, :, 0] = planes[10:20, 5:9, 0:1, :, 0]
    np.testing.assert_array_equal(read_back(out).pixels, planes)


def test_time_points_one_by_one(read_back, out):
    planes = public(sample_image(t=3, z=2, y=40, x=50))
    with BioWriter(out, X=50, Y=40, Z=2, T=3, dtype=np.uint16) as bw:
        for di in range(3):
            bw[..., 0, 0, di : di + 1] = planes[:, :, 0, 0, di]
            bw[:, :, 1, :, di] = planes[:, :, 1, :, di]
    np.testing.assert_array_equal(read_back(out).pixels, planes)


def test_blocks_that_cut_tiles(read_back, out):
    """Silently scrambled by bfio 2.5."""
    image = public(sample_image(y=150, x=210))
    with BioWriter(out, X=210, Y=150, dtype=np.uint16, tile_size=64) as bw:
        for y, x in itertools.product(range(0, 150, 37), range(0, 210, 41)):
            bw[y : y + 37, x : x + 41] = image[y : y + 37, x : x + 41]
    np.testing.assert_array_equal(read_back(out).pixels, image)


def test_write_by_starts(read_back, out):
    image = public(sample_image(c=2, z=2, y=60, x=70))
    with BioWriter(out, X=70, Y=60, Z=2, C=2, dtype=np.uint16) as bw:
        for y, x in itertools.product(range(0, 60, 30), range(0, 70, 35)):
            for z, c in itertools.product(range(2), range(2)):
                part = image[y : y + 30, x : x + 35, z : z + 1, c : c + 1]
                bw.write(part, X=[x], Y=y, Z=[z], C=[c], T=[0])
    np.testing.assert_array_equal(read_back(out).pixels, image)


def test_many_threads(read_back, source, out):
    with BioReader(source) as br, BioWriter(out, metadata=br.metadata) as bw, ThreadPoolExecutor(4) as executor:
        jobs = [
            executor.submit(bw.__setitem__, np.s_[y:y_max, x:x_max, ...], br[y:y_max, x:x_max, ...])
            for y, y_max, x, x_max in tiles(br)
        ]
        for job in jobs:
            job.result()
        whole = br[:]
    np.testing.assert_array_equal(read_back(out).pixels, whole)


def test_an_empty_store_made_first(read_back, out):
    with BioWriter(out, X=20, Y=10, dtype=np.uint8) as writer:
        writer._backend._init_writer()
        writer.max_workers = 4
        assert writer._TILE_SIZE == 1024 and writer._backend_name == "python"
        writer[0:5, 0:7] = np.ones((5, 7), np.uint8)
    assert read_back(out).pixels.sum() == 35


def test_closing_twice_within_the_block(read_back, out):
    with BioWriter(out, X=20, Y=10) as bw:
        bw[:] = np.ones((10, 20), np.uint8)
        bw.close()
    bw.close()
    assert read_back(out).pixels.all()


def test_a_temporary_file_that_exists(read_back):
    image = np.arange(200, dtype=np.uint8).reshape(10, 20)
    with tempfile.TemporaryDirectory() as folder:
        with tempfile.NamedTemporaryFile(suffix=".ome.tif", dir=folder, delete=False) as file:
            path = file.name
        with BioWriter(path) as bw:
            bw.X, bw.Y, bw.dtype = 20, 10, image.dtype
            bw[:] = image
        np.testing.assert_array_equal(read_back(path).pixels[..., 0, 0, 0], image)


def test_physical_sizes_and_names_of_a_reader(read_back, source, out):
    with BioReader(source) as br, BioWriter(out) as bw:
        bw.X, bw.Y, bw.C, bw.dtype = br.X, br.Y, br.C, br.dtype
        bw.cnames, bw.ps_x, bw.ps_y, bw.ps_z = br.cnames, br.ps_x, br.ps_y, br.ps_z
        bw[:] = br[:, :, 0:1, :, 0]
    pixels = read_back(out).image.pixels
    assert [channel.name for channel in pixels.channels] == ["channel 0", "channel 1", "channel 2"]
    assert pixels.physical_size_x == (0.5, "µm") and pixels.physical_size_y == (250.0, "nm")
    assert pixels.physical_size_z[0] is None


def test_metadata_of_rgb(read_back, tmp_path, out):
    image = np.random.default_rng(1).integers(0, 255, (40, 50, 3), np.uint8)
    tifffile.imwrite(tmp_path / "rgb.tif", image, photometric="rgb")
    with BioReader(tmp_path / "rgb.tif") as br, BioWriter(out, metadata=br.metadata) as bw:
        assert bw.C == 3 and bw.shape == br.shape
        bw[:] = br[:]
    found = read_back(out)
    assert found.image.pixels.channels[0].samples == 3
    np.testing.assert_array_equal(found.pixels[:, :, 0, :, 0], image)
    with BioReader(tmp_path / "rgb.tif") as br, BioWriter(out, metadata=br.metadata, C=1) as bw:
        bw[:] = br[:, :, 0, 1, 0]
    np.testing.assert_array_equal(read_back(out).pixels[..., 0, 0, 0], image[..., 1])


def test_errors_are_those_that_scripts_catch(out, caplog):
    caplog.set_level(logging.CRITICAL, "bfio")
    bw = BioWriter(out, X=20, Y=10)
    with pytest.raises(IndexError):
        bw[:] = np.zeros((5, 5), np.uint8)
    with pytest.raises(ValueError):
        bw[:] = np.zeros((5, 5), np.uint8)
    with pytest.raises(FileNotFoundError):
        BioWriter(out.parent / "missing" / "a.ome.tif")

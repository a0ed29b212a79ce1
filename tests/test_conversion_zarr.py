"""Conversion to OME-Zarr and from it: pixels, pyramid, what the image is called, and what is not replaced."""

import json

import numpy as np
import pytest
import tifffile

import bfio
from bfio.cli import main
from bfio.pyramid import halve

IMAGE = np.random.default_rng(2).integers(0, 60_000, (3, 2, 150, 170), np.uint16)  # Z, C, Y, X
NAMES = ["DAPI", "α-Tubulin"]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "a.ome.tif"
    metadata = {"axes": "ZCYX", "Channel": {"Name": NAMES}, "PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm"}
    tifffile.imwrite(path, IMAGE, metadata=metadata, tile=(64, 64))
    return path


def pixels(path, **options):
    with bfio.BioReader(path, **options) as reader:
        return reader[:].transpose(2, 3, 0, 1)


def test_there_and_back(source, tmp_path):
    store, back = tmp_path / "b.ome.zarr", tmp_path / "c.ome.tif"
    report = bfio.convert(source, store, levels=2, tile_size=64)
    assert report.file_nbytes > 0
    assert np.array_equal(pixels(store), IMAGE)
    with bfio.BioReader(store) as reader:
        assert reader._backend_name == "zarr" and reader.channel_names == NAMES and reader.ps_x[0] == 0.25
        assert "zstd" in reader._backend.describe().series[0].levels[0].compression
    for z in range(3):
        assert np.array_equal(pixels(store, level=1)[z], halve(IMAGE[z][None, None])[0, 0])
    bfio.convert(store, back, levels=1)
    assert np.array_equal(pixels(back), IMAGE)
    with bfio.BioReader(back) as reader:
        assert reader.channel_names == NAMES and reader.ps_x[0] == 0.25


def test_rgb_becomes_channels(tmp_path):
    image = np.random.default_rng(3).integers(0, 255, (90, 70, 3), np.uint8)
    tifffile.imwrite(tmp_path / "rgb.tif", image, photometric="rgb")
    bfio.convert(tmp_path / "rgb.tif", tmp_path / "rgb.zarr", levels=1)
    with bfio.BioReader(tmp_path / "rgb.zarr") as reader:
        assert np.array_equal(reader[:][:, :, 0], image)


def test_names_that_are_taken(source, tmp_path, capsys):
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "letter.txt").write_text("dear")
    assert main(["convert", str(source), str(tmp_path / "mine.zarr"), "--force", "--quiet"]) == 1
    assert "not a Zarr store" in capsys.readouterr().err
    assert (tmp_path / "mine.zarr" / "letter.txt").read_text() == "dear"
    store = tmp_path / "b.zarr"
    assert main(["convert", str(source), str(store), "--quiet"]) == 0
    assert main(["convert", str(source), str(store), "--quiet"]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["convert", str(source), str(store), "--quiet", "--force", "-z", "0"]) == 0
    assert pixels(store).shape == (1, *IMAGE.shape[1:])
    assert main(["convert", str(store), str(store), "--quiet", "--force"]) == 1
    assert "source itself" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ome.tif", "b.zarr", "mine.zarr"]


def test_a_broken_source_leaves_no_store(source, tmp_path):
    data = bytearray(source.read_bytes())
    bfio.convert(source, tmp_path / "x.ome.tif", compression="deflate", levels=1)
    data = bytearray((tmp_path / "x.ome.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "x.ome.tif") as file:
        offset = file.pages[-1].dataoffsets[0]
    data[offset : offset + 50] = b"\xff" * 50
    (tmp_path / "x.ome.tif").write_bytes(data)
    with pytest.raises(bfio.TileDecodeError):
        bfio.convert(tmp_path / "x.ome.tif", tmp_path / "b.zarr")
    assert not (tmp_path / "b.zarr").exists()


def test_info_as_json(source, tmp_path, capsys):
    bfio.convert(source, tmp_path / "b.zarr", levels=2, tile_size=64)
    assert main(["info", "--json", "--nopix", str(tmp_path / "b.zarr")]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["backend"] == "zarr" and found["format"].startswith("OME-Zarr 0.5")
    assert [level["x"] for level in found["series"][0]["levels"]] == [170, 85]

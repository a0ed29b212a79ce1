"""The metadata of files that Bio-Formats reads: as a model, into a writer, and as `bfio info` shows them."""

import json
from collections import Counter
from xml.etree import ElementTree

import numpy as np
import pytest
from java_readers import fake

from bfio import BioReader, BioWriter
from bfio.cli import main
from bfio.errors import LimitError
from bfio.limits import Limits

PLATE = {"plates": 1, "plateRows": 2, "plateCols": 3, "fields": 2, "screens": 1, "plateAcqs": 1}
ANNOTATIONS = dict.fromkeys(("annBool", "annComment", "annDouble", "annLong", "annMap", "annTag", "annTerm"), 2)
SHAPES = dict.fromkeys(("ellipses", "labels", "lines", "masks", "points", "polygons", "polylines", "rectangles"), 1)
FILES = {
    "plate": {"sizeC": 2, "sizeZ": 2, **PLATE, **ANNOTATIONS, **SHAPES, "annTime": 1, "annXml": 1},
    "rgb": {"sizeC": 6, "rgb": 3, "exposureTime": 2, "acquisitionDate": "2020-01-01_00-00-00", **ANNOTATIONS},
    "series": {"series": 3, "sizeT": 2, "sizeC": 2, "color": 255, "physicalSizeX": "2nm", "resolutions": 2},
}


def counts(xml):
    """How often each element occurs."""
    return Counter(element.tag.rpartition("}")[2] for element in ElementTree.fromstring(xml).iter())


@pytest.fixture(params=FILES)
def reader(request, tmp_path):
    with BioReader(fake(tmp_path, sizeX=40, sizeY=30, **FILES[request.param]), max_workers=1) as opened:
        yield opened


def test_model_is_all_of_the_metadata(reader):
    xml = reader._backend.ome_xml()
    assert counts(reader.metadata.to_xml()) == counts(xml)
    assert len(reader.metadata.images) == len(reader.series)


def test_metadata_go_into_a_writer(reader, tmp_path):
    path = tmp_path / "copy.ome.tif"
    with BioWriter(path, metadata=reader.metadata) as writer:
        assert (writer.X, writer.Y, writer.Z, writer.C, writer.T) == (reader.X, reader.Y, reader.Z, reader.C, reader.T)
        assert writer.dtype == reader.dtype
        writer[:] = reader[:]
    with BioReader(path) as copy:
        np.testing.assert_array_equal(copy[:], reader[:])
        assert copy.cnames == reader.cnames
        assert (copy.ps_x, copy.ps_y, copy.ps_z) == (reader.ps_x, reader.ps_y, reader.ps_z)
        kept = counts(copy._backend.ome_xml())
    for name in ("ROI", "BooleanAnnotation", "MapAnnotation"):
        assert bool(kept[name]) is bool(counts(reader._backend.ome_xml())[name])


def test_pixels_can_be_read_where_the_metadata_are_too_large(tmp_path):
    with BioReader(fake(tmp_path, sizeX=40, sizeY=30, series=3), limits=Limits(xml_nbytes=100)) as reader:
        assert reader[:].shape == (30, 40)
        with pytest.raises(LimitError, match="3 images make .* The pixels can be read"):
            reader.metadata


def test_every_series_of_a_plate(tmp_path):
    path = fake(tmp_path, sizeX=8, sizeY=4, plates=1, plateRows=16, plateCols=24, fields=1)
    with BioReader(path, max_workers=1) as reader:
        assert [series.index for series in reader.series] == list(range(384))
        assert reader.series[383].name.endswith(" 384")


def test_a_file_of_zeiss(corpus):
    with BioReader(corpus / "microscopy" / "DAPI_GFP.czi") as reader:
        assert (reader.shape, reader.dtype) == ((640, 640, 1, 2), np.uint8)
        assert reader.cnames == ["DAPI", "GFP"]
        assert [channel.color for channel in reader.series[0].channels] == [65535, 16711935]
        assert reader.ps_x[0] is None
        assert reader.metadata.instruments and reader.metadata.experimenters[0].user_name == "M1SRH"
    with BioReader(corpus / "microscopy" / "100x100.czi") as reader:
        assert reader.ps_x[0] == pytest.approx(0.1)
        assert reader.ps_x[1].value == "µm"


@pytest.mark.parametrize(("dtype", "shape"), [("u2", (30, 40, 2, 3, 2)), ("f4", (30, 40, 1, 2, 1)), ("u1", (30, 40))])
def test_both_backends_say_the_same_of_ome_tiff(tmp_path, dtype, shape):
    path = tmp_path / "both.ome.tif"
    image = np.arange(np.prod(shape)).astype(dtype).reshape(shape)
    with BioWriter(path, dtype=image.dtype, shape=shape) as writer:
        writer.ps_x, writer.ps_y = (0.5, "µm"), (300.0, "nm")
        writer.cnames = [f"channel {number}" for number in range(writer.C)]
        writer[:] = image
    with BioReader(path) as own, BioReader(path, backend="bioformats") as other:
        (told,), (expected,) = other.series, own.series
        for name in ("shape", "dtype", "samples", "channels", "name", "big_endian"):
            assert getattr(told, name) == getattr(expected, name), name
        for axis in "xyz":
            assert getattr(told, f"physical_size_{axis}") == getattr(expected, f"physical_size_{axis}")
        np.testing.assert_array_equal(other[:], own[:])


def test_info_as_json(tmp_path, capsys):
    said = {"sizeC": 3, "rgb": 3, "little": "false", "dimOrder": "XYCTZ", "resolutions": 2, "physicalSizeX": "2nm"}
    path = fake(tmp_path, sizeX=40, sizeY=30, **said)
    path.write_bytes(b"")
    assert main(["info", "--json", str(path)]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["format"], found["backend"], found["byte_order"]) == ("Simulated data", "bioformats", "big")
    assert (found["nbytes"], found["ome_xml"], found["n_series"]) == (0, True, 1)
    (series,) = found["series"]
    assert (series["thumbnail"], series["rgb"], series["dimension_order"]) == (False, True, "XYCTZ")
    assert series["physical_size"]["x"] == {"value": 2.0, "unit": "nm"}
    unknown = {"strips": None, "compression": "unknown", "predictor": "unknown"}
    assert series["levels"] == [
        {"x": 40, "y": 30, "tile_x": 40, "tile_y": 30, **unknown},
        {"x": 20, "y": 15, "tile_x": 20, "tile_y": 15, **unknown},
    ]
    assert len(series["statistics"]["samples"]) == 3


def test_info_says_nothing_that_nobody_knows(tmp_path, capsys):
    assert main(["info", str(fake(tmp_path, sizeX=40, sizeY=30, sizeC=3, rgb=3))]) == 0
    text = capsys.readouterr().out
    lines = {" ".join(line.split()) for line in text.splitlines()}
    assert {
        "format Simulated data, little-endian",
        "file size unknown",
        "OME-XML yes (made by Bio-Formats)",
        "samples 3 per pixel (RGB)",
        "level 0 40 x 30, blocks of 40 x 30, compression unknown",
    } <= lines


def test_info_marks_thumbnails_and_mixed_byte_orders():
    from bfio.cli.text import as_text

    entry = {
        "index": 1, "name": "label", "thumbnail": True, "size": {"x": 1}, "shape": [1, 1], "axes": "YX", "n_planes": 1,
        "dimension_order": None, "pixel_type": "uint8", "samples_per_pixel": 1, "physical_size": {}, "channels": [],
        "levels": [], "statistics": None,
    }  # fmt: skip
    report = {
        "file": "a.img", "format": "Stub", "dialect": None, "backend": "bioformats", "byte_order": None, "nbytes": 1,
        "ome_xml": False, "n_series": 1, "series": [entry],
    }  # fmt: skip
    lines = as_text(report).splitlines()
    assert "  format          Stub, byte order differs between series" in lines
    assert "  series 1 (thumbnail): label" in lines

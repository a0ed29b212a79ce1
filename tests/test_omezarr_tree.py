"""Stores of many images: series, plates, labels, groups of arrays; the OME-XML beside them."""

import json
import logging
import time
from pathlib import Path

import pytest
from omezarr_files import multiscale, plate_of, put, put_array, put_group, put_image

from bfio import Limits
from bfio.cli import main
from bfio.errors import FormatError, LimitError
from bfio.omezarr.describe import describe
from bfio.omezarr.nodes import Folder
from bfio.omezarr.series import ome_xml_of, read_series

CORPUS = Path(__file__).parents[2] / "shared" / "corpus" / "camera.ome.zarr"


def series_of(folder, limits=None):
    return read_series(Folder(folder), limits or Limits())


def names(folder):
    return [one.info.name for one in series_of(folder)]


def ome_xml(*images):
    """OME-XML of images, each given as attributes of Pixels, a name and channels."""
    text = '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    for number, (name, pixels, channels) in enumerate(images):
        text += f'<Image ID="Image:{number}" Name="{name}"><Pixels ID="Pixels:{number}" Type="uint16" '
        text += f'DimensionOrder="XYZCT" {pixels}>{channels}<MetadataOnly/></Pixels></Image>'
    return text + "</OME>"


SIZES = 'SizeX="60" SizeY="40" SizeZ="4" SizeC="3" SizeT="2"'


@pytest.mark.parametrize("version", [2, 3])
def test_series_of_bioformats2raw(tmp_path, version):
    put_group(tmp_path, "", {"bioformats2raw.layout": 3}, version)
    for number in range(11):
        put_image(tmp_path, str(number), "yx" if number % 2 else "zyx", version, name=f"image {number}")
    series = series_of(tmp_path)
    assert [one.info.name for one in series] == [f"image {number}" for number in range(11)]
    assert [one.info.index for one in series] == list(range(11))
    assert series[10].arrays[1].path == "10/1"
    assert series[3].axes == "yx"


@pytest.mark.parametrize("version", [2, 3])
def test_series_in_the_order_of_the_ome_group(tmp_path, version):
    put_group(tmp_path, "", {"bioformats2raw.layout": 3}, version)
    put_group(tmp_path, "OME", {"series": ["b/0", "a"]}, version)
    put_image(tmp_path, "a", "yx", version, name="A")
    put_image(tmp_path, "b/0", "yx", version, name="B")
    assert names(tmp_path) == ["B", "A"]


def test_channels_that_only_the_json_names_channel_0(tmp_path):
    """So do bioformats2raw and bfio where there are no names."""
    put_image(tmp_path, omero={"channels": [{"label": f"Channel {c}", "color": "808080"} for c in (0, 1, 7)]})
    assert [channel.name for channel in series_of(tmp_path)[0].info.channels] == ["Channel 0", "Channel 1", "Channel 7"]
    channels = '<Channel ID="a" /><Channel ID="b" Name="GFP"/><Channel ID="c"/>'
    put(tmp_path, "OME/METADATA.ome.xml", ome_xml(("name", SIZES, channels)))
    found = series_of(tmp_path)[0].info.channels
    assert [channel.name for channel in found] == [None, "GFP", "Channel 7"]
    assert found[0].color is None


def test_ome_xml_fills_what_the_json_leaves_open(tmp_path):
    put_group(tmp_path, "", {"bioformats2raw.layout": 3})
    put_image(tmp_path, "0", omero={"channels": [{"label": "own", "color": "FF0000"}, {}]})
    put_image(tmp_path, "1", name="json", size=1.0)
    channels = (
        '<Channel ID="a" Name="DAPI" Color="65535"/><Channel ID="b" Name="GFP" Color="16711935"/><Channel ID="c"/>'
    )
    xml = ome_xml(
        ("first", SIZES + ' PhysicalSizeX="9" PhysicalSizeZ="9"', channels),
        ("second", SIZES + ' PhysicalSizeX="7"', ""),
    )
    put(tmp_path, "OME/METADATA.ome.xml", xml)
    first, second = series_of(tmp_path)
    assert (first.info.name, second.info.name) == ("first", "json")
    assert [channel.name for channel in first.info.channels] == ["own", "GFP", None]
    assert [channel.color for channel in first.info.channels] == [0xFF0000FF - (1 << 32), 16711935, None]
    assert first.info.physical_size_x == (0.5, "µm")
    assert second.info.physical_size_x == (1.0, "µm")
    assert ome_xml_of(Folder(tmp_path), Limits()) == xml


def test_sizes_of_ome_xml_count_where_ngff_has_none_or_no_unit(tmp_path):
    entry = multiscale(paths=("0",))
    for axis in entry["axes"]:
        axis.pop("unit", None)
    put_group(tmp_path, "", {"version": "0.5", "multiscales": [entry]})
    put_array(tmp_path, "0", (2, 3, 4, 40, 60))
    put(tmp_path, "OME/METADATA.ome.xml", ome_xml(("name", SIZES + ' PhysicalSizeX="7" PhysicalSizeXUnit="nm"', "")))
    (series,) = series_of(tmp_path)
    assert series.info.name == "name"
    assert series.info.physical_size_x == (7.0, "nm")
    assert series.info.physical_size_y == (0.5, "reference frame")


@pytest.mark.parametrize("xml", ["<OME", "", "<!DOCTYPE OME><OME/>", ome_xml(("other", SIZES.replace("60", "61"), ""))])
def test_ome_xml_that_is_broken_or_of_other_pixels_is_passed_over(tmp_path, xml, caplog):
    put_image(tmp_path)
    put(tmp_path, "OME/METADATA.ome.xml", xml)
    with caplog.at_level(logging.WARNING, "bfio.omezarr"):
        assert names(tmp_path) == [None]
    assert "METADATA.ome.xml" in caplog.text


def test_ome_xml_is_bounded(tmp_path):
    put_image(tmp_path)
    put(tmp_path, "OME/METADATA.ome.xml", ome_xml(("name", SIZES, "")) + " " * 100_000)
    limits = Limits(xml_nbytes=50_000)
    assert len(series_of(tmp_path, limits)) == 1
    with pytest.raises(LimitError, match=r"METADATA\.ome\.xml"):
        ome_xml_of(Folder(tmp_path), limits)


@pytest.mark.parametrize("version", [2, 3])
def test_a_plate(tmp_path, version):
    plate_of(tmp_path, "AB", ["1", "10"], 2, version)
    series = series_of(tmp_path)
    wells = ["A/1", "A/10", "B/1", "B/10"]
    assert [one.info.name for one in series] == [f"{well}/{field}" for well in wells for field in (0, 1)]
    assert {one.kind for one in series} == {"field"}
    assert series[5].arrays[1].path == "B/1/1/1"
    assert [one.info.index for one in series] == list(range(8))


def test_a_well_alone(tmp_path):
    plate_of(tmp_path, "A", ["1"], 3)
    series = series_of(tmp_path / "A" / "1")
    assert [(one.info.name, one.arrays[0].path) for one in series] == [(str(n), f"{n}/0") for n in range(3)]


def test_missing_wells_and_broken_fields_are_left_out(tmp_path, caplog):
    plate_of(tmp_path, "AB", ["1"], 2)
    put(tmp_path, "A/1/1/zarr.json", "{")
    (tmp_path / "B" / "1" / "zarr.json").unlink()
    with caplog.at_level(logging.WARNING, "bfio.omezarr"):
        assert names(tmp_path) == ["A/1/0"]
    assert "'A/1/1' is left out" in caplog.text
    assert "B/1 is left out" in caplog.text
    put(tmp_path, "A/1/zarr.json", "[]")
    with pytest.raises(FormatError, match=r"A/1/zarr\.json"):
        series_of(tmp_path)


def test_broken_labels_do_not_hide_the_image(tmp_path, caplog):
    put_image(tmp_path, name="image")
    put_group(tmp_path, "labels", {"labels": ["missing", "broken", "good"]})
    put_image(tmp_path, "labels/good", "zyx")
    put(tmp_path, "labels/broken/zarr.json", "{")
    with caplog.at_level(logging.WARNING, "bfio.omezarr"):
        assert names(tmp_path) == ["image", "labels/good"]
    assert caplog.text.count("left out") == 2
    put(tmp_path, "labels/zarr.json", "{")
    with caplog.at_level(logging.WARNING, "bfio.omezarr"):
        assert names(tmp_path) == ["image"]
    assert "labels/zarr.json" in caplog.text


@pytest.mark.parametrize("layout", [{"bioformats2raw.layout": 3}, None])
def test_one_broken_image_of_several_is_left_out(tmp_path, layout, caplog):
    put_group(tmp_path, "", layout)
    for number in range(3):
        put_image(tmp_path, str(number), "yx", name=f"image {number}")
    put(tmp_path, "1/zarr.json", "{")
    with caplog.at_level(logging.WARNING, "bfio.omezarr"):
        series = series_of(tmp_path)
    assert [one.arrays[0].path for one in series] == ["0/0", "2/0"]
    assert [one.info.index for one in series] == [0, 1]
    assert "1/zarr.json" in caplog.text


def test_a_large_plate_opens_quickly(tmp_path):
    """It takes a tenth of a second; the documents of alike arrays are parsed once."""
    plate_of(tmp_path, "ABCD", [str(n) for n in range(1, 25)], 4, paths=("0", "1", "2"))
    start = time.process_time()
    assert len(series_of(tmp_path)) == 384
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize("version", [2, 3])
def test_labels_are_further_series(tmp_path, version):
    put_image(tmp_path, version=version, name="image")
    put_group(tmp_path, "labels", {"labels": ["nuclei", "cells"]}, version)
    for label in ("nuclei", "cells"):
        put_image(tmp_path, f"labels/{label}", "zyx", version, name="of no use", dtype="uint8")
    series = series_of(tmp_path)
    assert [one.info.name for one in series] == ["image", "labels/nuclei", "labels/cells"]
    assert [one.kind for one in series] == ["image", "label", "label"]
    assert [one.info.index for one in series] == [0, 1, 2]
    assert [one.info.name for one in series_of(tmp_path / "labels")] == ["nuclei", "cells"]
    assert [one.kind for one in series_of(tmp_path / "labels")] == ["label", "label"]


def test_labels_of_several_images(tmp_path):
    put_group(tmp_path, "", {"bioformats2raw.layout": 3})
    put_image(tmp_path, "0", name="a")
    put_image(tmp_path, "1", name="b")
    put_group(tmp_path, "0/labels", {"labels": ["nuclei"]})
    put_image(tmp_path, "0/labels/nuclei", "zyx")
    assert names(tmp_path) == ["a", "b", "0/labels/nuclei"]


def test_a_group_of_arrays_without_metadata(tmp_path):
    put_group(tmp_path)
    for name, shape in (("2", (16, 16)), ("10", (4, 16, 16)), ("deep/er", (16, 8))):
        put_array(tmp_path, name, shape)
    put_group(tmp_path, "deep")
    series = series_of(tmp_path)
    assert [one.info.name for one in series] == ["2", "10", "deep/er"]
    assert {one.kind for one in series} == {"array"}


def test_names_with_digits_of_any_script(tmp_path):
    put_group(tmp_path)
    for name in ("10", "9", "٣", "²", "a", "a10", "a9", "1" * 60):
        put_array(tmp_path, name, (20, 20))
    assert names(tmp_path) == ["9", "10", "1" * 60, "a", "a9", "a10", "²", "٣"]


def test_images_in_groups_of_which_nothing_is_told(tmp_path):
    put_group(tmp_path)
    put_image(tmp_path, "first", "yx")
    put_image(tmp_path, "second", "yx")
    assert names(tmp_path) == ["first", "second"]


def test_a_root_without_a_document(tmp_path):
    put_image(tmp_path, "0", "yx")
    assert names(tmp_path) == ["0"]


@pytest.mark.parametrize("content", [(), ("folder",)])
def test_no_image_at_all(tmp_path, content):
    for name in content:
        (tmp_path / name).mkdir()
    with pytest.raises(FormatError, match="no Zarr store|no image"):
        series_of(tmp_path)


def test_a_group_that_contains_itself_by_a_link(tmp_path):
    put_group(tmp_path)
    put_array(tmp_path, "a", (16, 16))
    (tmp_path / "loop").symlink_to(".")
    found = names(tmp_path)
    assert "a" in found
    assert len(found) <= 6


def test_the_store_of_bioformats2raw():
    if not CORPUS.exists():
        pytest.skip("the corpus is not here")
    (series,) = series_of(CORPUS)
    assert (series.info.name, series.version, series.axes) == ("camera.jpg", "0.4", "tczyx")
    assert [(level.size_y, level.size_x, level.tile_shape) for level in series.info.levels] == [
        (480, 640, (96, 96)),
        (240, 320, (96, 96)),
        (120, 160, (96, 96)),
    ]
    assert series.info.channels[0].name is None  # in the OME-XML; the JSON calls it "Channel 0"
    assert series.info.physical_size_x == (None, "µm")
    assert describe(Folder(CORPUS), [series]).format == "OME-Zarr 0.4 (Zarr v2)"


def test_description(tmp_path):
    put_group(tmp_path, "", {"version": "0.5", "multiscales": [multiscale("tczyx", ("0", "1"))]})
    put_array(tmp_path, "0", (2, 3, 4, 40, 60), chunks=(1, 1, 2, 10, 20), shard=(1, 1, 4, 40, 60))
    put_array(tmp_path, "1", (2, 3, 4, 20, 30))
    described = describe(Folder(tmp_path), series_of(tmp_path))
    assert (described.format, described.byte_order) == ("OME-Zarr 0.5 (Zarr v3)", "little")
    assert described.nbytes == sum(path.stat().st_size for path in tmp_path.rglob("*.json"))
    (storage,) = described.series
    assert (storage.dialect, storage.dimension_order, storage.thumbnail) == (None, "XYZCT", False)
    sharded, plain = storage.levels
    assert (sharded.compression, sharded.tile_shape, sharded.strips) == ("zstd", (10, 20), False)
    assert (sharded.chunk_shape, sharded.shard_shape) == ((1, 1, 2, 10, 20), (1, 1, 4, 40, 60))
    assert (plain.chunk_shape, plain.shard_shape) == ((1, 1, 1, 16, 32), None)


def test_description_of_an_array_without_metadata(tmp_path):
    put_array(tmp_path, "", (3, 40, 60), version=2)
    described = describe(Folder(tmp_path), series_of(tmp_path))
    assert described.format == "Zarr v2"
    assert described.series[0].dialect == "no OME metadata"


def test_bfio_info_tells_chunks_and_shards(tmp_path, capsys):
    put_group(tmp_path, "", {"version": "0.5", "multiscales": [multiscale("zyx", ("0",))]})
    put_array(tmp_path, "0", (4, 40, 60), chunks=(2, 10, 20), shard=(4, 40, 60))
    assert main(["info", "--nopix", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "OME-Zarr 0.5 (Zarr v3), little-endian" in told
    assert "60 x 40, chunks of (2, 10, 20) in shards of (4, 40, 60), compression zstd" in told
    assert main(["info", "--nopix", "--json", str(tmp_path)]) == 0
    (level,) = json.loads(capsys.readouterr().out)[0]["series"][0]["levels"]
    assert (level["chunk"], level["shard"]) == ([2, 10, 20], [4, 40, 60])

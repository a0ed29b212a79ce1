"""What an open reader of Bio-Formats says of its images, compared with Bio-Formats' own answers."""

import itertools

import numpy as np
import pytest
from java_readers import fake, opened

from bfio.bioformats.describe import describe
from bfio.bioformats.jvm import java
from bfio.bioformats.metadata import ome_xml_of
from bfio.bioformats.structure import read_structure
from bfio.errors import LimitError
from bfio.limits import Limits
from bfio.metadata import Channel
from bfio.omexml import parse

ORDERS = ("XYZCT", "XYZTC", "XYCTZ", "XYCZT", "XYTCZ", "XYTZC")
TYPES = {
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "float": "f4", "double": "f8",
}  # fmt: skip


def structure(path):
    with opened(path) as reader:
        return read_structure(reader)


@pytest.mark.parametrize("little", [True, False])
@pytest.mark.parametrize(("name", "code"), TYPES.items())
def test_pixel_types_and_byte_orders(tmp_path, name, code, little):
    (series,) = structure(fake(tmp_path, pixelType=name, little=str(little).lower(), sizeX=7, sizeY=5))
    assert series.stored_dtype == np.dtype(code).newbyteorder("<" if little else ">")
    assert series.info.dtype == np.dtype(code)
    assert series.info.dtype.isnative
    assert series.info.big_endian is not little


@pytest.mark.parametrize("order", ORDERS)
def test_index_of_every_plane_is_that_of_bioformats(tmp_path, order):
    tools = java("loci.formats.FormatTools")
    with opened(fake(tmp_path, sizeX=4, sizeY=4, sizeZ=2, sizeC=4, sizeT=3, dimOrder=order)) as reader:
        (series,) = read_structure(reader)
        assert series.dimension_order == order
        assert (series.info.size_t, series.info.size_c, series.info.size_z) == (3, 4, 2)
        places = list(itertools.product(range(3), range(4), range(2)))
        expected = [tools.getIndex(reader, z, c, t) for t, c, z in places]
    found = [series.plane_index(t, c, z) for t, c, z in places]
    assert found == expected
    assert sorted(found) == list(range(24))


@pytest.mark.parametrize("order", ["XYCZT", "XYCTZ"])
def test_index_of_planes_of_rgb_channels(tmp_path, order):
    tools = java("loci.formats.FormatTools")
    with opened(fake(tmp_path, sizeX=4, sizeY=4, sizeZ=2, sizeC=12, rgb=3, sizeT=3, dimOrder=order)) as reader:
        (series,) = read_structure(reader)
        assert (series.info.size_t, series.info.size_c, series.info.size_z) == (3, 4, 2)
        for t, c, z in itertools.product(range(3), range(4), range(2)):
            assert series.plane_index(t, c, z) == tools.getIndex(reader, z, c, t)


@pytest.mark.parametrize("interleaved", [True, False])
def test_rgb_channels(tmp_path, interleaved):
    said = {"rgb": 3, "sizeC": 6, "interleaved": str(interleaved).lower()}
    (series,) = structure(fake(tmp_path, sizeX=4, sizeY=4, **said))
    assert series.interleaved is series.info.interleaved is interleaved
    assert series.info.shape == (1, 6, 1, 4, 4)
    assert [channel.samples for channel in series.info.channels] == [3, 3]


def test_resolutions_are_levels_of_their_series(tmp_path):
    found = structure(fake(tmp_path, sizeX=500, sizeY=300, series=2, resolutions=3))
    assert [one.java_index for one in found] == [0, 1]
    assert [one.info.index for one in found] == [0, 1]
    for one in found:
        assert one.resolutions == (0, 1, 2)
        sizes = [(level.size_y, level.size_x) for level in one.info.levels]
        assert sizes == [(300, 500), (150, 250), (75, 125)]
        assert all(level.tile_shape <= (level.size_y, level.size_x) for level in one.info.levels)


def test_reader_is_left_at_its_first_series(tmp_path):
    with opened(fake(tmp_path, sizeX=64, sizeY=64, series=3, resolutions=2)) as reader:
        reader.setSeries(2)
        read_structure(reader)
        assert (reader.getSeries(), reader.getResolution()) == (0, 0)


def test_xml_beyond_the_limit_is_refused(tmp_path):
    path = fake(tmp_path, series=3)
    with opened(path) as reader, pytest.raises(LimitError, match="3 images make .* limit xml_nbytes is 100"):
        ome_xml_of(reader.getMetadataStore(), str(path), Limits(xml_nbytes=100))


def test_description(tmp_path):
    path = fake(tmp_path, sizeX=64, sizeY=64, resolutions=2, little="false")
    with opened(path) as reader:
        series = read_structure(reader)
        found = describe(reader, series)
    assert (found.format, found.byte_order, found.nbytes) == ("Simulated data", "big", None)
    assert found.series[0].dimension_order == "XYZCT"
    assert [level.compression for level in found.series[0].levels] == ["unknown", "unknown"]


def test_size_of_a_file_on_disk(tmp_path):
    path = fake(tmp_path, sizeX=64, sizeY=64)
    path.write_bytes(b"12345")
    with opened(path) as reader:
        assert describe(reader, read_structure(reader)).nbytes == 5


def test_tile_shape_is_that_of_bioformats_within_the_level(tmp_path):
    (series,) = structure(fake(tmp_path, sizeX=4096, sizeY=40960, resolutions=3))
    with opened(fake(tmp_path, sizeX=4096, sizeY=40960, resolutions=3)) as reader:
        for number, level in enumerate(series.info.levels):
            reader.setResolution(number)
            rows = min(reader.getOptimalTileHeight(), reader.getSizeY())
            assert level.tile_shape == (rows, min(reader.getOptimalTileWidth(), reader.getSizeX()))
    assert series.info.levels[0].tile_shape[0] < 40960


def test_names_colours_and_units(tmp_path):
    sizes = {"physicalSizeX": "1.5mm", "physicalSizeY": "2pixel", "physicalSizeZ": "3reference frame"}
    (series,) = structure(fake(tmp_path, sizeC=2, color=255, color_0=-16776961, **sizes))
    info = series.info
    assert info.name.endswith("image")
    assert info.channels == (Channel(None, 1, -16776961), Channel(None, 1, 255))
    assert info.physical_size_x == (1.5, "mm")
    assert info.physical_size_y == (2.0, "pixel")
    assert info.physical_size_z == (3.0, "reference frame")


@pytest.mark.parametrize("options", [
    {"series": 3, "sizeC": 2, "physicalSizeX": "1.5Å", "physicalSizeY": "0.25nm", "color": 7, "sizeT": 2},
    {"plates": 1, "plateRows": 2, "plateCols": 3, "fields": 2, "sizeC": 2},
    {"rgb": 3, "sizeC": 6, "physicalSizeZ": "1e-3in", "resolutions": 2, "sizeX": 64, "sizeY": 64},
], ids=["series", "plate", "rgb"])  # fmt: skip
def test_what_is_told_is_what_the_xml_says(tmp_path, options):
    with opened(fake(tmp_path, **options)) as reader:
        found = read_structure(reader)
        document = parse(ome_xml_of(reader.getMetadataStore(), "image", Limits()))
    assert len(document.images) == len(found)
    for one, image in zip(found, document.images, strict=True):
        info, pixels = one.info, image.pixels
        assert info.name == image.name
        assert info.shape == (pixels.size_t, pixels.size_c, pixels.size_z, pixels.size_y, pixels.size_x)
        assert one.dimension_order == pixels.dimension_order
        assert [(c.name, c.samples, c.color) for c in info.channels] == [
            (c.name, c.samples, c.color) for c in pixels.channels
        ]
        for axis in "xyz":
            name = f"physical_size_{axis}"
            assert getattr(info, name) == getattr(pixels, name)


def test_xml_is_valid_and_that_of_the_service(tmp_path):
    service = java("loci.common.services.ServiceFactory")().getInstance(java("loci.formats.services.OMEXMLService"))
    said = {"plates": 1, "plateRows": 2, "fields": 2, "annBool": 1, "annMap": 2, "rectangles": 2, "masks": 1}
    with opened(fake(tmp_path, **said)) as reader:
        store = reader.getMetadataStore()
        xml = ome_xml_of(store, "image", Limits())
        assert xml == str(service.getOMEXML(store))
        assert service.validateOMEXML(xml)

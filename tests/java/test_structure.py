"""What an open reader of Bio-Formats says of its images, compared with Bio-Formats' own answers."""

import itertools
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from bfio.bioformats.describe import describe
from bfio.bioformats.jvm import java
from bfio.bioformats.metadata import ome_xml_of
from bfio.bioformats.structure import read_structure
from bfio.errors import LimitError
from bfio.limits import Limits
from bfio.metadata import Level

ORDERS = ("XYZCT", "XYZTC", "XYCTZ", "XYCZT", "XYTCZ", "XYTZC")
TYPES = {
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "float": "f4", "double": "f8",
}  # fmt: skip


@contextmanager
def opened(path):
    """A reader as the backend opens it."""
    service = java("loci.common.services.ServiceFactory")().getInstance(
        java("loci.formats.services.OMEXMLService").class_
    )
    reader = java("loci.formats.ImageReader")()
    reader.setFlattenedResolutions(False)
    reader.setMetadataStore(service.createOMEXMLMetadata())
    try:
        reader.setId(str(path))
        yield reader
    finally:
        reader.close()


def fake(tmp_path, **options):
    """Name of a file that Bio-Formats makes up."""
    said = "".join(f"&{name}={value}" for name, value in options.items())
    return tmp_path / f"image{said}.fake"


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
    path = Path(fake(tmp_path, sizeX=64, sizeY=64))
    path.write_bytes(b"12345")
    with opened(path) as reader:
        assert describe(reader, read_structure(reader)).nbytes == 5


def test_level_is_plain_data(tmp_path):
    (series,) = structure(fake(tmp_path, sizeX=9, sizeY=3))
    assert series.info.levels == (Level(3, 9, (3, 9)),)

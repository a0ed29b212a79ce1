"""Odd answers of readers: what can be read is kept, what can not is left out and logged."""

import logging

import numpy as np
import pytest
from java_readers import ReaderStub, StoreStub

from bfio.bioformats.describe import describe
from bfio.bioformats.jvm import java
from bfio.bioformats.structure import read_structure
from bfio.errors import FormatError, UnsupportedError

HALF = {"getSizeX": 20, "getSizeY": 15}
QUARTER = {"getSizeX": 10, "getSizeY": 7}


@pytest.mark.parametrize("other", [
    {"getSizeZ": 2}, {"getSizeT": 2}, {"getEffectiveSizeC": 2}, {"getPixelType": 1}, {"getRGBChannelCount": 3},
    {"isLittleEndian": False}, {"getDimensionOrder": "XYZCT"}, {"getSizeX": 41}, {"getSizeY": 0},
    {"getPixelType": 77},
], ids=str)  # fmt: skip
def test_resolution_that_is_not_the_same_in_small_is_left_out(other, caplog):
    with caplog.at_level(logging.WARNING, "bfio.bioformats"):
        (series,) = read_structure(ReaderStub([{}, HALF | other, QUARTER]))
    assert series.resolutions == (0, 2)
    assert [(level.size_y, level.size_x) for level in series.info.levels] == [(30, 40), (7, 10)]
    assert "stub.img: series 0: resolution 1 is left out" in caplog.text


@pytest.mark.parametrize("broken", [
    {"getSizeX": 0}, {"getSizeZ": 0}, {"getEffectiveSizeC": 0}, {"getRGBChannelCount": 0}, {"getPixelType": -1},
    {"getPixelType": 9}, {"getDimensionOrder": "XYZTS"},
], ids=str)  # fmt: skip
def test_series_that_can_not_be_read_is_left_out(broken, caplog):
    reader = ReaderStub([{}], [broken], [{"getSizeX": 8}])
    with caplog.at_level(logging.WARNING, "bfio.bioformats"):
        found = read_structure(reader)
    assert [one.java_index for one in found] == [0, 2]
    assert [one.info.index for one in found] == [0, 1]
    assert [one.info.size_x for one in found] == [40, 8]
    assert "series 1 is left out: stub.img: " in caplog.text
    assert (reader.series, reader.resolution) == (0, 0)


class Failing(ReaderStub):
    """Java throws where the tiles of one series are asked for."""

    def getOptimalTileWidth(self):
        return 1024 if self.series != self.failing else java("java.lang.Integer").parseInt("no number")


def test_series_of_which_java_throws_is_left_out(caplog):
    reader = Failing([{}], [{}])
    reader.failing = 0
    with caplog.at_level(logging.WARNING, "bfio.bioformats"):
        (series,) = read_structure(reader)
    assert (series.java_index, series.info.index) == (1, 0)
    assert "stub.img: series 0 is left out" in caplog.text


def test_exception_of_java_where_no_series_is_left():
    reader = Failing([{}])
    reader.failing = 0
    with pytest.raises(java("java.lang.NumberFormatException")):
        read_structure(reader)


def test_file_without_a_readable_series():
    with pytest.raises(FormatError, match="finds no image"):
        read_structure(ReaderStub())
    with pytest.raises(FormatError, match="impossible size of 0 x 30 pixels"):
        read_structure(ReaderStub([{"getSizeX": 0}]))
    with pytest.raises(UnsupportedError, match="pixel type 12"):
        read_structure(ReaderStub([{"getPixelType": 12}]))


def test_interleaving_of_single_samples_means_nothing():
    (series,) = read_structure(ReaderStub([{"isInterleaved": True}, HALF]))
    assert not series.interleaved
    assert series.resolutions == (0, 1)


def test_bits_come_as_bytes():
    (series,) = read_structure(ReaderStub([{"getPixelType": 8}]))
    assert series.info.dtype == series.stored_dtype == np.uint8


@pytest.mark.parametrize("told", [0, -5, 1024])
def test_tiles_lie_in_the_level(told):
    (series,) = read_structure(ReaderStub([{"getOptimalTileWidth": told, "getOptimalTileHeight": told}]))
    assert series.info.levels[0].tile_shape == ((30, 40) if told > 0 else (1, 1))


@pytest.mark.parametrize("store", [StoreStub(0), StoreStub(getPixelsPhysicalSizeX=lambda number: None)])
def test_store_that_knows_nothing(store):
    (series,) = read_structure(ReaderStub([{"getEffectiveSizeC": 2, "getRGBChannelCount": 3}], store=store))
    assert series.info.name is None
    assert series.info.physical_size_x[0] is None
    assert [(channel.name, channel.samples) for channel in series.info.channels] == [(None, 3), (None, 3)]


@pytest.mark.parametrize(("value", "expected"), [(0.0, None), (-1.0, None), (float("nan"), None), (2.5, 2.5)])
def test_physical_sizes_that_no_pixel_has(value, expected):
    length = java("ome.units.quantity.Length")
    micrometre = java("ome.units.UNITS").MICROMETER
    store = StoreStub(getPixelsPhysicalSizeY=lambda number: length(java("java.lang.Double")(value), micrometre))
    (series,) = read_structure(ReaderStub([{}], store=store))
    assert series.info.physical_size_y == (expected, "µm")


def test_no_more_channels_are_asked_for_than_there_are():
    asked = []
    store = StoreStub(getChannelName=lambda number, channel: asked.append(channel) or f"c{channel}")
    store.getChannelCount = lambda number: 1 << 30
    (series,) = read_structure(ReaderStub([{"getEffectiveSizeC": 3}], store=store))
    assert [channel.name for channel in series.info.channels] == ["c0", "c1", "c2"]
    assert asked == [0, 1, 2]


def test_store_that_fails_costs_the_names_only(caplog):
    store = StoreStub(getImageName=lambda number: java("java.lang.Integer").parseInt("no number"))
    with caplog.at_level(logging.WARNING, "bfio.bioformats"):
        (series,) = read_structure(ReaderStub([{"getSizeX": 12}], store=store))
    assert (series.info.name, series.info.size_x) == (None, 12)
    assert "stub.img: names of series 0 are unknown" in caplog.text


def test_description_of_a_file_that_mixes(tmp_path):
    paths = [tmp_path / "a.img", tmp_path / "b.img"]
    for path in paths:
        path.write_bytes(bytes(100))
    reader = ReaderStub([{}], [{"isLittleEndian": False, "isThumbnailSeries": True}], files=[*map(str, paths), None])
    found = describe(reader, read_structure(reader))
    assert (found.format, found.byte_order, found.nbytes) == ("Stub", None, 200)
    assert [series.thumbnail for series in found.series] == [False, True]
    reader.files = [str(tmp_path / "missing")]
    assert describe(reader, read_structure(reader)).nbytes is None
    reader.files = None
    assert describe(reader, read_structure(reader)).nbytes is None

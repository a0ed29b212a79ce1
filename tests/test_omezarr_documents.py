"""The documents that bfio writes: two validators take them, and what these do not look at is looked at here."""

import json
import warnings

import numpy as np
import pytest

from bfio.errors import UnsupportedError, UsageError
from bfio.metadata import Channel, Series
from bfio.omexml import parse
from bfio.omexml.build import build_xml
from bfio.omezarr.array_document import array_document
from bfio.omezarr.arraymeta import ArrayMeta, Chain, parse_array
from bfio.omezarr.metadata_out import documents
from bfio.pyramid import level_sizes

AXES = "tczyx"
FORMATS = {"0.4": 2, "0.5": 3}


def an_array(path, shape, version="0.5", dtype="uint16", **changes):
    dtype = np.dtype(dtype)
    values = {
        "path": path, "zarr_format": FORMATS[version], "shape": shape, "chunk": (1, 1, 1, 32, 32), "shard": None,
        "dtype": dtype, "big_endian": False, "fill": dtype.type(0),
        "chain": Chain(50000, ("zstd",), ({"level": 1} | ({"checksum": False} if version == "0.5" else {}),), 1),
        "prefix": "c/" if version == "0.5" else "",
    }  # fmt: skip
    return ArrayMeta(**(values | changes))


def a_series(**changes):
    values = {
        "index": 0, "name": "cells", "dtype": np.dtype("uint16"), "size_t": 1, "size_c": 2, "size_z": 3,
        "size_y": 101, "size_x": 70, "channels": (Channel("DAPI", color=0x0000FFFF), Channel(None, color=-16776961)),
        "physical_size_x": (0.25, "µm"), "physical_size_y": (0.5, "µm"), "physical_size_z": (1500.0, "nm"),
    }  # fmt: skip
    return Series(**(values | changes))


def a_store(series=None, version="0.5", levels=3, xml=None, downsample="mean", windows=(), **changes):
    series = series or a_series()
    sizes = level_sizes(series.size_y, series.size_x, levels)
    shapes = [(*series.shape[:3], *size) for size in sizes]
    metas = [an_array(str(n), shape, version, series.dtype, **changes) for n, shape in enumerate(shapes)]
    xml = build_xml(series, "cells") if xml is None else xml
    return documents(series, metas, AXES, version, xml, downsample, windows)


def ome_of(found):
    root = json.loads(found["zarr.json" if "zarr.json" in found else ".zattrs"])
    return root["attributes"]["ome"] if "attributes" in root else root


def write(folder, found):
    for key, content in found.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def validate_by_models(path):
    zarr = pytest.importorskip("zarr")
    models = pytest.importorskip("ome_zarr_models")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return models.open_ome_zarr(zarr.open_group(str(path), mode="r"))


def validate_by_yaozarrs(path):
    return pytest.importorskip("yaozarrs").validate_zarr_store(str(path))


CASES = {
    "plain": {},
    "one level": {"levels": 1},
    "no xml": {"xml": ""},
    "nothing known": {
        "series": a_series(
            name=None, channels=(), physical_size_x=(None, "µm"), physical_size_y=(None, "µm"),
            physical_size_z=(None, "µm"),
        )
    },
    "unit of no length": {"series": a_series(physical_size_x=(2.0, "pixel"))},
    "unit that OME-Zarr has not": {"series": a_series(physical_size_x=(2.0, "thou"))},
    "int8": {"series": a_series(dtype=np.dtype("int8"))},
    "float": {"series": a_series(dtype=np.dtype("float32")), "fill": np.float32("nan")},
    "rgb": {"series": a_series(size_c=1, samples=3, channels=(Channel("colour", 3),))},
}  # fmt: skip


@pytest.mark.parametrize("validate", [validate_by_models, validate_by_yaozarrs])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("case", CASES)
def test_validators_take_what_is_written(validate, version, case, tmp_path):
    case = dict(CASES[case])
    found = a_store(version=version, **case)
    assert validate(write(tmp_path / "a.ome.zarr", found)) is not None


@pytest.mark.parametrize("validate", [validate_by_models, validate_by_yaozarrs])
def test_validators_would_notice(validate, tmp_path):
    found = a_store()
    root = json.loads(found["zarr.json"])
    root["attributes"]["ome"]["multiscales"][0]["datasets"].reverse()
    found["zarr.json"] = json.dumps(root).encode()
    with pytest.raises(Exception, match=r"\S"):
        validate(write(tmp_path / "a.ome.zarr", found))


def test_validators_take_shards(tmp_path):
    path = write(tmp_path / "a.ome.zarr", a_store(shard=(1, 1, 2, 128, 128)))
    assert validate_by_models(path) and validate_by_yaozarrs(path)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_pixel_of_a_level_lies_in_the_middle_of_those_it_was_made_of(version):
    steps = [
        level["coordinateTransformations"] for level in ome_of(a_store(version=version))["multiscales"][0]["datasets"]
    ]
    assert steps[0] == [{"type": "scale", "scale": [1, 1, 1500, 0.5, 0.25]}]
    assert steps[1] == [
        {"type": "scale", "scale": [1, 1, 1500, 1, 0.5]},
        {"type": "translation", "translation": [0, 0, 0, 0.25, 0.125]},
    ]
    assert steps[2] == [
        {"type": "scale", "scale": [1, 1, 1500, 2, 1]},  # not 101 / 26 * 0.5
        {"type": "translation", "translation": [0, 0, 0, 0.75, 0.375]},
    ]


def test_levels_that_are_no_halves_have_their_true_factor():
    metas = [an_array("0", (1, 1, 8, 100, 100)), an_array("1", (1, 1, 4, 40, 100))]
    series = a_series(physical_size_z=(1.0, "µm"), physical_size_y=(1.0, "µm"), physical_size_x=(1.0, "µm"))
    ome = ome_of(documents(series, metas, AXES, "0.5", "", "mean"))
    scale, moved = ome["multiscales"][0]["datasets"][1]["coordinateTransformations"]
    assert scale["scale"] == [1, 1, 2, 2.5, 1]
    assert moved["translation"] == [0, 0, 0.5, 0.75, 0]


def test_units_are_written_in_full():
    def units(**changes):
        return [axis.get("unit") for axis in ome_of(a_store(a_series(**changes)))["multiscales"][0]["axes"]]

    assert units() == [None, None, "nanometer", "micrometer", "micrometer"]
    assert units(physical_size_x=(1.0, "Å"))[4] == "angstrom"
    assert units(physical_size_x=(1.0, "pixel"))[4] is None
    assert units(physical_size_x=(None, "µm"))[4] is None
    ome = ome_of(a_store(a_series(physical_size_x=(2.0, "thou"))))["multiscales"][0]
    assert ome["axes"][4]["unit"] == "micrometer"
    assert ome["datasets"][0]["coordinateTransformations"][0]["scale"][4] == pytest.approx(50.8)


def test_axes_have_types_and_arrays_have_their_names():
    found = a_store()
    axes = ome_of(found)["multiscales"][0]["axes"]
    assert [axis["name"] for axis in axes] == list(AXES)
    assert [axis["type"] for axis in axes] == ["time", "channel", "space", "space", "space"]
    assert [json.loads(found[f"{n}/zarr.json"])["dimension_names"] for n in range(3)] == [list(AXES)] * 3
    assert json.loads(a_store(version="0.4")["1/.zattrs"]) == {"_ARRAY_DIMENSIONS": list(AXES)}


def test_the_time_between_planes_comes_from_the_xml():
    xml = build_xml(a_series(size_t=4), "cells").replace(
        "<Pixels", '<Pixels TimeIncrement="2.5" TimeIncrementUnit="ms"', 1
    )
    first = ome_of(a_store(a_series(size_t=4), xml=xml))["multiscales"][0]
    assert first["axes"][0] == {"name": "t", "type": "time", "unit": "millisecond"}
    assert first["datasets"][1]["coordinateTransformations"][0]["scale"][0] == 2.5


def test_channels_have_colours_labels_and_windows():
    first, second = ome_of(a_store(windows=[None, (12.0, 900.0)]))["omero"]["channels"]
    assert (first["label"], first["color"], first["active"]) == ("DAPI", "0000FF", True)
    assert (second["label"], second["color"]) == ("Channel 1", "FF0000")
    assert first["window"] == {"min": 0, "max": 65535, "start": 0, "end": 65535}
    assert second["window"] == {"min": 0, "max": 65535, "start": 12.0, "end": 900.0}


def test_windows_follow_the_significant_bits_and_the_dtype():
    xml = build_xml(a_series(), "cells").replace("<Pixels", '<Pixels SignificantBits="12"', 1)
    assert ome_of(a_store(xml=xml))["omero"]["channels"][0]["window"]["end"] == 4095
    signed = ome_of(a_store(a_series(dtype=np.dtype("int16"))))["omero"]["channels"][0]["window"]
    assert (signed["start"], signed["end"]) == (-32768, 32767)
    real = a_store(a_series(dtype=np.dtype("float32")), windows=[(-3.0, 7.0)])
    assert ome_of(real)["omero"]["channels"][0]["window"] == {"min": -3.0, "max": 7.0, "start": -3.0, "end": 7.0}


def test_samples_are_channels_of_their_own():
    series = a_series(size_c=1, samples=3, channels=(Channel("eye", 3, color=-1),))
    channels = ome_of(a_store(series))["omero"]["channels"]
    assert [channel["label"] for channel in channels] == ["eye R", "eye G", "eye B"]
    assert [channel["color"] for channel in channels] == ["FF0000", "00FF00", "0000FF"]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_xml_has_no_places_of_planes(version):
    xml = a_store(version=version)["OME/METADATA.ome.xml"].decode()
    assert "TiffData" not in xml and xml.count("<MetadataOnly") == 1
    assert xml.index("<Channel") < xml.index("<MetadataOnly")
    pixels = parse(xml).images[0].pixels
    assert (pixels.size_x, pixels.size_c) == (70, 2)


def test_the_xml_keeps_planes_and_is_valid_by_the_schema():
    from ome_types import from_xml

    xml = build_xml(a_series(), "cells")
    xml = xml.replace("</Pixels>", '<Plane TheZ="1" TheC="0" TheT="0" DeltaT="1.5"/></Pixels>')
    pixels = from_xml(a_store(xml=xml)["OME/METADATA.ome.xml"].decode()).images[0].pixels
    assert pixels.metadata_only and not pixels.tiff_data_blocks
    assert pixels.planes[0].delta_t == 1.5


def test_the_method_of_the_pyramid_is_told():
    first = ome_of(a_store(downsample="max"))["multiscales"][0]
    assert first["type"] == "max" and first["metadata"]["kwargs"] == {"how": "max"}
    assert "type" not in ome_of(a_store(levels=1))["multiscales"][0]


def test_versions_and_arrays_must_fit():
    with pytest.raises(UsageError, match=r"0\.6.*0\.4, 0\.5"):
        documents(a_series(), [an_array("0", (1,) * 5)], AXES, "0.6", "", "mean")
    with pytest.raises(UsageError, match="do not fit"):
        documents(a_series(), [an_array("0", (1,) * 5, "0.4")], AXES, "0.5", "", "mean")
    with pytest.raises(UnsupportedError, match="shards"):
        a_store(version="0.4", shard=(1, 1, 1, 64, 64))


ARRAYS = {
    "plain": {},
    "big endian": {"big_endian": True},
    "bytes": {"dtype": "uint8"},
    "truth": {"dtype": "bool", "fill": np.bool_(True)},
    "nan": {"dtype": "float32", "fill": np.float32("nan")},
    "infinite": {"dtype": "float64", "fill": np.float64("-inf")},
    "complex": {"dtype": "complex64", "fill": np.complex64(complex(1.5, float("inf")))},
    "uint64": {"dtype": "uint64", "fill": np.uint64((1 << 64) - 1)},
    "no codec": {"chain": Chain(1)},
    "gzip": {"chain": Chain(None, ("gzip",), ({"level": 6},), 6)},
    "point": {"separator": "."},
}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("case", ARRAYS)
def test_documents_of_arrays_are_read_as_they_were_meant(version, case):
    meta = an_array("7", (1, 2, 3, 40, 50), version, **ARRAYS[case])
    if meta.prefix and meta.separator == ".":
        meta = an_array("7", meta.shape, version, separator=".", prefix="c.")
    read = parse_array(json.loads(json.dumps(array_document(meta))), "7")
    for name in ("shape", "chunk", "shard", "dtype", "big_endian", "separator", "prefix", "zarr_format", "order"):
        assert getattr(read, name) == getattr(meta, name), name
    assert read.chain.names == meta.chain.names and read.chain.compression == meta.chain.compression
    np.testing.assert_array_equal(read.fill, meta.fill)


@pytest.mark.parametrize("crc", [True, False])
@pytest.mark.parametrize("at_end", [True, False])
def test_shards_are_read_as_they_were_meant(crc, at_end):
    meta = an_array("0", (1, 1, 4, 64, 64), shard=(1, 1, 2, 64, 64), index_crc=crc, index_at_end=at_end)
    read = parse_array(array_document(meta, AXES), "0")
    assert (read.shard, read.chunk, read.index_crc, read.index_at_end) == (meta.shard, meta.chunk, crc, at_end)
    assert read.dimension_names == tuple(AXES)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("case", ARRAYS)
def test_zarr_reads_the_fill_value(version, case, tmp_path):
    zarr = pytest.importorskip("zarr")
    meta = an_array("0", (1, 1, 1, 4, 4), version, chunk=(1, 1, 1, 4, 4), **ARRAYS[case])
    document = array_document(meta, AXES)
    write(tmp_path, {"zarr.json" if version == "0.5" else ".zarray": json.dumps(document).encode()})
    array = zarr.open_array(str(tmp_path), mode="r")
    assert array.dtype.newbyteorder("=") == meta.dtype
    np.testing.assert_array_equal(array[...], np.full(meta.shape, meta.fill))


def test_the_same_documents_twice():
    assert a_store() == a_store()

"""One image of a store: versions of OME-Zarr, axes, levels, sizes of pixels, channels."""

import logging

import numpy as np
import pytest
from omezarr_files import axes_of, multiscale, put, put_array, put_group, put_image, shape_of

from bfio import Limits
from bfio.errors import FormatError, UnsupportedError
from bfio.omezarr.nodes import Folder
from bfio.omezarr.omero import Window, color_number
from bfio.omezarr.series import read_series

ALL_AXES = ["tczyx", "tcyx", "tzyx", "czyx", "tyx", "cyx", "zyx", "yx", "zxy", "xy", "xyz", "txyz"]


def series_of(folder):
    return read_series(Folder(folder), Limits())


def only(folder):
    (series,) = series_of(folder)
    return series


def sizes(info):
    return {"t": info.size_t, "c": info.size_c, "z": info.size_z, "y": info.size_y, "x": info.size_x}


@pytest.mark.parametrize("letters", ALL_AXES)
@pytest.mark.parametrize("version", [2, 3])
def test_axes_in_any_number_and_order(tmp_path, letters, version):
    put_image(tmp_path, letters=letters, version=version, name="brain")
    series = only(tmp_path)
    expected = dict(zip(letters, shape_of(letters), strict=True))
    assert sizes(series.info) == {axis: expected.get(axis, 1) for axis in "tczyx"}
    assert series.axes == letters
    assert series.version == {2: "0.4", 3: "0.5"}[version]
    assert (series.kind, series.info.name, series.info.index) == ("image", "brain", 0)
    assert series.info.dtype == np.uint16 and series.info.dtype.isnative
    assert [(level.size_y, level.size_x) for level in series.info.levels] == [(40, 60), (20, 30)]
    chunk = dict(zip(letters, series.arrays[0].chunk, strict=True))
    assert series.info.levels[0].tile_shape == (chunk["y"], chunk["x"])
    assert series.info.physical_size_y == series.info.physical_size_x == (0.5, "µm")
    assert series.info.physical_size_z == ((2.0, "µm") if "z" in letters else (None, "µm"))


def test_unusual_names_of_levels(tmp_path):
    put_image(tmp_path, letters="zyx", paths=("s0", "pyramid/half"))
    series = only(tmp_path)
    assert [meta.path for meta in series.arrays] == ["s0", "pyramid/half"]


def test_the_first_version_has_no_axes(tmp_path):
    """Version 0.1 of bfio 2: five dimensions, no axes, no transformations, keys with dots, blosc."""
    put_group(tmp_path, "", {"multiscales": [{"version": "0.1", "name": "x.zarr", "datasets": [{"path": "0"}],
              "metadata": {"method": "mean"}}]}, version=2)  # fmt: skip
    compressor = {"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 1, "blocksize": 0}
    array = {"zarr_format": 2, "shape": [1, 2, 3, 40, 60], "chunks": [1, 1, 1, 1024, 1024], "dtype": "<u2"}
    put(tmp_path, "0/.zarray", {**array, "compressor": compressor, "fill_value": 0, "filters": None, "order": "C"})
    series = only(tmp_path)
    assert series.axes == "tczyx"
    assert series.version == "0.1"
    assert sizes(series.info) == {"t": 1, "c": 2, "z": 3, "y": 40, "x": 60}
    assert series.info.physical_size_x == (None, "µm")
    assert series.info.levels[0].tile_shape == (1024, 1024)
    assert series.arrays[0].separator == "."


def test_0_5_without_transformations(tmp_path):
    """As bfio 2 wrote Zarr v3."""
    entry = {"axes": axes_of("tczyx", {}), "datasets": [{"path": "0"}], "name": "x"}
    put_group(tmp_path, "", {"version": "0.5", "multiscales": [entry]})
    put_array(tmp_path, "0", (1, 2, 3, 40, 60))
    series = only(tmp_path)
    assert series.axes == "tczyx"
    assert series.info.physical_size_y == (None, "µm")


def test_axes_as_names(tmp_path):
    entry = {"version": "0.3", "axes": ["c", "y", "x"], "datasets": [{"path": "0"}]}
    put_group(tmp_path, "", {"multiscales": [entry]}, version=2)
    put_array(tmp_path, "0", (3, 40, 60), version=2)
    series = only(tmp_path)
    assert (series.axes, series.version, series.info.size_c) == ("cyx", "0.3", 3)


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ([("C", "channel"), ("Y", "space"), ("X", "space")], "cyx"),
        ([("angle", None), ("y", "space"), ("x", "space")], "cyx"),
        ([("time", "time"), ("row", "space"), ("col", "space")], "tyx"),
        ([("a", "space"), ("b", "space"), ("c2", "space")], "zyx"),
    ],
)
def test_axes_by_type_where_names_are_others(tmp_path, axes, expected):
    entry = {"axes": [{"name": name, "type": kind} for name, kind in axes], "datasets": [{"path": "0"}]}
    put_group(tmp_path, "", {"version": "0.5", "multiscales": [entry]})
    put_array(tmp_path, "0", (3, 40, 60))
    assert only(tmp_path).axes == expected


@pytest.mark.parametrize(
    "names", [["c", "t"], ["z", "y"], ["t", "c", "q", "y", "x"], ["y"], ["y", "x", "z", "t", "c", "s"]]
)
def test_axes_that_are_no_image(tmp_path, names):
    put_group(tmp_path, "", {"version": "0.5", "multiscales": [{"axes": names, "datasets": [{"path": "0"}]}]})
    put_array(tmp_path, "0", (16,) * len(names), chunks=[16] * len(names))
    with pytest.raises(UnsupportedError, match="axes"):
        series_of(tmp_path)


def test_scales_of_dataset_and_of_multiscale_are_both_applied(tmp_path):
    entry = multiscale("zyx", ("0",))
    entry["datasets"][0]["coordinateTransformations"].append({"type": "translation", "translation": [1.0, 2.0, 3.0]})
    entry["coordinateTransformations"] = [
        {"type": "scale", "scale": [10.0, 10.0, 100.0]},
        {"type": "translation", "translation": [0.0, 0.0, 5.0]},
    ]
    put_group(tmp_path, "", {"version": "0.5", "multiscales": [entry]})
    put_array(tmp_path, "0", (4, 40, 60))
    series = only(tmp_path)
    assert series.placements[0].scale == (20.0, 5.0, 50.0)
    assert series.placements[0].translation == (10.0, 20.0, 305.0)
    assert series.info.physical_size_x == (50.0, "µm")
    assert series.info.physical_size_z == (20.0, "µm")


@pytest.mark.parametrize(
    ("unit", "scale", "expected"),
    [
        ("nanometer", 325.0, (325.0, "nm")),
        ("micrometer", 1.0, (1.0, "µm")),
        ("µm", 0.5, (0.5, "µm")),
        ("angstrom", 4.0, (4.0, "Å")),
        ("furlong", 4.0, (4.0, "reference frame")),
        (None, 0.5, (0.5, "reference frame")),
        (None, 1.0, (None, "µm")),
    ],
)
def test_units(tmp_path, unit, scale, expected):
    entry = {"axes": axes_of("yx", {"x": unit} if unit else {}), "datasets": [{"path": "0"}]}
    entry["datasets"][0]["coordinateTransformations"] = [{"type": "scale", "scale": [1, scale]}]
    put_group(tmp_path, "", {"version": "0.5", "multiscales": [entry]})
    put_array(tmp_path, "0", (40, 60))
    assert only(tmp_path).info.physical_size_x == expected


BROKEN_TRANSFORMS = [
    [{"type": "scale", "scale": [1.0]}],
    [{"type": "scale", "scale": [1.0, float("nan")]}],
    [{"type": "scale", "scale": [1.0, "2"]}],
    [{"type": "scale", "scale": ["one", None]}],
    [{"type": "scale", "scale": [1.0, 0.0]}],
    [{"type": "scale", "scale": [1, 10**400]}],
    [{"type": "affine", "affine": [[1, 0, 0], [0, 1, 0]]}],
    [{"scale": [1.0, 1.0]}],
    {"type": "scale"},
    "scale",
    7,
    [None],
]


@pytest.mark.parametrize("transforms", BROKEN_TRANSFORMS)
def test_broken_transformations_are_unknown_sizes(tmp_path, transforms, caplog):
    entry = {"axes": axes_of("yx"), "datasets": [{"path": "0", "coordinateTransformations": transforms}]}
    put_group(tmp_path, "", {"version": "0.5", "multiscales": [entry]})
    put_array(tmp_path, "0", (40, 60))
    with caplog.at_level(logging.WARNING, "bfio.omezarr"):
        assert only(tmp_path).info.physical_size_x == (None, "µm")
    assert "coordinateTransformations" in caplog.text


def test_channels(tmp_path):
    window = {"min": 0, "max": 65535, "start": 10, "end": 1000.5}
    channels = [
        {"label": "DAPI", "color": "0000FF", "window": window},
        {"label": "GFP", "color": "#00ff0080", "window": {"start": "low"}},
        {"label": 5, "color": "red"},
        {"label": "too many"},
    ]
    put_image(tmp_path, omero={"channels": channels})
    series = only(tmp_path)
    assert [channel.name for channel in series.info.channels] == ["DAPI", "GFP", None]
    assert [channel.color for channel in series.info.channels] == [0x0000FFFF, 0x00FF0080, None]
    assert series.windows[0] == Window(10, 1000.5, 0, 65535)
    assert series.windows[1:3] == (Window(), Window())


@pytest.mark.parametrize(
    ("text", "number"),
    [("FF0000", 0xFF0000FF - (1 << 32)), ("00FF00", 0x00FF00FF), ("F00", None), ("", None), (5, None)],
)
def test_colors_are_signed_numbers_of_ome(text, number):
    assert color_number(text) == number


@pytest.mark.parametrize(
    "omero", [[], 5, "x", {"channels": 7}, {"channels": {"a": 1}}, {"channels": [1, None, "x"]}, {}]
)
def test_broken_omero_is_no_reason_not_to_read(tmp_path, omero):
    put_image(tmp_path, omero=omero)
    assert [channel.name for channel in only(tmp_path).info.channels] == [None, None, None]


def test_levels_of_another_dtype_or_depth_are_left_out(tmp_path, caplog):
    put_image(tmp_path, letters="zyx", paths=("0", "1", "2", "3", "4"))
    put_array(tmp_path, "1", shape_of("zyx", 1), dtype="uint8")
    put_array(tmp_path, "2", (2, 10, 15))
    (tmp_path / "3" / "zarr.json").unlink()
    with caplog.at_level(logging.WARNING, "bfio.omezarr"):
        series = only(tmp_path)
    assert [meta.path for meta in series.arrays] == ["0", "4"]
    assert len(series.info.levels) == len(series.placements) == 2
    assert caplog.text.count("left out") == 3


def test_levels_in_the_wrong_order_are_sorted(tmp_path, caplog):
    put_group(tmp_path, "", {"version": "0.5", "multiscales": [multiscale("yx", ("a", "b"))]})
    put_array(tmp_path, "a", (20, 30))
    put_array(tmp_path, "b", (40, 60))
    with caplog.at_level(logging.WARNING, "bfio.omezarr"):
        series = only(tmp_path)
    assert [meta.path for meta in series.arrays] == ["b", "a"]
    assert (series.info.size_y, series.info.size_x) == (40, 60)
    assert series.info.physical_size_x == (1.0, "µm")
    assert "sorted" in caplog.text


def test_several_images_in_one_group(tmp_path):
    entries = [multiscale("yx", ("0",), name="a"), multiscale("yx", ("1",), name="b")]
    put_group(tmp_path, "", {"version": "0.5", "multiscales": entries})
    put_array(tmp_path, "0", (40, 60))
    put_array(tmp_path, "1", (16, 16))
    assert [(one.info.name, one.info.index, one.info.size_x) for one in series_of(tmp_path)] == [
        ("a", 0, 60),
        ("b", 1, 16),
    ]


def test_0_6_with_a_coordinate_system(tmp_path):
    entry = {"coordinateSystems": [{"name": "physical", "axes": axes_of("zyx")}], "datasets": [{"path": "0"}]}
    scale = {"type": "scale", "scale": [2.0, 0.5, 0.5], "input": "0", "output": "physical"}
    entry["datasets"][0]["coordinateTransformations"] = [{**scale, "type": "sequence", "transformations": [scale]}]
    put_group(tmp_path, "", {"version": "0.6.dev3", "multiscales": [entry]})
    put_array(tmp_path, "0", (4, 40, 60))
    series = only(tmp_path)
    assert (series.axes, series.version, series.info.physical_size_z) == ("zyx", "0.6.dev3", (2.0, "µm"))
    entry["coordinateSystems"].append({"name": "world", "axes": axes_of("zyx")})
    put_group(tmp_path, "", {"version": "0.6", "multiscales": [entry]})
    assert only(tmp_path).axes == "zyx"
    scale["output"] = entry["datasets"][0]["coordinateTransformations"][0]["output"] = "nowhere"
    put_group(tmp_path, "", {"version": "0.6", "multiscales": [entry]})
    with pytest.raises(UnsupportedError, match="coordinate systems"):
        series_of(tmp_path)


@pytest.mark.parametrize("version", ["0.7", "1.0", "0.10", "x"])
def test_versions_of_the_future(tmp_path, version):
    put_image(tmp_path)
    put_group(tmp_path, "", {"version": version, "multiscales": [multiscale()]})
    with pytest.raises(UnsupportedError, match=version):
        series_of(tmp_path)


def test_shards_are_told_by_their_chunks(tmp_path):
    put_group(tmp_path, "", {"version": "0.5", "multiscales": [multiscale("zyx", ("0",))]})
    put_array(tmp_path, "0", (4, 40, 60), chunks=(2, 10, 20), shard=(4, 40, 60))
    series = only(tmp_path)
    assert series.info.levels[0].tile_shape == (10, 20)
    assert series.arrays[0].shard == (4, 40, 60)


@pytest.mark.parametrize("rank", [2, 3, 4, 5])
@pytest.mark.parametrize("version", [2, 3])
def test_a_plain_array(tmp_path, rank, version):
    put_array(tmp_path, "", (2, 3, 4, 40, 60)[5 - rank :], version)
    series = only(tmp_path)
    assert (series.axes, series.kind, series.version) == ("tczyx"[5 - rank :], "array", None)
    assert series.arrays[0].path == ""
    assert (series.info.size_y, series.info.size_x) == (40, 60)


def test_names_of_dimensions_of_a_plain_array(tmp_path):
    put_array(tmp_path, "", (3, 40, 60), names=["C", "y", "x"])
    assert only(tmp_path).axes == "cyx"
    put_array(tmp_path, "", (3, 40, 60), names=["this", "y", "x"])
    assert only(tmp_path).axes == "zyx"


def test_names_of_dimensions_by_xarray(tmp_path):
    put_array(tmp_path, "", (3, 40, 60), version=2)
    put(tmp_path, ".zattrs", {"_ARRAY_DIMENSIONS": ["time", "y", "x"]})
    assert only(tmp_path).axes == "tyx"


@pytest.mark.parametrize("shape", [(40,), (1, 1, 1, 1, 40, 60), (0, 40, 60), ()])
def test_arrays_that_are_no_images(tmp_path, shape):
    put_array(tmp_path, "", shape, chunks=[16] * len(shape) or None if shape else [])
    with pytest.raises((FormatError, UnsupportedError), match="array|dimensions"):
        series_of(tmp_path)


def test_another_number_of_axes_than_the_array_has(tmp_path):
    put_group(tmp_path, "", {"version": "0.5", "multiscales": [multiscale("tczyx", ("0",))]})
    put_array(tmp_path, "0", (4, 40, 60))
    with pytest.raises(FormatError, match="5 axes.* 3"):
        series_of(tmp_path)

"""BioWriter on a backend in memory: its attributes, keys and conversions, and how it ends."""

import copy
import gc
import logging
import pickle
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fakes import FakeWriter, make_series, public, sample_image

import bfio
from bfio import BioWriter, ReadOnlyError, SelectionError, UnsupportedError, UsageError
from bfio.enums import Compression
from bfio.omexml import parse


@pytest.fixture
def made(monkeypatch):
    """The backends that were made, the last one last."""
    backends = []

    def create(path, name, series, xml, options):
        backends.append(FakeWriter(path, series, xml, options))
        return backends[-1]

    monkeypatch.setattr("bfio.writer.create_writer", create)
    return backends


@pytest.fixture
def path(tmp_path):
    return tmp_path / "image.ome.tif"


@pytest.fixture
def writer(made, path):
    """A writer of 2 T, 3 C, 4 Z, 50 Y, 40 X."""
    with BioWriter(path, X=40, Y=50, Z=4, C=3, T=2, dtype=np.uint16) as bw:
        yield bw


def pixels_of(backend):
    return parse(backend.xml).images[0].pixels


# -- attributes -----------------------------------------------------------------------------------------------------------


def test_a_new_writer(path):
    bw = BioWriter(path)
    assert (bw.X, bw.Y, bw.Z, bw.C, bw.T) == (1,) * 5 == (bw.x, bw.y, bw.z, bw.c, bw.t)
    assert bw.shape == (1, 1) and bw.dtype == np.uint8 and bw.bpp == bw.bytes_per_pixel == 1
    assert bw.channel_names == bw.cnames == [None] and bw.spp == bw.samples_per_pixel == 1
    assert bw.ps_x[0] is None and bw.ps_x[1].value == "µm" and not bw.read_only
    assert bw._TILE_SIZE == 1024 and bw._backend_name == "python" == bw._backend.name
    assert bw._file_path == path and bw._max_workers >= 1 and bw.tile_shape == (1024, 1024)
    assert "not begun" in repr(bw) and not path.exists()
    bw.close()


ORDERS = [
    ("X", "Y", "Z", "C", "T", "names", "ps"),
    ("ps", "names", "T", "C", "Z", "Y", "X"),
    ("names", "C", "ps", "X", "Y", "Z", "T"),
]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("names", ["long", "short"])
def test_attributes_in_any_order(made, path, order, names):
    short = (
        {"names": "cnames", "ps": "ps_x"} if names == "short" else {"names": "channel_names", "ps": "physical_size_x"}
    )
    values = {"X": 7, "Y": np.int64(5), "Z": 2.0, "C": 3, "T": 1, "names": ["a", "b", None], "ps": (0.5, "nm")}
    with BioWriter(path) as bw:
        for name in order:
            attribute = short.get(name, name if names == "long" else name.lower())
            setattr(bw, attribute, values[name])
        bw.dtype = np.int32
        assert bw.shape == (5, 7, 2, 3) and bw.dims == "YXZC" and bw.ndim == 4 and bw.dtype == np.int32
        bw[:] = np.zeros((5, 7, 2, 3), np.int32)
    assert made[0].series.shape == (1, 3, 2, 5, 7)
    pixels = pixels_of(made[0])
    assert [channel.name for channel in pixels.channels] == ["a", "b", None] and pixels.physical_size_x == (0.5, "nm")
    assert type(made[0].series.size_y) is int and type(made[0].series.size_z) is int


def test_keywords_in_any_order(made, path):
    with BioWriter(path, cnames=["a", "b"], ps_y=2, dtype="uint16", C=2, Y=3, X=4, backend="PYTHON", Z=None) as bw:
        assert bw.cnames == ["a", "b"] and bw.shape == (3, 4, 1, 2) and bw.ps_y[0] == 2 and bw.dtype == np.uint16
    with BioWriter(path, spp=3, shape=(5, 6, 1, 3)) as bw:
        assert (bw.C, bw.spp, bw.channel_names) == (3, 3, [None])


def test_shape(path):
    bw = BioWriter(path, Z=5, T=4)
    bw.shape = (9, 8)
    assert bw.shape == (9, 8) and bw.Z == bw.T == 1
    for wrong in (5, (5,), (1, 2, 3, 4, 5, 6), (0, 5), "ab"):
        with pytest.raises(UsageError):
            bw.shape = wrong


@pytest.mark.parametrize("value", [np.uint8, "uint16", ">u2", np.dtype("<i4"), float, bool, np.float16, "c8", "int64"])
def test_dtypes(path, value):
    bw = BioWriter(path, dtype=value)
    assert bw.dtype == np.dtype(value).newbyteorder("=") and bw.dtype.isnative


@pytest.mark.parametrize("value", ["pixels", object, "U4", "datetime64[s]", "V4", "f16", None, 3.5])
def test_dtypes_that_are_none(path, value):
    bw = BioWriter(path)
    with pytest.raises(UsageError, match="dtype="):
        bw.dtype = value


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("X", 0, "X=0 must be 1 or more"),
        ("Y", -3, "must be 1 or more"),
        ("Z", "many", "Z='many' must be an int"),
        ("T", 1.5, "must be an int"),
        ("C", None, "must be an int"),
        ("X", 1 << 31, "too large"),
        ("ps_x", (0, "µm"), "greater than 0"),
        ("ps_y", float("nan"), "greater than 0"),
        ("ps_z", (1, "furlong"), "'furlong' is unknown; use one of"),
        ("ps_x", (1, 2, 3), "pair"),
        ("ps_x", ("wide", "µm"), "'wide' is not a number"),
        ("ps_x", (1, 5), "must be a str"),
        ("channel_names", "abc", "must be a list"),
        ("channel_names", [1, 2, 3], "is no text"),
        ("channel_names", ["a"], "1 channel names for 3 channels"),
        ("spp", 0, "must be 1 or more"),
        ("metadata", 5, "must be an ome_types.OME"),
    ],
)
def test_wrong_values(writer, name, value, told):
    with pytest.raises(UsageError) as caught:
        setattr(writer, name, value)
    assert told in str(caught.value)


def test_units(path):
    from ome_types.model import UnitsLength

    bw = BioWriter(path, ps_x=(1, UnitsLength.NANOMETER), ps_y=(2, "um"), ps_z=[3, None])
    assert bw.ps_x == (1, UnitsLength.NANOMETER) and bw.ps_y[1].value == "µm" == bw.ps_z[1].value
    bw.ps_x = (None, UnitsLength.MICROMETER)
    assert bw.physical_size_x == (None, UnitsLength.MICROMETER)
    bw.ps_y = (1, "reference frame")
    assert bw.ps_y[1] is UnitsLength.REFERENCEFRAME


def test_properties_that_can_not_be_set(writer):
    for name in ("bpp", "bytes_per_pixel", "read_only", "tile_shape", "missing", "ndim"):
        with pytest.raises(ReadOnlyError):
            setattr(writer, name, 1)


def test_after_the_first_write_nothing_can_be_set(made, writer):
    writer[:5, :5, 0, 0, 0] = 1
    for name, value in [
        ("X", 99),
        ("shape", (5, 5)),
        ("dtype", "u1"),
        ("cnames", ["a"] * 3),
        ("ps_x", 1),
        ("metadata", ""),
    ]:
        with pytest.raises(ReadOnlyError, match="after the first write"):
            setattr(writer, name, value)
        with pytest.raises(AssertionError):  # as scripts of bfio 2 expect
            setattr(writer, name, value)
    assert writer.X == 40 and writer.read_only and len(made) == 1
    writer.anything = 5
    assert writer.anything == 5


def test_channels_grow_and_shrink(path):
    bw = BioWriter(path, C=2, cnames=["a", "b"])
    bw.C = 3
    assert bw.cnames == ["a", "b", None]
    bw.C = 1
    assert bw.cnames == ["a"]


def test_names_tell_the_number_of_channels(path):
    assert BioWriter(path, cnames=["a", "b"]).C == 2


def test_samples(made, path):
    with BioWriter(path, X=4, Y=5, samples_per_pixel=3, dtype="u1") as bw:
        assert bw.C == 3 and bw.cnames == [None]
        bw.cnames = ["color"]
        bw.C = 6
        assert bw.cnames == ["color", None]
        bw[:] = np.zeros((5, 4, 1, 6), np.uint8)
    assert made[0].series.samples == 3 and made[0].series.size_c == 2 and made[0].series.interleaved
    bw = BioWriter(path, X=4, Y=5, C=4, spp=3, dtype="u1")
    with pytest.raises(UsageError, match="C=4 must be a multiple of samples_per_pixel=3"):
        bw[0, 0] = 1


def test_unknown_keywords_become_attributes(path, caplog):
    with caplog.at_level(logging.WARNING, "bfio"):
        bw = BioWriter(path, dytpe=np.uint16, chanel_names=["a"], cache=7, tilesize=256)
    assert bw.cache == 7 and bw.dytpe is np.uint16
    text = caplog.text
    assert "'dtype'" in text and "'channel_names'" in text and "'tile_size'" in text and "'cache'" not in text


def test_options_reach_the_backend(made, path):
    with BioWriter(path, 3, compression="zstd", levels=2, tile_size=(32, 64), predictor=False, downsample="max") as bw:
        assert bw._TILE_SIZE == 32 and bw.tile_shape == (32, 64) and bw._max_workers == 3
        bw[0, 0] = 1
    options = made[0].options
    assert options.compression is Compression.ZSTD and options.levels == 2 and options.max_workers == 3
    with pytest.raises(UsageError, match="compression='gzip' is unknown"):
        BioWriter(path, compression="gzip")


# -- metadata -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ome():
    from ome_types import from_xml

    return from_xml(
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0" Name="source">'
        '<Description>kept</Description><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="6" SizeY="5" '
        'SizeZ="2" SizeC="2" SizeT="1" PhysicalSizeX="0.5" PhysicalSizeXUnit="nm"><Channel ID="Channel:0:0" Name="DAPI" '
        'Color="255"/><Channel ID="Channel:0:1" Name="GFP"/><TiffData/></Pixels></Image></OME>'
    )


def test_metadata_of_a_source(made, path, ome):
    before = ome.to_xml()
    with BioWriter(path, metadata=ome) as bw:
        assert bw.shape == (5, 6, 2, 2) and bw.dtype == np.uint16 and bw.cnames == ["DAPI", "GFP"]
        assert bw.ps_x[0] == 0.5 and bw.ps_x[1].value == "nm"
        bw.dtype, bw.C, bw.X = np.float32, 1, 7
        bw[:] = np.ones((5, 7, 2), np.float32)
    assert ome.to_xml() == before
    pixels = pixels_of(made[0])
    assert (pixels.type, pixels.size_c, pixels.size_x, pixels.dimension_order) == ("float", 1, 7, "XYZCT")
    assert pixels.channels[0].name == "DAPI" and pixels.channels[0].color == 255 and "kept" in made[0].xml
    assert parse(made[0].xml).images[0].name == "image.ome.tif"


def test_metadata_as_text_and_keywords_on_top(made, path, ome):
    with BioWriter(path, metadata=ome.to_xml(), C=3, cnames=["a", "b", "c"], T=2) as bw:
        bw[0, 0] = 7
    assert made[0].series.shape == (2, 3, 2, 5, 6)
    assert [channel.name for channel in pixels_of(made[0]).channels] == ["a", "b", "c"]


def test_metadata_of_several_images(made, path, ome, caplog):
    ome.images.append(copy.deepcopy(ome.images[0]))
    ome.images[1].id, ome.images[1].pixels.id = "Image:1", "Pixels:1"
    for channel in ome.images[1].pixels.channels:
        channel.id = channel.id.replace("0:", "1:")
    with BioWriter(path, metadata=ome) as bw:
        bw[0, 0] = 1
    assert "describe 2 images" in caplog.text and len(parse(made[0].xml).images) == 1


def test_metadata_that_are_none(path):
    with pytest.raises(UsageError, match="no image"):
        BioWriter(path, metadata='<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"/>')
    with pytest.raises(UsageError, match="dict"):
        BioWriter(path, metadata={})
    with pytest.raises(ValueError):
        BioWriter(path, metadata="no xml")


def test_the_model_of_a_writer_can_be_changed(made, path):
    with BioWriter(path, X=4, Y=3, dtype=np.float16) as bw:
        model = bw.metadata
        assert type(model).__name__ == "OME" and model.images[0].name == "image.ome.tif"
        pixels = model.images[0].pixels
        pixels.size_z = 5
        model.images[0].description = "said later"
        pixels.channels[0].name = "first"
        assert bw.Z == 5 and bw.dtype == np.float16 and bw.cnames == ["first"]
        bw.C, bw.T, bw.ps_x = 2, 2, (3.0, "mm")
        assert bw.metadata is model and (pixels.size_c, pixels.size_t, len(pixels.channels)) == (2, 2, 2)
        assert pixels.physical_size_x == 3.0 and bw.Z == 5
        pixels.channels[1].name = "second"
        bw[0, 0] = 0.5
        pixels.size_x = 77
        assert bw.X == 4 and bw.metadata is model
    assert made[0].series.shape == (2, 2, 5, 3, 4) and made[0].series.dtype == np.float16
    assert "said later" in made[0].xml
    assert [channel.name for channel in pixels_of(made[0]).channels] == ["first", "second"]


def test_writing_needs_no_model(made, path):
    with BioWriter(path, X=4, Y=3) as bw:
        bw[:] = np.zeros((3, 4), np.uint8)
    code = (
        "import sys; from bfio import BioWriter; bw = BioWriter(sys.argv[1], X=4, Y=3, cnames=['a'], ps_x=(1, 'nm'))\n"
        "bw._xml(bw._series()); print(any(name.startswith(('ome_types', 'pydantic', 'tifffile')) for name in sys.modules))"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# -- keys -----------------------------------------------------------------------------------------------------------------

KEYS = {
    "whole": (np.s_[:], (50, 40, 4, 3, 2)),
    "plane": (np.s_[:, :, 0, 0, 0], (50, 40)),
    "plane, five axes": (np.s_[:, :, 0, 0, 0], (50, 40, 1, 1, 1)),
    "ellipsis": (np.s_[3:20, 5:30, ...], (17, 25, 4, 3, 2)),
    "one z": (np.s_[3:20, 5:30, 2:3, 0, 0], (17, 25)),
    "two slices": (np.s_[3:20, 5:30], (17, 25, 4, 3, 2)),
    "channels": (np.s_[3:20, 5:30, 0, :, 0], (17, 25, 1, 3)),
    "one of c": (np.s_[..., 0, 1:2, 0], (50, 40)),
    "one of t": (np.s_[:, :, :, 0, 1], (50, 40, 4)),
    "rest by colons": (np.s_[3:20, 5:30, 1, :, :], (17, 25, 1, 3, 2)),
    "negative": (np.s_[-10:, -1, -1, -2, -1], (10, 1)),
    "beyond": (np.s_[45:99, :, 0, 0, 0], (5, 40)),
    "list": (np.s_[:5, :5, [3, 0], [2, 1], 0], (5, 5, 2, 2)),
    "mask": (np.s_[:5, :5, 0, np.array([True, False, True]), 0], (5, 5, 1, 2)),
    "numpy ints": ((slice(np.int64(2), np.int32(9)), np.int64(3), np.uint8(1), 0, 0), (7, 1)),
    "backwards": (np.s_[::-1, 4::-1, 0, 0, 0], (50, 5)),
    "steps on the others": (np.s_[:2, :2, ::2, ::-1, 0], (2, 2, 2, 3)),
    "int": (7, (1, 40, 4, 3, 2)),
}


def region(key):
    key = key if isinstance(key, tuple) else (key,)
    entries = [slice(k, k + 1 or None) if isinstance(k, (int, np.integer)) else k for k in key]
    if Ellipsis in [k for k in entries if not isinstance(k, (list, np.ndarray))]:
        place = next(i for i, k in enumerate(entries) if k is Ellipsis)
        entries[place : place + 1] = [slice(None)] * (6 - len(entries))
    entries += [slice(None)] * (5 - len(entries))
    return np.ix_(*[np.arange(size)[entry] for entry, size in zip(entries, (50, 40, 4, 3, 2), strict=True)])


@pytest.mark.parametrize("name", KEYS)
def test_keys_are_those_of_numpy(made, writer, name):
    key, shape = KEYS[name]
    value = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape) + 1
    wanted = np.zeros((50, 40, 4, 3, 2), np.uint16)
    where = region(key)
    wanted[where] = value.reshape(value.shape + (1,) * (5 - value.ndim))
    writer[key] = value
    np.testing.assert_array_equal(made[0].public, wanted)
    assert made[0].written.sum() == value.size


BROADCAST = {
    "scalar": (np.s_[:], 5),
    "numpy scalar": (np.s_[3:9, ...], np.uint16(5)),
    "0-d": (np.s_[3:9, ...], np.array(5, np.uint16)),
    "row": (np.s_[:, :, 0, 0, 0], np.arange(40)),
    "column": (np.s_[:, :, 0, 0, 0], np.arange(50)[:, None]),
    "list": (np.s_[0, :, 0, 0, 0], list(range(40))),
    "rank": (np.s_[:, :, 0, 0, 0], np.arange(2000, dtype=np.uint16).reshape(1, 50, 40)),
    "five axes": (np.s_[:], np.arange(4, dtype=np.uint16).reshape(1, 1, 4, 1, 1)),
    "trailing axes": (np.s_[:], np.arange(6, dtype=np.uint16).reshape(3, 2)),
    "int in between": (np.s_[:, :, 0, :, 0], np.arange(3)),
    "int drops its axis": (np.s_[:5, 7, :, 1, :], np.arange(40).reshape(5, 4, 2)),
    "range": (np.s_[:, 0, 0, 0, 0], range(50)),
}


@pytest.mark.parametrize("name", BROADCAST)
def test_values_are_broadcast_as_numpy_does(made, writer, name):
    key, value = BROADCAST[name]
    wanted = np.zeros((50, 40, 4, 3, 2), np.uint16)
    wanted[key] = value
    writer[key] = value
    np.testing.assert_array_equal(made[0].public, wanted)


def test_trailing_axes_of_length_1_are_not_needed(made, path):
    """An image of one plane is 2-D to its users: a row is broadcast over it."""
    with BioWriter(path, X=4, Y=3) as bw:
        bw[:] = np.arange(4, dtype=np.uint8)
    np.testing.assert_array_equal(made[0].public[..., 0, 0, 0], [np.arange(4)] * 3)


def test_an_index_listed_twice_takes_the_last_value(made, writer):
    writer[:, :, 0, [1, 2, 1], 0] = np.broadcast_to(np.array([5, 6, 7], np.uint16), (50, 40, 1, 3))
    assert [made[0].public[0, 0, 0, c, 0] for c in range(3)] == [0, 7, 6]
    writer[:, :, [0, 0], 0, 0] = 9
    assert (made[0].public[:, :, 0, 0, 0] == 9).all()


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        (np.s_[:, :, 0, 0, 0], (40, 50)),
        (np.s_[:], (50, 40)),
        (np.s_[:9, :9, 0, 0, 0], (9, 8)),
        (np.s_[45:99, :, 0, 0, 0], (54, 40)),
        (np.s_[:, :, 0, 0, 0], (2, 50, 40)),
        (np.s_[:], (50, 40, 4, 3, 2, 1)),
        (np.s_[:, :, 0, :, 0], (50, 40, 3, 1)),
        (np.s_[5:5], (3, 40)),
        (np.s_[:9, :9, 0, 0, 0], (0,)),
    ],
)
def test_shapes_that_do_not_fit(made, writer, key, shape):
    with pytest.raises(SelectionError) as caught:
        writer[key] = np.zeros(shape, np.uint16)
    assert str(shape) in str(caught.value) and "(in the order Y, X, Z, C, T)" in str(caught.value)
    assert isinstance(caught.value, IndexError) and isinstance(caught.value, ValueError) and not made


@pytest.mark.parametrize(
    "key",
    [np.s_[::2], np.s_[:, ::-2], np.s_[50], np.s_[..., 5], np.s_[[1, 2]], 1.5, "a", None, np.s_[0, 0, 0, 0, 0, 0]],
)
def test_keys_that_do_not_fit(made, writer, key):
    with pytest.raises(SelectionError):
        writer[key] = 1
    assert not made


def test_an_empty_region_is_no_write(made, writer):
    writer[5:5, :, 0, 0, 0] = np.zeros((0, 40), np.uint16)
    writer[5:5] = 1
    assert not made and not writer.read_only


# -- write() --------------------------------------------------------------------------------------------------------------


def test_write_by_starts(made, writer):
    image = np.arange(5 * 6 * 2 * 1 * 1, dtype=np.uint16).reshape(5, 6, 2, 1, 1)
    starts = [3]
    writer.write(image, X=starts, Y=np.int64(4), Z=(1,), C=[2], T=[1])
    assert starts == [3]
    np.testing.assert_array_equal(made[0].public[4:9, 3:9, 1:3, 2:3, 1:2], image)
    assert made[0].written.sum() == image.size


def test_write_of_fewer_axes_and_lists(made, writer):
    writer.write(np.ones((50, 40), np.uint16))
    assert made[0].public[..., 0, 0, 0].all() and made[0].written.sum() == 2000
    writer.write(np.full((2, 2, 1, 2), 7, np.uint16), C=[2, 0], X=[10, 12])
    assert (made[0].public[:2, 10:12, 0, [0, 2], 0] == 7).all()
    image = np.full((2, 2, 2), 3, np.uint16)
    writer.write(image, Z=np.array([3, 0]), Y=(6, 8))
    assert (made[0].public[6:8, :2, [0, 3], 0, 0] == 3).all()


@pytest.mark.parametrize(
    "where",
    [{"X": 35}, {"Y": 41}, {"Z": -1}, {"Z": 4}, {"C": [0, 1]}, {"T": 2}, {"X": "a"}, {"X": [1, 2, 3]}, {"Z": [9]}],
)
def test_write_beyond_the_image(made, writer, where):
    with pytest.raises(SelectionError):
        writer.write(np.zeros((10, 10), np.uint16), **where)
    with pytest.raises(SelectionError):
        writer.write(np.zeros((1,) * 6, np.uint16))
    assert not made


# -- dtypes ---------------------------------------------------------------------------------------------------------------

GOOD = [
    ("u2", np.array([[0, 255]], "u1")),
    ("u2", np.array([[0, 65535]], ">u2")),
    ("u2", np.array([[0, 65535]], "i8")),
    ("u2", np.array([[0.0, 300.0]])),
    ("u1", np.array([[True, False]])),
    ("u1", [[1, 2]]),
    ("u1", [[True, False]]),
    ("?", np.array([[0, 1]])),
    ("?", np.array([[0.0, 1.0]])),
    ("i1", np.array([[-128, 127]])),
    ("f4", np.array([[0.5, np.nan]])),
    ("f4", np.array([[np.inf, -np.inf]])),
    ("f4", np.array([[1 << 24, -(1 << 24)]])),
    ("f4", np.array([[1 << 40, -(1 << 62)]])),
    ("f4", [[0.1, 2.5]]),
    ("f2", np.array([[2048, -2048]], "i4")),
    ("f8", np.array([[1 << 53, -(1 << 53)]])),
    ("f8", np.array([[1 << 63, 0]], "u8")),
    ("f8", np.array([[-(1 << 63), 0]], "i8")),
    ("f8", np.array([[1.5, 2]], "f2")),
    ("c8", np.array([[1.5, 2]])),
    ("c8", np.array([[1.5 + 2j, 2]])),
    ("f4", np.array([[1.5 + 0j, 2]])),
    ("u8", np.array([[0, (1 << 63) - 1]])),
    ("i8", np.array([[0, (1 << 63) - 1]], "u8")),
    ("u1", np.array([[3 + 0j, 2]])),
]


@pytest.mark.parametrize(("dtype", "value"), GOOD)
@pytest.mark.parametrize("large", [False, True])
def test_values_that_have_an_equal_are_converted(made, path, monkeypatch, dtype, value, large):
    if large:
        monkeypatch.setattr("bfio.writer._SMALL_NBYTES", 0)
        value = np.asarray(value) if not isinstance(value, np.ndarray) else value
        if value.dtype == float and dtype == "f4":
            value = value.astype("f4").astype("f8")
    with BioWriter(path, X=2, Y=1, dtype=dtype) as bw:
        bw[:] = value
    wanted = np.asarray(value) if dtype in ("c8", "c16") else np.real(value)
    np.testing.assert_array_equal(made[0].public[..., 0, 0, 0], wanted.astype(dtype))


BAD = [
    ("u1", np.array([[0, 256]])),
    ("u1", np.array([[0, -1]])),
    ("u1", -1),
    ("u1", 256),
    ("u1", 0.5),
    ("u1", np.array([[0.5, 0]])),
    ("u1", np.array([[np.nan, 0]])),
    ("u1", np.array([[1e30, 0]])),
    ("u8", np.array([[-1, 0]])),
    ("u8", np.array([[2.0**64, 0]])),
    ("i8", np.array([[1 << 63, 0]], "u8")),
    ("?", np.array([[2, 0]])),
    ("?", np.array([[0.5, 0]])),
    ("f4", np.array([[0.1, 0]])),
    ("f4", np.array([[1e300, 0]])),
    ("f4", 1e300),
    ("f4", np.array([[(1 << 24) + 1, 0]])),
    ("f8", np.array([[(1 << 53) + 1, 0]])),
    ("f8", np.array([[(1 << 64) - 1, 0]], "u8")),
    ("f2", np.array([[70000, 0]])),
    ("f4", np.array([[1j, 0]])),
    ("c8", np.array([[0.1j, 0]])),
]


@pytest.mark.parametrize(("dtype", "value"), BAD)
@pytest.mark.parametrize("large", [False, True])
def test_values_that_have_none_are_refused(made, path, monkeypatch, dtype, value, large):
    if large:
        monkeypatch.setattr("bfio.writer._SMALL_NBYTES", 0)
    bw = BioWriter(path, X=2, Y=1, dtype=dtype)
    with pytest.raises(UsageError) as caught:
        bw[:] = value
    assert (
        "without loss" in str(caught.value)
        and np.dtype(dtype).name in str(caught.value)
        and "astype" in str(caught.value)
    )
    assert not made


@pytest.mark.parametrize(
    "value", ["text", object(), [[1, 2], [3]], np.array(["a"]), np.datetime64("2020-01-01"), None, {}]
)
def test_values_that_are_no_pixels(made, writer, value):
    with pytest.raises(UsageError):
        writer[:] = value
    assert not made


def test_large_arrays_are_converted_in_pieces(made, path, monkeypatch):
    monkeypatch.setattr("bfio.writer._SMALL_NBYTES", 0)
    monkeypatch.setattr("bfio.lossless._PIECE_NBYTES", 64 * 40 * 8)
    monkeypatch.setattr("bfio.lossless._CHECK_NBYTES", 1 << 12)
    image = sample_image(2, 3, 2, 100, 40, np.int64) % 60000
    with BioWriter(path, X=40, Y=110, Z=2, C=3, T=2, dtype="u2", tile_size=32) as bw:
        bw[5:105] = public(image)
        with pytest.raises(UsageError, match="70000 has no equal"):
            bad = public(image).copy()
            bad[99, 39, 1, 2, 1] = 70000
            bw[5:105] = bad
        n_calls = len(made[0].calls)
    np.testing.assert_array_equal(made[0].array[:, :, :, 5:105], image)
    assert n_calls == len(made[0].calls) == 2 * 3 * 2 * 2  # bands of 64 rows: 5 to 64, 64 to 105
    assert {call.y.start for call in made[0].calls} == {5, 64}
    with BioWriter(path, X=40, Y=100, Z=2, C=3, T=2, dtype="u2", spp=3, tile_size=32) as bw:
        bw[:] = public(image)
    np.testing.assert_array_equal(made[1].array, image)
    assert {call.c for call in made[1].calls} == {(0, 1, 2)}


# -- sizes of the first array ---------------------------------------------------------------------------------------------


def test_sizes_are_taken_from_the_first_array(made, path):
    image = public(sample_image(1, 2, 3, 5, 7, np.int16))
    with BioWriter(path) as bw:
        bw[:] = image
    np.testing.assert_array_equal(made[0].public, image)
    with BioWriter(path) as bw:
        bw[:, :, 0, 0, 0] = image[..., 0, 0, 0]
    assert made[1].public.shape == (5, 7, 1, 1, 1) and made[1].array.dtype == np.int16
    with BioWriter(path) as bw:
        bw.write(image[..., 0, 0])
    assert made[2].public.shape == (5, 7, 3, 1, 1)
    with BioWriter(path, dtype="f4", cnames=["one"], ps_x=1) as bw:
        bw[:] = image[..., 0, 0, 0]
    assert made[3].array.dtype == np.float32 and made[3].public.shape == (5, 7, 1, 1, 1)


def test_sizes_that_were_set_hold(made, path, ome):
    with BioWriter(path, X=7) as bw, pytest.raises(SelectionError):
        bw[:] = np.zeros((5, 7), np.uint8)
    with BioWriter(path, metadata=ome) as bw, pytest.raises(SelectionError):
        bw[:] = np.zeros((9, 9), np.uint16)
    with BioWriter(path, X=7, Y=5) as bw:
        bw[:2, :2] = np.zeros((2, 2), np.uint16)  # the dtype was never set
    assert made[0].array.dtype == np.uint16 and len(made) == 1


def test_an_image_at_construction(made, path):
    image = public(sample_image(1, 1, 3, 5, 7, np.uint16))
    with BioWriter(path, image=image, cnames=["a"]) as bw:
        assert bw.read_only and bw.shape == (5, 7, 3)
    np.testing.assert_array_equal(made[0].public, image)
    with pytest.raises(UsageError, match="at least the axes Y and X"):
        BioWriter(path, image=np.zeros(5))
    with pytest.raises(UsageError):
        BioWriter(path, image="text")


# -- begin and end --------------------------------------------------------------------------------------------------------


def test_states(made, path):
    with BioWriter(path, X=4, Y=3) as bw:
        assert bw.missing == [(slice(0, 3), slice(0, 4), slice(0, 1), slice(0, 1), slice(0, 1))]
        bw.flush()
        assert made[0].flushes == 1 and bw.missing and bw.tile_shape == made[0].tile_shape
        for key in bw.missing:
            bw[key] = 1
        assert bw.missing == [] and "open" in repr(bw)
        bw.close()
        bw.close()
    bw.close()
    assert made[0].state == "finished" and "closed" in repr(bw) and bw.X == 4
    for act in (
        lambda: bw.__setitem__(0, 1),
        bw.flush,
        lambda: bw.missing,
        lambda: bw.write(np.zeros((3, 4), np.uint8)),
    ):
        with pytest.raises(UsageError, match="closed"):
            act()


def test_nothing_written_makes_no_file(made, path, caplog):
    with BioWriter(path, X=4, Y=3):
        pass
    assert not made and "nothing was written" in caplog.text


def test_an_exception_keeps_the_part(made, path, caplog):
    with pytest.raises(ZeroDivisionError), BioWriter(path, X=4, Y=3) as bw:
        bw[0, 0] = 1
        1 / 0
    assert made[0].state == "abandoned" and "image.ome.tif.part" in caplog.text
    bw.close()
    assert made[0].state == "abandoned"


def test_a_close_that_fails(made, path, caplog):
    with pytest.raises(OSError, match="full"), BioWriter(path, X=4, Y=3) as bw:
        bw[0, 0] = 1

        def fail():
            raise OSError("full")

        made[0].close = fail
    assert made[0].state == "abandoned" and "could not be finished" in caplog.text
    bw.close()


def test_a_writer_that_is_never_closed(made, path):
    bw = BioWriter(path, X=4, Y=3)
    bw[0, 0] = 1
    with pytest.warns(ResourceWarning, match="never closed"):
        del bw
        gc.collect()
    assert made[0].state == "abandoned"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BioWriter(path)  # nothing was begun
        gc.collect()


def test_the_private_backend_of_old_scripts(made, path):
    with BioWriter(path, X=4, Y=3) as bw:
        with pytest.raises(AttributeError):
            bw._backend.array
        bw._backend._init_writer()
        bw._backend._init_writer()
        assert len(made) == 1 and bw._backend.array is made[0].array
    assert made[0].state == "finished"


def test_many_threads_begin_at_once(made, path):
    barrier = threading.Barrier(8)
    image = sample_image(1, 1, 8, 16, 16)
    with BioWriter(path, X=16, Y=16, Z=8, dtype=np.uint16) as bw:

        def write(z):
            barrier.wait()
            bw[:, :, z] = public(image)[:, :, z, 0, 0]

        with ThreadPoolExecutor(8) as executor:
            list(executor.map(write, range(8)))
    assert len(made) == 1
    np.testing.assert_array_equal(made[0].array, image)


def test_writers_can_not_be_pickled(writer):
    for act in (pickle.dumps, copy.copy):
        with pytest.raises(UsageError, match="attach"):
            act(writer)


def test_a_fork_leaves_the_file_alone(made, path, in_fork):
    bw = BioWriter(path, X=4, Y=3)
    bw[0, 0] = 1

    def child():
        bw.close()
        try:
            bw[0, 0] = 2
        except UsageError as error:
            return made[0].state, str(error)

    assert "another process" in in_fork(lambda: _child_write(bw)) and "'open'" in in_fork(child)
    bw.close()
    assert made[0].state == "finished"


def _child_write(bw):
    try:
        bw[0, 0] = 2
    except UsageError as error:
        return str(error)


def test_progress(made, path):
    told = []
    with BioWriter(path, X=64, Y=64, Z=2, tile_size=32, progress=lambda *what: told.append(what)) as bw:
        bw[:32, :, 0] = 1
        bw[32:40, :32, 0] = 1
        bw[:] = 1
    assert told == [(2, 8), (8, 8)]
    with pytest.raises(UsageError, match="progress="):
        BioWriter(path, progress="yes")


def test_progress_without_tqdm(made, path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with BioWriter(path, X=64, Y=64, progress=True) as bw:
        bw[:] = 1
    assert "pip install tqdm" in caplog.text


# -- paths ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.ome.tif", "a.OME.TIFF", "a.tif", "a.TIFF", "a.tf2", "a.tf8", "a.btf"])
def test_names_that_are_tiff(tmp_path, name):
    assert BioWriter(str(tmp_path / name))._backend_name == "python"


@pytest.mark.parametrize("name", ["a.png", "a", "a.ome", "a.ome.zarr", "a.tif.gz"])
def test_names_that_are_not(tmp_path, name):
    with pytest.raises(UnsupportedError, match=".ome.tif, .ome.tiff, .tif"):
        BioWriter(tmp_path / name)


def test_backends(path):
    for name in ("python", "Python", None):
        assert BioWriter(path, backend=name)._backend_name == "python"
    with pytest.raises(UsageError, match="unknown"):
        BioWriter(path, backend="tiff")
    with pytest.raises(bfio.BackendMissingError):
        BioWriter(path, backend="zarr")


def test_folders(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="does not exist; make it first"):
        BioWriter(tmp_path / "none" / "a.tif")
    (tmp_path / "folder.tif").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        BioWriter(tmp_path / "folder.tif")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises((NotADirectoryError, FileNotFoundError)):
        BioWriter(tmp_path / "file" / "a.tif")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(PermissionError, match="can not be written to"):
        BioWriter(tmp_path / "a.tif")


def test_what_is_no_path(tmp_path):
    for wrong in (None, 5, b"a.tif", open):
        with pytest.raises(UsageError, match="must be a path"):
            BioWriter(wrong)
    with pytest.raises(UnsupportedError, match="local"):
        BioWriter("s3://bucket/a.ome.tif")


def test_existing_files(tmp_path, made):
    path = tmp_path / "a.ome.tif"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        BioWriter(path, overwrite=False)
    with BioWriter(path, X=3, Y=3) as bw:
        bw[:] = 1
        assert path.read_bytes() == b"old"


def test_old_module_path():
    from bfio.bfio import BioWriter as old

    assert old is BioWriter is bfio.BioWriter


def test_resume_of_what_was_never_begun(made, path):
    with BioWriter(path, X=4, Y=3, resume=True) as bw:
        assert len(bw.missing) == 1 and not made
        path.with_name("image.ome.tif.part").write_bytes(b"")
        assert len(bw.missing) == 1 and made[0].options.resume


def test_resume_without_a_description(monkeypatch, path):
    backends = []

    def resume(path, name, options):
        series = make_series(sample_image(2, 1, 1, 5, 7))
        backends.append(FakeWriter(path, series, "", options))
        return backends[-1], series

    monkeypatch.setattr("bfio.writer.resume_writer", resume)
    path.with_name("image.ome.tif.part").write_bytes(b"")
    with BioWriter(path, resume=True) as bw:
        assert bw.shape == (5, 7, 1, 1, 2) and bw.dtype == np.uint16 and bw.read_only and bw.cnames == ["channel 0"]
        for key in bw.missing:
            bw[key] = 3
        assert bw.metadata.images[0].pixels.size_t == 2
    assert backends[0].array.all() and backends[0].state == "finished"


def test_attach(monkeypatch, path):
    series = make_series(sample_image(1, 3, 1, 5, 7, np.uint8), samples=3)
    backend = FakeWriter(path, series)

    def attach(path, name, max_workers):
        assert max_workers == 2 and name == "python"
        return backend, series

    monkeypatch.setattr("bfio.writer.attach_writer", attach)
    with BioWriter.attach(str(path), max_workers=2) as bw:
        assert bw.shape == (5, 7, 1, 3) and bw.spp == 3 and bw.tile_shape == (16, 16)
        with pytest.raises(ReadOnlyError):
            bw.X = 9
        bw[:2] = 1
    assert backend.written.sum() == 2 * 7 * 3 and backend.state == "finished"

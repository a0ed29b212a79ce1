"""The attributes of BioWriter, and metadata that it begins with, on a backend in memory."""

import copy
import logging
import subprocess
import sys

import numpy as np
import pytest

from bfio import BioWriter, ReadOnlyError, UsageError
from bfio.enums import Compression
from bfio.omexml import parse


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
    with pytest.raises(UsageError, match="compression='bzip' is unknown"):
        BioWriter(path, compression="bzip")


# -- metadata -------------------------------------------------------------------------------------------------------------


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
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

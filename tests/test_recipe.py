"""Recipes: what fits together, what is chosen where nobody said anything, and the way through JSON."""

import contextlib
import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfio.enums import Compression, Downsample, Photometric, Predictor
from bfio.errors import BfioError, FormatError, UsageError
from bfio.metadata import Series
from bfio.options import AUTO_LEVELS, LEVELS, WriteOptions
from bfio.tiff.writing.choose import choose, largest_nbytes
from bfio.tiff.writing.recipe import Recipe
from bfio.tiff.writing.rules import CODECS, DTYPES

PLAIN = {
    "size_t": 1, "size_c": 1, "size_z": 1, "size_y": 50, "size_x": 70, "samples": 1, "dtype": np.dtype("u2"),
    "tile_rows": 32, "tile_cols": 16,
}  # fmt: skip


def a_series(**changes):
    values = {
        "index": 0,
        "name": None,
        "dtype": np.dtype("u2"),
        "size_t": 2,
        "size_c": 3,
        "size_z": 4,
        "size_y": 500,
        "size_x": 700,
    }
    return Series(**(values | changes))


@st.composite
def recipes(draw):
    compression = draw(st.sampled_from(list(CODECS)))
    codec = CODECS[compression]
    dtype = np.dtype(draw(st.sampled_from(codec.dtypes or [dtype.name for dtype in DTYPES])))
    samples = 1 if dtype.kind == "b" else draw(st.sampled_from(codec.samples or (1, 2, 3, 4, 7)))
    side = st.integers(1, 1 << 20)
    density = st.floats(2.0**-32, 2.0**32 - 1, exclude_min=True, exclude_max=True)
    return Recipe(
        **{name: draw(st.integers(1, 500)) for name in ("size_t", "size_c", "size_z")},
        size_y=draw(side),
        size_x=draw(side),
        samples=samples,
        dtype=dtype,
        tile_rows=16 * draw(st.integers(1, 60)),
        tile_cols=16 * draw(st.integers(1, 60)),
        n_levels=1,
        compression=compression,
        compression_level=draw(st.none() | st.integers(*LEVELS[compression])) if compression in LEVELS else None,
        big=draw(st.booleans()),
        downsample=draw(st.sampled_from(Downsample)),
        resolution=draw(st.none() | st.tuples(density, density)),
        xml=draw(st.text()),
        software=draw(st.text()),
    )


@given(recipes())
def test_json_gives_the_recipe_back(recipe):
    text = recipe.to_json()
    again = Recipe.from_json(text, recipe.xml)
    assert again == recipe and again.to_json() == text and again.dtype is not None
    assert "xml" not in text
    assert type(again.compression) is Compression and type(again.predictor) is Predictor
    assert pickle.loads(pickle.dumps(recipe)) == recipe


@given(st.text() | st.sampled_from(["[]", "{}", "null", "[" * 5000, '{"size_t":1}']))
def test_other_text_is_refused(text):
    with pytest.raises(FormatError):
        Recipe.from_json(text)


@given(recipes(), st.data())
def test_changed_json_is_refused_or_another_recipe(recipe, data):
    text = recipe.to_json()
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.characters()) + text[place + 1 :]
    with contextlib.suppress(BfioError):
        Recipe.from_json(changed)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size_x": 0}, "size_x=0 must be"),
        ({"size_t": 1.0}, "size_t=1.0 must be an integer"),
        ({"n_levels": True}, "n_levels=True"),
        ({"n_levels": 9}, "70 pixels allow 8"),
        ({"size_y": 1 << 31}, "below 2\\*\\*31"),
        ({"dtype": np.dtype("S4")}, "TIFF has no pixels of dtype"),
        ({"dtype": np.dtype("O")}, "TIFF has no pixels of dtype"),
        ({"tile_rows": 17}, "multiples of 16"),
        ({"tile_rows": 1 << 16, "tile_cols": 1 << 16}, "make tile_size smaller"),
        ({"dtype": np.dtype(bool), "samples": 3}, "use channels instead"),
        ({"compression": Compression.JPEG}, "JPEG holds uint8, not uint16"),
        ({"compression": Compression.JPEG, "dtype": np.dtype("u1"), "samples": 2}, "1 or 3 samples, not 2"),
        ({"compression": Compression.WEBP, "dtype": np.dtype("u1"), "samples": 1}, "3 or 4 samples"),
        ({"compression": Compression.WEBP, "dtype": np.dtype("u1"), "samples": 3, "tile_rows": 16384}, "16383"),
        ({"compression": Compression.JPEG2000, "dtype": np.dtype("f4")}, "JPEG 2000 holds"),
        ({"compression": Compression.LERC}, "does not write LERC"),
        ({"compression_level": 3}, "has no compression level"),
        ({"compression": Compression.ADOBE_DEFLATE, "compression_level": 13}, "deflate has 0 to 12"),
        ({"predictor": Predictor.HORIZONTAL}, "needs deflate, zstd or LZW"),
        ({"predictor": Predictor.FLOATING_POINT, "compression": Compression.LZW}, "not for uint16"),
        ({"predictor": Predictor.HORIZONTAL, "compression": Compression.LZW, "dtype": np.dtype("c8")}, "complex64"),
        ({"predictor": Predictor.HORIZONTAL_X2, "compression": Compression.LZW}, "HORIZONTAL_X2"),
        ({"resolution": (0, 1)}, "pixels per centimetre"),
        ({"resolution": (1, float("nan"))}, "pixels per centimetre"),
    ],
)
def test_what_does_not_fit_is_refused(changes, words):
    with pytest.raises(UsageError, match=words):
        Recipe(**(PLAIN | changes))


def test_byte_order_of_the_dtype_is_the_native_one():
    assert Recipe(**(PLAIN | {"dtype": np.dtype(">u2")})).dtype.isnative
    assert Recipe(**(PLAIN | {"dtype": "<u2"})).dtype == np.uint16


def test_levels_halve_rounding_up():
    recipe = Recipe(**(PLAIN | {"size_y": 5, "size_x": 131, "n_levels": 9}))
    assert [recipe.level_size(level) for level in range(9)] == [
        (5, 131), (3, 66), (2, 33), (1, 17), (1, 9), (1, 5), (1, 3), (1, 2), (1, 1),
    ]  # fmt: skip
    assert recipe.tiles(0).n_tiles == 9 and recipe.tiles(1).n_tiles == 5


@pytest.mark.parametrize(
    ("samples", "compression", "found"),
    [
        (1, Compression.JPEG, Photometric.MIN_IS_BLACK),
        (2, Compression.LZW, Photometric.MIN_IS_BLACK),
        (3, Compression.JPEG, Photometric.YCBCR),
        (3, Compression.JPEG2000, Photometric.RGB),
        (4, Compression.NONE, Photometric.RGB),
        (5, Compression.NONE, Photometric.MIN_IS_BLACK),
    ],
)
def test_photometric(samples, compression, found):
    assert Recipe(**(PLAIN | {"samples": samples, "compression": compression, "dtype": "u1"})).photometric is found


def test_choices_of_a_small_image():
    recipe = choose(a_series(), WriteOptions(levels=AUTO_LEVELS), "<OME/>")
    assert (recipe.tile_rows, recipe.tile_cols) == (512, 704)
    assert recipe.n_levels == 1 and not recipe.big and recipe.predictor is Predictor.HORIZONTAL
    assert recipe.xml == "<OME/>" and recipe.resolution is None and recipe.n_planes == 24


def test_choices_of_a_large_image():
    big = a_series(size_y=40_000, size_x=3000, physical_size_x=(0.5, "µm"), physical_size_y=(250.0, "nm"))
    recipe = choose(big, WriteOptions(levels=AUTO_LEVELS), "")
    assert recipe.n_levels == 7 and recipe.tiles(6).n_tiles == 1 < recipe.tiles(5).n_tiles
    assert recipe.big and recipe.resolution == pytest.approx((20_000, 40_000))
    assert not choose(big, WriteOptions(bigtiff=False), "").big
    assert choose(a_series(), WriteOptions(bigtiff=True), "").big


@pytest.mark.parametrize(("unit", "value"), [("pixel", 1.0), ("µm", 0.0), ("ym", 1e-9), ("pc", 1.0), ("µm", None)])
def test_sizes_that_tiff_can_not_tell_are_left_out(unit, value):
    series = a_series(physical_size_x=(value, unit), physical_size_y=(value, unit))
    assert choose(series, WriteOptions(), "").resolution is None


@pytest.mark.parametrize(
    ("dtype", "compression", "found"),
    [
        ("u1", Compression.ADOBE_DEFLATE, Predictor.HORIZONTAL),
        ("i8", Compression.ZSTD, Predictor.HORIZONTAL),
        ("i4", Compression.LZW, Predictor.HORIZONTAL),
        ("u2", Compression.PACKBITS, Predictor.NONE),
        ("u2", Compression.NONE, Predictor.NONE),
        ("?", Compression.ADOBE_DEFLATE, Predictor.NONE),
        ("f4", Compression.ADOBE_DEFLATE, Predictor.NONE),
        ("c8", Compression.ADOBE_DEFLATE, Predictor.NONE),
    ],
)
def test_predictor_nobody_asked_for(dtype, compression, found):
    assert choose(a_series(dtype=np.dtype(dtype)), WriteOptions(compression=compression), "").predictor is found
    asked = WriteOptions(compression=compression, predictor=Predictor.NONE)
    assert choose(a_series(dtype=np.dtype(dtype)), asked, "").predictor is Predictor.NONE


def test_classic_files_stay_under_4_gib_even_if_all_is_written_twice():
    """The border, found by bisection over planes, is where twice the raw pixels come to 4 GiB."""

    def recipe(n):
        return choose(a_series(size_t=n, size_c=1, size_z=1, size_y=1024, size_x=1024), WriteOptions(), "")

    low, high = 1, 4096
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if recipe(middle).big else (middle, high)
    assert 2 * low * (2 << 20) < largest_nbytes(recipe(low)) < 1 << 32
    assert 1000 < low < 1024


def test_tiles_that_are_no_multiple_of_16_are_refused_even_where_they_would_be_cut():
    with pytest.raises(UsageError, match="use 1008"):
        choose(a_series(size_y=5, size_x=5), WriteOptions(tile_size=(1000, 1000)), "")


def test_recipes_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe(**PLAIN).size_x = 3

"""What tifffile writes, bfio reads: random image, storage, dtype, codec and selection, with numpy as the oracle."""

import imagecodecs
import numpy as np
import pytest
import tifffile
from fakes import trim
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bfio import BioReader
from bfio.errors import UsageError

NUMBERS = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]
DTYPES = [*NUMBERS, "c8", "c16"]
BYTE_CODECS = [None, 8, 32946, 50000, 5, 32773, 34925]


def image_of(seed, shape, dtype):
    """Noise of all values on a smooth ground, so that codecs and predictors have something to do."""
    rng, dtype = np.random.default_rng(seed), np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    ground = np.add.outer(np.arange(shape[0]), np.arange(int(np.prod(shape[1:])))).reshape(shape)
    if dtype.kind == "c":
        return (ground * 0.25 + 1j * rng.integers(-9, 9, shape)).astype(dtype)
    if dtype.kind == "f":
        return (ground * 0.25 + rng.integers(-9, 9, shape)).astype(dtype)
    noise = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    return np.where(rng.random(shape) < 0.5, noise, ground.astype(dtype))


@st.composite
def storages(draw):
    """Arguments of ``tifffile.imwrite``, and the image (Y, X, S)."""
    dtype = draw(st.sampled_from(DTYPES))
    size_y, size_x, samples = draw(st.integers(1, 70)), draw(st.integers(1, 70)), draw(st.integers(1, 5))
    predictor = draw(st.sampled_from({"f": [None, 3], "c": [None]}.get(dtype[0], [None, 2])))
    options = {
        "compression": draw(st.sampled_from(BYTE_CODECS)),
        "byteorder": draw(st.sampled_from("<>")),
        "bigtiff": draw(st.booleans()),
        "photometric": "minisblack",
        "planarconfig": draw(st.sampled_from(["contig", "separate"])) if samples > 1 else None,
        "metadata": None,
    }
    if options["compression"] is not None:
        options["predictor"] = predictor
    if draw(st.booleans()):
        options["tile"] = draw(st.sampled_from([16, 32, 48, 96])), draw(st.sampled_from([16, 32, 80]))
    else:
        options["rowsperstrip"] = draw(st.integers(1, size_y + 2))
    return image_of(draw(st.integers(0, 99)), (size_y, size_x, samples), dtype), options


@st.composite
def slices(draw, size):
    """A slice that is not empty, of either direction."""
    start = draw(st.integers(0, size - 1))
    stop = draw(st.integers(start + 1, size))
    forward = range(start, stop, draw(st.integers(1, 30)))
    if draw(st.integers(0, 3)):
        return slice(forward.start, forward.stop, forward.step)
    return slice(forward[-1], forward[0] - 1 if forward[0] else None, -forward.step)


def write(path, image, options):
    """One page; samples as the planar configuration wants them."""
    data = image if image.ndim == 3 and image.shape[2] > 1 else image.reshape(image.shape[:2])
    if options.get("planarconfig") == "separate":
        data = np.moveaxis(data, -1, 0)
    tifffile.imwrite(path, data, **options)


def converted(values, dtype):
    """Rounded and clipped for integers; what is too large for a float becomes infinite."""
    dtype = np.dtype(dtype)
    with np.errstate(over="ignore"):
        if dtype.kind == "f":
            return values.astype(dtype)
        bounds, mine = np.iinfo(dtype), np.iinfo(dtype if values.dtype.kind == "f" else values.dtype)
        values = np.rint(values) if values.dtype.kind == "f" else values
        return np.clip(values, max(bounds.min, mine.min), min(bounds.max, mine.max)).astype(dtype)


def public(image):
    """(Y, X, S) as the reader gives it."""
    return trim(image[:, :, None, :, None])


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(storages(), st.data())
def test_any_selection_of_any_storage(tmp_path, storage, data):
    image, options = storage
    write(tmp_path / "a.tif", image, options)
    y, x = data.draw(slices(image.shape[0])), data.draw(slices(image.shape[1]))
    c = sorted(data.draw(st.sets(st.integers(0, image.shape[2] - 1), min_size=1)))
    if data.draw(st.booleans()):
        c = c[::-1]
    workers, cache = data.draw(st.sampled_from([(1, 0), (3, 0), (1, 20000), (3, 1 << 20)]))
    with BioReader(tmp_path / "a.tif", max_workers=workers, cache_bytes=cache) as reader:
        assert reader.dtype == image.dtype
        np.testing.assert_array_equal(reader[y, x, 0, c], trim(image[y, x][:, :, None, c, None]))
        np.testing.assert_array_equal(reader[:], public(image))
        np.testing.assert_array_equal(reader[y, x, 0, c], trim(image[y, x][:, :, None, c, None]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(storages(), st.sampled_from(NUMBERS), st.booleans())
def test_conversion_on_read(tmp_path, storage, dtype, into):
    image, options = storage
    if image.dtype.kind == "c":
        image = image.real.astype("f4")
        options["predictor"] = None
    write(tmp_path / "a.tif", image, options)
    wanted = converted(public(image), dtype)
    out = np.empty(wanted.shape, dtype) if into else None
    with BioReader(tmp_path / "a.tif", max_workers=2) as reader:
        found = reader.read(dtype=dtype, out=out)
    assert found.dtype == dtype and (out is None or found is out)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compression", BYTE_CODECS)
def test_every_dtype_with_every_codec(tmp_path, dtype, compression, tile):
    image = image_of(3, (37, 41, 2), dtype)
    options = {"compression": compression, "tile": tile, "photometric": "minisblack", "planarconfig": "contig"}
    write(tmp_path / "a.tif", image, options)
    with BioReader(tmp_path / "a.tif", max_workers=2) as reader:
        np.testing.assert_array_equal(reader[:], public(image))


def lossless(**arguments):
    return {"compressionargs": arguments}


IMAGE_CODECS = {
    "jpeg": (["u1"], [1, 3], {"compressionargs": {"level": 90}}),
    "jpeg2000": (["u1", "u2"], [1, 3], lossless(level=0)),
    "webp": (["u1"], [3, 4], lossless(lossless=True)),
    "png": (["u1", "u2"], [1, 3], {}),
    "lerc": (["u1", "u2", "f4"], [1], {}),
    "jpegxl": (["u1", "u2"], [1, 3], lossless(lossless=True)),
    "jpegxr": (["u1", "u2"], [1, 3], lossless(level=1.0)),
    "lzma": (["u1", "u2", "f8"], [1, 3], {}),
    "packbits": (["u1", "f4"], [1, 3], {}),
}
CASES = [
    (name, dtype, samples, options, photometric)
    for name, (dtypes, counts, options) in IMAGE_CODECS.items()
    for dtype in dtypes
    for samples in counts
    for photometric in (["minisblack"] if samples == 1 else ["minisblack", "rgb"])
]


@pytest.mark.parametrize("tile", [None, (32, 48)])
@pytest.mark.parametrize(("name", "dtype", "samples", "options", "photometric"), CASES)
def test_image_codecs_give_what_tifffile_gives(tmp_path, name, dtype, samples, options, photometric, tile):
    codec = getattr(imagecodecs, {"jpeg": "JPEG8", "jpeg2000": "JPEG2K"}.get(name, name.upper()), None)
    if codec is None or not codec.available:
        pytest.skip(f"this imagecodecs has no {name}")
    image = image_of(5, (50, 70, samples), dtype)
    path = tmp_path / "a.tif"
    extra = {"extrasamples": ["unassalpha"]} if samples == 4 and photometric == "rgb" else {}
    storage = {
        "compression": name,
        "tile": tile,
        "photometric": photometric,
        "planarconfig": "contig",
        "metadata": None,
    }
    write(path, image, storage | extra | options)
    wanted = tifffile.imread(path).reshape(image.shape)
    if name not in ("jpeg", "jpegxr"):
        np.testing.assert_array_equal(wanted, image)
    with BioReader(path, max_workers=2) as reader:
        np.testing.assert_array_equal(reader[:], public(wanted))
        np.testing.assert_array_equal(reader[7:45:3, 60:20:-1], trim(wanted[7:45:3, 60:20:-1][:, :, None, :, None]))
        np.testing.assert_array_equal(reader.read(dtype="f4"), public(wanted).astype("f4"))


def test_bilevel_images(tmp_path):
    image = image_of(1, (33, 41, 1), bool)
    for compression in (None, "packbits", "deflate", "lzw"):
        write(tmp_path / "a.tif", image, {"photometric": "minisblack", "compression": compression})
        with BioReader(tmp_path / "a.tif") as reader:
            wanted = tifffile.imread(tmp_path / "a.tif")
            assert reader.dtype == wanted.dtype == bool
            np.testing.assert_array_equal(reader[3:30, ::2], wanted[3:30, ::2])
            np.testing.assert_array_equal(reader.read(dtype=np.uint8), wanted.astype(np.uint8))


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("rescale", [True, (10, 200), (200, 10)])
def test_rescale(tmp_path, dtype, rescale):
    image = image_of(2, (40, 30, 3), "u2")
    write(tmp_path / "a.tif", image, {"compression": "lzw", "photometric": "rgb", "tile": (16, 16)})
    low, high = (0, 65535) if rescale is True else rescale
    top = 1.0 if dtype == "f4" else np.iinfo(dtype).max
    with BioReader(tmp_path / "a.tif") as reader:
        found = reader.read(dtype=dtype, rescale=rescale)
    scale = top / (high - low)
    exact = public(image) * scale - low * scale
    if dtype == "f4":
        np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-6)
    else:
        np.testing.assert_array_equal(found, converted(exact, dtype))


LAYOUTS = {
    "plain": lambda shape: np.empty(shape, "u2"),
    "backwards": lambda shape: np.empty(shape, "u2")[::-1, ::-1],
    "columns": lambda shape: np.empty(shape, "u2", order="F"),
    "part": lambda shape: np.empty((shape[0] + 5, shape[1] * 2, *shape[2:]), "u2")[5:, ::2],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("compression", [None, "lzw", "lzma"])
@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
def test_out_of_any_layout(tmp_path, layout, compression, planarconfig):
    image = image_of(4, (40, 50, 3), "u2")
    write(tmp_path / "a.tif", image, {"compression": compression, "photometric": "rgb", "planarconfig": planarconfig})
    with BioReader(tmp_path / "a.tif", max_workers=3) as reader:
        wanted = public(image)[3:30, 2:49]
        out = LAYOUTS[layout](wanted.shape)
        assert reader.read(Y=(3, 30), X=(2, 49), out=out) is out
        np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("dtype", [bool, "c8", "c16"])
@pytest.mark.parametrize("source", ["u1", "f4", "c8", bool])
def test_conversions_beyond_real_numbers(tmp_path, dtype, source):
    """Either numpy's answer or a clear refusal, but never bytes of one type seen as another."""
    image = image_of(4, (20, 20, 1), source)
    write(tmp_path / "a.tif", image, {"photometric": "minisblack"})
    with BioReader(tmp_path / "a.tif") as reader:
        try:
            found = reader.read(dtype=dtype)
        except (ValueError, NotImplementedError) as error:
            assert source != dtype and "dtype" in str(error)
            return
        np.testing.assert_array_equal(found, image[..., 0].astype(dtype))


@pytest.mark.parametrize("dtype", [bool, "c8"])
def test_what_can_not_be_scaled(tmp_path, dtype):
    write(tmp_path / "a.tif", image_of(4, (20, 20, 1), dtype), {"photometric": "minisblack"})
    with BioReader(tmp_path / "a.tif") as reader, pytest.raises(UsageError, match="can not be read as .* by a scale"):
        reader.read(rescale=(0, 99))

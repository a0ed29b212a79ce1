"""What stands behind a front, read by others: pixels of all planes and levels in every kind of file."""

import importlib.util

import numpy as np
import pytest
import tifffile
from front_files import a_recipe, write_file

from bfio import BioReader
from bfio.enums import Compression, Predictor
from bfio.tiff.writing.foreign import is_lossy
from bfio.tiff.writing.rules import DTYPES, PREDICTED

BYTES = (Compression.NONE, Compression.LZW, Compression.PACKBITS, Compression.ADOBE_DEFLATE, Compression.ZSTD)
SIZES = {
    "many tiles": {"size_y": 50, "size_x": 70, "n_levels": 2},
    "one tile": {"size_y": 32, "size_x": 48},
    "1 x 1": {"size_y": 1, "size_x": 1},
    "1 x N": {"size_y": 1, "size_x": 150, "n_levels": 4},
    "N x 1": {"size_y": 97, "size_x": 1, "n_levels": 2},
}


def kinds():
    """Pixel types, samples and codecs that go together."""
    for dtype in DTYPES:
        for compression in BYTES:
            predictors = [Predictor.NONE]
            if compression in PREDICTED:
                predictors += [Predictor.HORIZONTAL] * (dtype.kind in "iu") + [Predictor.FLOATING_POINT] * (
                    dtype.kind == "f"
                )
            for predictor in predictors:
                yield {"dtype": dtype.name, "compression": compression, "predictor": predictor}
    for samples in (2, 3, 4, 5):
        for dtype in ("uint8", "uint16", "float32"):
            predictor = Predictor.FLOATING_POINT if dtype == "float32" else Predictor.HORIZONTAL
            kind = {"dtype": dtype, "samples": samples}
            yield kind | {"compression": Compression.NONE}
            yield kind | {"compression": Compression.ADOBE_DEFLATE, "predictor": predictor}
    yield from ({"dtype": "uint8", "samples": n, "compression": Compression.JPEG} for n in (1, 3))
    yield from ({"dtype": "uint8", "samples": n, "compression": Compression.WEBP} for n in (3, 4))
    for dtype in ("uint8", "int8", "uint16", "int16"):
        yield from ({"dtype": dtype, "samples": n, "compression": Compression.JPEG2000} for n in (1, 3, 4))
    yield {"dtype": "uint16", "compression": Compression.JPEG2000, "compression_level": 70}


KINDS = list(kinds())
FEW = [
    {"dtype": "uint16", "compression": Compression.ADOBE_DEFLATE, "predictor": Predictor.HORIZONTAL},
    {"dtype": "uint8", "compression": Compression.LZW, "samples": 3, "predictor": Predictor.HORIZONTAL},
    {"dtype": "float32", "compression": Compression.NONE},
    {"dtype": "uint8", "compression": Compression.JPEG, "samples": 3},
]


def name_of(kind):
    return "-".join(str(getattr(value, "name", value)) for value in kind.values())


def assert_alike(found, wanted, recipe):
    """Equal pixels; of lossy codecs, near ones."""
    found = np.asarray(found).reshape(wanted.shape)
    if not is_lossy(recipe):
        np.testing.assert_array_equal(found, wanted)
        return
    error = np.abs(found.astype(float) - wanted.astype(float)) / np.iinfo(recipe.dtype).max
    assert error.mean() < 0.01 and error.max() < 0.05


def check_tifffile(path, recipe, pixels):
    with tifffile.TiffFile(path) as tif:
        assert tif.is_ome and len(tif.pages) == recipe.n_planes and len(tif.series) == 1
        levels = tif.series[0].levels
        assert len(levels) == recipe.n_levels
        for level, planes in zip(levels, pixels, strict=True):
            assert level.dtype == recipe.dtype
            assert_alike(level.asarray(), planes, recipe)


def check_bfio(path, recipe, pixels):
    for number, planes in enumerate(pixels):
        with BioReader(path, level=number) as reader:
            assert len(reader.levels) == recipe.n_levels and recipe.level_size(number) == (reader.Y, reader.X)
            assert reader.dtype == recipe.dtype
            found = reader[:].reshape(*planes.shape[1:3], recipe.size_z, -1, recipe.size_t)
            samples = recipe.samples
            for p, plane in enumerate(planes):
                t, c, z = np.unravel_index(p, (recipe.size_t, recipe.size_c, recipe.size_z))
                assert_alike(found[:, :, z, c * samples : (c + 1) * samples, t], plane, recipe)


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_tifffile_and_bfio_read_every_kind(kind, tmp_path):
    recipe = a_recipe(size_z=2, **SIZES["many tiles"], **kind)
    pixels = write_file(tmp_path / "kind.ome.tif", recipe)
    check_tifffile(tmp_path / "kind.ome.tif", recipe, pixels)
    check_bfio(tmp_path / "kind.ome.tif", recipe, pixels)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", FEW, ids=name_of)
def test_tifffile_and_bfio_read_every_size(kind, size, big, tmp_path):
    recipe = a_recipe(size_t=2, size_c=2, size_z=3, big=big, **SIZES[size], **kind)
    pixels = write_file(tmp_path / "size.ome.tif", recipe)
    check_tifffile(tmp_path / "size.ome.tif", recipe, pixels)
    check_bfio(tmp_path / "size.ome.tif", recipe, pixels)


# -- Pillow, GDAL and libvips, where they are installed ----------------------------------------------------------------


def kinds_of(dtypes, compressions, samples):
    """Kinds that a program reads; every skip would be a line in the report."""
    return [
        kind
        for kind in KINDS
        if kind["dtype"] in dtypes and kind["compression"] in compressions and kind.get("samples", 1) in samples
    ]


LIBTIFF = {Compression.NONE, Compression.LZW, Compression.PACKBITS, Compression.ADOBE_DEFLATE, Compression.JPEG}
"""Codecs of every libtiff. Where it lacks zstd, WebP or JPEG 2000, libvips gives zeros without an error."""
GDAL_DTYPES = {dtype.name for dtype in DTYPES} - {"bool", "float16"}
VIPS_DTYPES = {"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32"}


def if_installed(module, kinds):
    """No kinds where the program is absent, which is one skip and not hundreds."""
    return kinds if importlib.util.find_spec(module) else []


PILLOW = kinds_of({"uint8"}, LIBTIFF, {1, 3, 4}) + kinds_of({"uint16", "int32", "float32", "bool"}, LIBTIFF, {1})
GDAL = kinds_of(GDAL_DTYPES, LIBTIFF | {Compression.ZSTD, Compression.WEBP}, {1, 2, 3, 4, 5})
VIPS = kinds_of(VIPS_DTYPES, LIBTIFF, {1, 3, 4})


@pytest.mark.parametrize("kind", if_installed("PIL", PILLOW), ids=name_of)
def test_pillow(kind, tmp_path):
    image = pytest.importorskip("PIL.Image")
    recipe = a_recipe(size_z=2, size_y=50, size_x=70, big=False, **kind)
    (planes,) = write_file(tmp_path / "x.tif", recipe)
    with image.open(tmp_path / "x.tif") as opened:
        assert opened.n_frames == 2
        for number, plane in enumerate(planes):
            opened.seek(number)
            assert_alike(np.asarray(opened), plane, recipe)


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("kind", if_installed("rasterio", GDAL), ids=name_of)
def test_gdal(kind, big, tmp_path):
    rasterio = pytest.importorskip("rasterio")
    recipe = a_recipe(size_z=2, n_levels=2, size_y=50, size_x=70, big=big, **kind)
    full, half = write_file(tmp_path / "x.tif", recipe)
    for number in range(2):
        with rasterio.open(f"GTIFF_DIR:{number + 1}:{tmp_path / 'x.tif'}") as opened:
            assert_alike(np.moveaxis(opened.read(), 0, -1), full[number], recipe)
    with rasterio.open(tmp_path / "x.tif") as opened:
        assert opened.overviews(1) == [2]
    with rasterio.open(tmp_path / "x.tif", overview_level=0) as opened:
        assert_alike(np.moveaxis(opened.read(), 0, -1), half[0], recipe)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("kind", if_installed("pyvips", VIPS), ids=name_of)
def test_libvips(kind, big, tmp_path):
    try:
        pyvips = importlib.import_module("pyvips")
    except (ImportError, OSError):
        pytest.skip("no libvips")
    recipe = a_recipe(size_z=2, n_levels=2, size_y=50, size_x=70, big=big, **kind)
    pyvips.cache_set_max(0)  # which keeps files open
    full, half = write_file(tmp_path / "x.tif", recipe)
    for number in range(2):
        assert_alike(pyvips.Image.tiffload(str(tmp_path / "x.tif"), page=number).numpy(), full[number], recipe)
        lower = pyvips.Image.tiffload(str(tmp_path / "x.tif"), page=number, subifd=0)
        assert_alike(lower.numpy(), half[number], recipe)

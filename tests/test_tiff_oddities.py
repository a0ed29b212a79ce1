"""Files that store pixels in unusual ways: sparse, without byte counts, with wrong ones, palettes; pixel sizes."""

import numpy as np
import pytest
import tifffile

from bfio import BioReader
from bfio.tiff.plane import RAW_STRIP_NBYTES


def noise(*shape, dtype=np.uint16):
    return np.random.default_rng(len(shape)).integers(1, 200, shape).astype(dtype)


def write(path, image, **options):
    tifffile.imwrite(path, image, **{"photometric": "minisblack", "metadata": None} | options)
    return path


def edit(path, *changes, page=0):
    """Overwrite tags of a page: (code, function of the old value)."""
    with tifffile.TiffFile(path, mode="r+") as file:
        for code, change in changes:
            tag = file.pages[page].tags[code]
            value = tag.value if isinstance(tag.value, tuple) else (tag.value,)
            tag.overwrite(tuple(change(list(value))))


def rename_tag(path, code, new_code):
    """Give a tag of the first IFD of a little-endian classic TIFF another code."""
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].tags[code].offset
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(new_code.to_bytes(2, "little"))


def zeroed(*tiles):
    return lambda values: [0 if i in tiles else value for i, value in enumerate(values)]


def check(path, image, **options):
    with BioReader(path, **options) as reader:
        found = reader[:]
        assert found.dtype == image.dtype
        np.testing.assert_array_equal(found.reshape(image.shape), image)
        np.testing.assert_array_equal(reader[3:9, 2:7].squeeze(), image[3:9, 2:7].squeeze())


@pytest.mark.parametrize("compression", [None, "zlib", "lzma", "png"])
@pytest.mark.parametrize("drop", [(324, 325), (324,), (325,)])
def test_sparse_tiles(tmp_path, compression, drop):
    image = noise(64, 64)
    path = write(tmp_path / "a.tif", image, tile=(32, 32), compression=compression)
    edit(path, *((code, zeroed(0, 3)) for code in drop))
    image[:32, :32] = image[32:, 32:] = 0
    check(path, image)


@pytest.mark.parametrize("compression", [None, "lzw", "lzma"])
@pytest.mark.parametrize(
    ("dtype", "text", "fill"),
    [("i2", "-9999", -9999), ("u1", "255", 255), ("f4", "nan", np.nan), ("f4", "-1.5e10", -1.5e10), ("u1", "-9999", 0)],
)
def test_sparse_tiles_hold_the_value_of_gdal(tmp_path, compression, dtype, text, fill):
    image = noise(64, 64, dtype=dtype)
    tag = (42113, "s", 0, text, True)
    path = write(tmp_path / "a.tif", image, tile=(32, 32), compression=compression, extratags=[tag])
    edit(path, (324, zeroed(1)), (325, zeroed(1)))
    image[:32, 32:] = fill
    check(path, image)
    np.testing.assert_array_equal(tifffile.imread(path), image)
    with BioReader(path) as reader:
        np.testing.assert_array_equal(reader.read(dtype="f8"), image.astype("f8"))


@pytest.mark.parametrize("compression", [None, "lzw"])
def test_a_plane_without_any_tile(tmp_path, compression):
    image = noise(3, 64, 64)
    path = write(tmp_path / "a.tif", image, tile=(32, 32), compression=compression)
    edit(path, (324, zeroed(*range(4))), page=1)  # tifffile lets equal pages share their byte counts
    image[1] = 0
    with BioReader(path) as reader:
        np.testing.assert_array_equal(reader[:].squeeze().transpose(2, 0, 1), image)


@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
def test_sparse_samples(tmp_path, planarconfig):
    image = noise(64, 64, 3)
    data = image if planarconfig == "contig" else image.transpose(2, 0, 1)
    path = write(
        tmp_path / "a.tif", data, photometric="rgb", planarconfig=planarconfig, tile=(32, 32), compression="zlib"
    )
    edit(path, (324, zeroed(1, 2)), (325, zeroed(1, 2)))
    if planarconfig == "contig":
        image[:32, 32:] = image[32:, :32] = 0
    else:
        image[:32, 32:, 0] = image[32:, :32, 0] = 0
    check(path, image)


@pytest.mark.parametrize("rows", [1, 3, 7, 10, 64, 100])
@pytest.mark.parametrize(
    "change", [lambda n: [1] * len(n), lambda n: [v + 9 for v in n], lambda n: [2**16 - 1] * len(n)]
)
def test_wrong_byte_counts_of_raw_strips(tmp_path, rows, change):
    image = noise(64, 50)
    path = write(tmp_path / "a.tif", image, rowsperstrip=rows)
    edit(path, (279, change))
    with tifffile.TiffFile(path) as file:
        n_strips = len(file.pages[0].dataoffsets)
    if n_strips == 1:
        check(path, image)
        return
    try:
        check(path, image)
    except ValueError as error:
        assert "plane 0, tile" in str(error) and change([5]) == [1]


UNSORTED, SORTED = 1, 280


@pytest.mark.parametrize("new_code", [UNSORTED, SORTED])
@pytest.mark.parametrize("rows", [5, 63, 64, 100])
@pytest.mark.parametrize("samples", [1, 3])
def test_raw_strips_without_byte_counts(tmp_path, rows, samples, new_code):
    image = noise(64, 50, *([3] if samples == 3 else []))
    path = write(tmp_path / "a.tif", image, rowsperstrip=rows, photometric="rgb" if samples == 3 else "minisblack")
    rename_tag(path, 279, new_code)
    check(path, image)


@pytest.mark.parametrize("compression", ["lzw", "zlib"])
def test_a_compressed_strip_without_byte_count(tmp_path, compression):
    image = noise(64, 50)
    path = write(tmp_path / "a.tif", image, rowsperstrip=64, compression=compression)
    rename_tag(path, 279, SORTED)
    check(path, image)


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "lzma"])
@pytest.mark.parametrize("rows", [1, 2, 3, 13, 49, 50, 51, 2**31, 2**32 - 1])
def test_any_rows_per_strip(tmp_path, rows, compression):
    image = noise(50, 33)
    path = write(tmp_path / "a.tif", image, rowsperstrip=min(rows, 50), compression=compression)
    if rows > 50:
        with tifffile.TiffFile(path, mode="r+") as file:
            file.pages[0].tags[278].overwrite(rows, dtype="I")
    check(path, image)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("rows", [1, 7])
def test_raw_strips_are_read_in_large_parts(tmp_path, rows, byteorder):
    image = noise(700, 1700)
    path = write(tmp_path / "a.tif", image, rowsperstrip=rows, byteorder=byteorder)
    assert image.nbytes > 2 * RAW_STRIP_NBYTES
    check(path, image, max_workers=2)
    with BioReader(path) as reader:
        np.testing.assert_array_equal(reader[300:320, 1000:1010], image[300:320, 1000:1010])


def test_raw_strips_that_do_not_follow_each_other(tmp_path):
    image = noise(60, 50)
    path = write(tmp_path / "a.tif", image, rowsperstrip=10)
    edit(path, (273, lambda offsets: offsets[::-1]))
    check(path, image.reshape(6, 10, 50)[::-1].reshape(60, 50))


def test_raw_pixels_that_end_too_early(tmp_path):
    image = noise(64, 50)
    path = write(tmp_path / "a.tif", image, rowsperstrip=8)
    with tifffile.TiffFile(path) as file:
        last = file.pages[0].dataoffsets[-1]
    with path.open("r+b") as stream:
        stream.truncate(last + 10)
    with BioReader(path) as reader, pytest.raises(ValueError, match="plane 0, tile"):
        reader[:]


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_palette_gives_the_indices(tmp_path, byteorder):
    image = noise(40, 30, dtype=np.uint8)
    colors = np.random.default_rng(0).integers(0, 2**16, (3, 256), np.uint16)
    check(write(tmp_path / "a.tif", image, photometric="palette", colormap=colors, byteorder=byteorder), image)


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 12, 14])
def test_odd_bit_depths(tmp_path, bits):
    imagecodecs = pytest.importorskip("imagecodecs")
    image = noise(40, 31, dtype=np.uint8 if bits <= 8 else np.uint16) % 2**bits
    packed = b"".join(imagecodecs.packints_encode(row, bits) for row in image)
    path = write(tmp_path / "a.tif", np.frombuffer(packed, np.uint8).reshape(40, -1), rowsperstrip=40)
    edit(path, (258, lambda _: [bits]), (256, lambda _: [31]))
    with BioReader(path) as reader:
        wanted = tifffile.imread(path)
        np.testing.assert_array_equal(wanted, image)
        assert reader.dtype == wanted.dtype
        np.testing.assert_array_equal(reader[3:30, 5:], wanted[3:30, 5:])


def test_ycbcr_with_subsampling(tmp_path):
    image = np.repeat(np.repeat(noise(20, 15, 3, dtype=np.uint8), 4, 0), 4, 1)
    path = write(tmp_path / "a.tif", image, photometric="ycbcr", compression="jpeg", subsampling=(2, 2), tile=(32, 32))
    check(path, tifffile.imread(path))


@pytest.mark.parametrize(
    ("resolution", "unit", "wanted"),
    [
        (None, None, 1.0),
        ((300, 300), "INCH", 84.6667),
        ((20000, 20000), "CENTIMETER", 0.5),
        ((300, 300), "NONE", 1.0),
        ((0, 0), "INCH", 1.0),
    ],
)
def test_physical_size(tmp_path, resolution, unit, wanted):
    path = write(tmp_path / "a.tif", noise(20, 20), resolution=resolution, resolutionunit=unit)
    with BioReader(path) as reader:
        for size in (reader.ps_x, reader.ps_y):
            assert size[0] == pytest.approx(wanted, abs=1e-4) and size[1].value == "µm"
        assert reader.ps_z[0] is None


def test_physical_sizes_may_differ(tmp_path):
    path = write(tmp_path / "a.tif", noise(20, 20), resolution=(20000, 5000), resolutionunit="CENTIMETER")
    with BioReader(path) as reader:
        assert (reader.ps_x[0], reader.ps_y[0]) == (0.5, 2.0)

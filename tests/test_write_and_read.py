"""What imwrite and BioWriter put into real files, imread, BioReader and tifffile find there."""

import gc
import itertools
import logging
import warnings

import numpy as np
import pytest
import tifffile

from bfio import BioReader, BioWriter, UsageError, imread, imwrite

DTYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16"]
SHAPES = [
    (5, 7),
    (1, 1),
    (1, 40),
    (33, 1),
    (4, 20, 30),
    (2, 3, 4, 5, 7),
    (2, 20, 30, 3),
    (20, 30, 4),
    (2, 1, 1, 20, 30),
]


def numbers(shape, dtype):
    random = np.random.default_rng(3)
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        return (random.normal(size=shape) + 1j * random.normal(size=shape)).astype(dtype)
    if dtype.kind == "f":
        return random.normal(size=shape).astype(dtype)
    high = 1 if dtype.kind == "b" else np.iinfo(dtype).max
    low = 0 if dtype.kind == "b" else np.iinfo(dtype).min
    return random.integers(low, high, shape, dtype=np.uint8 if dtype.kind == "b" else dtype, endpoint=True).astype(
        dtype
    )


def seen_by_imread(array):
    """Axes of length 1 are dropped, but for Y and X (and S)."""
    rgb = array.ndim > 2 and array.shape[-1] in (3, 4) and array.dtype in (np.uint8, np.uint16)
    n_kept = 3 if rgb else 2
    return array.reshape([n for n in array.shape[:-n_kept] if n > 1] + list(array.shape[-n_kept:]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_imread_gives_back_what_imwrite_got(tmp_path, dtype):
    for shape, compression in itertools.product(SHAPES, ["deflate", "none"]):
        array = numbers(shape, dtype)
        path = tmp_path / "a.ome.tif"
        imwrite(path, array, compression=compression, tile_size=16)
        found = imread(path)
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, seen_by_imread(array))
        np.testing.assert_array_equal(tifffile.imread(path).squeeze(), array.squeeze())


@pytest.mark.parametrize("compression", ["zstd", "lzw", "packbits"])
@pytest.mark.parametrize("predictor", [None, False, True])
def test_options(tmp_path, compression, predictor):
    if compression == "packbits" and predictor:
        pytest.skip("no predictor with PackBits")
    array = numbers((3, 50, 70), "u2")
    imwrite(tmp_path / "a.tif", array, compression=compression, predictor=predictor, tile_size=(16, 32), bigtiff=True)
    np.testing.assert_array_equal(imread(tmp_path / "a.tif"), array)


def test_levels(tmp_path):
    array = numbers((2, 100, 70), "u1")
    imwrite(tmp_path / "a.ome.tif", array, levels="auto", tile_size=16, downsample="nearest")
    with BioReader(tmp_path / "a.ome.tif") as br:
        assert [(level.size_y, level.size_x) for level in br.levels] == [(100, 70), (50, 35), (25, 18), (13, 9)]
    np.testing.assert_array_equal(imread(tmp_path / "a.ome.tif", level=1), array[:, ::2, ::2])


def test_metadata_come_back(tmp_path):
    path, copy = tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"
    image = numbers((2, 3, 2, 20, 30), "u2")
    imwrite(
        path, image, channel_names=["a", "b", "c"], physical_size_x=0.5, physical_size_y=(250, "nm"), physical_size_z=2
    )
    for _ in range(2):
        with BioReader(path) as br:
            assert br.channel_names == ["a", "b", "c"] and br.ps_z[0] == 2
            assert br.ps_x[0] == 0.5 and (br.ps_y[0], br.ps_y[1].value) == (250, "nm")
            metadata = br.metadata
            metadata.images[0].description = "seen"
            with BioWriter(copy, metadata=metadata) as bw:
                bw[:] = br[:]
        path, copy = copy, tmp_path / "c.ome.tif"
    with BioReader(path) as br:
        assert br.metadata.images[0].description == "seen" and br.metadata.images[0].name == "c.ome.tif"
    with tifffile.TiffFile(path) as file:
        tags = file.pages[0].tags
        across, down = tags["XResolution"].value, tags["YResolution"].value
        assert across[0] / across[1] == pytest.approx(20000) and down[0] / down[1] == pytest.approx(40000)


def test_the_same_writes_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with BioWriter(tmp_path / name / "a.ome.tif", 4, X=300, Y=200, dtype="u2", tile_size=64, cnames=["a"]) as bw:
            for y in range(0, 200, 70):
                bw[y : y + 70] = numbers((min(70, 200 - y), 300), "u2")
    assert (tmp_path / "one" / "a.ome.tif").read_bytes() == (tmp_path / "two" / "a.ome.tif").read_bytes()


def test_values_of_other_dtypes(tmp_path):
    path = tmp_path / "a.ome.tif"
    image = numbers((60, 80), "u1")
    for dtype, value in itertools.product(["u2", "i4", "f4", "f8", "f2", "i8"], ["u1", ">u2", "i8", "f8"]):
        with BioWriter(path, X=80, Y=60, dtype=dtype) as bw:
            bw[:30] = image[:30].astype(value)
            bw[30:] = image[30:]
        found = imread(path)
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(found, image)


def test_a_scalar_and_views(tmp_path):
    path = tmp_path / "a.ome.tif"
    image = numbers((40, 3, 50), "u2")
    with BioWriter(path, X=50, Y=40, Z=3, dtype="u2", tile_size=16) as bw:
        bw[:] = 7
        bw[::-1, ::-1, 1:] = image.transpose(0, 2, 1)[:, :, 1:]
    found = imread(path)
    assert (found[0] == 7).all()
    np.testing.assert_array_equal(found[1:], image.transpose(1, 0, 2)[1:, ::-1, ::-1])


def test_names_and_parts(tmp_path, caplog):
    path, part = tmp_path / "a.ome.tif", tmp_path / "a.ome.tif.part"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), BioWriter(path, X=40, Y=30, dtype="u1", tile_size=16) as bw:
        bw[:16] = 1
        bw.flush()
        assert part.exists() and path.read_bytes() == b"old"
        1 / 0
    assert path.read_bytes() == b"old" and part.exists() and "is kept as a.ome.tif.part" in caplog.text
    with BioWriter(path, resume=True) as bw:
        assert bw.shape == (30, 40) and bw.tile_shape == (16, 16) and bw.missing
        for key in bw.missing:
            bw[key] = 2
    assert not part.exists()
    assert imread(path).tolist() == [[1] * 40] * 16 + [[2] * 40] * 14


def test_never_closed(tmp_path):
    path = tmp_path / "a.ome.tif"
    bw = BioWriter(path, X=40, Y=30)
    bw[0, 0] = 1
    with pytest.warns(ResourceWarning, match="never closed"):
        del bw
        gc.collect()
    assert not path.exists()


def test_nothing_written(tmp_path):
    with BioWriter(tmp_path / "a.ome.tif", X=40, Y=30):
        pass
    assert not [*tmp_path.iterdir()]


def test_a_part_of_the_image(tmp_path, caplog):
    """What nobody wrote is 0, and that is said."""
    path = tmp_path / "a.ome.tif"
    with caplog.at_level(logging.WARNING, "bfio"), BioWriter(path, X=40, Y=30, tile_size=16) as bw:
        bw[3:5, 4:7] = 9
    found = imread(path)
    assert found.sum() == 6 * 9 and (found[3:5, 4:7] == 9).all() and caplog.records


def test_attach_in_one_process(tmp_path):
    path = tmp_path / "a.ome.tif"
    with BioWriter(path, X=40, Y=32, dtype="u2", C=3, spp=3, cnames=["rgb"], tile_size=16) as bw:
        bw.flush()
        with BioWriter.attach(path) as other:
            assert other.shape == (32, 40, 1, 3) and other.spp == 3 and other.cnames == ["rgb"]
            other[16:] = 5
        assert not path.exists()
        bw[:16] = 4
    assert imread(path).tolist() == [[[4] * 3] * 40] * 16 + [[[5] * 3] * 40] * 16


def test_codecs_that_do_not_take_these_pixels(tmp_path):
    for compression, dtype in (("jpeg", "u2"), ("webp", "u1"), ("jpeg2000", "f4")):
        bw = BioWriter(tmp_path / "a.ome.tif", X=20, Y=20, dtype=dtype, compression=compression)
        with pytest.raises(UsageError):
            bw[:] = 0
        bw.close()
    assert not [*tmp_path.iterdir()]


def test_no_warning_of_open_files(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            imwrite(tmp_path / "a.ome.tif", numbers((20, 20), "u1"))
            gc.collect()


def test_an_unfinished_file_under_another_name_is_told_of(tmp_path, caplog):
    path, copy = tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"
    with BioWriter(path, X=64, Y=64, dtype="u1", tile_size=32) as bw:
        bw[:32] = 7
        bw.flush()
        part = path.with_name("a.ome.tif.part")
        with caplog.at_level(logging.WARNING, "bfio"):
            assert imread(part).sum() == 32 * 64 * 7 and not caplog.records
            copy.write_bytes(part.read_bytes())
            assert imread(copy).sum() == 32 * 64 * 7
        assert "not finished" in caplog.text
        bw[32:] = 7
    caplog.clear()
    assert imread(path).min() == 7 and not caplog.records

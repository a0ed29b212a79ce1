"""A plane that was written as one strip is read in parts where its bytes are its pixels, whatever its size."""

import numpy as np
import pytest
import tifffile

import bfio

LIMITS = bfio.Limits(tile_nbytes=1 << 20)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 60000, (1500, 1000)).astype(np.uint16)


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_raw_strip_larger_than_the_limit(tmp_path, image, byteorder):
    path = tmp_path / "raw.tif"
    tifffile.imwrite(path, image, rowsperstrip=1500, metadata=None, byteorder=byteorder)
    np.testing.assert_array_equal(bfio.imread(path, limits=LIMITS), image)


def test_other_strips_larger_than_the_limit(tmp_path, image):
    path = tmp_path / "deflate.tif"
    tifffile.imwrite(path, image, rowsperstrip=1500, metadata=None, compression="zlib")
    with pytest.raises(bfio.LimitError, match="one strip decodes to 3000000 bytes"):
        bfio.imread(path, limits=LIMITS)


def test_raw_strip_that_is_not_in_the_file(tmp_path, image):
    path = tmp_path / "short.tif"
    tifffile.imwrite(path, image, rowsperstrip=1500, metadata=None)
    path.write_bytes(path.read_bytes()[:2_000_000])
    with pytest.raises(bfio.LimitError):
        bfio.imread(path, limits=LIMITS)
    with pytest.raises(bfio.FormatError):
        bfio.imread(path)

"""What bfio 2 gave for plain TIFF files through Bio-Formats: shape, dtype and physical sizes."""

import numpy as np
import pytest
import tifffile

from bfio import BioReader

GREY = np.arange(30 * 40, dtype="u2").reshape(30, 40)
RGB = np.arange(30 * 40 * 3, dtype="u1").reshape(30, 40, 3)
HYPERSTACK = np.arange(2 * 3 * 4 * 30 * 40, dtype="u2").reshape(2, 3, 4, 30, 40)
MICROMETRE = (1.0, 1.0, None)


@pytest.mark.parametrize(("pixels", "options", "shape", "dtype", "sizes"), [
    (GREY, {}, (30, 40), "u2", MICROMETRE),
    (GREY, {"byteorder": ">"}, (30, 40), "u2", MICROMETRE),
    (GREY, {"resolution": (300, 300), "resolutionunit": 2}, (30, 40), "u2", (25400 / 300, 25400 / 300, None)),
    (GREY, {"resolution": (20000, 10000), "resolutionunit": 3}, (30, 40), "u2", (0.5, 1.0, None)),
    (np.stack([GREY] * 5), {"photometric": "minisblack", "metadata": None}, (30, 40, 1, 1, 5), "u2", MICROMETRE),
    (RGB, {}, (30, 40, 1, 3), "u1", MICROMETRE),
    (np.moveaxis(RGB, 2, 0), {"photometric": "rgb", "planarconfig": "separate"}, (30, 40, 1, 3), "u1", MICROMETRE),
    (GREY.astype("f2"), {}, (30, 40), "f4", MICROMETRE),
    (GREY > 5, {}, (30, 40), "u1", MICROMETRE),
    (HYPERSTACK, {"imagej": True, "resolution": (4, 4), "metadata": {"axes": "TZCYX", "spacing": 2.0, "unit": "um"}},
     (30, 40, 3, 4, 2), "u2", (0.25, 0.25, 2.0)),
], ids=["grey", "big", "inch", "cm", "pages", "rgb", "planar", "half", "bool", "imagej"])  # fmt: skip
def test_plain_tiff(tmp_path, pixels, options, shape, dtype, sizes):
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    with BioReader(tmp_path / "a.tif", backend="bioformats") as reader:
        assert (reader.shape, reader.dtype) == (shape, np.dtype(dtype))
        assert (reader.ps_x[0], reader.ps_y[0], reader.ps_z[0]) == pytest.approx(sizes)
        assert reader.ps_x[1].value == "µm"
        assert set(reader.cnames) == {None}
        if pixels.dtype != bool:
            found = reader[:].astype(pixels.dtype)
            np.testing.assert_array_equal(found.ravel(), np.ravel(expected(pixels, shape)))


def expected(pixels, shape):
    """The pixels in the order of the reader."""
    if pixels is HYPERSTACK:
        return pixels.transpose(3, 4, 1, 2, 0)
    if len(shape) == 5:
        return pixels.transpose(1, 2, 0)
    return np.moveaxis(pixels, 0, 2) if pixels.shape[0] == 3 else pixels

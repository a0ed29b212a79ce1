"""Dialects of TIFF: series, levels, axes and pixel sizes of files that are no OME-TIFF."""

import numpy as np
import pytest
import tifffile

from bfio import BioReader, Limits


def stack(*shape, dtype=np.uint16):
    return np.random.default_rng(len(shape)).integers(0, 200, shape).astype(dtype)


def tczyx(reader, series=0):
    """Pixels in the order T, C, Z, Y, X."""
    info = reader.series[series]
    size_t, size_c, size_z, size_y, size_x = info.shape
    return reader[:].reshape(size_y, size_x, size_z, size_c, size_t).transpose(4, 3, 2, 0, 1)


def check(path, *images, **options):
    """Every series of a file: the pixels (T, C, Z, Y, X)."""
    for index, image in enumerate(images):
        with BioReader(path, series=index, **options) as reader:
            assert len(reader.series) == len(images)
            assert reader.series[index].shape == image.shape
            assert reader.dtype == image.dtype
            np.testing.assert_array_equal(tczyx(reader, index), image)


@pytest.mark.parametrize("options", [{}, {"compression": "lzw", "tile": (16, 16)}, {"bigtiff": True, "byteorder": ">"}])
@pytest.mark.parametrize("rgb", [False, True])
def test_plain_pages_are_time_points(tmp_path, options, rgb):
    pages = stack(5, 20, 30, *([3] if rgb else []))
    with tifffile.TiffWriter(
        tmp_path / "a.tif", **{k: options[k] for k in options if k in ("bigtiff", "byteorder")}
    ) as file:
        storage = {k: options[k] for k in options if k in ("compression", "tile")}
        for page in pages:
            file.write(page, metadata=None, photometric="rgb" if rgb else "minisblack", **storage)
    image = pages.transpose(0, 3, 1, 2) if rgb else pages[:, None]
    check(tmp_path / "a.tif", image[:, :, None])


def test_pages_of_different_kinds_are_series_of_their_own(tmp_path):
    first, second, third = stack(2, 20, 30), stack(16, 40), stack(8, 8, 3, dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in (*first, second, third):
            file.write(page, metadata=None, photometric="rgb" if page.ndim == 3 else "minisblack")
    third = third.transpose(2, 0, 1)
    check(tmp_path / "a.tif", first[:, None, None], second[None, None, None], third[None, :, None])


@pytest.mark.parametrize(
    "axes", ["YX", "ZYX", "CYX", "TYX", "TZYX", "TCYX", "ZCYX", "TZCYX", "YXS", "TZCYXS", "ZYXS", "TYXS"]
)
def test_imagej_hyperstacks(tmp_path, axes):
    sizes = {"T": 2, "Z": 3, "C": 4, "Y": 15, "X": 20, "S": 3}
    pixels = stack(*(sizes[axis] for axis in axes), dtype=np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif",
        pixels,
        imagej=True,
        resolution=(4, 5),
        metadata={"axes": axes, "unit": "um", "spacing": 2.5},
    )
    full = pixels.reshape([sizes[axis] if axis in axes else 1 for axis in "TZCYXS"])
    image = full.transpose(0, 2, 5, 1, 3, 4).reshape(full.shape[0], -1, full.shape[1], 15, 20)
    check(tmp_path / "a.tif", image)
    with BioReader(tmp_path / "a.tif") as reader:
        assert (reader.ps_x[0], reader.ps_y[0], reader.ps_z[0]) == (0.25, 0.2, 2.5)
        assert [size[1].value for size in (reader.ps_x, reader.ps_y, reader.ps_z)] == ["µm"] * 3


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_imagej_hyperstack_with_only_one_ifd(tmp_path, byteorder):
    """As ImageJ writes stacks beyond 4 GB: the planes follow each other, and only the first has an IFD."""
    image = stack(2, 4, 3, 15, 20)
    description = "ImageJ=1.11a\nimages=24\nchannels=4\nslices=3\nframes=2\nhyperstack=true\n"
    pages = image.transpose(0, 2, 1, 3, 4).reshape(-1, 15, 20)
    tifffile.imwrite(
        tmp_path / "a.tif", pages[0], description=description, metadata=None, byteorder=byteorder, software=False
    )
    with (tmp_path / "a.tif").open("r+b") as stream:
        stream.seek(0, 2)
        place = stream.tell()
        stream.write(pages.astype(byteorder + "u2").tobytes())
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        file.pages[0].tags[273].overwrite((place,))
    check(tmp_path / "a.tif", image)
    with BioReader(tmp_path / "a.tif") as reader:
        np.testing.assert_array_equal(reader[3:9, ::2, 1, 2, 1], image[1, 2, 1, 3:9, ::2])


def test_a_large_contiguous_stack_is_not_read_at_once(tmp_path):
    """Only what was asked for; Limits are about tiles and not about stacks."""
    description = "ImageJ=1.11a\nimages=500\nslices=500\nhyperstack=true\n"
    tifffile.imwrite(tmp_path / "a.tif", stack(512, 512), description=description, metadata=None, byteorder=">")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        place = file.pages[0].dataoffsets[0]
    last = stack(512, 512) + 7
    with (tmp_path / "a.tif").open("r+b") as stream:
        stream.seek(place + 499 * last.nbytes)
        stream.write(last.astype(">u2").tobytes())
    with BioReader(tmp_path / "a.tif", limits=Limits(tile_nbytes=1 << 21)) as reader:
        assert reader.Z == 500
        np.testing.assert_array_equal(reader[:, :, 499], last)


@pytest.mark.parametrize(
    ("shape", "axes", "wanted"),
    [
        ((4, 20, 30), "QYX", (4, 1, 1)),
        ((2, 3, 20, 30), "HZYX", (2, 1, 3)),
        ((2, 3, 4, 20, 30), "PTCYX", (6, 4, 1)),
        ((3, 2, 20, 30), "CZYX", (1, 3, 2)),
        ((3, 2, 20, 30), "ZCYX", (1, 2, 3)),
        ((2, 3, 2, 20, 30), "ZTCYX", (3, 2, 2)),
    ],
)
def test_shaped_files_with_any_axes(tmp_path, shape, axes, wanted):
    pixels = stack(*shape)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", metadata={"axes": axes})
    order = sorted(range(len(axes) - 2), key=lambda i: {"C": 1, "Z": 2}.get(axes[i], 0))
    image = pixels.transpose(*order, -2, -1).reshape(*wanted, 20, 30)
    check(tmp_path / "a.tif", image)


@pytest.mark.parametrize("options", [{"tile": (16, 16)}, {"tile": (16, 16), "compression": "zlib", "predictor": True}])
@pytest.mark.parametrize("n_planes", [1, 3])
@pytest.mark.parametrize("metadata", [None, {}])
def test_levels_in_sub_ifds(tmp_path, options, n_planes, metadata):
    planes = stack(n_planes, 128, 96)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        common = {"photometric": "minisblack", "metadata": metadata, **options}
        file.write(planes, subifds=2, **common)
        for step in (2, 4):
            file.write(planes[:, ::step, ::step], subfiletype=1, **common)
    for level, step in enumerate((1, 2, 4)):
        with BioReader(tmp_path / "a.tif", level=level) as reader:
            assert [(entry.size_y, entry.size_x) for entry in reader.levels] == [(128, 96), (64, 48), (32, 24)]
            np.testing.assert_array_equal(
                reader[5:, 3:].reshape(reader.Y - 5, reader.X - 3, -1).transpose(2, 0, 1),
                planes[:, ::step, ::step][:, 5:, 3:],
            )


@pytest.mark.parametrize("rgb", [False, True])
def test_reduced_pages_of_a_cog_are_levels(tmp_path, rgb):
    image = stack(128, 128, *([3] if rgb else []), dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for step in (1, 2, 4):
            file.write(
                image[::step, ::step], subfiletype=int(step > 1), tile=(32, 32), compression="zlib", metadata=None,
                photometric="rgb" if rgb else "minisblack", extratags=[(42113, "s", 0, "0", True)],
            )  # fmt: skip
    with BioReader(tmp_path / "a.tif") as reader:
        n_series, sizes = len(reader.series), [entry.size_y for entry in reader.levels]
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert n_series == len(file.series) and sizes == [level.shape[0] for level in file.series[0].levels]
    found = []
    for series in range(n_series):
        for level in range(len(sizes) if series == 0 else 1):
            with BioReader(tmp_path / "a.tif", series=series, level=level) as reader:
                found.append(reader[:].reshape(reader.Y, reader.X, *image.shape[2:]))
    assert len(found) == 3
    for step, pixels in zip((1, 2, 4), found, strict=True):
        np.testing.assert_array_equal(pixels, image[::step, ::step])


def test_a_slide_scan(tmp_path):
    """As Aperio writes it: baseline, thumbnail, one smaller level, label, macro; microns per pixel in the text."""
    rng = np.random.default_rng(5)
    baseline, thumbnail, label, macro = (
        rng.integers(0, 255, (*size, 3), np.uint8) for size in ((512, 480), (96, 90), (50, 40), (30, 80))
    )
    text = "Aperio Image Library v11.2.1\r\n512x480 [0,0 480x512] (240x240)|AppMag = 40|MPP = 0.2525"
    with tifffile.TiffWriter(tmp_path / "a.svs") as file:
        common = {"metadata": None, "photometric": "rgb"}
        file.write(baseline, tile=(240, 240), description=text, **common)
        file.write(thumbnail, description="Aperio Image Library\r\n", **common)
        file.write(baseline[::4, ::4], tile=(240, 240), description=text, **common)
        file.write(label, description="Aperio Image Library\r\nlabel 40x50", subfiletype=1, **common)
        file.write(macro, description="Aperio Image Library\r\nmacro 80x30", subfiletype=9, **common)
    with BioReader(tmp_path / "a.svs") as reader:
        assert [(entry.size_y, entry.size_x) for entry in reader.levels] == [(512, 480), (128, 120)]
        assert [series.name for series in reader.series] == ["Baseline", "Thumbnail", "Label", "Macro"]
        assert reader.ps_x[0] == reader.ps_y[0] == 0.2525 and reader.ps_x[1].value == "µm"
        np.testing.assert_array_equal(reader[100:300, 200:400, 0], baseline[100:300, 200:400][:, :, None])
        assert [size[0] for size in (reader.ps_x, reader.ps_y)] == [0.2525] * 2
    with BioReader(tmp_path / "a.svs", level=1) as reader:
        np.testing.assert_array_equal(reader[:, :, 0, 1].squeeze(), baseline[::4, ::4, 1])
    with BioReader(tmp_path / "a.svs", series=3) as reader:
        np.testing.assert_array_equal(reader[:].squeeze(), macro)


@pytest.mark.parametrize("tile", [(16, 16), (2, 16, 16)])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_volumes(tmp_path, tile, compression):
    pixels = stack(5, 40, 30)
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, volumetric=True, tile=tile, compression=compression, photometric="minisblack"
    )
    check(tmp_path / "a.tif", pixels[None, None])
    with BioReader(tmp_path / "a.tif") as reader:
        np.testing.assert_array_equal(reader[5:20, 3:9, 3], pixels[3, 5:20, 3:9])

"""imwrite on a backend in memory: which axis is which, and what is refused."""

import inspect

import numpy as np
import pytest

import bfio
from bfio import BioWriter, UsageError, imwrite
from bfio.omexml import parse


def numbers(shape, dtype=np.uint16):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


@pytest.mark.parametrize("shape", [(5, 7), (4, 5, 7), (3, 4, 5, 7), (2, 3, 4, 5, 7), (1, 1, 1, 1, 1), (3, 5, 7, 3, 1)])
def test_axes_are_the_last_of_tczyx(made, path, shape):
    array = numbers(shape)
    assert imwrite(path, array) is None
    np.testing.assert_array_equal(made[0].array, array.reshape((1,) * (5 - array.ndim) + shape))
    assert made[0].state == "finished" and made[0].series.samples == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, ">u2"])
@pytest.mark.parametrize("shape", [(5, 7, 3), (5, 7, 4), (2, 5, 7, 3), (2, 3, 2, 5, 7, 4)])
def test_rgb(made, path, shape, dtype):
    array = numbers(shape, dtype)
    imwrite(path, array)
    full = array.reshape((1,) * (6 - array.ndim) + shape)
    t, c, z, y, x, s = full.shape
    np.testing.assert_array_equal(made[0].array, full.transpose(0, 1, 5, 2, 3, 4).reshape(t, c * s, z, y, x))
    assert made[0].series.samples == s and made[0].series.size_c == c
    for call in made[0].calls:
        assert len(call.c) == s


@pytest.mark.parametrize(("shape", "dtype"), [((5, 7, 3), np.float32), ((5, 7, 2), np.uint8), ((5, 7, 3), np.int16)])
def test_what_is_not_rgb(made, path, shape, dtype):
    imwrite(path, numbers(shape, dtype))
    assert made[0].series.shape == (1, 1, *shape) and made[0].series.samples == 1


@pytest.mark.parametrize(
    ("axes", "shape", "found", "samples"),
    [
        ("YX", (5, 7), (1, 1, 1, 5, 7), 1),
        ("ZYX", (5, 7, 3), (1, 1, 5, 7, 3), 1),
        ("cyx", (2, 5, 7), (1, 2, 1, 5, 7), 1),
        ("XY", (5, 7), (1, 1, 1, 7, 5), 1),
        ("YXZCT", (5, 7, 2, 3, 4), (4, 3, 2, 5, 7), 1),
        ("YXS", (5, 7, 2), (1, 2, 1, 5, 7), 2),
        ("SYX", (3, 5, 7), (1, 3, 1, 5, 7), 3),
        ("TYXS", (2, 5, 7, 1), (2, 1, 1, 5, 7), 1),
    ],
)
def test_axes_that_are_named(made, path, axes, shape, found, samples):
    array = numbers(shape)
    imwrite(path, array, axes=axes)
    assert made[0].array.shape == found and made[0].series.samples == samples
    order = axes.upper().replace("S", "C")
    wanted = np.einsum(f"{order.lower()}->{''.join(a for a in 'tczyx' if a in order.lower())}", array)
    np.testing.assert_array_equal(made[0].array.squeeze(), wanted.squeeze())


@pytest.mark.parametrize("axes", ["Y", "YXZ", "YY", "CZ", "AB", 5, "", "Y X"])
def test_axes_that_are_wrong(made, path, axes):
    with pytest.raises(UsageError, match="axes="):
        imwrite(path, numbers((5, 7)), axes=axes)
    assert not made


@pytest.mark.parametrize(
    "array", [numbers((7,)), np.float32(1), numbers((2,) * 6), np.zeros((0, 5)), np.zeros((5, 0, 3), "u1")]
)
def test_arrays_that_are_no_images(made, path, array):
    with pytest.raises(UsageError):
        imwrite(path, array)
    assert not made and not path.exists()


def test_lists_and_readers_are_arrays(made, path):
    imwrite(path, [[1, 2], [3, 4]], dtype="u1")
    assert made[0].array.dtype == np.uint8 and made[0].array.squeeze().tolist() == [[1, 2], [3, 4]]


def test_what_is_said_of_the_image(made, path):
    imwrite(
        path, numbers((2, 4, 5, 7)), dtype=np.float32, channel_names=("a", None), physical_size_x=0.5,
        physical_size_y=(250, "nm"), physical_size_z=2, compression="zstd", tile_size=64, max_workers=2,
    )  # fmt: skip
    pixels = parse(made[0].xml).images[0].pixels
    assert pixels.type == "float" and [channel.name for channel in pixels.channels] == ["a", None]
    sizes = (pixels.physical_size_x, pixels.physical_size_y, pixels.physical_size_z)
    assert sizes == ((0.5, "µm"), (250.0, "nm"), (2.0, "µm"))
    assert made[0].options.tile_size == (64, 64) and made[0].options.max_workers == 2


def test_metadata_of_a_source(made, path):
    metadata = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        'DimensionOrder="XYZCT" Type="uint8" SizeX="9" SizeY="9" SizeZ="1" SizeC="3" SizeT="1" PhysicalSizeX="4">'
        '<Channel ID="Channel:0:0" SamplesPerPixel="3" Name="color"/><TiffData/></Pixels></Image></OME>'
    )
    imwrite(path, numbers((5, 7)), metadata=metadata)
    pixels = parse(made[0].xml).images[0].pixels
    assert (pixels.size_x, pixels.size_c, pixels.type) == (7, 1, "uint16") and pixels.physical_size_x[0] == 4
    imwrite(path, numbers((5, 7, 3), np.uint8), metadata=metadata)
    assert made[1].series.samples == 3 and made[1].series.channels[0].name == "color"


def test_values_must_not_change(made, path):
    with pytest.raises(UsageError, match="without loss"):
        imwrite(path, numbers((50, 70)), dtype=np.uint8)
    assert not made


def test_overwrite(made, path):
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        imwrite(path, numbers((5, 7)), overwrite=False)
    imwrite(path, numbers((5, 7)))
    assert len(made) == 1


def test_options_are_those_of_the_writer():
    ours, theirs = (inspect.signature(function).parameters for function in (imwrite, BioWriter))
    assert {*theirs} - {*ours} == {"file_path", "image", "resume", "append", "kwargs"}
    for name in {*ours} & {*theirs}:
        assert ours[name].default == theirs[name].default
    assert bfio.imwrite is imwrite

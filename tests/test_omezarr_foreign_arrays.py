"""Arrays that zarr-python must help with: odd codecs, filters, orders, dtypes."""

import json

import numpy as np
import pytest
from foreign_arrays import (
    a_box,
    a_reader,
    an_image,
    quiet,  # noqa: F401 - used by all tests
    read,
    v3_codecs,
    write,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from bfio.errors import UsageError
from bfio.omezarr.nodes import Folder
from bfio.omezarr.parts import cut_into_parts, cut_into_pieces
from bfio.selection import Box

numcodecs = pytest.importorskip("numcodecs")


V2 = {
    "delta": {"filters": [numcodecs.Delta(dtype="<u2")]},
    "delta and zlib": {"filters": [numcodecs.Delta(dtype="<u2")], "compressors": numcodecs.Zlib(1)},
    "fixedscaleoffset": {"filters": [numcodecs.FixedScaleOffset(offset=0, scale=1, dtype="<u2", astype="<u4")]},
    "shuffle": {"filters": [numcodecs.Shuffle(2)], "compressors": numcodecs.Zstd(1)},
    "order F": {"order": "F", "compressors": numcodecs.Blosc()},
    "order F and filter": {"order": "F", "filters": [numcodecs.Delta(dtype="<u2")]},
    "lzma": {"compressors": numcodecs.LZMA()},
    "bz2": {"compressors": numcodecs.BZ2()},
}


@pytest.mark.parametrize("case", V2)
def test_version_2(case, tmp_path):
    image = an_image()
    write(str(tmp_path / "a.zarr"), image, zarr_format=2, **V2[case])
    reader = a_reader(Folder(tmp_path / "a.zarr"))
    box = a_box(image.shape)
    np.testing.assert_array_equal(read(reader, box)[0, 0], image)
    part = a_box(image.shape, z=(2, 0, 2, 1), y=range(5, 69, 3), x=range(15, 50))
    np.testing.assert_array_equal(read(reader, part)[0, 0], image[np.ix_(part.z, part.y, part.x)])


@pytest.mark.parametrize(
    "case", ["transpose", "big endian", "crc32c", "delta", "shuffle and bz2", "shards of odd codecs", "shards"]
)
def test_version_3(case, tmp_path):
    image = an_image()
    write(str(tmp_path / "a.zarr"), image, zarr_format=3, **v3_codecs()[case])
    reader = a_reader(Folder(tmp_path / "a.zarr"))
    np.testing.assert_array_equal(read(reader, a_box(image.shape))[0, 0], image)
    part = a_box(image.shape, z=(1,), y=range(31, 33), x=range(0, 50, 40))
    np.testing.assert_array_equal(read(reader, part)[0, 0], image[np.ix_(part.z, part.y, part.x)])


def test_any_box_of_five_axes(tmp_path):
    image = an_image((2, 3, 4, 40, 30))
    delta = [numcodecs.Delta(dtype="<u2")]
    write(str(tmp_path / "a"), image, zarr_format=2, chunks=(1, 2, 3, 16, 7), filters=delta)
    reader = a_reader(Folder(tmp_path / "a"))

    indices = {n: st.lists(st.integers(0, n - 1), min_size=1, max_size=4).map(tuple) for n in (2, 3, 4)}
    spans = {
        n: st.tuples(st.integers(0, n - 1), st.integers(1, n), st.integers(1, n)).map(
            lambda s, n=n: range(s[0], min(n, s[0] + s[1]), s[2])
        )
        for n in (40, 30)
    }

    @settings(max_examples=40, deadline=None)
    @given(indices[2], indices[3], indices[4], spans[40], spans[30])
    def check(t, c, z, y, x):
        box = Box(t, c, z, y, x)
        np.testing.assert_array_equal(read(reader, box, "tczyx"), image[np.ix_(t, c, z, y, x)])

    check()


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.integers(1, 9))
def test_pieces_cover_every_index_once(indices, unit):
    axis = np.arange(31)
    out = np.full(len(indices), -1)
    for piece in cut_into_pieces(indices, unit):
        block = axis[piece.key]
        assert len(set((block // unit).tolist())) == 1
        assert (out[piece.place] == -1).all()
        out[piece.place] = block[piece.inside]
    assert out.tolist() == indices


def test_small_chunks_are_read_together_and_large_ones_apart():
    box = Box((0,), (0,), (0, 1, 2), range(100), range(100))
    assert len(list(cut_into_parts("zyx", (1, 10, 10), box, 2, 1 << 20))) == 3
    assert len(list(cut_into_parts("zyx", (1, 10, 10), box, 2, 2000))) == 3 * 10
    assert len(list(cut_into_parts("zyx", (3, 50, 50), box, 2, 1))) == 4


@pytest.mark.parametrize("axes", ["yx", "zyx", "xyz", "yxc", "x"])
def test_axes_in_any_order_and_number(axes, tmp_path):
    shape = tuple({"y": 20, "x": 30, "z": 4, "c": 3}[letter] for letter in axes)
    image = an_image(shape)
    write(str(tmp_path / "a"), image, zarr_format=3, chunks=tuple(max(1, n // 2) for n in shape))
    reader = a_reader(Folder(tmp_path / "a"))
    sizes = dict(zip(axes, shape, strict=True))
    box = Box((0,), *(tuple(range(sizes.get(letter, 1))) for letter in "cz"), range(sizes.get("y", 1)), range(1, 29))
    expected = image[(slice(None),) * axes.index("x") + (slice(1, 29),)]
    order = [axes.index(letter) for letter in "tczyx" if letter in axes]
    got = read(reader, box, axes)
    np.testing.assert_array_equal(got.reshape(expected.transpose(order).shape), expected.transpose(order))


@pytest.mark.parametrize("dtype", ["bool", "int8", ">u2", "uint32", "int64", ">f4", "float64", "complex64"])
def test_dtypes(dtype, tmp_path):
    image = an_image(dtype=dtype)
    write(str(tmp_path / "a"), image, zarr_format=2, order="F")
    got = read(a_reader(Folder(tmp_path / "a")), a_box(image.shape), dtype=np.dtype(dtype).newbyteorder("="))
    np.testing.assert_array_equal(got[0, 0], image)


def test_pixels_are_converted_and_rescaled_into_any_strides(tmp_path):
    image = an_image(dtype="int16") - np.int16(100)
    write(str(tmp_path / "a"), image, zarr_format=2, order="F")
    reader, box = a_reader(Folder(tmp_path / "a")), a_box(image.shape)
    np.testing.assert_array_equal(read(reader, box, dtype="uint8")[0, 0], np.clip(image, 0, 255))
    out = np.zeros((*box.shape[:3], 70, 100), "float32")[..., ::-1, ::-2]
    reader.read("zyx", box, out, (0.5, 3.0))
    np.testing.assert_array_equal(out[0, 0], image * np.float32(0.5) + 3)
    with pytest.raises(UsageError, match="can not be read as bool"):
        read(reader, box, dtype="bool")


@pytest.mark.parametrize("fill", [None, 5])
@pytest.mark.parametrize("version", [2, 3])
def test_missing_chunks_are_the_fill_value(version, fill, tmp_path):
    image = an_image() + np.uint16(1)
    options = {"filters": [numcodecs.Delta(dtype="<u2")]} if version == 2 else v3_codecs()["transpose"]
    write(str(tmp_path / "a"), image, zarr_format=version, fill_value=fill or 0, **options)
    if fill is None and version == 2:
        path = tmp_path / "a/.zarray"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"fill_value": None}))
    (tmp_path / "a" / ("1.0.2" if version == 2 else "c/1/0/2")).unlink()
    expected = image.copy()
    expected[2:4, :32, 32:48] = fill or 0
    np.testing.assert_array_equal(read(a_reader(Folder(tmp_path / "a")), a_box(image.shape))[0, 0], expected)

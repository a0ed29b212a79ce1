"""What BioWriter stores where: keys, write(), conversions, sizes of the first array; on a backend in memory."""

import numpy as np
import pytest
from fakes import public, sample_image

from bfio import BioWriter, SelectionError, UsageError

# -- keys -----------------------------------------------------------------------------------------------------------------

KEYS = {
    "whole": (np.s_[:], (50, 40, 4, 3, 2)),
    "plane": (np.s_[:, :, 0, 0, 0], (50, 40)),
    "plane, five axes": (np.s_[:, :, 0, 0, 0], (50, 40, 1, 1, 1)),
    "ellipsis": (np.s_[3:20, 5:30, ...], (17, 25, 4, 3, 2)),
    "one z": (np.s_[3:20, 5:30, 2:3, 0, 0], (17, 25)),
    "two slices": (np.s_[3:20, 5:30], (17, 25, 4, 3, 2)),
    "channels": (np.s_[3:20, 5:30, 0, :, 0], (17, 25, 1, 3)),
    "one of c": (np.s_[..., 0, 1:2, 0], (50, 40)),
    "one of t": (np.s_[:, :, :, 0, 1], (50, 40, 4)),
    "rest by colons": (np.s_[3:20, 5:30, 1, :, :], (17, 25, 1, 3, 2)),
    "negative": (np.s_[-10:, -1, -1, -2, -1], (10, 1)),
    "beyond": (np.s_[45:99, :, 0, 0, 0], (5, 40)),
    "list": (np.s_[:5, :5, [3, 0], [2, 1], 0], (5, 5, 2, 2)),
    "mask": (np.s_[:5, :5, 0, np.array([True, False, True]), 0], (5, 5, 1, 2)),
    "numpy ints": ((slice(np.int64(2), np.int32(9)), np.int64(3), np.uint8(1), 0, 0), (7, 1)),
    "backwards": (np.s_[::-1, 4::-1, 0, 0, 0], (50, 5)),
    "steps on the others": (np.s_[:2, :2, ::2, ::-1, 0], (2, 2, 2, 3)),
    "int": (7, (1, 40, 4, 3, 2)),
}


def region(key):
    key = key if isinstance(key, tuple) else (key,)
    entries = [slice(k, k + 1 or None) if isinstance(k, (int, np.integer)) else k for k in key]
    if Ellipsis in [k for k in entries if not isinstance(k, (list, np.ndarray))]:
        place = next(i for i, k in enumerate(entries) if k is Ellipsis)
        entries[place : place + 1] = [slice(None)] * (6 - len(entries))
    entries += [slice(None)] * (5 - len(entries))
    return np.ix_(*[np.arange(size)[entry] for entry, size in zip(entries, (50, 40, 4, 3, 2), strict=True)])


@pytest.mark.parametrize("name", KEYS)
def test_keys_are_those_of_numpy(made, writer, name):
    key, shape = KEYS[name]
    value = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape) + 1
    wanted = np.zeros((50, 40, 4, 3, 2), np.uint16)
    where = region(key)
    wanted[where] = value.reshape(value.shape + (1,) * (5 - value.ndim))
    writer[key] = value
    np.testing.assert_array_equal(made[0].public, wanted)
    assert made[0].written.sum() == value.size


BROADCAST = {
    "scalar": (np.s_[:], 5),
    "numpy scalar": (np.s_[3:9, ...], np.uint16(5)),
    "0-d": (np.s_[3:9, ...], np.array(5, np.uint16)),
    "row": (np.s_[:, :, 0, 0, 0], np.arange(40)),
    "column": (np.s_[:, :, 0, 0, 0], np.arange(50)[:, None]),
    "list": (np.s_[0, :, 0, 0, 0], list(range(40))),
    "rank": (np.s_[:, :, 0, 0, 0], np.arange(2000, dtype=np.uint16).reshape(1, 50, 40)),
    "five axes": (np.s_[:], np.arange(4, dtype=np.uint16).reshape(1, 1, 4, 1, 1)),
    "trailing axes": (np.s_[:], np.arange(6, dtype=np.uint16).reshape(3, 2)),
    "int in between": (np.s_[:, :, 0, :, 0], np.arange(3)),
    "int drops its axis": (np.s_[:5, 7, :, 1, :], np.arange(40).reshape(5, 4, 2)),
    "range": (np.s_[:, 0, 0, 0, 0], range(50)),
}


@pytest.mark.parametrize("name", BROADCAST)
def test_values_are_broadcast_as_numpy_does(made, writer, name):
    key, value = BROADCAST[name]
    wanted = np.zeros((50, 40, 4, 3, 2), np.uint16)
    wanted[key] = value
    writer[key] = value
    np.testing.assert_array_equal(made[0].public, wanted)


def test_trailing_axes_of_length_1_are_not_needed(made, path):
    """An image of one plane is 2-D to its users: a row is broadcast over it."""
    with BioWriter(path, X=4, Y=3) as bw:
        bw[:] = np.arange(4, dtype=np.uint8)
    np.testing.assert_array_equal(made[0].public[..., 0, 0, 0], [np.arange(4)] * 3)


def test_an_index_listed_twice_takes_the_last_value(made, writer):
    writer[:, :, 0, [1, 2, 1], 0] = np.broadcast_to(np.array([5, 6, 7], np.uint16), (50, 40, 1, 3))
    assert [made[0].public[0, 0, 0, c, 0] for c in range(3)] == [0, 7, 6]
    writer[:, :, [0, 0], 0, 0] = 9
    assert (made[0].public[:, :, 0, 0, 0] == 9).all()


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        (np.s_[:, :, 0, 0, 0], (40, 50)),
        (np.s_[:], (50, 40)),
        (np.s_[:9, :9, 0, 0, 0], (9, 8)),
        (np.s_[45:99, :, 0, 0, 0], (54, 40)),
        (np.s_[:, :, 0, 0, 0], (2, 50, 40)),
        (np.s_[:], (50, 40, 4, 3, 2, 1)),
        (np.s_[:, :, 0, :, 0], (50, 40, 3, 1)),
        (np.s_[5:5], (3, 40)),
        (np.s_[:9, :9, 0, 0, 0], (0,)),
    ],
)
def test_shapes_that_do_not_fit(made, writer, key, shape):
    with pytest.raises(SelectionError) as caught:
        writer[key] = np.zeros(shape, np.uint16)
    assert str(shape) in str(caught.value) and "(in the order Y, X, Z, C, T)" in str(caught.value)
    assert isinstance(caught.value, IndexError) and isinstance(caught.value, ValueError) and not made


@pytest.mark.parametrize(
    "key",
    [np.s_[::2], np.s_[:, ::-2], np.s_[50], np.s_[..., 5], np.s_[[1, 2]], 1.5, "a", None, np.s_[0, 0, 0, 0, 0, 0]],
)
def test_keys_that_do_not_fit(made, writer, key):
    with pytest.raises(SelectionError):
        writer[key] = 1
    assert not made


def test_an_empty_region_is_no_write(made, writer):
    writer[5:5, :, 0, 0, 0] = np.zeros((0, 40), np.uint16)
    writer[5:5] = 1
    assert not made and not writer.read_only


# -- write() --------------------------------------------------------------------------------------------------------------


def test_write_by_starts(made, writer):
    image = np.arange(5 * 6 * 2 * 1 * 1, dtype=np.uint16).reshape(5, 6, 2, 1, 1)
    starts = [3]
    writer.write(image, X=starts, Y=np.int64(4), Z=(1,), C=[2], T=[1])
    assert starts == [3]
    np.testing.assert_array_equal(made[0].public[4:9, 3:9, 1:3, 2:3, 1:2], image)
    assert made[0].written.sum() == image.size


def test_write_of_fewer_axes_and_lists(made, writer):
    writer.write(np.ones((50, 40), np.uint16))
    assert made[0].public[..., 0, 0, 0].all() and made[0].written.sum() == 2000
    writer.write(np.full((2, 2, 1, 2), 7, np.uint16), C=[2, 0], X=[10, 12])
    assert (made[0].public[:2, 10:12, 0, [0, 2], 0] == 7).all()
    image = np.full((2, 2, 2), 3, np.uint16)
    writer.write(image, Z=np.array([3, 0]), Y=(6, 8))
    assert (made[0].public[6:8, :2, [0, 3], 0, 0] == 3).all()


@pytest.mark.parametrize(
    "where",
    [{"X": 35}, {"Y": 41}, {"Z": -1}, {"Z": 4}, {"C": [0, 1]}, {"T": 2}, {"X": "a"}, {"X": [1, 2, 3]}, {"Z": [9]}],
)
def test_write_beyond_the_image(made, writer, where):
    with pytest.raises(SelectionError):
        writer.write(np.zeros((10, 10), np.uint16), **where)
    with pytest.raises(SelectionError):
        writer.write(np.zeros((1,) * 6, np.uint16))
    assert not made


# -- dtypes ---------------------------------------------------------------------------------------------------------------

GOOD = [
    ("u2", np.array([[0, 255]], "u1")),
    ("u2", np.array([[0, 65535]], ">u2")),
    ("u2", np.array([[0, 65535]], "i8")),
    ("u2", np.array([[0.0, 300.0]])),
    ("u1", np.array([[True, False]])),
    ("u1", [[1, 2]]),
    ("u1", [[True, False]]),
    ("?", np.array([[0, 1]])),
    ("?", np.array([[0.0, 1.0]])),
    ("i1", np.array([[-128, 127]])),
    ("f4", np.array([[0.5, np.nan]])),
    ("f4", np.array([[np.inf, -np.inf]])),
    ("f4", np.array([[1 << 24, -(1 << 24)]])),
    ("f4", np.array([[1 << 40, -(1 << 62)]])),
    ("f4", [[0.1, 2.5]]),
    ("f2", np.array([[2048, -2048]], "i4")),
    ("f8", np.array([[1 << 53, -(1 << 53)]])),
    ("f8", np.array([[1 << 63, 0]], "u8")),
    ("f8", np.array([[-(1 << 63), 0]], "i8")),
    ("f8", np.array([[1.5, 2]], "f2")),
    ("c8", np.array([[1.5, 2]])),
    ("c8", np.array([[1.5 + 2j, 2]])),
    ("f4", np.array([[1.5 + 0j, 2]])),
    ("u8", np.array([[0, (1 << 63) - 1]])),
    ("i8", np.array([[0, (1 << 63) - 1]], "u8")),
    ("u1", np.array([[3 + 0j, 2]])),
]


@pytest.mark.parametrize(("dtype", "value"), GOOD)
@pytest.mark.parametrize("large", [False, True])
def test_values_that_have_an_equal_are_converted(made, path, monkeypatch, dtype, value, large):
    if large:
        monkeypatch.setattr("bfio.writer._SMALL_NBYTES", 0)
        value = np.asarray(value) if not isinstance(value, np.ndarray) else value
        if value.dtype == float and dtype == "f4":
            value = value.astype("f4").astype("f8")
    with BioWriter(path, X=2, Y=1, dtype=dtype) as bw:
        bw[:] = value
    wanted = np.asarray(value) if dtype in ("c8", "c16") else np.real(value)
    np.testing.assert_array_equal(made[0].public[..., 0, 0, 0], wanted.astype(dtype))


BAD = [
    ("u1", np.array([[0, 256]])),
    ("u1", np.array([[0, -1]])),
    ("u1", -1),
    ("u1", 256),
    ("u1", 0.5),
    ("u1", np.array([[0.5, 0]])),
    ("u1", np.array([[np.nan, 0]])),
    ("u1", np.array([[1e30, 0]])),
    ("u8", np.array([[-1, 0]])),
    ("u8", np.array([[2.0**64, 0]])),
    ("i8", np.array([[1 << 63, 0]], "u8")),
    ("?", np.array([[2, 0]])),
    ("?", np.array([[0.5, 0]])),
    ("f4", np.array([[0.1, 0]])),
    ("f4", np.array([[1e300, 0]])),
    ("f4", 1e300),
    ("f4", np.array([[(1 << 24) + 1, 0]])),
    ("f8", np.array([[(1 << 53) + 1, 0]])),
    ("f8", np.array([[(1 << 64) - 1, 0]], "u8")),
    ("f2", np.array([[70000, 0]])),
    ("f4", np.array([[1j, 0]])),
    ("c8", np.array([[0.1j, 0]])),
]


@pytest.mark.parametrize(("dtype", "value"), BAD)
@pytest.mark.parametrize("large", [False, True])
def test_values_that_have_none_are_refused(made, path, monkeypatch, dtype, value, large):
    if large:
        monkeypatch.setattr("bfio.writer._SMALL_NBYTES", 0)
    bw = BioWriter(path, X=2, Y=1, dtype=dtype)
    with pytest.raises(UsageError) as caught:
        bw[:] = value
    assert (
        "without loss" in str(caught.value)
        and np.dtype(dtype).name in str(caught.value)
        and "astype" in str(caught.value)
    )
    assert not made


@pytest.mark.parametrize(
    "value", ["text", object(), [[1, 2], [3]], np.array(["a"]), np.datetime64("2020-01-01"), None, {}]
)
def test_values_that_are_no_pixels(made, writer, value):
    with pytest.raises(UsageError):
        writer[:] = value
    assert not made


def test_large_arrays_are_converted_in_pieces(made, path, monkeypatch):
    monkeypatch.setattr("bfio.writer._SMALL_NBYTES", 0)
    monkeypatch.setattr("bfio.lossless._PIECE_NBYTES", 64 * 40 * 8)
    monkeypatch.setattr("bfio.lossless._CHECK_NBYTES", 1 << 12)
    image = sample_image(2, 3, 2, 100, 40, np.int64) % 60000
    with BioWriter(path, X=40, Y=110, Z=2, C=3, T=2, dtype="u2", tile_size=32) as bw:
        bw[5:105] = public(image)
        with pytest.raises(UsageError, match="70000 has no equal"):
            bad = public(image).copy()
            bad[99, 39, 1, 2, 1] = 70000
            bw[5:105] = bad
        n_calls = len(made[0].calls)
    np.testing.assert_array_equal(made[0].array[:, :, :, 5:105], image)
    assert n_calls == len(made[0].calls) == 2 * 3 * 2 * 2  # bands of 64 rows: 5 to 64, 64 to 105
    assert {call.y.start for call in made[0].calls} == {5, 64}
    with BioWriter(path, X=40, Y=100, Z=2, C=3, T=2, dtype="u2", spp=3, tile_size=32) as bw:
        bw[:] = public(image)
    np.testing.assert_array_equal(made[1].array, image)
    assert {call.c for call in made[1].calls} == {(0, 1, 2)}


# -- sizes of the first array ---------------------------------------------------------------------------------------------


def test_sizes_are_taken_from_the_first_array(made, path):
    image = public(sample_image(1, 2, 3, 5, 7, np.int16))
    with BioWriter(path) as bw:
        bw[:] = image
    np.testing.assert_array_equal(made[0].public, image)
    with BioWriter(path) as bw:
        bw[:, :, 0, 0, 0] = image[..., 0, 0, 0]
    assert made[1].public.shape == (5, 7, 1, 1, 1) and made[1].array.dtype == np.int16
    with BioWriter(path) as bw:
        bw.write(image[..., 0, 0])
    assert made[2].public.shape == (5, 7, 3, 1, 1)
    with BioWriter(path, dtype="f4", cnames=["one"], ps_x=1) as bw:
        bw[:] = image[..., 0, 0, 0]
    assert made[3].array.dtype == np.float32 and made[3].public.shape == (5, 7, 1, 1, 1)


def test_sizes_that_were_set_hold(made, path, ome):
    with BioWriter(path, X=7) as bw, pytest.raises(SelectionError):
        bw[:] = np.zeros((5, 7), np.uint8)
    with BioWriter(path, metadata=ome) as bw, pytest.raises(SelectionError):
        bw[:] = np.zeros((9, 9), np.uint16)
    with BioWriter(path, X=7, Y=5) as bw:
        bw[:2, :2] = np.zeros((2, 2), np.uint16)  # the dtype was never set
    assert made[0].array.dtype == np.uint16 and len(made) == 1


def test_an_image_at_construction(made, path):
    image = public(sample_image(1, 1, 3, 5, 7, np.uint16))
    with BioWriter(path, image=image, cnames=["a"]) as bw:
        assert bw.read_only and bw.shape == (5, 7, 3)
    np.testing.assert_array_equal(made[0].public, image)
    with pytest.raises(UsageError, match="at least the axes Y and X"):
        BioWriter(path, image=np.zeros(5))
    with pytest.raises(UsageError):
        BioWriter(path, image="text")

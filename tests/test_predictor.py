"""Predictors undone and applied, against numpy's ``cumsum`` and ``diff`` and the encoders of imagecodecs."""

import sys

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _tilecodec import predict, unpredict

NATIVE = "<" if sys.byteorder == "little" else ">"
shapes = st.tuples(st.integers(0, 4), st.integers(0, 70), st.integers(1, 6))
seeds = st.integers(0, 2**32 - 1)


def undo_at(encoded: bytes, lead: int, *arguments: object) -> bytes:
    """Undo in the middle of a larger buffer, whose other bytes must stay as they are."""
    arena = np.full(lead + len(encoded) + 16, 0xA5, np.uint8)
    inside = arena[lead : lead + len(encoded)]
    inside[:] = np.frombuffer(encoded, np.uint8)
    unpredict.undo(inside, *arguments)
    assert (arena[:lead] == 0xA5).all()
    assert (arena[lead + len(encoded) :] == 0xA5).all()
    return inside.tobytes()


@given(
    shape=shapes,
    item_size=st.sampled_from([1, 2, 4, 8]),
    order=st.sampled_from("<>"),
    lead=st.integers(0, 17),
    seed=seeds,
)
def test_horizontal(shape: tuple, item_size: int, order: str, lead: int, seed: int) -> None:
    raw = np.random.default_rng(seed).bytes(int(np.prod(shape)) * item_size)
    differences = np.frombuffer(raw, f"{order}u{item_size}").reshape(shape)
    expected = np.cumsum(differences.astype(f"u{item_size}"), axis=1, dtype=f"u{item_size}")
    done = undo_at(raw, lead, *shape, item_size, 2, order != NATIVE)
    assert done == expected.tobytes()


@given(shape=shapes, size=st.sampled_from([2, 4, 8]), lead=st.integers(0, 17), swap=st.booleans(), seed=seeds)
def test_float(shape: tuple, size: int, lead: int, swap: bool, seed: int) -> None:
    rows, width, samples = shape
    raw = np.random.default_rng(seed).bytes(rows * width * samples * size)
    sums = np.cumsum(
        np.frombuffer(raw, np.uint8).reshape(rows, width * size, samples), axis=1, dtype=np.uint8
    )
    planes = sums.reshape(rows, size, width * samples)
    expected = np.ascontiguousarray(planes.transpose(0, 2, 1)).view(f">u{size}").astype(f"u{size}")
    assert undo_at(raw, lead, *shape, size, 3, swap) == expected.tobytes()


@pytest.mark.parametrize("width", [1, 2, 31, 256, 257])
@pytest.mark.parametrize("dtype", ["u1", "i2", "<u2", ">u2", "<u4", ">u4", "<u8", ">u8"])
@pytest.mark.parametrize("samples", [1, 2, 3, 4, 5])
def test_horizontal_of_imagecodecs(width: int, dtype: str, samples: int) -> None:
    info = np.iinfo(dtype)
    shape = (3, width, samples)
    image = np.random.default_rng(width).integers(
        info.min, info.max, shape, np.dtype(dtype).newbyteorder("="), True
    )
    encoded = imagecodecs.delta_encode(image, axis=1).astype(dtype)
    swap = not np.dtype(dtype).isnative
    assert undo_at(encoded.tobytes(), 0, *shape, image.itemsize, 2, swap) == image.tobytes()


@pytest.mark.parametrize("width", [1, 2, 31, 256, 257])
@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("samples", [1, 2, 3, 4, 5])
def test_float_of_imagecodecs(width: int, dtype: str, samples: int) -> None:
    shape = (3, width, samples)
    image = np.random.default_rng(width).normal(0, 1e3, shape).astype(dtype)
    encoded = imagecodecs.floatpred_encode(image, axis=1)
    swap = not np.dtype(dtype).isnative
    expected = image.astype(image.dtype.newbyteorder("="))
    assert undo_at(encoded.tobytes(), 0, *shape, image.itemsize, 3, swap) == expected.tobytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 4, 1, 3, 2, False), "predictor 2 with items of 3"),
        ((1, 12, 1, 1, 3, False), "predictor 3 with items of 1"),
        ((1, 4, 1, 3, 3, False), "predictor 3 with items of 3"),
        ((1, 12, 1, 1, 1, False), "predictor 1"),
        ((1, 11, 1, 1, 2, False), "12 bytes do not"),
        ((2**63, 2, 6, 1, 2, False), "12 bytes do not"),
        ((0, 12, 1, 1, 2, False), "12 bytes do not"),
    ],
)
def test_refusals(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unpredict.undo(bytearray(12), *arguments)


def apply_at(raw: bytes, leads: tuple[int, int], *arguments: int) -> bytes:
    """Apply between two unaligned places, in a larger buffer whose other bytes must stay as they are."""
    src = np.frombuffer(bytes(leads[0]) + raw, np.uint8)[leads[0] :]
    arena = np.full(leads[1] + len(raw) + 16, 0xA5, np.uint8)
    inside = arena[leads[1] : leads[1] + len(raw)]
    predict.apply(inside, src, *arguments)
    assert (arena[: leads[1]] == 0xA5).all()
    assert (arena[leads[1] + len(raw) :] == 0xA5).all()
    return inside.tobytes()


leads = st.tuples(st.integers(0, 17), st.integers(0, 17))


@given(shape=shapes, item_size=st.sampled_from([1, 2, 4, 8]), leads=leads, seed=seeds)
def test_horizontal_applied(shape: tuple, item_size: int, leads: tuple, seed: int) -> None:
    raw = np.random.default_rng(seed).bytes(int(np.prod(shape)) * item_size)
    values = np.frombuffer(raw, f"u{item_size}").reshape(shape)
    expected = np.diff(values, axis=1, prepend=values.dtype.type(0))
    done = apply_at(raw, leads, *shape, item_size, 2)
    assert done == expected.tobytes()
    assert undo_at(done, leads[0], *shape, item_size, 2, False) == raw


@given(shape=shapes, size=st.sampled_from([2, 4, 8]), leads=leads, seed=seeds)
def test_float_applied(shape: tuple, size: int, leads: tuple, seed: int) -> None:
    rows, width, samples = shape
    raw = np.random.default_rng(seed).bytes(rows * width * samples * size)
    values = np.frombuffer(raw, f"u{size}").astype(f">u{size}").view(np.uint8)
    planes = values.reshape(rows, width * samples, size).transpose(0, 2, 1).reshape(rows, width * size, samples)
    expected = np.diff(planes, axis=1, prepend=np.uint8(0))
    done = apply_at(raw, leads, *shape, size, 3)
    assert done == expected.tobytes()
    assert undo_at(done, leads[0], *shape, size, 3, False) == raw


@pytest.mark.parametrize("width", [1, 2, 31, 256, 257])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "i8", "f2", "f4", "f8"])
@pytest.mark.parametrize("samples", [1, 2, 3, 4, 5])
def test_applied_as_by_imagecodecs(width: int, dtype: str, samples: int) -> None:
    image = np.random.default_rng(width).normal(0, 50, (3, width, samples)).astype(dtype)
    real = image.dtype.kind == "f"
    theirs = (imagecodecs.floatpred_encode if real else imagecodecs.delta_encode)(image, axis=1)
    done = apply_at(image.tobytes(), (1, 3), *image.shape, image.itemsize, 3 if real else 2)
    assert done == np.asarray(theirs).tobytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 4, 1, 3, 2), "predictor 2 with items of 3"),
        ((1, 12, 1, 1, 3), "predictor 3 with items of 1"),
        ((1, 12, 1, 1, 1), "predictor 1"),
        ((1, 11, 1, 1, 2), "12 and 12 bytes do not"),
        ((1, 13, 1, 1, 2), "12 and 12 bytes do not"),
        ((2**63, 2, 6, 1, 2), "12 and 12 bytes do not"),
    ],
)
def test_refusals_of_applying(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        predict.apply(bytearray(12), bytes(12), *arguments)


@pytest.mark.parametrize("sizes", [(11, 12), (12, 11)])
def test_both_buffers_are_checked(sizes: tuple) -> None:
    with pytest.raises(ValueError, match="bytes do not"):
        predict.apply(bytearray(sizes[0]), bytes(sizes[1]), 1, 12, 1, 1, 2)

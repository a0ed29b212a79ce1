"""Levels of a pyramid: sizes, numbers, and the halving of planes against a slow reference."""

import logging
import math
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _tilecodec import downsample
from bfio import UsageError, _kernels
from bfio._parallel import Workers
from bfio.pyramid import METHODS, halve, level_sizes, n_levels

INTEGERS = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"]
REALS = ["f2", "f4", "f8"]


def reduce_one(pixels, how):
    """What a list of numpy scalars in reading order becomes."""
    kind = pixels[0].dtype.kind
    if how == "nearest":
        return pixels[0]
    if how == "mode" or (how == "mean" and kind == "b"):
        bits = [pixel.tobytes() for pixel in pixels]
        return pixels[bits.index(Counter(bits).most_common(1)[0][0])]
    if how == "max":
        return np.max(pixels)
    if kind in "ui":
        return (2 * sum(map(int, pixels)) + len(pixels)) // (2 * len(pixels))
    if kind == "c":
        return complex(*(math.fsum(part(p) for p in pixels) / len(pixels) for part in (np.real, np.imag)))
    return math.fsum(float(pixel) / len(pixels) for pixel in pixels)


def reference(block, how):
    *outer, size_y, size_x = block.shape
    out = np.empty((*outer, (size_y + 1) // 2, (size_x + 1) // 2), block.dtype)
    for *plane, y, x in np.ndindex(out.shape):
        pixels = block[(*plane, slice(2 * y, 2 * y + 2), slice(2 * x, 2 * x + 2))].reshape(-1)
        out[(*plane, y, x)] = reduce_one(list(pixels), how)
    return out


def check(found, expected, how):
    assert found.dtype == expected.dtype and found.shape == expected.shape
    if how == "mean" and expected.dtype.kind in "fc":
        tiny = np.finfo(expected.dtype).smallest_subnormal
        np.testing.assert_allclose(found, expected, rtol=np.finfo(expected.dtype).eps, atol=2 * tiny)
    else:
        np.testing.assert_array_equal(found, expected)


def numbers(rng, shape, dtype, few):
    """A few values, so that some are equal, or the whole range of the dtype, extremes included."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    if few:
        return rng.integers(0, 3, shape).astype(dtype)
    raw = rng.integers(0, 256, (*shape, dtype.itemsize), np.uint8).view(dtype)[..., 0]
    if dtype.kind in "ui":
        ends = rng.choice(np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype), shape)
        return np.where(rng.random(shape) < 0.5, raw, ends)
    return np.where(np.isnan(raw), dtype.type(-1), raw)


def laid_out(rng, shape, dtype):
    """An arena of bytes, and an array of that shape in it: axes in any order, with gaps, backwards, not aligned."""
    dtype = np.dtype(dtype)
    steps = [int(step) for step in rng.choice([1, 1, -1, 2, -3], len(shape))]
    order = [int(axis) for axis in rng.permutation(len(shape))] if rng.random() < 0.5 else list(range(len(shape)))
    full = [abs(steps[axis]) * shape[axis] for axis in order]
    offset = int(rng.choice([0, 0, 1, 3]))
    arena = np.full(int(np.prod(full)) * dtype.itemsize + offset, 0xA5, np.uint8)
    whole = arena[offset:].view(dtype).reshape(full).transpose(np.argsort(order))
    return arena, whole[tuple(slice(None, None, step) for step in steps)]


@given(
    shape=st.lists(st.integers(1, 3), max_size=3).flatmap(
        lambda outer: st.tuples(*map(st.just, outer), st.integers(1, 9), st.integers(1, 40))
    ),
    dtype=st.sampled_from([*INTEGERS, *REALS, "?", "c8", "c16", ">u2", ">f4"]),
    how=st.sampled_from(METHODS),
    few=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_layout_equals_the_reference(shape, dtype, how, few, seed):
    if np.dtype(dtype).kind == "c" and how in ("mode", "max"):
        how = "nearest"
    rng = np.random.default_rng(seed)
    block = laid_out(rng, shape, dtype)[1]
    block[...] = numbers(rng, shape, dtype, few)
    with np.errstate(over="ignore"):
        expected = reference(block.astype(block.dtype.newbyteorder("=")), how)
    check(halve(block, how), expected, how)
    seed_of_both = int(rng.integers(1 << 30))
    arena, out = laid_out(np.random.default_rng(seed_of_both), expected.shape, expected.dtype)
    expected_arena, in_place = laid_out(np.random.default_rng(seed_of_both), expected.shape, expected.dtype)
    if np.dtype(dtype).isnative:
        assert halve(block, how, None, out) is out
        in_place[...] = out
        check(out, expected, how)
        np.testing.assert_array_equal(arena, expected_arena)  # nothing else was touched


@pytest.mark.parametrize("dtype", [*INTEGERS, *REALS, "?"])
@pytest.mark.parametrize("how", METHODS)
def test_rows_longer_than_the_buffers(dtype, how):
    rng = np.random.default_rng(5)
    block = numbers(rng, (5, 4219), dtype, few=True)
    expected = reference(block, how)
    check(halve(block, how), expected, how)
    padded = np.zeros((5, 2 * 4219), dtype)
    padded[:, ::2] = block
    check(halve(padded[:, ::2], how), expected, how)


@pytest.mark.parametrize("samples", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4"])
@pytest.mark.parametrize("shift", [0, 1])
def test_interleaved_samples(samples, dtype, shift):
    """Pixels of several samples, as colours are stored: a loop of its own, unless addresses are odd."""
    rng = np.random.default_rng(1)
    for rows, cols in ((37, 61), (4, 64), (1, 1), (1, 5), (5, 1)):
        nbytes = 2 * rows * cols * samples * np.dtype(dtype).itemsize
        block = np.zeros(nbytes + shift, np.uint8)[shift:].view(dtype).reshape(2, rows, cols, samples)
        block[...] = numbers(rng, block.shape, dtype, few=False)
        planes = block.transpose(0, 3, 1, 2)[:, :, np.newaxis]
        expected = reference(planes, "mean")
        out = np.zeros((2, (rows + 1) // 2, (cols + 1) // 2, samples), dtype)
        halve(planes, "mean", None, out.transpose(0, 3, 1, 2)[:, :, np.newaxis])
        check(out.transpose(0, 3, 1, 2)[:, :, np.newaxis], expected, "mean")
        check(halve(planes, "max"), reference(planes, "max"), "max")
        check(halve(planes, "mean"), expected, "mean")  # from pixels into planes
        check(halve(planes[..., ::-1], "mean"), reference(planes[..., ::-1], "mean"), "mean")


def test_a_source_that_stands_still():
    row = np.arange(7, dtype="u2")
    np.testing.assert_array_equal(
        halve(np.broadcast_to(row, (2, 5, 7))), np.broadcast_to([1, 3, 5, 6], (2, 3, 4))
    )
    np.testing.assert_array_equal(halve(np.broadcast_to(np.float32(3), (9, 9))), np.full((5, 5), 3, "f4"))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_means_round_halves_up_and_do_not_overflow(dtype):
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    block = np.array([[high, high, low, low, low, high, 1, 2], [high, high, low, low, low, high, 1, 2]], dtype)
    assert halve(block)[0].tolist() == [high, low, (low + high + 1) // 2, 2]
    if low < 0:
        assert halve(np.array([[-1, -2, -1, 0, -3, -2]], dtype)).tolist() == [[-1, 0, -2]]


@pytest.mark.parametrize("dtype", REALS)
def test_reals(dtype):
    largest = np.finfo(dtype).max
    block = np.array([[np.nan, 1, largest, largest, -largest, -largest, 1, 2]] * 2, dtype)
    np.testing.assert_array_equal(halve(block), np.array([[np.nan, largest, -largest, 1.5]], dtype))
    for first in (True, False):
        pair = [np.nan, 1] if first else [1, np.nan]
        np.testing.assert_array_equal(halve(np.array([pair, [0, 0]], dtype), "max"), [[np.nan]])
    np.testing.assert_array_equal(halve(np.array([[1, np.nan], [np.nan, np.nan]], dtype), "mode"), [[np.nan]])


@pytest.mark.parametrize(
    ("pixels", "winner"),
    [("1234", 1), ("1223", 2), ("1233", 3), ("2131", 1), ("1221", 1), ("2211", 2), ("1222", 2), ("0110", 0)],
)
def test_ties_of_labels_go_to_the_first_in_reading_order(pixels, winner):
    block = np.array([int(pixel) for pixel in pixels], np.uint32).reshape(2, 2)
    assert halve(block, "mode") == winner


@pytest.mark.parametrize("how", METHODS)
def test_workers_share_planes_and_rows(how):
    rng = np.random.default_rng(2)
    for shape in ((2, 3, 2, 700, 701), (2999, 2001)):
        block = rng.integers(0, 4, shape).astype(np.uint16)
        n_threads = 4
        workers, barrier = Workers(n_threads), Barrier(n_threads)

        def work(block=block, workers=workers, barrier=barrier):
            barrier.wait()
            return halve(block, how, workers)

        expected = halve(block, how)
        with ThreadPoolExecutor(n_threads) as pool:
            for done in [pool.submit(work) for _ in range(n_threads)]:
                np.testing.assert_array_equal(done.result(), expected)
        workers.close()


def test_one_counter_many_threads():
    """All threads enter the kernel at once; with a budget of a byte each call does one block."""
    src = np.random.default_rng(3).integers(0, 65536, (1, 3, 4, 401, 5003), np.uint16)
    dst = np.zeros((1, 3, 4, 201, 2502), np.uint16)
    counter, barrier, n_threads = np.zeros(1, np.int64), Barrier(8), 8

    def work(_):
        calls = 0
        barrier.wait()
        while not _kernels.downsample(src, dst, "mean", counter, 1):
            calls += 1
        return calls

    with ThreadPoolExecutor(n_threads) as pool:
        calls = sum(pool.map(work, range(n_threads)))
    assert calls == counter[0] - n_threads > n_threads
    np.testing.assert_array_equal(dst, halve(src))


def test_a_stopped_counter_ends_the_work():
    dst = np.zeros((1, 1, 1, 2, 2), np.uint8)
    for value in (1 << 62, -(1 << 62)):
        assert _kernels.downsample(
            np.ones((1, 1, 1, 4, 4), np.uint8), dst, "mean", np.array([value], np.int64), 1 << 30
        )
    assert not dst.any()


def test_empty_blocks():
    for shape in ((0, 3), (3, 0), (0, 4, 4)):
        assert halve(np.zeros(shape, "u1")).size == 0


def test_refusals():
    block = np.zeros((3, 5, 4), "u2")
    for wrong, message in (
        (lambda: halve(block, "median"), "downsampling is one of mean, nearest, mode, max, not 'median'"),
        (lambda: halve(block[0, 0]), "two to five axes, not 1"),
        (lambda: halve(block.astype("c8"), "mode"), "complex numbers have no mode"),
        (lambda: halve(block.astype("S3"), "mode"), "no downsampling"),
        (lambda: halve(block.astype("datetime64[s]")), "no downsampling"),
        (lambda: halve(block, out=np.zeros((3, 2, 2), "u2")), "shape \\(3, 3, 2\\)"),
        (lambda: halve(block, out=np.zeros((3, 3, 2), "i2")), "must be uint16"),
        (lambda: halve(block.astype(">u2"), out=np.zeros((3, 3, 2), ">u2")), "byte order"),
    ):
        with pytest.raises(UsageError, match=message):
            wrong()
    with pytest.raises((ValueError, BufferError)):
        fixed = np.zeros((3, 3, 2), "u2")
        fixed.flags.writeable = False
        halve(block, out=fixed)


def test_the_door_checks_what_the_loops_rely_on():
    src, dst, counter = np.zeros((1, 1, 1, 4, 4), "u2"), np.zeros((1, 1, 1, 2, 2), "u2"), np.zeros(1, "i8")
    for arguments, message in (
        ((src[0], dst, 0, 1, counter, 1), "five axes"),
        ((src, np.zeros((1, 1, 1, 2, 3), "u2"), 0, 1, counter, 1), "axis 4"),
        ((src, np.zeros((2, 1, 1, 2, 2), "u2"), 0, 1, counter, 1), "axis 0"),
        ((src, dst.astype("u4"), 0, 1, counter, 1), "4 bytes"),
        ((src, dst, 4, 1, counter, 1), "method 4"),
        ((src, dst, -1, 1, counter, 1), "method -1"),
        ((src, dst, 0, 2, counter, 1), "not of kind 2"),
        ((src, dst, 2, 255, counter, 1), "not of kind 255"),
        ((src.astype("u8"), dst.astype("u8"), 0, -1, counter, 1), "not of kind -1"),
        ((src, dst, 0, 1, np.zeros(2, "i8"), 1), "one entry"),
    ):
        with pytest.raises(ValueError, match=message):
            downsample.downsample_planes(*arguments)


@given(size_y=st.integers(1, 10**6), size_x=st.integers(1, 10**6), n=st.integers(1, 22))
def test_sizes_of_levels(size_y, size_x, n):
    sizes = level_sizes(size_y, size_x, n)
    assert sizes[0] == (size_y, size_x) and len(sizes) == n
    for number, (y, x) in enumerate(sizes):
        assert (y, x) == (math.ceil(size_y / 2**number), math.ceil(size_x / 2**number))


@given(size=st.tuples(*[st.integers(1, 10**6)] * 2), tile=st.tuples(*[st.integers(1, 4096)] * 2))
def test_automatic_levels_end_at_the_first_that_fits_a_tile(size, tile):
    sizes = level_sizes(*size, n_levels("auto", size, tile))
    fits = [y <= tile[0] and x <= tile[1] for y, x in sizes]
    assert fits == [False] * (len(sizes) - 1) + [True]


def test_levels_below_one_pixel_are_lowered_and_logged(caplog):
    with caplog.at_level(logging.WARNING, "bfio"):
        assert n_levels(4, (5, 8), (16, 16)) == 4
        assert n_levels(np.int64(2), (1, 2), (16, 16)) == 2
        assert not caplog.records
        assert n_levels(5, (5, 8), (16, 16)) == 4
        assert n_levels(3, (1, 1), (16, 16)) == 1
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "5 levels of 8 x 5 pixels", "3 levels of 1 x 1 pixels",
    ]  # fmt: skip


@pytest.mark.parametrize("levels", [0, -1, 2.0, True, None, "all", ""])
def test_wrong_numbers_of_levels(levels):
    with pytest.raises(UsageError, match='levels must be "auto" or an integer'):
        n_levels(levels, (8, 8), (16, 16))

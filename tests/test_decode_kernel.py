"""The decode kernel against numpy: every codec, predictor, byte order, memory layout, step and conversion."""

import os
import threading

import imagecodecs
import numpy as np
import pytest
from fakes import saturated
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import CODECS, Case, random_tiles

from _tilecodec import decompress
from bfio import _kernels
from bfio._kernels import Status
from bfio.plan import NO_SLOT

ORDERS = ["planar", "interleaved", "backwards", "spread", "columns"]
DTYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "c8", "c16"]
NATIVE = [number for number in CODECS if _kernels.has_decompressor(number)]


@st.composite
def cases(draw):
    """Tiles of anything, and a rectangle of them."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    rows, cols, samples = draw(st.integers(1, 20)), draw(st.integers(1, 20)), draw(st.integers(1, 5))
    predictors = {"c": [1], "f": [1, 3]}.get(dtype.kind, [1, 2])
    predictor = draw(st.sampled_from(predictors))
    y0, x0, first = (draw(st.integers(0, size - 1)) for size in (rows, cols, samples))
    y_step, x_step = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    n_rows = draw(st.integers(1, (rows - 1 - y0) // y_step + 1))
    n_cols = draw(st.integers(1, (cols - 1 - x0) // x_step + 1))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return Case(
        random_tiles(rng, draw(st.integers(1, 3)), rows, cols, samples, dtype),
        compression=draw(st.sampled_from(NATIVE)),
        predictor=predictor,
        swap=draw(st.booleans()) and predictor != 3,
        samples=(first, draw(st.integers(1, samples - first))),
        steps=(y_step, x_step),
        rectangle=(y0, x0, n_rows, n_cols),
    )


@settings(max_examples=250, deadline=None)
@given(cases(), st.sampled_from(ORDERS))
def test_pixels_are_those_of_numpy(case, order):
    out = case.out(order)
    assert case.run(out) == []
    np.testing.assert_array_equal(out, case.wanted)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("compression", NATIVE)
def test_whole_tiles(compression, predictor, order, rng):
    case = Case(random_tiles(rng, 3, 16, 16, 3, "u2"), compression, predictor)
    out = case.out(order)
    assert case.run(out) == []
    np.testing.assert_array_equal(out, case.wanted)


@pytest.mark.parametrize("cols", [2049, 5000])
@pytest.mark.parametrize("swap", [False, True])
def test_few_columns_of_long_uncompressed_rows(cols, swap, rng):
    tiles = random_tiles(rng, 2, 5, cols, 2, "u2")
    case = Case(tiles, swap=swap, rectangle=(1, cols - 9, 2, 3), steps=(2, 3), samples=(1, 1))
    out = case.out()
    assert case.run(out) == []
    np.testing.assert_array_equal(out, case.wanted)


@pytest.mark.parametrize("steps", [(1, 1), (3, 1), (1, 3), (100, 1)])
@pytest.mark.parametrize("swap", [False, True])
def test_uncompressed_tiles_larger_than_the_chunk(steps, swap, rng):
    case = Case(random_tiles(rng, 2, 301, 700, 1, "u2"), swap=swap, steps=steps)
    out = case.out("spread")
    assert case.run(out) == []
    np.testing.assert_array_equal(out, case.wanted)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "f2", "f4", "f8"])
@pytest.mark.parametrize("source", ["u1", "u2", "i4", "f4"])
def test_conversion_saturates(source, dtype, order, rng):
    tiles = (rng.random((2, 6, 9, 2)) * 1000 - 100).astype("f8")
    tiles = saturated(tiles, np.dtype(source))
    case = Case(tiles, 8 if 8 in NATIVE else 5, dtype=dtype)
    out = case.out(order)
    assert case.run(out) == []
    np.testing.assert_array_equal(out, saturated(case.wanted, np.dtype(dtype)))


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4"])
def test_rescale(dtype, rng):
    case = Case(random_tiles(rng, 2, 6, 9, 2, "u2"), 5, dtype=dtype, rescale=(2.5, -20.0))
    out = case.out("interleaved")
    assert case.run(out) == []
    np.testing.assert_array_equal(out, saturated(case.wanted * 2.5 - 20.0, np.dtype(dtype)))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", ["u1", "f4", "c16"])
def test_sparse_tiles_are_filled(dtype, order, rng):
    case = Case(random_tiles(rng, 3, 7, 5, 2, dtype), 5, rectangle=(1, 2, 3, 3))
    fill = np.array([77], dtype)
    case.form["fill"][0, : fill.itemsize] = fill.view(np.uint8)
    case.tasks["nbytes"][1] = 0
    case.tasks["offset"][1] = 2**63
    out, wanted = case.out(order), case.wanted.copy()
    wanted[:, :, 1] = 77
    assert case.run(out) == []
    np.testing.assert_array_equal(out, wanted)


def test_only_the_rectangle_is_written(rng):
    case = Case(random_tiles(rng, 1, 16, 16, 1, "u2"), 5, rectangle=(2, 3, 4, 5))
    out = np.full((1, 1, 1, 30, 40), 999, np.uint16)
    case.tasks["y_dst"], case.tasks["x_dst"] = 10, 20
    assert case.run(out) == []
    np.testing.assert_array_equal(out[..., 10:14, 20:25], case.wanted)
    out[..., 10:14, 20:25] = 999
    assert (out == 999).all()


@pytest.mark.parametrize("compression", NATIVE)
@pytest.mark.parametrize("predictor", [1, 2])
def test_cache_slots(compression, predictor, rng):
    case = Case(random_tiles(rng, 3, 8, 8, 1, "u2"), compression, predictor, rectangle=(2, 2, 3, 3))
    slab = np.zeros(4 * 128, np.uint8)
    case.tasks["slot"] = [256, 0, 128]
    assert case.run(case.out(), slab=slab) == []
    np.testing.assert_array_equal(slab.view("u2")[:192].reshape(3, 8, 8), case.tiles[[1, 2, 0], ..., 0])
    case.tasks["ready"] = 1
    out = case.out("spread")
    assert case.run(out, data=b"", slab=slab) == []
    np.testing.assert_array_equal(out, case.wanted)


@pytest.mark.parametrize("slots", [False, True])
@pytest.mark.parametrize(("dtype", "predictor", "swap"), [("u2", 1, True), ("u2", 2, False), ("f4", 3, False)])
@pytest.mark.parametrize("compression", NATIVE)
def test_large_tiles_are_decoded_as_far_as_somebody_looks(compression, dtype, predictor, swap, slots, rng):
    tiles = random_tiles(rng, 2, 900, 320, 1, dtype)
    case = Case(tiles, compression, predictor, swap=swap, rectangle=(100, 7, 20, 99), steps=(3, 1))
    slab = np.zeros(tiles.nbytes, np.uint8)
    if slots:
        case.tasks["slot"], case.tasks["decoded_rows"] = [tiles[0].nbytes, 0], [158, 900]
    out = case.out()
    assert case.run(out, slab=slab) == []
    np.testing.assert_array_equal(out, case.wanted)
    if slots:
        whole, part = slab.view(dtype).reshape(2, 900, 320)
        np.testing.assert_array_equal(whole, tiles[1, ..., 0])
        np.testing.assert_array_equal(part[:158], tiles[0, :158, :, 0])
        assert compression not in (50000, 34926) or not part[-300:].any()


def test_rectangles_lie_in_the_rows_that_are_decoded(rng):
    case = Case(random_tiles(rng, 6, 8, 8, 1, "u2"), 5, rectangle=(1, 0, 3, 8), steps=(2, 1))
    slab = np.zeros(6 * 128, np.uint8)
    case.tasks["slot"] = np.arange(6) * 128
    case.tasks["decoded_rows"] = [6, 5, 1, 8, 9, 2**32 - 1]
    refused = [(Status.BAD_TASK, index) for index in (1, 2, 4, 5)]
    assert case.run(case.out(), slab=slab) == refused
    case.tasks["ready"] = 1
    assert case.run(case.out(), slab=slab) == refused
    case.tasks["slot"], case.tasks["ready"] = NO_SLOT, 0
    assert case.run(case.out()) == refused


def test_tasks_without_rows_only_fill_their_slot(rng):
    case = Case(random_tiles(rng, 2, 8, 8, 1, "u1"), 5)
    slab = np.zeros(128, np.uint8)
    case.tasks["slot"], case.tasks["rows"][1] = [0, 64], 0
    out = np.full((1, 1, 1, 8, 8), 9, np.uint8)
    assert case.run(out, slab=slab) == []
    np.testing.assert_array_equal(slab.reshape(2, 8, 8), case.tiles[..., 0])
    np.testing.assert_array_equal(out[0, 0, 0], case.tiles[0, ..., 0])


@pytest.mark.parametrize("compression", NATIVE)
def test_file_path_equals_data_path(compression, rng, tmp_path):
    path = tmp_path / "tiles"
    case = Case(random_tiles(rng, 5, 9, 11, 3, "u2"), compression, 2, steps=(2, 3), samples=(1, 2))
    path.write_bytes(b"in front" + case.data)
    from_data, from_file = case.out(), case.out()
    assert case.run(from_data) == []
    case.tasks["offset"] += np.uint64(8)
    with path.open("rb") as stream:
        assert case.run(from_file, fd=stream.fileno()) == []
    np.testing.assert_array_equal(from_file, from_data)


@pytest.mark.parametrize("compression", [1, 5])
def test_a_descriptor_that_can_not_be_read(compression, rng):
    case = Case(random_tiles(rng, 2, 8, 8, 1, "u1"), compression)
    reading, writing = os.pipe()
    os.close(writing)
    try:
        assert case.run(case.out(), fd=reading) == [(Status.READ_FAILED, 0), (Status.READ_FAILED, 1)]
    finally:
        os.close(reading)
    assert case.run(case.out(), fd=reading) == [(Status.READ_FAILED, 0), (Status.READ_FAILED, 1)]


def test_statuses_of_broken_tiles(rng):
    case = Case(random_tiles(rng, 5, 8, 8, 1, "u1"))
    case.tasks["offset"][1] = len(case.data) - 5
    case.tasks["offset"][2] = 2**64 - 1
    case.tasks["nbytes"][3] = 63
    out = case.out()
    assert case.run(out) == [(Status.TRUNCATED, 1), (Status.TRUNCATED, 2), (Status.TOO_SHORT, 3)]
    np.testing.assert_array_equal(out[:, :, [0, 4]], case.wanted[:, :, [0, 4]])


def test_budget(rng):
    case = Case(random_tiles(rng, 10, 8, 8, 1, "u1"), 5)
    out, counter = case.out(), np.zeros(1, np.int64)
    calls = []
    while True:
        answer = _kernels.decode_tiles(case.form, case.tasks, -1, case.data, out, None, counter, 130)
        calls.append((answer, counter[0]))
        if answer[1] == -1:
            break
    assert [answer for answer, _ in calls] == [(0, -2)] * 5 + [(0, -1)]
    assert [n for _, n in calls] == [2, 4, 6, 8, 10, 11]
    np.testing.assert_array_equal(out, case.wanted)


@pytest.mark.parametrize("start", [2**62, 10, -5])
def test_a_counter_out_of_range_does_nothing(start, rng):
    case = Case(random_tiles(rng, 3, 4, 4, 1, "u1"))
    out = case.out()
    out[...] = 3
    counter = np.array([start])
    assert _kernels.decode_tiles(case.form, case.tasks, -1, case.data, out, None, counter, 1 << 40) == (0, -1)
    assert (out == 3).all()


@pytest.mark.parametrize("compression", NATIVE)
def test_threads_on_one_counter(compression, rng):
    n_threads, n_tiles = 6, 400
    case = Case(random_tiles(rng, n_tiles, 16, 16, 1, "u2"), compression, 2)
    case.tasks["nbytes"][::7] //= 2
    out, counter = case.out(), np.zeros(1, np.int64)
    barrier, answers = threading.Barrier(n_threads), []

    def work():
        barrier.wait(10)
        while (
            answers.append(_kernels.decode_tiles(case.form, case.tasks, -1, case.data, out, None, counter, 4096))
            or answers[-1][1] != -1
        ):
            pass

    threads = [threading.Thread(target=work) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    refused = sorted(index for status, index in answers if status)
    assert refused == list(range(0, n_tiles, 7))
    assert counter[0] == n_tiles + n_threads
    good = np.arange(n_tiles) % 7 > 0
    np.testing.assert_array_equal(out[:, :, good], case.wanted[:, :, good])


@pytest.mark.parametrize("compression", sorted(CODECS))
def test_codec_door(compression):
    data = bytes(range(50)) * 20
    if compression not in NATIVE:
        assert decompress.decompress(compression, CODECS[compression](data), 1000)[0] == Status.NO_CODEC
        return
    encoded = CODECS[compression](data)
    assert decompress.decompress(compression, encoded, 1000) == (Status.OK, data)
    for cut in range(0, len(encoded), 7):
        status = decompress.decompress(compression, encoded[:cut], 1000)[0]
        assert status in (Status.TRUNCATED, Status.CORRUPT, Status.TOO_SHORT)
    assert decompress.decompress(compression, encoded, 1001)[0] in (Status.TRUNCATED, Status.TOO_SHORT, Status.CORRUPT)
    assert decompress.decompress(compression, b"", 10)[0] in (Status.TRUNCATED, Status.CORRUPT, Status.TOO_SHORT)


@pytest.mark.parametrize("compression", sorted({8, 50000} & set(NATIVE)))
def test_streams_longer_than_the_tile(compression):
    assert decompress.decompress(compression, CODECS[compression](bytes(1000)), 999)[0] == Status.TOO_LONG


@pytest.mark.parametrize("compression", [0, 2, 7, 34925, 65535])
def test_compressions_without_a_kernel(compression, rng):
    case = Case(random_tiles(rng, 1, 4, 4, 1, "u1"))
    case.form["compression"] = compression
    counter = np.zeros(1, np.int64)
    answer = _kernels.decode_tiles(case.form, case.tasks, -1, case.data, case.out(), None, counter, 100)
    assert answer == (Status.NO_CODEC, 0)
    assert not _kernels.has_decompressor(compression)


def test_what_a_build_has_agrees_with_what_it_says():
    info = _kernels.build_info()
    assert (info["libdeflate"] is not None) == (8 in NATIVE) == (32946 in NATIVE)
    assert (info["zstd"] is not None) == (50000 in NATIVE) == (34926 in NATIVE)
    assert {1, 5, 32773} <= set(NATIVE)


def test_numpy_reference_is_that_of_imagecodecs(rng):
    tiles = rng.random((1, 6, 10, 1)).astype("f4")
    case = Case(tiles, predictor=3)
    theirs = imagecodecs.floatpred_encode(tiles[0, ..., 0], axis=1)
    assert np.asarray(theirs).tobytes() == case.data

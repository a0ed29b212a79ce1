"""Iteration by tiles. The oracle cuts tiles out of a padded array."""

import threading
import time

import numpy as np
import pytest
from fakes import FakeBackend, sample_image
from hypothesis import given, settings
from hypothesis import strategies as st

from bfio.errors import UsageError
from bfio.reader import BioReader
from bfio.tileiter import TileGrid, source_indices


def reader_of(image, workers=1, **changes):
    reader = BioReader._from_backend(FakeBackend(image, **changes))
    reader._max_workers = workers
    return reader


def expected_tiles(plane, size, stride):
    """(x, y, tile) in the order X outer, Y inner, from a plane (Y, X, C)."""
    mirrored = any(length > step for length, step in zip(size, stride, strict=True))
    pads = [(length + step, length + step) for length, step in zip(size, stride, strict=True)]
    mode = {"mode": "symmetric"} if mirrored else {}
    wide = np.pad(plane, [*pads, (0, 0)], **mode)
    firsts = [-int((length - step) / 2) for length, step in zip(size, stride, strict=True)]
    for column in range(-(-plane.shape[1] // stride[1])):
        for row in range(-(-plane.shape[0] // stride[0])):
            y, x = firsts[0] + row * stride[0], firsts[1] + column * stride[1]
            top, left = y + pads[0][0], x + pads[1][0]
            yield x, y, wide[top : top + size[0], left : left + size[1]]


lengths = st.integers(1, 9)


@settings(max_examples=200, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(1, 3)] * 3, st.integers(1, 20), st.integers(1, 20)),
    size=st.tuples(lengths, lengths),
    stride=st.tuples(lengths, lengths),
    batch_size=st.one_of(st.none(), st.integers(1, 7)),
    workers=st.sampled_from([1, 2]),
)
def test_tiles_of_all_planes(sizes, size, stride, batch_size, workers):
    image = sample_image(*sizes)
    batches = reader_of(image, workers)(size, stride, batch_size, channels=None, Z=None, T=None)
    found = [one for batch in batches for one in zip(batch[0], *batch[1], strict=True)]
    wanted = [
        (t, z, *tile)
        for t in range(sizes[0])
        for z in range(sizes[2])
        for tile in expected_tiles(image[t, :, z].transpose(1, 2, 0), size, stride)
    ]
    assert len(found) == len(wanted) == batches.n_tiles
    for (tile, x, y, z, c, t), (wanted_t, wanted_z, left, top, pixels) in zip(found, wanted, strict=True):
        assert (x, y) == ([left, left + size[1]], [top, top + size[0]])
        assert (z, c, t) == ([wanted_z, wanted_z + 1], list(range(sizes[1])), [wanted_t])
        np.testing.assert_array_equal(tile, pixels)


def test_shape_order_and_index_of_the_old_contract():
    image = sample_image(y=600, x=500)
    batches = list(reader_of(image)([256, 256]))
    assert len(batches) == 1
    images, (x, y, z, c, t) = batches[0]
    assert images.shape == (6, 256, 256, 1) and images.dtype == image.dtype
    assert [pair[0] for pair in x] == [0, 0, 0, 256, 256, 256]
    assert [pair[0] for pair in y] == [0, 256, 512] * 2
    assert (z[0], c[0], t[0]) == ([0, 1], [0], [0])
    assert not images[2, 600 - 512 :].any() and not images[5, :, 500 - 256 :].any()


def test_overlapping_tiles_start_before_the_image_and_mirror_it():
    image = sample_image(y=400, x=400)
    images, index = next(iter(reader_of(image)((256, 256), (200, 200))))
    assert index[0][0] == index[1][0] == [-28, 228]
    plane = image[0, 0, 0]
    np.testing.assert_array_equal(images[0, :28, 28:, 0], plane[27::-1, :228])
    np.testing.assert_array_equal(images[0, 28:, :28, 0], plane[:228, 27::-1])
    np.testing.assert_array_equal(images[3, -28:, :28, 0], plane[:-29:-1, 172:200])


def test_only_the_first_plane_is_read_by_default():
    backend = FakeBackend(sample_image(2, 3, 2))
    list(BioReader._from_backend(backend)((4, 4)))
    assert {(box.t, box.c, box.z) for _, _, box in backend.requests} == {((0,), (0,), (0,))}


def test_channels_and_planes_by_choice():
    image = sample_image(2, 4, 3)
    images, index = next(iter(reader_of(image)((5, 7), channels=[3, 1], Z=(1, 3), T=1)))
    np.testing.assert_array_equal(images, image[1][[3, 1], 1:].transpose(1, 2, 3, 0))
    assert index[2:] == ([[1, 2], [2, 3]], [[3, 1]] * 2, [[1]] * 2)


def test_tiles_of_a_level():
    image = sample_image(y=9, x=8)
    reader = BioReader._from_backend(FakeBackend(image, n_levels=2), level=1)
    images, _ = next(iter(reader((5, 4))))
    np.testing.assert_array_equal(images[0, ..., 0], image[0, 0, 0, ::2, ::2])


def test_neighbours_are_read_once():
    backend = FakeBackend(sample_image(y=100, x=10))
    list(BioReader._from_backend(backend)((10, 10)))
    assert [box.shape for _, _, box in backend.requests] == [(1, 1, 1, 100, 10)]


def test_batches_keep_their_size_but_the_last():
    batches = reader_of(sample_image(y=10, x=10))((2, 2), batch_size=7)
    assert [len(images) for images, _ in batches] == [7, 7, 7, 4]
    assert len(batches) == 4


def test_default_batch():
    reader = reader_of(sample_image(y=3000, x=3000))
    assert reader.maximum_batch_size((1024, 1024)) == 3
    assert reader.maximum_batch_size([256, 256], [200, 200]) == 15 * 4
    assert len(next(iter(reader((1024, 1024))))[0]) == 3


def test_the_next_batch_is_read_while_the_consumer_works():
    backend = FakeBackend(sample_image(y=40, x=4))
    reader = BioReader._from_backend(backend)
    reader._max_workers = 2
    iterator = iter(reader((4, 4), batch_size=1))
    next(iterator)
    deadline = time.monotonic() + 10
    while len(backend.requests) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert 2 <= len(backend.requests) <= 4
    iterator.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_worker_reaches_the_consumer(workers):
    backend = FakeBackend(sample_image(y=40, x=4))
    plain = backend.read

    def read(series, level, box, out, rescale=None):
        if box.y.start == 8:
            raise OSError("broken disk")
        plain(series, level, box, out, rescale)

    backend.read = read
    reader = BioReader._from_backend(backend)
    reader._max_workers = workers
    seen = []
    with pytest.raises(OSError, match="broken disk"):
        for images, _ in reader((4, 4), batch_size=1):
            seen.append(images)
    assert len(seen) == 2


def test_two_iterations_of_one_reader_do_not_disturb_each_other():
    image = sample_image(y=64, x=64)
    reader = reader_of(image, workers=2)
    sums = []

    def work(size):
        sums.append(sum(int(images.sum()) for images, _ in reader((size, size), batch_size=3)))

    threads = [threading.Thread(target=work, args=(size,)) for size in (4, 8, 16, 32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sums == [int(image.sum())] * 4


def test_iterating_without_a_call_tells_what_to_do():
    with pytest.raises(UsageError, match="call it first"):
        iter(reader_of(sample_image()))


@pytest.mark.parametrize("size", [(0, 4), 4, (4, 4, 4), (4.0, 4), (-1, 4)], ids=repr)
def test_sizes_are_checked_at_the_call(size):
    with pytest.raises(UsageError, match="tile_size"):
        reader_of(sample_image())(size)


@pytest.mark.parametrize("arguments", [((0, 1),), ((1,),), (None, 0), (None, None, [9])], ids=repr)
def test_arguments_are_checked_at_the_call(arguments):
    with pytest.raises(UsageError):
        reader_of(sample_image())((4, 4), *arguments)


@given(st.integers(-50, 50), st.integers(0, 60), st.integers(1, 20))
def test_source_indices_mirror_as_numpy_pads(start, length, size):
    stop = start + length
    image = np.arange(size)
    wide = np.pad(image, 120, mode="symmetric")
    np.testing.assert_array_equal(source_indices(start, stop, size, mirrored=True), wide[120 + start : 120 + stop])
    zeros = np.pad(image, 120, constant_values=-1)
    np.testing.assert_array_equal(source_indices(start, stop, size, mirrored=False), zeros[120 + start : 120 + stop])


def test_grid_covers_every_pixel_when_tiles_do_not_leave_gaps():
    grid = TileGrid((1000, 7), (256, 5), (200, 5))
    assert grid.starts(0) == [-28, 172, 372, 572, 772] and grid.starts(1) == [0, 5]

"""The encode kernel against numpy: what it writes, the decode kernel reads back as the same pixels."""

import os
import threading
import time
from itertools import pairwise

import numpy as np
import pytest
from encode_cases import COMPRESSED, DTYPES, NATIVE, ORDERS, Job, contents, noise, ordered
from fakes import saturated
from hypothesis import given, settings
from hypothesis import strategies as st

from bfio import _kernels
from bfio._kernels import N_END, Progress, Status


@st.composite
def jobs(draw):
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    samples, channels = draw(st.sampled_from([(1, 1), (1, 2), (2, 4), (3, 3), (3, 6), (5, 5)]))
    shape = (
        draw(st.integers(1, 2)),
        channels,
        draw(st.integers(1, 2)),
        draw(st.integers(1, 40)),
        draw(st.integers(1, 40)),
    )
    predictors = {"c": [1], "f": [1, 3]}.get(dtype.kind, [1, 2])
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return Job(
        ordered(noise(rng, shape, dtype), draw(st.sampled_from(ORDERS))),
        tile=(draw(st.integers(1, 20)), draw(st.integers(1, 20))),
        compression=draw(st.sampled_from(NATIVE)),
        predictor=draw(st.sampled_from(predictors)),
        samples=samples,
        n_slots=draw(st.integers(1, 9)),
        entry=draw(st.sampled_from([4, 8])),
    )


@settings(max_examples=200, deadline=None)
@given(jobs(), st.booleans())
def test_pixels_come_back(tmp_path_factory, job, shared):
    path = tmp_path_factory.mktemp("encode") / "tiles"
    with path.open("wb+") as stream:
        os.ftruncate(stream.fileno(), job.front)
        assert job.run(stream.fileno(), shared=shared) == []
    data = path.read_bytes()
    np.testing.assert_array_equal(job.read(data), job.image)
    np.testing.assert_array_equal(job.offsets, job.front + np.cumsum([0, *job.nbytes[:-1]]))
    assert job.end[0] == len(data) == job.offsets[-1] + job.nbytes[-1]
    assert job.progress[Progress.COMMITTED] == job.n


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("order", [*ORDERS, "upside down"])
def test_long_rows_are_written_from_where_they_lie(order, shared, n_threads, file, rng):
    """Tiles of 300 rows, so that one system call does not take all of a write. Some are whole, others lack rows or columns."""
    for samples, cols in ((1, 512), (3, 176)):
        image = noise(rng, (1, samples, 2, 640, 2 * cols + 7), "u2")
        image = image[..., ::-1, :] if order == "upside down" else ordered(image, order)
        job = Job(image, (300, cols), samples=samples)
        assert job.tile_nbytes // 300 >= _kernels.LONG_ROW
        os.ftruncate(file, 0)
        os.ftruncate(file, job.front)
        assert job.run(file, n_threads, shared=shared) == []
        np.testing.assert_array_equal(job.read(contents(file)), image)
        copied = Job(image.copy(), (300, cols), samples=samples, n_slots=job.n)
        assert copied.run(-1) == []  # nothing is written, so all is gathered
        slots = copied.arena[: copied.n * copied.tile_nbytes].reshape(copied.n, -1)
        np.testing.assert_array_equal(np.frombuffer(contents(file)[job.front :], "u1").reshape(copied.n, -1), slots)


@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("compression", NATIVE)
def test_what_the_image_does_not_cover_is_zero(compression, predictor, file, rng):
    job = Job(noise(rng, (1, 3, 1, 21, 37), "u2") + np.uint16(1), (16, 32), compression, predictor, samples=3)
    assert job.run(file) == []
    tiles = job.tiles(contents(file)).reshape(2, 2, 3, 16, 32)
    assert (tiles != 0).sum() == 21 * 37 * 3
    np.testing.assert_array_equal(tiles[0, 0], job.image[0, :, 0, :16, :32])
    np.testing.assert_array_equal(tiles[1, 1, :, :5, :5], job.image[0, :, 0, 16:, 32:])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", ["u1", "i2", "f2", "f4", "f8"])
@pytest.mark.parametrize("source", ["u1", "u2", "i4", "f2", "f4"])
def test_conversion_saturates(source, dtype, order, file, rng):
    image = ordered(saturated(rng.random((1, 2, 1, 19, 23)) * 1000 - 100, np.dtype(source)), order)
    job = Job(image, (16, 16), COMPRESSED[0], 3 if dtype in ("f4", "f8") else 1, samples=2, dtype=dtype)
    assert job.run(file) == []
    np.testing.assert_array_equal(job.read(contents(file)), saturated(image, np.dtype(dtype)))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("tile", [(16, 16), (64, 64)])
@pytest.mark.parametrize("compression", NATIVE)
def test_threads_make_the_same_file(compression, tile, shared, file, rng):
    image = noise(rng, (2, 1, 2, 250, 240), "u2")
    image[0, :, 0] = 0  # tiles that take a different time
    job = Job(image, tile, compression, 2, n_slots=16)
    os.ftruncate(file, job.front)
    assert job.run(file, shared=shared) == []
    wanted = contents(file)
    np.testing.assert_array_equal(job.read(wanted), image)
    for n_threads, n_slots, budget in [(2, 1, 1 << 40), (8, 16, 1 << 40), (8, 3, 3000)]:
        job.n_slots = n_slots
        job.fresh()
        os.ftruncate(file, 0)
        os.ftruncate(file, job.front)
        assert job.run(file, n_threads, budget=budget, shared=shared) == []
        assert contents(file) == wanted


def test_without_a_file_tiles_stay_in_their_slots(rng):
    image = noise(rng, (1, 1, 1, 100, 100), "u2")
    job = Job(image, (32, 32), COMPRESSED[0], 2, n_slots=20)
    assert job.run(-1, 4) == []
    slot_nbytes = job.arena.size // job.n_slots
    np.testing.assert_array_equal(job.decoded(job.arena, np.arange(16) * slot_nbytes, job.nbytes), image)
    assert not job.offsets.any()


@pytest.mark.parametrize("compression", NATIVE)
def test_many_calls_append_to_one_file(compression, file, rng):
    jobs = [Job(noise(rng, (1, 1, 1, 90, 90), "u2"), (16, 16), compression, 2) for _ in range(6)]
    end = np.zeros(N_END, np.int64)
    end[0] = 6 * jobs[0].front
    for number, job in enumerate(jobs):
        job.end = end
        job.offset_entries += number * job.front
        job.count_entries += number * job.front
    threads = [threading.Thread(target=job.run, args=(file, 2)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    data = contents(file)
    assert len(data) == end[0]
    spans = sorted((start, start + n) for job in jobs for start, n in zip(job.offsets, job.nbytes, strict=True))
    assert all(one[1] == other[0] for one, other in pairwise(spans))
    for number, job in enumerate(jobs):
        entries = np.frombuffer(data, "u8", 2 * job.n, number * job.front).reshape(2, -1)
        np.testing.assert_array_equal(entries, [job.offsets, job.nbytes])
        np.testing.assert_array_equal(job.decoded(data, job.offsets, job.nbytes), job.image)


@pytest.mark.skipif(not _kernels.CAN_SHARE, reason="no lock between processes here")
def test_processes_and_threads_share_a_file(file, tmp_path, rng):
    jobs = [Job(noise(rng, (1, 1, 1, 200, 200), "u2"), (16, 16), 1) for _ in range(4)]
    os.ftruncate(file, 4 * jobs[0].front)
    for number, job in enumerate(jobs):
        job.offset_entries += number * job.front
        job.count_entries += number * job.front
    child = os.fork()
    if child == 0:
        try:
            fd = os.open(tmp_path / "tiles", os.O_RDWR)  # a lock belongs to an open file, not to a process
            for job in jobs[:2]:
                assert job.run(fd, shared=True) == []
            os._exit(0)
        finally:
            os._exit(1)
    jobs[3].end = jobs[2].end
    threads = [threading.Thread(target=job.run, args=(file, 1), kwargs={"shared": True}) for job in jobs[2:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    data = contents(file)
    assert len(data) == 4 * jobs[0].front + sum(job.n * job.tile_nbytes for job in jobs)
    for number, job in enumerate(jobs):
        offsets, nbytes = np.frombuffer(data, "u8", 2 * job.n, number * job.front).reshape(2, -1)
        np.testing.assert_array_equal(job.decoded(data, offsets, nbytes), job.image)


def test_another_process_that_keeps_the_lock_does_not_hold_signals_up(file, tmp_path, rng):
    fcntl = pytest.importorskip("fcntl")
    job = Job(noise(rng, (1, 1, 1, 16, 16), "u2"))
    with (tmp_path / "tiles").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        for _ in range(2):
            start = time.monotonic()
            assert job.call(file, shared=True) == (Status.OK, -2)
            assert time.monotonic() - start < 1
    assert not job.progress[Progress.COMMITTED] and not job.end[8]
    assert job.call(file, shared=True) == (Status.OK, -1)
    assert job.progress[Progress.COMMITTED] == 1

"""The encode kernel when things go wrong: full disks, bad descriptors, stops, and tasks that are none."""

import errno
import os
import resource
import signal
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from encode_cases import COMPRESSED, NATIVE, ORDERS, Job, contents, noise, ordered
from hypothesis import given, settings
from hypothesis import strategies as st

from bfio import _kernels
from bfio._kernels import N_END, Progress, Status
from bfio.plan import FORMAT, TASK


@pytest.mark.parametrize("n_threads", [1, 4])
@pytest.mark.parametrize("compression", NATIVE)
def test_a_full_device(compression, n_threads, rng):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    job = Job(noise(rng, (1, 1, 1, 250, 240), "u2"), (16, 16), compression)
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        assert job.run(fd, n_threads) == [(Status.WRITE_FAILED, 0)]
        assert job.call(fd) == (Status.OK, -1)  # all stay stopped
    finally:
        os.close(fd)
    assert job.progress[Progress.ERRNO] == errno.ENOSPC
    assert not job.offsets.any() and job.progress[Progress.COMMITTED] == 0


@contextmanager
def file_limit(nbytes):
    """Sets the size that files may have. Not for longer than needed: what this process prints may go to a file too."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("n_threads", [1, 4])
@pytest.mark.parametrize("compression", NATIVE)
def test_a_file_that_may_not_grow(compression, n_threads, shared, file, rng):
    job = Job(noise(rng, (1, 1, 1, 250, 240), "u2"), (16, 16), compression)
    os.ftruncate(file, job.front)
    with file_limit(job.front + 30000):
        [(status, index)] = job.run(file, n_threads, shared=shared)
    assert status == Status.WRITE_FAILED and job.progress[Progress.ERRNO] == errno.EFBIG
    n = int(job.progress[Progress.COMMITTED])
    assert 0 < n == index < job.n
    data = contents(file)
    entries = np.frombuffer(data, "u8", 2 * job.n).reshape(2, -1)
    assert not job.offsets[n:].any() and not entries[:, n:].any()
    nbytes = np.where(job.offsets > 0, job.nbytes, 0)
    np.testing.assert_array_equal(entries, [job.offsets, nbytes])
    assert (job.offsets + nbytes <= len(data)).all()
    good = job.decoded(data, job.offsets, nbytes)
    rows = n // job.grid.tiles_across * 16
    np.testing.assert_array_equal(good[..., :rows, :], job.image[..., :rows, :])


@pytest.mark.parametrize("room", [0, 1, 2047, 2048, 600 * 1024, 1100 * 1024 + 5, 1200 * 1024])
def test_a_file_that_ends_within_a_tile(room, file, rng):
    """Tiles of 600 long rows, several of which one system call writes."""
    job = Job(noise(rng, (1, 1, 1, 1200, 1536), "u2"), (600, 512))
    os.ftruncate(file, job.front)
    with file_limit(job.front + room):
        [(status, index)] = job.run(file)
    assert status == Status.WRITE_FAILED and job.progress[Progress.ERRNO] == errno.EFBIG
    assert index == room // job.tile_nbytes == np.count_nonzero(job.offsets)
    data = contents(file)
    assert len(data) == job.front + room
    entries = np.frombuffer(data, "u8", 2 * job.n).reshape(2, -1)
    np.testing.assert_array_equal(entries, [job.offsets, np.where(job.offsets > 0, job.nbytes, 0)])
    good = job.decoded(data, job.offsets, entries[1])
    np.testing.assert_array_equal(good[..., :600, : 512 * index], job.image[..., :600, : 512 * index])


def test_entries_that_can_not_be_written(file, rng):
    job = Job(noise(rng, (1, 1, 1, 250, 240), "u2"), (16, 16))
    job.count_entries += 1 << 40
    with file_limit(1 << 30):
        [(status, index)] = job.run(file, 2)
    assert (status, index) == (Status.WRITE_FAILED, 0) and not job.offsets.any()


def test_classic_tiff_ends_at_4_gib(file, rng):
    job = Job(noise(rng, (1, 1, 1, 64, 16), "u1"), (16, 16), entry=4)
    start = job.end[0] = (1 << 32) - 1 - 2 * 256
    job.n_slots = 1
    assert job.run(file) == [(Status.LIMIT, 2)]
    assert job.offsets.tolist() == [start, start + 256, 0, 0]


@pytest.mark.parametrize("descriptor", ["closed", "read only", "pipe"])
def test_descriptors_that_can_not_be_written(descriptor, tmp_path, rng):
    job = Job(noise(rng, (1, 1, 1, 40, 40), "u2"))
    (tmp_path / "file").write_bytes(b"")
    reading, writing = os.pipe()
    plain = os.open(tmp_path / "file", os.O_RDONLY)
    fd = {"closed": plain, "read only": plain, "pipe": writing}[descriptor]
    if descriptor == "closed":
        os.close(plain)
    try:
        assert job.run(fd) == [(Status.WRITE_FAILED, 0)]
        assert job.progress[Progress.ERRNO] in (errno.EBADF, errno.ESPIPE)
    finally:
        os.close(reading)
        os.close(writing)
        if descriptor != "closed":
            os.close(plain)


def test_the_stop_flag(file, rng):
    job = Job(noise(rng, (1, 1, 1, 250, 240), "u2"), (16, 16), COMPRESSED[0])
    assert job.call(file, budget=1) == (0, -2)
    job.progress[Progress.STOP] = 1
    assert job.run(file, 3) == []
    assert job.progress[Progress.COMMITTED] == 1 and (job.offsets > 0).sum() == 1


@pytest.mark.parametrize("compression", NATIVE)
def test_stopped_at_any_time(compression, file, rng):
    job = Job(noise(rng, (1, 1, 1, 1000, 1000), "u2"), (16, 16), compression, 2)
    for delay in (0, 0.0005, 0.002, 0.005):
        job.fresh()
        os.ftruncate(file, 0)
        timer = threading.Timer(delay, lambda: job.progress.__setitem__(Progress.STOP, 1))
        timer.start()
        assert job.run(file, 4) == []
        timer.join()
        n = int(job.progress[Progress.COMMITTED])
        assert (job.offsets[:n] > 0).all() and not job.offsets[n:].any()
        entries = np.frombuffer(contents(file).ljust(job.front, b"\0"), "u8", 2 * job.n).reshape(2, -1)
        np.testing.assert_array_equal(entries, [job.offsets, np.where(job.offsets > 0, job.nbytes, 0)])


def test_budget(file, rng):
    job = Job(noise(rng, (1, 1, 1, 80, 32), "u1"), (16, 16), COMPRESSED[0], n_slots=8)
    seen = []
    while True:
        answer = job.call(file, budget=300)
        seen.append((answer, int(job.progress[Progress.COMMITTED])))
        if answer[1] == -1:
            break
    assert seen == [((0, -2), 2), ((0, -2), 4), ((0, -2), 6), ((0, -2), 8), ((0, -2), 10), ((0, -1), 10)]


# -- bad tasks and arguments ------------------------------------------------------------------------------------------


BAD_TASKS = {
    "y_dst": [31, 2**32 - 1],
    "x_dst": [25, 2**32 - 1],
    "rows": [0, 17, 2**32 - 1],
    "n_cols": [0, 17, 2**32 - 1],
    "y0": [1],
    "x0": [1],
    "slot": [0],
    "ready": [1],
    "decoded_rows": [1, 15, 2**32 - 1],
    "tile_rows": [0, 8, 17, 2**32 - 1],
    "plane_dst": [-1, 2, 1 << 40, -(1 << 62), (1 << 63) - 1],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_TASKS.items() for value in values])
@pytest.mark.parametrize("compression", [1, COMPRESSED[0]])
def test_bad_tasks(compression, name, value, file, rng):
    job = Job(noise(rng, (1, 1, 1, 40, 40), "u2"), compression=compression)
    job.tasks[name][4] = value
    [(status, index)] = job.run(file)
    assert (status, index) == (Status.BAD_TASK, 4)
    assert not job.offsets[4:].any()


BAD_FORMATS = {
    "cols": [0, 2**32 - 1],
    "samples": [0, 2],
    "n_samples": [0, 2],
    "first_sample": [1],
    "y_step": [0, 2],
    "x_step": [0, 2],
    "item_size": [0, 1, 3],
    "swap_size": [2],
    "src_kind": [0, 200],
    "dst_kind": [0, 200],
    "predictor": [0, 4],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_FORMATS.items() for value in values])
def test_bad_formats(name, value, file, rng):
    job = Job(noise(rng, (1, 1, 1, 40, 40), "u2"))
    job.form[name] = value
    [(status, index)] = job.run(file)
    assert status == Status.BAD_TASK and index == 0
    assert not job.offsets.any()


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(TASK.names)),
    st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-50, 50)),
    st.sampled_from(NATIVE),
    st.sampled_from(ORDERS),
)
def test_any_task_is_done_or_refused(name, value, compression, order):
    job = Job(
        ordered(noise(np.random.default_rng(0), (1, 2, 2, 20, 20), "u2"), order), (16, 16), compression, n_slots=16
    )
    job.tasks[name][3] = np.array(value).astype(TASK[name])
    failures = job.run(-1)
    assert failures in ([], [(Status.BAD_TASK, 3)])


def test_the_float_predictor_needs_numbers_it_knows(file, rng):
    job = Job(noise(rng, (1, 1, 1, 40, 40), "u1"), predictor=3)
    assert job.run(file) == [(Status.BAD_TASK, 0)]


def test_compressions_without_a_kernel(file, rng):
    job = Job(noise(rng, (1, 1, 1, 40, 40), "u1"))
    job.form["compression"] = 2
    assert job.run(file) == [(Status.NO_CODEC, 0)]


def test_slots_that_are_too_small(file, rng):
    job = Job(noise(rng, (1, 1, 1, 40, 41), "u2"), compression=COMPRESSED[0])
    job.arena = job.arena[: -job.n_slots]
    assert job.run(file) == [(Status.BAD_TASK, 0)]


@pytest.mark.parametrize(
    "change",
    [
        {"progress": np.zeros(31, np.int64)},
        {"nbytes": np.zeros(8, np.int64)},
        {"offsets": np.zeros(10, np.int64)},
        {"end": np.zeros(1, np.int64)},
        {"offset_entries": np.zeros(8, np.int64)},
        {"count_entries": np.zeros(8, np.int64)},
        {"n_slots": 0},
        {"n_slots": 1 << 40},
        {"entry": 2},
        {"image": np.zeros((1, 1, 40, 40), np.uint16)},
        {"image": np.zeros((1, 1, 1, 0, 40), np.uint16)},
        {"form": np.zeros(2, FORMAT)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_arguments_of_the_wrong_size(change, file, rng):
    job = Job(noise(rng, (1, 1, 1, 40, 40), "u2"))
    vars(job).update(change)
    with pytest.raises(ValueError):
        job.call(file)


def test_too_few_slots_without_a_file(rng):
    job = Job(noise(rng, (1, 1, 1, 40, 40), "u2"), n_slots=8)
    with pytest.raises(ValueError, match="too few slots"):
        job.call(-1)


def test_no_tasks(file, rng):
    job = Job(noise(rng, (1, 1, 1, 40, 40), "u2"))
    job.tasks = job.tasks[:0]
    assert job.call(file) == (0, -1)


# -- append_bytes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [False, True])
def test_append_bytes(shared, file):
    os.ftruncate(file, 10)
    end = np.zeros(N_END, np.int64)
    end[0] = 10
    assert _kernels.append_bytes(file, end, shared, b"abc") == (0, 0, 10)
    assert _kernels.append_bytes(file, end, shared, memoryview(b"defg")) == (0, 0, 13)
    assert (contents(file), end[0]) == (bytes(10) + b"abcdefg", 17)
    assert _kernels.append_bytes(file, end, shared, b"abc", 19)[0] == Status.LIMIT
    assert contents(file)[17:] == b""
    with pytest.raises(ValueError):
        _kernels.append_bytes(file, end, shared, b"")


@pytest.mark.parametrize("shared", [False, True])
def test_append_bytes_reports_the_reason(shared, file):
    end = np.zeros(N_END, np.int64)
    with file_limit(100):
        assert _kernels.append_bytes(file, end, shared, bytes(101))[:2] == (Status.WRITE_FAILED, errno.EFBIG)
    assert _kernels.append_bytes(-1, end, shared, bytes(1))[:2] == (Status.WRITE_FAILED, errno.EBADF)
    assert not end[8]


@pytest.mark.skipif(sys.platform == "win32", reason="no lock between processes here")
def test_append_bytes_from_threads(file):
    end, places = np.zeros(N_END, np.int64), {}

    def work(number):
        for _ in range(200):
            places[_kernels.append_bytes(file, end, True, bytes([number]) * number)[2]] = number

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert contents(file) == b"".join(bytes([places[place]]) * places[place] for place in sorted(places))

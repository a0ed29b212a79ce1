"""The encode kernel against numpy: what it writes, the decode kernel reads back as the same pixels."""

import errno
import os
import resource
import signal
import sys
import threading
import time
from itertools import pairwise

import numpy as np
import pytest
from fakes import saturated
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import guarded, random_tiles

from bfio import _kernels
from bfio._kernels import N_END, N_PROGRESS, Progress, Status
from bfio.plan import FORMAT, TASK, plan_planes
from bfio.tiling import Grid

NATIVE = [number for number in (1, 5, 8, 32773, 32946, 34926, 50000) if _kernels.has_compressor(number)]
COMPRESSED = [number for number in NATIVE if number != 1]
DTYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "c8", "c16"]
ORDERS = ["planar", "interleaved", "backwards", "spread", "columns", "still"]


class Job:
    """Planes of one image (T, C, Z, Y, X), what to write of them, and a file with tables in front."""

    def __init__(self, image, tile=(16, 16), compression=1, predictor=1, samples=1, dtype=None, n_slots=4, entry=8):
        self.image, self.samples, self.entry, self.n_slots = image, samples, entry, n_slots
        self.dtype = np.dtype(dtype or image.dtype)
        self.grid = Grid(*image.shape[-2:], *tile)
        self.form = np.zeros(1, FORMAT)
        self.form["cols"], self.form["samples"], self.form["n_samples"] = tile[1], samples, samples
        self.form["y_step"] = self.form["x_step"] = 1
        self.form["compression"], self.form["predictor"] = compression, predictor
        self.form["item_size"] = self.dtype.itemsize
        self.form["src_kind"], self.form["dst_kind"] = _kernels.kinds(image.dtype, self.dtype)
        self.tasks = self.planned(image.strides, 0, 1)
        self.tile_nbytes = tile[0] * tile[1] * samples * self.dtype.itemsize
        self.n = len(self.tasks)
        self.offset_entries = np.arange(self.n) * entry
        self.count_entries = self.offset_entries + self.n * entry
        self.front = 2 * self.n * entry
        self.fresh()

    def fresh(self):
        """Forget what was written."""
        bound = max(_kernels.compress_bound(int(self.form["compression"][0]), self.tile_nbytes), 1)
        self.arena, self.check_arena = guarded(bound * self.n_slots)
        self.progress = np.zeros(N_PROGRESS, np.int64)
        self.nbytes, self.offsets = np.zeros((2, self.n), np.int64)
        self.end = np.zeros(N_END, np.int64)
        self.end[0] = self.front

    def planned(self, strides, offsets, nbytes):
        size_t, channels, size_z = self.image.shape[:3]
        n_planes = size_t * (channels // self.samples) * size_z
        table = np.broadcast_to(np.asarray(offsets, "u8"), (n_planes * self.grid.n_tiles,)).reshape(n_planes, -1)
        counts = np.broadcast_to(np.asarray(nbytes, "u8"), table.size).reshape(n_planes, -1)
        places = [
            t * strides[0] + c * strides[1] + z * strides[2]
            for t in range(size_t)
            for c in range(0, channels, self.samples)
            for z in range(size_z)
        ]
        planes = [(table[k].copy(), counts[k].copy(), 0, place) for k, place in enumerate(places)]
        return plan_planes(self.grid, range(self.grid.size_y), range(self.grid.size_x), planes)

    def call(self, fd=-1, shared=False, budget=1 << 40, level=-1):
        tables = (None, None, None) if fd < 0 else (self.end, self.offset_entries, self.count_entries)
        return _kernels.encode_tiles(
            self.form, self.tasks, level, self.image, self.arena, self.n_slots, self.progress, self.nbytes,
            self.offsets, fd, tables[0], shared, tables[1], tables[2], self.entry, budget,
        )  # fmt: skip

    def run(self, fd, n_threads=1, **keywords):
        """All threads at once until nothing is left; the answers that are failures."""
        barrier, failures = threading.Barrier(n_threads), []

        def work():
            barrier.wait(10)
            while True:
                status, index = self.call(fd, **keywords)
                if status:
                    failures.append((status, index))
                if status or index == -1:
                    return

        threads = [threading.Thread(target=work) for _ in range(n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        self.check_arena()
        return failures

    def read(self, data):
        """Pixels of the file's bytes, by the decode kernel; its tables must be what the kernel says."""
        entries = np.frombuffer(data[: self.front], f"u{self.entry}").reshape(2, self.n)
        np.testing.assert_array_equal(entries, [self.offsets, self.nbytes])
        return self.decoded(data, self.offsets, self.nbytes)

    def decoded(self, data, offsets, nbytes):
        out = np.zeros(self.image.shape, self.dtype)
        tasks = self.planned(out.strides, offsets, nbytes)
        form = self.form.copy()
        form["src_kind"] = form["dst_kind"]
        counter = np.zeros(1, np.int64)
        assert _kernels.decode_tiles(form, tasks, -1, data, out, None, counter, 1 << 40) == (0, -1)
        return out

    def tiles(self, data):
        """The decoded tiles (n, rows, cols, samples), padding too."""
        rows, cols = self.grid.tile_rows, self.grid.tile_cols
        out = np.full((self.n, self.samples, 1, rows, cols), 77, self.dtype)
        tasks = np.zeros(self.n, TASK)
        tasks["slot"], tasks["tile_rows"], tasks["rows"], tasks["n_cols"] = -1, rows, rows, cols
        tasks["offset"], tasks["nbytes"] = self.offsets, self.nbytes
        tasks["plane_dst"] = np.arange(self.n) * out.strides[0]
        form = self.form.copy()
        form["src_kind"] = form["dst_kind"]
        counter = np.zeros(1, np.int64)
        assert _kernels.decode_tiles(form, tasks, -1, data, out, None, counter, 1 << 40) == (0, -1)
        return out[:, :, 0]


def ordered(image, order):
    """The same pixels in another memory layout; "still" repeats the first column."""
    if order == "interleaved":
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(image, 1, -1)), -1, 1)
    if order == "backwards":
        return np.ascontiguousarray(image[..., ::-1, ::-1])[..., ::-1, ::-1]
    if order == "spread":
        wide = np.zeros((*image.shape[:4], image.shape[4] * 3), image.dtype)
        wide[..., ::3] = image
        return wide[..., ::3]
    if order == "columns":
        return np.ascontiguousarray(image.transpose()).transpose()
    if order == "still":
        return np.broadcast_to(image[..., :1], image.shape)
    return image


@pytest.fixture
def file(tmp_path):
    fd = os.open(tmp_path / "tiles", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def contents(fd):
    return os.pread(fd, os.fstat(fd).st_size, 0)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def noise(rng, shape, dtype):
    return random_tiles(rng, 1, 1, int(np.prod(shape)), 1, dtype).reshape(shape)


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


# -- faults -----------------------------------------------------------------------------------------------------------


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


@pytest.fixture
def file_limit():
    """Sets the size that files may have."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda nbytes: resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("n_threads", [1, 4])
@pytest.mark.parametrize("compression", NATIVE)
def test_a_file_that_may_not_grow(compression, n_threads, shared, file, file_limit, rng):
    job = Job(noise(rng, (1, 1, 1, 250, 240), "u2"), (16, 16), compression)
    os.ftruncate(file, job.front)
    file_limit(job.front + 30000)
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


def test_entries_that_can_not_be_written(file, file_limit, rng):
    job = Job(noise(rng, (1, 1, 1, 250, 240), "u2"), (16, 16))
    job.count_entries += 1 << 40
    file_limit(1 << 30)
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
def test_append_bytes_reports_the_reason(shared, file, file_limit):
    file_limit(100)
    end = np.zeros(N_END, np.int64)
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

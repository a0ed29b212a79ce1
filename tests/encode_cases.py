"""Images for the door of the encode kernel, and files with tables in front that it writes into."""

import os
import threading

import numpy as np
from kernel_cases import guarded, random_tiles

from bfio import _kernels
from bfio._kernels import N_END, N_PROGRESS
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


def contents(fd):
    return os.pread(fd, os.fstat(fd).st_size, 0)


def noise(rng, shape, dtype):
    return random_tiles(rng, 1, 1, int(np.prod(shape)), 1, dtype).reshape(shape)

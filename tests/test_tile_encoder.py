"""Batches of tiles through several threads: into a file, or handed to the caller; errors name plane and tile."""

import _thread
import errno
import os
import pickle
import threading
import time

import numpy as np
import pytest

from bfio import _kernels
from bfio._kernels import N_END, Status
from bfio._parallel import Workers
from bfio.errors import TileWriteError, UsageError
from bfio.plan import FORMAT, plan_planes
from bfio.tiff.writing import encode
from bfio.tiff.writing.encode import TileEncoder
from bfio.tiff.writing.recipe import Recipe

CODECS = [number for number in (1, 5, 8, 50000) if _kernels.has_compressor(number)]
USUAL = 8 if 8 in CODECS else 5
"""Deflate; a build without libdeflate has a kernel for LZW."""


@pytest.fixture(params=[1, 4])
def workers(request):
    workers = Workers(request.param)
    yield workers
    workers.close()


def recipe_for(image, compression=USUAL, predictor=2, tile=64, **keywords):
    size_t, size_c, size_z, size_y, size_x = image.shape
    return Recipe(
        size_t, size_c, size_z, size_y, size_x, 1, image.dtype, tile, tile, compression=compression,
        predictor=predictor, **keywords,
    )  # fmt: skip


def picture(shape=(2, 1, 3, 200, 300), dtype="u2"):
    return np.random.default_rng(3).integers(0, 200, shape).astype(dtype)


def tasks_for(recipe, strides, offsets=None, nbytes=None):
    n_tiles = recipe.tiles(0).n_tiles
    offsets = np.zeros(recipe.n_planes * n_tiles, "u8") if offsets is None else offsets
    nbytes = np.ones(recipe.n_planes * n_tiles, "u8") if nbytes is None else nbytes
    planes = []
    for place, (t, c, z) in enumerate(np.ndindex(recipe.size_t, recipe.size_c, recipe.size_z)):
        part = slice(place * n_tiles, (place + 1) * n_tiles)
        planes.append((offsets[part], nbytes[part], 0, t * strides[0] + c * strides[1] + z * strides[2]))
    return plan_planes(recipe.tiles(0), range(recipe.size_y), range(recipe.size_x), planes)


def tables_for(n, first=0, entry=8):
    return first + np.arange(n) * entry, first + (n + np.arange(n)) * entry


def new_end(position):
    end = np.zeros(N_END, np.int64)
    end[0] = position
    return end


def decoded(recipe, data, offsets, nbytes):
    out = np.zeros((recipe.size_t, recipe.size_c, recipe.size_z, recipe.size_y, recipe.size_x), recipe.dtype)
    form = np.zeros(1, FORMAT)
    form["cols"], form["samples"], form["n_samples"] = recipe.tile_cols, 1, 1
    form["y_step"] = form["x_step"] = 1
    form["compression"], form["predictor"] = recipe.compression, recipe.predictor
    form["item_size"] = recipe.dtype.itemsize
    tasks = tasks_for(recipe, out.strides, offsets, nbytes)
    assert _kernels.decode_tiles(form, tasks, -1, data, out, None, np.zeros(1, np.int64), 1 << 40) == (0, -1)
    return out


def contents(fd):
    return os.pread(fd, os.fstat(fd).st_size, 0)


@pytest.mark.parametrize("big", [True, False])
@pytest.mark.parametrize("compression", CODECS)
def test_append(compression, big, workers, file):
    image = picture()
    recipe = recipe_for(image, compression, 1 if compression == 1 else 2, big=big)
    tasks, entry = tasks_for(recipe, image.strides), 8 if big else 4
    end = new_end(2 * entry * len(tasks))
    encoder = TileEncoder(recipe, workers)
    offsets, nbytes = encoder.append(file, end, False, image, tasks, *tables_for(len(tasks), entry=entry))
    data = contents(file)
    assert offsets.dtype == nbytes.dtype == np.uint64 and end[0] == len(data)
    assert data[: 2 * entry * len(tasks)] == np.concatenate([offsets, nbytes]).astype(f"u{entry}").tobytes()
    np.testing.assert_array_equal(decoded(recipe, data, offsets, nbytes), image)


def test_pixels_of_another_type_are_converted(workers, file):
    image = picture(dtype="u1")
    recipe = recipe_for(image.astype("f4"), predictor=3)
    tasks = tasks_for(recipe, image.strides)
    end = new_end(16 * len(tasks))
    offsets, nbytes = TileEncoder(recipe, workers).append(file, end, False, image, tasks, *tables_for(len(tasks)))
    np.testing.assert_array_equal(decoded(recipe, contents(file), offsets, nbytes), image.astype("f4"))


@pytest.mark.parametrize("dtype", [">u2", "c8"])
def test_pixels_that_can_not_be_converted(dtype, workers, file):
    recipe = recipe_for(picture())
    image = picture(dtype=dtype)
    tasks = tasks_for(recipe, image.strides)
    with pytest.raises(UsageError, match="can not be written as uint16; convert them"):
        TileEncoder(recipe, workers).append(file, new_end(0), False, image, tasks, *tables_for(len(tasks)))


@pytest.mark.parametrize("compression", CODECS)
def test_encode_gives_what_append_writes(compression, workers, file):
    image = picture()
    recipe = recipe_for(image, compression, 1)
    tasks = tasks_for(recipe, image.strides)
    encoder = TileEncoder(recipe, workers)
    end = new_end(16 * len(tasks))
    offsets, nbytes = encoder.append(file, end, False, image, tasks, *tables_for(len(tasks)))
    data = contents(file)
    wanted = [data[start : start + n] for start, n in zip(offsets.tolist(), nbytes.tolist(), strict=True)]
    pairs = [(index, bytes(encoded)) for index, encoded in encoder.encode(image, tasks)]
    assert pairs == list(enumerate(wanted))
    index, encoded = next(iter(encoder.encode(image, tasks[-1:])))
    assert (index, bytes(encoded)) == (0, wanted[-1])


def test_no_tasks(workers, file):
    image = picture()
    encoder = TileEncoder(recipe_for(image), workers)
    none = np.zeros(0, np.int64)
    tasks = tasks_for(recipe_for(image), image.strides)[:0]
    assert [len(part) for part in encoder.append(file, new_end(0), False, image, tasks, none, none)] == [0, 0]
    assert list(encoder.encode(image, tasks)) == []


@pytest.mark.parametrize("shared", [False, _kernels.CAN_SHARE])
def test_many_threads_append_tile_by_tile(shared, workers, file):
    image = picture()
    recipe = recipe_for(image, CODECS[-1])
    encoder, tasks = TileEncoder(recipe, workers), tasks_for(recipe, image.strides)
    n = len(tasks)
    at_offset, at_count = tables_for(n)
    os.ftruncate(file, 16 * n)
    end, places = new_end(16 * n), np.zeros((2, n), np.uint64)
    barrier = threading.Barrier(6)

    def work(first):
        barrier.wait(10)
        for index in range(first, n, 6):
            one = slice(index, index + 1)
            places[:, one] = encoder.append(file, end, shared, image, tasks[one], at_offset[one], at_count[one])

    threads = [threading.Thread(target=work, args=(first,)) for first in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    data = contents(file)
    assert data[: 16 * n] == places.tobytes() and len(data) == end[0] == 16 * n + places[1].sum()
    np.testing.assert_array_equal(decoded(recipe, data, *places), image)


def test_memory_is_bounded_and_kept(file):
    image = picture((1, 1, 1, 2048, 2048))
    recipe = recipe_for(image, tile=256)
    encoder = TileEncoder(recipe, Workers(2))
    tasks = tasks_for(recipe, image.strides)
    for _ in range(3):
        encoder.append(file, new_end(0), False, image, tasks, *tables_for(len(tasks), 1 << 20))
        (arena,) = encoder._arenas
        assert arena.nbytes <= 9 * 140_000
    with encoder._arena() as one, encoder._arena() as other:
        assert one is arena and other is not arena


# -- faults -----------------------------------------------------------------------------------------------------------


def test_a_full_disk_names_plane_and_tile(workers, tmp_path):
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    image = picture()
    recipe = recipe_for(image, 1, 1)
    tasks = tasks_for(recipe, image.strides)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    end = new_end(16 * len(tasks))
    with (tmp_path / "file").open("wb") as stream:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(end[0]) + 25 * 8192 - 1, hard))
            with pytest.raises(
                TileWriteError, match=r"file: plane 1, tile \d+ at offset \d+: File too large"
            ) as caught:
                TileEncoder(recipe, workers, tmp_path / "file").append(
                    stream.fileno(), end, False, image, tasks, *tables_for(len(tasks))
                )
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
    error = caught.value
    assert isinstance(error, OSError) and error.errno == errno.EFBIG and (error.plane, error.tile) == (1, 4)
    data = np.fromfile(tmp_path / "file", np.uint8)
    entries = data[: 16 * len(tasks)].view(np.uint64).reshape(2, -1)
    assert entries[:, :24].all() and not entries[:, 24:].any()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_no_space(workers):
    image = picture()
    recipe = recipe_for(image)
    tasks = tasks_for(recipe, image.strides)
    with open("/dev/full", "wb") as stream, pytest.raises(TileWriteError, match="No space left") as caught:
        TileEncoder(recipe, workers, "x.tif.part").append(
            stream.fileno(), new_end(0), False, image, tasks, *tables_for(len(tasks))
        )
    error = caught.value
    assert (error.errno, error.path, error.plane, error.tile) == (errno.ENOSPC, "x.tif.part", 0, 0)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.errno, vars(again)) == (str(error), error.errno, vars(error))


def test_classic_tiff_that_is_full(workers, file):
    image = picture()
    recipe = recipe_for(image, big=False)
    tasks = tasks_for(recipe, image.strides)
    with pytest.raises(TileWriteError, match="4 GiB of classic TIFF; write it with bigtiff=True"):
        TileEncoder(recipe, workers).append(
            file, new_end((1 << 32) - 8), False, image, tasks, *tables_for(len(tasks), entry=4)
        )
    assert os.fstat(file).st_size == 0


def test_a_bug_is_not_blamed_on_the_disk(workers, file):
    image = picture()
    recipe = recipe_for(image)
    tasks = tasks_for(recipe, image.strides)
    tasks["y_dst"][7] = 9999
    with pytest.raises(TileWriteError, match="plane 0, tile 7 .*bug of bfio") as caught:
        TileEncoder(recipe, workers).append(file, new_end(0), False, image, tasks, *tables_for(len(tasks), 1 << 20))
    assert caught.value.errno is None
    with pytest.raises(TileWriteError, match="plane 0, tile 7 .*bug of bfio"):
        list(TileEncoder(recipe, workers).encode(image, tasks))


@pytest.mark.parametrize("n", [1, 3])
def test_an_interrupt_stops_all_threads_soon(n, monkeypatch, file):
    monkeypatch.setattr(encode, "FIRST_BUDGET", 1)
    image = np.random.default_rng(0).integers(0, 60000, (1, 1, 40, 1024, 1024)).astype("u2")
    recipe = recipe_for(image, 8 if 8 in CODECS else 1, 1, tile=256, compression_level=6 if 8 in CODECS else None)
    tasks = tasks_for(recipe, image.strides)
    end, workers = new_end(16 * len(tasks)), Workers(n)

    def interrupt():
        while end[0] == 16 * len(tasks):  # until the first tile is written
            time.sleep(0.001)
        _thread.interrupt_main()

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        TileEncoder(recipe, workers).append(file, end, False, image, tasks, *tables_for(len(tasks)))
    thread.join()
    size = os.fstat(file).st_size
    time.sleep(0.02)
    assert os.fstat(file).st_size == size
    entries = np.frombuffer(contents(file), "u8", 2 * len(tasks)).reshape(2, -1)
    n_good = int((entries[0] > 0).sum())
    assert 0 < n_good < len(tasks) and entries[:, :n_good].all() and not entries[:, n_good:].any()
    workers.close()


def test_every_status_has_a_meaning():
    assert set(_kernels.MEANING) == set(Status) - {Status.OK}

"""One reader, many threads; forks, pickles, closing, interrupts, and errors that come from a worker."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_array_equal  # numpy imports it when asked: a fork may copy that lock
from together import run_together

from bfio import BioReader
from bfio.errors import TileDecodeError, UsageError


@pytest.fixture(params=[None, "lzw", "lzma"])
def sample(request, tmp_path):
    """A file and its pixels (T, Y, X)."""
    image = np.random.default_rng(2).integers(0, 60, (3, 300, 280), np.uint16)
    options = {"tile": (32, 48), "compression": request.param, "photometric": "minisblack", "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", image, **options)
    return tmp_path / "a.tif", image


def read_at_random(reader, image, seed, n=25):
    rng = np.random.default_rng(seed)
    for _ in range(n):
        t, y, x = (int(rng.integers(size)) for size in image.shape)
        h, w = (int(size) for size in rng.integers(1, 120, 2))
        assert_array_equal(reader[y : y + h, x : x + w, 0, 0, t].squeeze(), image[t, y : y + h, x : x + w].squeeze())


@pytest.mark.parametrize("cache_bytes", [0, 40_000, 1 << 24])
@pytest.mark.parametrize("max_workers", [1, 3])
def test_random_regions_by_many_threads(sample, max_workers, cache_bytes):
    path, image = sample
    with BioReader(path, max_workers=max_workers, cache_bytes=cache_bytes) as reader:
        run_together(6, lambda number: read_at_random(reader, image, number))


def test_threads_that_open_it_together(sample):
    path, image = sample
    with BioReader(path) as reader, pickle.loads(pickle.dumps(reader)) as fresh:
        run_together(6, lambda number: read_at_random(fresh, image, number, 3))


def test_fork_while_threads_read(sample, in_fork):
    path, image = sample
    stop = threading.Event()

    def busy(number):
        while not stop.is_set():
            read_at_random(reader, image, number, 2)

    with BioReader(path, max_workers=3) as reader:
        threads = [threading.Thread(target=busy, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        try:
            for seed in range(5):
                answer = in_fork(lambda seed=seed: run_together(3, lambda n: read_at_random(reader, image, seed + n, 4)))
                assert answer == "None"
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        read_at_random(reader, image, 0)


def test_close_while_threads_read(sample):
    path, image = sample
    for delay in (0.0, 0.002, 0.01):
        reader, started, errors = BioReader(path, max_workers=3), threading.Barrier(4), []

        def work(number, reader=reader, started=started, errors=errors):
            started.wait(10)
            try:
                while True:
                    read_at_random(reader, image, number, 1)
            except UsageError as refusal:
                errors.append(str(refusal))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        started.wait(10)
        time.sleep(delay)
        reader.close()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        assert len(errors) == 3 and all("closed" in error for error in errors)


def test_after_close(sample):
    path, image = sample
    reader = BioReader(path)
    reader.close()
    reader.close()
    assert reader.shape[:2] == image.shape[1:]
    with pytest.raises(UsageError, match=r"a\.tif.* closed"):
        reader[:]


def test_pickles(sample):
    path, image = sample
    with BioReader(path, max_workers=2, cache_bytes=12345) as reader:
        data = pickle.dumps(reader)
        read_at_random(reader, image, 1, 3)
    with pickle.loads(data) as other:
        assert other.shape == reader.shape
        read_at_random(other, image, 2, 5)


def test_another_process_reads(sample):
    path, image = sample
    code = "import sys, pickle; r = pickle.load(sys.stdin.buffer); print(int(r[:].astype('i8').sum())); r.close()"
    with BioReader(path) as reader:
        command = [sys.executable, "-c", code]
        answer = subprocess.run(command, input=pickle.dumps(reader), capture_output=True, timeout=60, check=True).stdout
    assert int(answer) == image.astype("i8").sum()


def spoil(path, plane, tile):
    """Overwrite the encoded bytes of a tile; returns their position."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[plane]
        offset, nbytes = page.dataoffsets[tile], page.databytecounts[tile]
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(b"\xa7" * nbytes)
    return offset


@pytest.mark.parametrize("max_workers", [1, 3])
@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd", "lzma", "png"])
def test_the_broken_tile_is_named(tmp_path, compression, max_workers):
    image = np.random.default_rng(2).integers(0, 60, (3, 300, 280), np.uint16)
    options = {"tile": (32, 48), "compression": compression, "photometric": "minisblack", "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", image, **options)
    offset = spoil(tmp_path / "a.tif", 1, 17)
    with BioReader(tmp_path / "a.tif", max_workers=max_workers) as reader:
        for _ in range(3):
            with pytest.raises(TileDecodeError) as caught:
                reader[:]
            error = caught.value
            assert (error.path, error.plane, error.tile, error.offset) == (str(tmp_path / "a.tif"), 1, 17, offset)
            assert error.reason and all(str(part) in str(error) for part in (error.path, "plane 1", "tile 17", offset))
        assert_array_equal(reader[:, :, 0, 0, 2], image[2])
        assert_array_equal(reader[:64, :, 0, 0, 1], image[1, :64])


def test_errors_of_many_threads_are_their_own(tmp_path):
    image = np.random.default_rng(2).integers(0, 60, (300, 280), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", image, tile=(32, 48), compression="lzw", metadata=None)
    spoil(tmp_path / "a.tif", 0, 0)

    def work(number):
        for _ in range(20):
            if number % 2:
                with pytest.raises(TileDecodeError):
                    reader[:100, :100]
            else:
                assert_array_equal(reader[40:200, 60:200], image[40:200, 60:200])

    with BioReader(tmp_path / "a.tif", max_workers=3) as reader:
        run_together(6, work)


LONG_READ = """
import sys
import numpy as np
from bfio import BioReader
with BioReader(sys.argv[1], max_workers=2, cache_bytes=0) as reader:
    plane = reader[:]
    times = [0] * 20_000  # the same plane into the same place, again and again
    out = np.lib.stride_tricks.as_strided(plane, (512, 512, 1, 1, len(times)), (*plane.strides, 0, 0, 0))
    print("reading", flush=True)
    reader.read(T=times, out=out)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals of POSIX")
@pytest.mark.parametrize("compression", ["lzw", "lzma"])
def test_an_interrupt_ends_a_long_read(tmp_path, compression):
    plane = np.random.default_rng(0).integers(0, 40, (512, 512), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", plane, tile=(128, 128), compression=compression, metadata=None)
    command = [sys.executable, "-c", LONG_READ, str(tmp_path / "a.tif")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"reading\n"
        time.sleep(0.5)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        try:
            _, complaint = process.communicate(timeout=10)
        finally:
            process.kill()
        assert time.monotonic() - sent < 1.5
    assert b"KeyboardInterrupt" in complaint and b"bfio" in complaint
    assert process.returncode != 0

"""Reading through Bio-Formats: nothing decoded twice, readers in parallel and bounded, errors that say what is wrong."""

import threading
import warnings
from contextlib import closing

import numpy as np
import pytest
import tifffile

from bfio.backends.bioformats import BioFormatsReader
from bfio.bioformats import reader as java_reader
from bfio.bioformats.jvm import java
from bfio.errors import BfioError, FormatError, UsageError
from bfio.limits import Limits
from bfio.selection import Box

RNG = np.random.default_rng(5)
IMAGE = RNG.integers(0, 60_000, (700, 900), np.uint16)


def opened(path, max_workers=1, cache_bytes=64 << 20):
    return BioFormatsReader(path, max_workers=max_workers, limits=Limits(), cache_bytes=cache_bytes)


def box_of(series, y=None, x=None, **planes):
    whole = {"t": series.size_t, "c": series.size_c * series.samples, "z": series.size_z}
    axes = {axis: tuple(range(size)) for axis, size in whole.items()} | planes
    return Box(axes["t"], axes["c"], axes["z"], y or range(series.size_y), x or range(series.size_x))


def read(reader, y=None, x=None, *, dtype=None, **planes):
    series = reader.series[0]
    box = box_of(series, y, x, **planes)
    out = np.zeros(box.shape, dtype or series.dtype)
    reader.read(0, 0, box, out, None)
    return out


@pytest.fixture
def asked(monkeypatch):
    """What was asked of Java: (plane, region) in order."""
    calls = []
    ask = java_reader._Read._ask

    def noted(self, use, region, desk):
        calls.append((use.plane, region))
        return ask(self, use, region, desk)

    monkeypatch.setattr(java_reader._Read, "_ask", noted)
    return calls


@pytest.fixture
def tiled(tmp_path):
    path = tmp_path / "tiled.tif"
    tifffile.imwrite(path, IMAGE, tile=(128, 128), compression="zlib", metadata=None)
    return path


def n_pixels(asked):
    return sum(region.n_pixels for _, region in asked)


def test_strips_of_a_tiled_image_decode_each_tile_once(tiled, asked):
    with closing(opened(tiled)) as reader:
        for y in range(0, 700, 50):
            rows = range(y, min(y + 50, 700))
            assert np.array_equal(read(reader, rows)[0, 0, 0], IMAGE[rows.start : rows.stop])
    assert n_pixels(asked) == IMAGE.size


def test_overlapping_windows_decode_each_tile_once(tiled, asked):
    with closing(opened(tiled)) as reader:
        for y in range(0, 500, 90):
            for x in range(0, 700, 110):
                got = read(reader, range(y, y + 200), range(x, x + 200))
                assert np.array_equal(got[0, 0, 0], IMAGE[y : y + 200, x : x + 200])
    tiles = {(region.y.start // 128, region.x.start // 128) for _, region in asked}
    assert len(tiles) > 20
    assert n_pixels(asked) < 1.35 * IMAGE.size  # whole tiles in the middle of a window are not kept


def test_without_a_cache_nothing_is_kept(tiled, asked):
    with closing(opened(tiled, cache_bytes=0)) as reader:
        for _ in range(2):
            assert np.array_equal(read(reader, range(10, 20))[0, 0, 0], IMAGE[10:20])
        assert reader._images._decoded._used == 0
    assert len(asked) == 2


def test_one_strip_is_decoded_at_most_twice(tmp_path, asked):
    """Nothing tells that the file has one strip only; the time of the first part does."""
    path = tmp_path / "strip.tif"
    image = RNG.integers(0, 3000, (3000, 2000), np.uint16)
    tifffile.imwrite(path, image, rowsperstrip=3000, compression="zlib", metadata=None)
    with closing(opened(path)) as reader:
        for y in range(0, 3000, 50):
            assert np.array_equal(read(reader, range(y, y + 50))[0, 0, 0], image[y : y + 50])
    assert len(asked) <= 2


def test_threads_that_want_the_same_plane_decode_it_once(tmp_path, asked):
    path = tmp_path / "a.jpg"
    from PIL import Image

    Image.fromarray((IMAGE >> 8).astype(np.uint8)).save(path, quality=95)
    barrier, results = threading.Barrier(6), []
    with closing(opened(path, max_workers=6)) as reader:

        def work(number):
            barrier.wait()
            results.append(read(reader, range(number * 100, number * 100 + 100)))

        run_threads(work, 6)
        whole = read(reader)
    assert all(
        any(np.array_equal(got[0, 0, 0], whole[0, 0, 0, y : y + 100]) for y in range(0, 600, 100)) for got in results
    )
    assert len(asked) == 1


def test_samples_in_any_order_are_one_request(tmp_path, asked):
    path = tmp_path / "rgb.tif"
    image = RNG.integers(0, 255, (40, 50, 3), np.uint8)
    tifffile.imwrite(path, image, photometric="rgb", metadata=None)
    with closing(opened(path)) as reader:
        got = read(reader, c=(2, 0, 2))
    assert np.array_equal(got[0, :, 0], np.moveaxis(image, -1, 0)[[2, 0, 2]])
    assert len(asked) == 1


def test_conversion_rescale_and_byte_order(tmp_path):
    path = tmp_path / "big.tif"
    tifffile.imwrite(path, IMAGE, byteorder=">", metadata=None)
    with closing(opened(path)) as reader:
        assert reader.series[0].dtype == np.uint16 and reader.series[0].big_endian
        assert np.array_equal(read(reader)[0, 0, 0], IMAGE)
        assert np.array_equal(read(reader, dtype=np.float32)[0, 0, 0], IMAGE.astype(np.float32))
        assert np.array_equal(read(reader, dtype=np.uint8)[0, 0, 0], np.minimum(IMAGE, 255))
        out = np.empty((1, 1, 1, 700, 900), np.float64)
        reader.read(0, 0, box_of(reader.series[0]), out, (0.5, -1.0))
        assert np.array_equal(out[0, 0, 0], IMAGE * 0.5 - 1)
        with pytest.raises(UsageError, match="can not be read as bool"):
            read(reader, dtype=bool)


def test_workers_share_a_read_and_their_number_is_bounded(tiled):
    with closing(opened(tiled, max_workers=3)) as reader:
        pool = reader._images._pool
        pool._seconds_opening = 0.0
        run_threads(lambda _: read(reader), 8)
        assert 1 <= pool._n_open <= 3
        assert np.array_equal(read(reader)[0, 0, 0], IMAGE)


def test_what_is_slow_to_open_is_not_opened_again_for_a_small_read(tiled):
    with closing(opened(tiled, max_workers=4)) as reader:
        reader._images._pool._seconds_opening = 60.0
        for _ in range(5):
            read(reader)
        assert reader._images._pool._n_open == 1


def test_threads_leave_no_trace_in_java(tiled):
    threads = java("java.lang.Thread")
    with closing(opened(tiled, max_workers=2)) as reader:
        read(reader)
        before = threads.activeCount()
        for _ in range(20):
            run_threads(lambda _: read(reader, range(5)), 2)
        assert threads.activeCount() <= before


def test_closed_while_others_read(tiled):
    reader = opened(tiled, max_workers=2)
    started, errors = threading.Event(), []

    def work(_):
        try:
            while True:
                read(reader, range(0, 700, 3))
                started.set()
        except UsageError as error:
            errors.append(error)

    thread = threading.Thread(target=work, args=(0,))
    thread.start()
    assert started.wait(20)
    reader.close()
    thread.join(20)
    assert not thread.is_alive() and "closed" in str(errors[0])
    reader.close()


def test_a_broken_tile_names_file_series_and_plane(tiled):
    data = bytearray(tiled.read_bytes())
    with tifffile.TiffFile(tiled) as file:
        offset = file.pages[0].dataoffsets[9]
    data[offset : offset + 40] = b"\xff" * 40
    tiled.write_bytes(data)
    with closing(opened(tiled, max_workers=2)) as reader:
        assert np.array_equal(read(reader, range(128))[0, 0, 0], IMAGE[:128])
        with pytest.raises(FormatError, match=r"tiled\.tif: series 0, plane 0 \(t, c, z = \(0, 0, 0\)\)"):
            read(reader)


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.99])
def test_a_tiff_file_that_was_cut_off_is_refused(tiled, keep):
    data = tiled.read_bytes()
    tiled.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(FormatError, match=r"tiled\.tif"):
        opened(tiled)


def test_a_loop_of_ifds_is_refused_before_java_follows_it(tmp_path):
    path = tmp_path / "loop.tif"
    tifffile.imwrite(path, IMAGE[:16, :16], metadata=None)
    with tifffile.TiffFile(path) as file:
        link = file.pages[0].offset + 2 + 12 * len(file.pages[0].tags)
        first = file.pages[0].offset
    data = bytearray(path.read_bytes())
    data[link : link + 4] = first.to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(FormatError, match="comes back to itself"):
        opened(path)


def test_raw_pixels_that_end_too_early(tmp_path):
    """A reader that leaves the rest of the array as it was: the pixels of the plane before would show through."""
    path = tmp_path / "x.mrc"
    header = np.zeros(256, "<i4")
    header[:4] = (64, 64, 2, 6)  # columns, rows, sections, uint16
    path.write_bytes(header.tobytes() + IMAGE[:64, :64].tobytes() + IMAGE[64:96, :64].tobytes())
    try:
        with closing(opened(path)) as reader:
            assert np.array_equal(read(reader, z=(0,))[0, 0, 0][::-1], IMAGE[:64, :64])
            with pytest.raises(BfioError, match=r"x\.mrc"):
                read(reader, z=(1,))
    except FormatError as error:
        assert "x.mrc" in str(error)


def test_an_unclosed_reader_is_closed_by_the_garbage_collector(tiled):
    import bfio

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reader = bfio.BioReader(tiled, backend="bioformats")
        assert np.array_equal(reader[:], IMAGE)
        pool = reader._backend._images._pool
        del reader
    assert pool._closed


def run_threads(work, n):
    threads = [threading.Thread(target=work, args=(number,)) for number in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)

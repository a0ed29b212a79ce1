"""Conversions from real files to real files, as tifffile sees them; interrupted ones; and how much memory they take."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

import bfio
from bfio import BioReader, BioWriter
from bfio.cli import main
from bfio.conversion import blocks

ON_POSIX = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/proc of Linux")


def picture(*shape, dtype=np.uint16, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 250, shape)
    return (values % 2 == 0) if dtype is bool else values.astype(dtype)


def halved(pixels):
    """The mean of 2 x 2 pixels of (..., Y, X), halves up, as a pyramid of integers has it."""
    y, x = pixels.shape[-2:]
    padded = np.full((*pixels.shape[:-2], y + y % 2, x + x % 2), np.nan)
    padded[..., :y, :x] = pixels
    quarters = padded.reshape(*padded.shape[:-2], (y + 1) // 2, 2, (x + 1) // 2, 2)
    return np.floor(np.nanmean(quarters, axis=(-3, -1)) + 0.5).astype(pixels.dtype)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several blocks even of small images."""
    monkeypatch.setattr(blocks, "GOAL_NBYTES", 8000)
    monkeypatch.setattr(blocks, "TILES_PER_WORKER", 1)


def levels_of(path):
    """All levels of the first series of a file, by tifffile: arrays with the axes T, C, Z, Y, X."""
    with tifffile.TiffFile(path) as file:
        found = []
        for level in file.series[0].levels:
            axes, array = level.axes, level.asarray()
            order = [axes.index(axis) for axis in "TCZYX" if axis in axes]
            shape = [array.shape[axes.index(axis)] if axis in axes else 1 for axis in "TCZYX"]
            found.append(array.transpose(order).reshape(shape))
        return found


@pytest.mark.parametrize(
    "storage",
    [
        {"compression": "zlib", "rowsperstrip": 13, "byteorder": ">"},
        {"tile": (32, 48), "compression": "zstd", "predictor": True, "bigtiff": True},
        {},
    ],
)
@pytest.mark.parametrize("compression", ["deflate", "lzw", "none"])
def test_planes_and_levels(tmp_path, storage, compression):
    pixels = picture(2, 2, 3, 101, 150)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata={"axes": "TCZYX"}, photometric="minisblack", **storage)
    bfio.convert(tmp_path / "a.ome.tif", tmp_path / "b.ome.tif", tile_size=32, compression=compression)
    levels = levels_of(tmp_path / "b.ome.tif")
    assert [level.shape[3:] for level in levels] == [(101, 150), (51, 75), (26, 38), (13, 19)]
    for level in levels:
        np.testing.assert_array_equal(level, pixels)
        pixels = halved(pixels)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16", bool])
def test_any_dtype(tmp_path, dtype):
    pixels = picture(70, 50, dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", byteorder=">", rowsperstrip=9)
    bfio.convert(tmp_path / "a.tif", tmp_path / "b.ome.tif", tile_size=32)
    with BioReader(tmp_path / "a.tif") as source, BioReader(tmp_path / "b.ome.tif") as copy:
        assert copy.dtype == source.dtype and len(copy.levels) == 3
        np.testing.assert_array_equal(copy[:], source[:])
    if dtype not in ("f2", "u8", "i8"):  # the schema has no such types, and tifffile believes it
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.ome.tif"), pixels)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_rgb(tmp_path, planar):
    pixels = picture(90, 70, 3, dtype=np.uint8)
    data = pixels if planar == "contig" else np.moveaxis(pixels, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb", planarconfig=planar, rowsperstrip=9)
    bfio.convert(tmp_path / "a.tif", tmp_path / "b.ome.tif", tile_size=32, levels=2)
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        assert file.pages[0].photometric == tifffile.PHOTOMETRIC.RGB
        np.testing.assert_array_equal(file.series[0].levels[0].asarray(), pixels)
        small = np.moveaxis(halved(np.moveaxis(pixels, -1, 0)), 0, -1)
        np.testing.assert_array_equal(file.series[0].levels[1].asarray(), small)


def test_what_a_bfio_reader_gets_back(tmp_path):
    pixels = picture(3, 2, 80, 60)
    metadata = {"axes": "ZCYX", "PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "nm", "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata=metadata, photometric="minisblack")
    report = bfio.convert(
        tmp_path / "a.ome.tif", tmp_path / "b.ome.tif", channels=1, z=[2, 0], crop=(5, 6, 40, 30), dtype="float32"
    )
    with BioReader(report) as copy:
        assert copy.shape == (30, 40, 2) and copy.dtype == np.float32
        np.testing.assert_array_equal(copy[:], pixels[[2, 0], 1, 6:36, 5:45].transpose(1, 2, 0))
        assert copy.channel_names == ["GFP"] and copy.ps_x[0] == 0.25
        assert report.file_nbytes == Path(report).stat().st_size


def test_the_same_conversion_gives_the_same_bytes(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", picture(300, 200), compression="zlib", rowsperstrip=11)
    for name, workers in (("b", 2), ("c", 2), ("d", 1)):
        bfio.convert(tmp_path / "a.tif", tmp_path / f"{name}.ome.tif", tile_size=32, max_workers=workers)
    written = [(tmp_path / f"{name}.ome.tif").read_bytes().replace(f"{name}.ome".encode(), b"?.ome") for name in "bcd"]
    assert written[0] == written[1] == written[2]


def test_colours_of_one_bit_become_channels(tmp_path):
    pixels = picture(40, 30, 3, dtype=bool)
    bits = np.packbits(pixels.reshape(40, 90), axis=1)
    header = np.zeros((), "<u2,<u2,<u4,<u2")
    header["f0"], header["f1"], header["f2"], header["f3"] = 0x4949, 42, 8, 8
    tags = [(256, 4, 1, 30), (257, 4, 1, 40), (258, 3, 1, 1), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 200)]
    tags += [(277, 3, 1, 3), (279, 4, 1, bits.size)]
    entries = np.array(tags, "<u2,<u2,<u4,<u4").tobytes()
    (tmp_path / "a.tif").write_bytes((header.tobytes() + entries).ljust(200, b"\0") + bits.tobytes())
    with BioReader(tmp_path / "a.tif") as source:
        assert (source.samples_per_pixel, source.dtype) == (3, bool)
        bfio.convert(source, tmp_path / "b.ome.tif", tile_size=32)
        with BioReader(tmp_path / "b.ome.tif") as copy:
            assert copy.samples_per_pixel == 1
            np.testing.assert_array_equal(copy[:], source[:])


def test_the_corpus(corpus, tmp_path):
    """Every third valid file, with all its kinds of storage."""
    paths = sorted((corpus / "valid").iterdir())[::3]
    assert len(paths) > 50
    for path in paths:
        with BioReader(path) as source:
            report = bfio.convert(source, tmp_path / "b.ome.tif", tile_size=128, overwrite=True)
            with BioReader(report) as copy:
                assert copy.dtype == source.dtype, path
                np.testing.assert_array_equal(copy[:], source[:], err_msg=path.name)


def test_a_url(tmp_path, http_server):
    pytest.importorskip("fsspec")
    pixels = picture(3, 101, 150)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata={"axes": "ZYX"}, compression="zlib", rowsperstrip=10)
    url = http_server(tmp_path).url
    assert main(["convert", f"{url}/a.ome.tif", str(tmp_path / "b.ome.tif"), "--tile", "32", "--quiet"]) == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.ome.tif"), pixels)
    assert main(["convert", f"{url}/none.tif", str(tmp_path / "c.ome.tif"), "--quiet"]) == 1
    assert main(["convert", str(tmp_path / "a.ome.tif"), f"{url}/c.ome.tif", "--quiet"]) == 1
    assert sorted(os.listdir(tmp_path)) == ["a.ome.tif", "b.ome.tif"]


def test_what_the_writer_refuses(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", picture(30, 20))
    with pytest.raises(bfio.UsageError, match="JPEG"):
        bfio.convert(tmp_path / "a.tif", tmp_path / "b.ome.tif", compression="jpeg")
    assert os.listdir(tmp_path) == ["a.tif"]


@pytest.fixture
def slow(tmp_path):
    """An image that takes some seconds: what random pixels cost, and many blocks of them."""
    path = tmp_path / "slow.tif"
    rng = np.random.default_rng(1)
    tifffile.imwrite(path, rng.integers(0, 4000, (16, 1024, 1024), dtype=np.uint16), photometric="minisblack")
    return path


SLOWLY = ["--compression-level", "9", "--tile", "128", "--workers", "1"]


def started(source, target, *options):
    command = [sys.executable, "-m", "bfio", "convert", str(source), str(target), *SLOWLY, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_tiles(process, target, nbytes):
    """Until so much was written; the conversion must be at work then."""
    part = Path(f"{target}.part")
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > nbytes):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@ON_POSIX
def test_resume_after_kill(tmp_path, slow, capsys):
    target, whole = tmp_path / "out.ome.tif", tmp_path / "whole.ome.tif"
    with started(slow, target) as process:
        wait_for_tiles(process, target, 8_000_000)
        process.kill()
    assert not target.exists()
    assert main(["convert", str(slow), str(target), *SLOWLY, "--levels", "1", "--resume"]) == 1
    assert "levels" in capsys.readouterr().err, "it was begun with others"
    calls = []
    report = bfio.convert(
        slow, target, resume=True, compression_level=9, tile_size=128, progress=lambda *at: calls.append(at)
    )
    assert report.skipped_nbytes >= 4_000_000 and calls[0][0] > 0 and calls[-1] == (16 * 64, 16 * 64)
    assert not Path(f"{target}.part").exists()
    np.testing.assert_array_equal(tifffile.imread(target), tifffile.imread(slow))
    bfio.convert(slow, whole, compression_level=1, tile_size=128)
    for one, other in zip(levels_of(target), levels_of(whole), strict=True):
        np.testing.assert_array_equal(one, other)


@ON_POSIX
def test_ctrl_c(tmp_path, slow):
    target = tmp_path / "out.ome.tif"
    with started(slow, target) as process:
        wait_for_tiles(process, target, 5_000_000)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and out == ""
    assert err == f"bfio: interrupted; what was written so far is in {target}.part: --resume goes on with it\n"
    assert not target.exists()
    with tifffile.TiffFile(f"{target}.part") as part:
        assert len(part.pages) == 16
    assert main(["convert", str(slow), str(target), "--resume", "--quiet", *SLOWLY[:4]]) == 0
    np.testing.assert_array_equal(tifffile.imread(target), tifffile.imread(slow))


def test_resume_begins_where_there_is_nothing(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", picture(30, 20))
    assert bfio.convert(tmp_path / "a.tif", tmp_path / "b.ome.tif", resume=True).skipped_nbytes == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.ome.tif"), picture(30, 20))


def test_what_is_printed_into_a_pipe(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", picture(300, 200))
    command = [sys.executable, "-m", "bfio", "convert", str(tmp_path / "a.tif"), str(tmp_path / "b.ome.tif")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "" and done.stdout.startswith(
        f"{tmp_path / 'b.ome.tif'}: 200 x 300 uint16, 1 level; 120.0 kB in"
    )
    again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert again.returncode == 1 and again.stdout == "" and len(again.stderr.splitlines()) == 1


PEAK = """
import sys
import bfio
bfio.convert(sys.argv[1], sys.argv[2], memory=int(sys.argv[3]))
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) * 1024)
"""


@ON_LINUX
@pytest.mark.parametrize(
    ("shape", "storage", "memory"),
    [
        ((15000, 20000), {"tile_size": 512}, 128_000_000),
        ((15000, 20000), {"tile_size": 1024, "compression": "none"}, 256_000_000),
        ((3000, 100_000), {"tile_size": 1024}, 200_000_000),
    ],
)
def test_memory_is_bounded(tmp_path, shape, storage, memory):
    """600 MB of pixels, most of them 0."""
    with BioWriter(tmp_path / "a.ome.tif", Y=shape[0], X=shape[1], dtype=np.uint16, **storage) as writer:
        for start in range(0, 3000, 1024):
            writer[start : start + 512, start : start + 512] = picture(512, 512)
    paths = [str(tmp_path / "a.ome.tif"), str(tmp_path / "b.ome.tif")]
    command = [sys.executable, "-c", PEAK, *paths, str(memory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert int(done.stdout) <= memory
    with BioReader(paths[0]) as source, BioReader(paths[1]) as copy:
        for y, x in ((slice(900, 2100), slice(900, 2100)), (slice(-300, None), slice(-300, None))):
            np.testing.assert_array_equal(copy[y, x], source[y, x])


SURVEY = """
import contextlib, io, pathlib, sys
from bfio.cli import main
folder, out = map(pathlib.Path, sys.argv[1:])
for number, path in enumerate(sorted(folder.iterdir())):
    target, printed = out / f"{number}.ome.tif", io.StringIO()
    with contextlib.redirect_stderr(printed):
        status = main(["convert", str(path), str(target), "--quiet", "--tile", "64"])
    errors = [line for line in printed.getvalue().splitlines() if not line.startswith("bfio: warning: ")]
    good = target.exists() and not errors if status == 0 else status == 1 and len(errors) == 1 and not target.exists()
    if not good:
        print(path.name, status, target.exists(), errors)
print("done")
"""


def test_hostile_files(corpus, tmp_path):
    """Each of them is converted, or refused in one sentence."""
    command = [sys.executable, "-c", SURVEY, str(corpus / "hostile"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout == "done\n", done.stdout + done.stderr
    assert done.returncode == 0

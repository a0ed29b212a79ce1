"""Sharded stores through BioWriter: random blocks, threads, killed writers, other processes, append."""

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

import bfio
from bfio import UsageError
from bfio.pyramid import halve

zarr = pytest.importorskip("zarr")

BioWriter = partial(bfio.BioWriter, durable=False)  # the disk is slow
SHAPE = (128, 160, 4, 1, 1)
OPTIONS = {"shape": SHAPE, "dtype": "uint16", "chunks": (2, 16, 32), "shards": (2, 64, 64)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "image.ome.zarr"


def image_of(seed=0, shape=SHAPE):
    return np.random.default_rng(seed).integers(1, 60000, shape, dtype=np.uint16)


def check(path, image, levels=1):
    expected = image.transpose(4, 3, 2, 0, 1)
    for level in range(levels):
        np.testing.assert_array_equal(zarr.open_group(path, mode="r")[str(level)][:], expected)
        expected = halve(expected)
    assert sorted(os.listdir(path.parent)) == [path.name]
    assert not (path / ".bfio").exists()
    assert not [file.name for file in path.rglob("*") if not file.is_dir() and "part" in file.name]


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize(("chunks", "shards"), [(32, 96), ((3, 16, 32), (3, 32, 64)), ((2, 1, 3, 20, 20), (2, 2, 3, 40, 80))])
def test_blocks_in_any_order(path, levels, chunks, shards):
    rng, image = np.random.default_rng(1), image_of(shape=(70, 101, 4, 3, 2))
    with BioWriter(path, shape=image.shape, dtype=image.dtype, chunks=chunks, shards=shards, levels=levels) as bw:
        for _ in range(2):
            for z in rng.permutation(4):
                for x in rng.permutation(np.arange(0, 101, 30)):
                    bw[:, int(x) : int(x) + 30, int(z)] = image[:, x : x + 30, z : z + 1]
        bw[10:50, 20:70] = image[10:50, 20:70]
        bw.flush()
        bw[30:60, 20:70, :1] = image[30:60, 20:70, :1]
    check(path, image, levels)
    assert zarr.open_group(path, mode="r")["0"].shards is not None


def test_threads(path):
    image = image_of()
    keys = [(slice(y, y + 24), slice(x, x + 32), z) for y in range(0, 128, 24) for x in range(0, 160, 32) for z in range(4)]
    with BioWriter(path, **OPTIONS, levels=3) as bw:

        def write(key):
            bw[key] = image[key[0], key[1], key[2] : key[2] + 1]

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, keys))
    check(path, image, 3)


def test_the_same_bytes_each_time(tmp_path):
    image, found = image_of(), []
    for name, step in (("a.zarr", 7), ("b.zarr", 64)):
        with BioWriter(tmp_path / name, **OPTIONS, levels=2) as bw, ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda y, bw=bw, step=step: bw.write(image[y : y + step], Y=y), range(0, 128, step)))
        root = tmp_path / name
        found.append({str(file.relative_to(root)): file.read_bytes() for file in root.glob("*/c/**/*") if file.is_file()})
    assert len(found[0]) == 2 * 3 * 2 + 4 and found[0] == found[1]


def child(code, path, *, wait=True):
    head = """
        import os, signal, sys
        import numpy as np
        from bfio import BioWriter
        path = sys.argv[1]
        image = np.random.default_rng(0).integers(1, 60000, (128, 160, 4, 1, 1), dtype=np.uint16)
    """
    script = textwrap.dedent(head) + textwrap.dedent(code)
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    return process.communicate(timeout=60)[0] if wait else process


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("flush", [False, True])
def test_killed_and_resumed(path, levels, flush):
    code = f"""
        options = dict(chunks=(2, 16, 32), shards=(2, 64, 64), levels={levels})
        bw = BioWriter(path, shape=image.shape, dtype=image.dtype, **options)
        bw[:32] = image[:32]
        bw[64:72, :, 1:3] = image[64:72, :, 1:3]
        {"bw.flush()" if flush else ""}
        bw[96:] = image[96:]
        os.kill(os.getpid(), signal.SIGKILL)
    """
    child(code, path)
    image = image_of()
    assert not path.exists()
    with BioWriter(path, resume=True) as bw:
        lost = np.zeros(SHAPE, bool)
        for key in bw.missing:
            lost[key] = True
        assert lost[32:64].all() and lost[72:96].all() and not (flush and lost[:32].any())
        assert not (flush and lost[64:72, :, 1:3].any()) and lost[64:72, :, 0].all()
        for key in bw.missing:
            bw[key] = image[key]
    check(path, image, levels)


GUEST = """
    with BioWriter.attach(path, max_workers=1) as bw:
        for x in range(0, 160, 64):
            bw[{y} : {y} + 64, x : x + 64] = image[{y} : {y} + 64, x : x + 64]
    print("done")
"""


@pytest.mark.parametrize("levels", [1, 3])
def test_guests(path, levels):
    image = image_of()
    with BioWriter(path, **OPTIONS, levels=levels) as bw:
        bw[64:] = 9
        bw.flush()
        guests = [child(GUEST.format(y=y), path, wait=False) for y in (0, 64)]
        assert [guest.communicate(timeout=60)[0] for guest in guests] == ["done\n"] * 2
        assert bw.tile_shape == (64, 64)
        with pytest.raises(UsageError, match=r"parts of shards along Y.*multiples of 64 rows and 64 columns"):
            bw[:16] = 1
    check(path, image, levels)


@pytest.mark.parametrize("levels", [1, 2])
def test_append(path, levels):
    image = image_of()
    with BioWriter(path, **OPTIONS, levels=levels) as bw:
        bw[:] = image
    with BioWriter(path, append=True) as bw:
        bw[5:90, 7:8, 3] = image[5:90, 7:8, 3] = 4
    check(path, image, levels)
    with BioWriter(path, append=True) as bw:
        bw.flush()
        with bfio.BioWriter.attach(path) as guest:
            guest[64:, 64:128, :2] = image[64:, 64:128, :2] = 5
    check(path, image, levels)


def test_a_crash_keeps_the_shards_that_were(path):
    image = image_of()
    with BioWriter(path, **OPTIONS) as bw:
        bw[:] = image
    code = """
        bw = BioWriter(path, append=True)
        bw[:40] = 3
        os.kill(os.getpid(), signal.SIGKILL)
    """
    child(code, path)
    found = zarr.open_group(path, mode="r")["0"][:].transpose(3, 4, 2, 1, 0)
    assert ((found == image) | (found == 3)).all()
    with BioWriter(path, append=True) as bw:
        bw[:64] = image[:64]
    check(path, image)

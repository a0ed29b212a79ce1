"""Stores whose writers are killed, run out of room, or are several processes; and those that go on with them."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
from functools import partial as partial_of

import numpy as np
import pytest

import bfio
from bfio import TileWriteError, UsageError
from bfio.pyramid import halve

zarr = pytest.importorskip("zarr")

SHAPE = (128, 160, 4, 1, 1)
OPTIONS = {"shape": SHAPE, "dtype": "uint16", "chunks": (2, 32, 32)}


BioWriter = partial_of(bfio.BioWriter, durable=False)  # the disk is slow


@pytest.fixture
def path(tmp_path):
    return tmp_path / "image.ome.zarr"


@pytest.fixture
def part(path):
    return path.with_name(f"{path.name}.part")


def image_of(seed=0):
    return np.random.default_rng(seed).integers(1, 60000, SHAPE, dtype=np.uint16)


def check(path, image, levels=1):
    expected = image.transpose(4, 3, 2, 0, 1)
    for level in range(levels):
        np.testing.assert_array_equal(zarr.open_group(path, mode="r")[str(level)][:], expected)
        expected = halve(expected)
    assert sorted(os.listdir(path.parent)) == [path.name]
    assert not (path / ".bfio").exists() and not list(path.rglob("*.partial"))


def child(code, *args, wait=True):
    """A Python of its own that has `image`, `path` and `np`."""
    head = """
        import os, signal, sys
        import numpy as np
        from bfio import BioWriter
        path, levels = sys.argv[1], int(sys.argv[2])
        image = np.random.default_rng(0).integers(1, 60000, (128, 160, 4, 1, 1), dtype=np.uint16)
    """
    script = textwrap.dedent(head) + textwrap.dedent(code)
    process = subprocess.Popen([sys.executable, "-c", script, *map(str, args)], stdout=subprocess.PIPE, text=True)
    if not wait:
        return process
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def lost(writer):
    mask = np.zeros(SHAPE, bool)
    for key in writer.missing:
        mask[key] = True
    return mask


# -- killed ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("flush", [False, True])
def test_killed_and_resumed(path, part, levels, flush):
    code = f"""
        bw = BioWriter(path, shape=image.shape, dtype=image.dtype, chunks=(2, 32, 32), levels=levels)
        bw[:64] = image[:64]
        bw[64:80, :, 1:3] = image[64:80, :, 1:3]
        {"bw.flush()" if flush else ""}
        bw[96:] = image[96:]
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert child(code, path, levels)[0] == -signal.SIGKILL
    assert part.is_dir() and not path.exists()
    image = image_of()
    with BioWriter(path, resume=True) as bw:
        assert bw.shape == (128, 160, 4) and bw.dtype == "uint16"
        mask = lost(bw)
        expected = np.zeros(SHAPE, bool)
        expected[64:96] = True
        if flush:
            expected[64:80, :, 1:3] = False
        np.testing.assert_array_equal(mask, expected)
        for key in bw.missing:
            bw[key] = image[key]
    check(path, image, levels)


def test_what_a_checkpoint_kept_can_be_read(path, part):
    image = image_of()
    bw = BioWriter(path, **OPTIONS)
    bw[3:77, :, 1] = image[3:77, :, 1]
    bw.flush()
    found = zarr.open_group(part, mode="r")["0"][:].transpose(3, 4, 2, 1, 0)
    np.testing.assert_array_equal(found[3:77, :, 1], image[3:77, :, 1])
    assert not found[:, :, 0].any() and not found[77:].any()
    bw[:] = image
    bw.close()
    check(path, image)


def test_chunks_that_nobody_has_noted_are_not_believed_after_a_new_start(path, part, monkeypatch):
    image = image_of()
    bw = BioWriter(path, **OPTIONS)
    bw[:64] = image[:64]
    bw.flush()
    bw[64:96] = image[64:96]
    bw._abandon()
    for file in part.rglob("c/0/0/0/2/*"):
        file.write_bytes(b"")  # as some file systems leave it
    monkeypatch.setattr("bfio.omezarr.writing.notes.boot_mark", lambda: 5)
    with BioWriter(path, resume=True) as bw:
        mask = lost(bw)
        assert mask[64:].all() and not mask[:64].any()
        bw[100:] = image[100:]
    image[64:100] = 0
    check(path, image)


def test_resumed_as_another(path):
    bw = BioWriter(path, **OPTIONS)
    bw[:64] = image_of()[:64]
    bw._abandon()
    with pytest.raises(UsageError, match="chunk was"):
        BioWriter(path, **OPTIONS | {"chunks": 64}, resume=True)[:64] = 1
    with BioWriter(path, **OPTIONS, resume=True) as bw:
        bw[64:] = image_of()[64:]
    check(path, image_of())


def test_an_old_store_stays_until_the_end(path, part):
    bfio.imwrite(path, np.full((10, 10), 7, np.uint8))
    code = """
        bw = BioWriter(path, shape=image.shape, dtype=image.dtype, overwrite=True)
        bw[:] = image
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert child(code, path, 1)[0] == -signal.SIGKILL
    assert (zarr.open_group(path, mode="r")["0"][:] == 7).all() and part.is_dir()
    with BioWriter(path, resume=True, overwrite=True):
        pass
    check(path, image_of())


@pytest.mark.parametrize("name", ["state.json", "boot.json", "stored-writer.json", "parts.npy"])
@pytest.mark.parametrize("damage", [b"", b"[]", b"{}", b'{"flags": 5, "parts": [{}]}'])
def test_damaged_notes(path, part, name, damage):
    bw = BioWriter(path, **OPTIONS)
    bw[:10] = 1
    bw.flush()
    bw._abandon()
    (found,) = (part / ".bfio").glob(f"*{name}")
    found.write_bytes(damage)
    try:
        with BioWriter(path, resume=True) as bw:
            bw[:] = image_of()
    except bfio.FormatError:
        assert not path.exists()
    else:
        assert name in ("boot.json", "stored-writer.json")
        check(path, image_of())


# -- no room ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("n_workers", [1, 3])
def test_a_full_disk(small_disk, levels, n_workers):
    path, image = small_disk(160) / "a.zarr", image_of()
    bw = BioWriter(path, **OPTIONS, levels=levels, max_workers=n_workers)
    with pytest.raises(TileWriteError, match=r"chunk \(.*No space left") as caught:
        for y in range(0, 128, 16):
            bw[y : y + 16] = image[y : y + 16]
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(UsageError, match="earlier write failed"):
        bw[:10] = 1
    with pytest.raises(UsageError, match="resume=True"):
        bw.close()
    assert not path.exists()
    small_disk(4096)
    with BioWriter(path, resume=True) as bw:
        mask = lost(bw)
        assert mask.any() and not mask.all()
        for key in bw.missing:
            bw[key] = image[key]
    check(path, image, levels)


def test_a_full_disk_when_it_begins(small_disk):
    (small_disk(160) / "filler").write_bytes(bytes(130_000))
    (small_disk(160) / "more").write_bytes(bytes(4096 * 5))
    with pytest.raises(OSError) as caught:
        for number in range(20):
            with BioWriter(small_disk(160) / f"{number}.zarr", X=10, Y=10) as bw:
                bw[:] = 1
    assert caught.value.errno == errno.ENOSPC


# -- processes --------------------------------------------------------------------------------------------------------

GUEST = """
    first = int(sys.argv[3])
    with BioWriter.attach(path, max_workers=1) as bw:
        for y in range(first * 32, 128, 64):
            for z in (0, 2):
                bw[y : y + 32, :, z : z + 2] = image[y : y + 32, :, z : z + 2]
    print("done")
"""


@pytest.mark.parametrize("levels", [1, 3])
def test_guests(path, levels):
    image = image_of()
    with BioWriter(path, **OPTIONS, levels=levels) as bw:
        bw[:32] = 5
        bw.flush()
        guests = [child(GUEST, path, levels, first, wait=False) for first in (0, 1)]
        assert [guest.communicate(timeout=60)[0] for guest in guests] == ["done\n"] * 2
        assert not bw.missing
    check(path, image, levels)


def test_zeros_of_guests_are_not_missing(path):
    with BioWriter(path, **OPTIONS, levels=2) as bw:
        bw.flush()
        with bfio.BioWriter.attach(path) as guest:
            guest[:] = np.zeros(SHAPE, np.uint16)
        assert not bw.missing
    check(path, np.zeros(SHAPE, np.uint16), 2)


def test_missing_parts_are_an_error_with_guests(path, part):
    bw = BioWriter(path, **OPTIONS)
    bw.flush()
    with bfio.BioWriter.attach(path) as guest:
        guest[:64] = image_of()[:64]
    with pytest.raises(UsageError, match="regions were not written"):
        bw.close()
    assert part.is_dir() and not path.exists()
    with BioWriter(path, resume=True) as bw:
        assert lost(bw)[64:].all() and not lost(bw)[:64].any()
        bw[60:] = image_of()[60:]
    check(path, image_of())


def test_blocks_of_guests_are_whole_chunks(path):
    with BioWriter(path, **OPTIONS) as bw:
        bw[:] = image_of()
        with bfio.BioWriter.attach(path) as guest:
            assert guest.tile_shape == (32, 32)
            for key, words in (
                ((slice(0, 33),), "along Y.*multiples of 32 rows and 32 columns.*tile_shape"),
                ((slice(0, 32), slice(16, 64)), "along X"),
                ((slice(0, 32), slice(0, 32), slice(1, 3)), "along Z.*2 along Z"),
            ):
                for writer in (guest, bw):
                    with pytest.raises(UsageError, match=words):
                        writer[key] = 1
            guest[96:, 128:, 2:] = 7
    expected = image_of()
    expected[96:, 128:, 2:] = 7
    check(path, expected)


def test_nobody_to_attach_to(path):
    with pytest.raises(FileNotFoundError, match="must begin the store"):
        bfio.BioWriter.attach(path)
    bfio.imwrite(path, np.zeros((5, 5), np.uint8))
    with pytest.raises(FileNotFoundError, match="must begin the store"):
        bfio.BioWriter.attach(path)


def test_a_guest_that_comes_too_late(path, part):
    bw = BioWriter(path, **OPTIONS)
    bw[:] = image_of()
    guest = bfio.BioWriter.attach(path)
    bw.close()
    with pytest.raises(UsageError, match="was finished"):
        guest[:32] = 1
    guest._abandon()
    assert not part.exists()
    check(path, image_of())


def test_a_forked_child_may_not_write(path):
    code = """
        bw = BioWriter(path, shape=image.shape, dtype=image.dtype)
        bw[:10] = 1
        if (pid := os.fork()) == 0:
            try:
                bw[:20] = 2
            except ValueError as error:
                print("attach" in str(error), flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        bw[:] = image
        bw.close()
    """
    assert child(code, path, 1) == (0, "True\n")
    check(path, image_of())


def test_append_from_several_processes(path):
    image = image_of()
    with BioWriter(path, **OPTIONS, levels=2) as bw:
        bw[:] = 9
    with BioWriter(path, append=True):
        guests = [child(GUEST, path, 2, first, wait=False) for first in (0, 1)]
        assert [guest.communicate(timeout=60)[0] for guest in guests] == ["done\n"] * 2
    check(path, image, 2)


def test_a_chunk_of_a_guest_replaces_an_older_part(path):
    image = image_of()
    with BioWriter(path, **OPTIONS) as bw:
        bw[32:] = image[32:]
        bw[:5, :7] = 1
        bw.flush()
        with bfio.BioWriter.attach(path) as guest:
            guest[:32] = image[:32]
    check(path, image)


def test_a_guest_that_ends_without_closing(path):
    image = image_of()
    with BioWriter(path, **OPTIONS, levels=2) as bw:
        bw[:32] = image[:32]
        bw.flush()
        child("bw = BioWriter.attach(path); bw[32:] = image[32:]; os._exit(0)", path, 2)
    check(path, image, 2)

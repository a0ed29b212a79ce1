"""No room on the disk: a small file system that is really full, and a limit of the process on the size of files."""

import errno
import os
import resource
from contextlib import contextmanager

import numpy as np
import pytest
from fault_tools import Case, check_finished, child, missing_mask, part_of, stored

import bfio
from bfio.tiff.writing import partial


def noise(case, seed=0):
    return np.random.default_rng(seed).integers(1, 65535, case.truth(0).shape, dtype=np.uint16)


def finish(path, case, truth):
    """Resume, write what is missing, look at everything."""
    with bfio.BioWriter(path, resume=True) as writer:
        lost = missing_mask(writer, truth.shape)
        assert lost.any()
        assert np.array_equal(stored(part_of(path), case.levels)[0][~lost], truth[~lost])
        for key in writer.missing:
            writer[key] = truth[key[:3]]
    check_finished(path, truth, case.levels)


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("compression", ["none", "deflate"])
@pytest.mark.parametrize("one_by_one", [False, True])
def test_full_amid_writing(small_disk, compression, levels, one_by_one):
    case = Case(compression=compression, levels=levels, size=(256, 256, 4))
    truth, path = noise(case), small_disk(160) / "a.ome.tif"
    writer = case.writer(path)
    with pytest.raises(bfio.TileWriteError, match=r"plane \d+, tile \d+.*No space left") as caught:
        for y in range(0, 256, 32):
            if one_by_one:
                for x in range(0, 256, 32):
                    writer[y : y + 32, x : x + 32] = truth[y : y + 32, x : x + 32]
            else:
                writer[y : y + 32] = truth[y : y + 32]
    assert caught.value.errno == errno.ENOSPC and isinstance(caught.value, OSError)
    with pytest.raises(bfio.UsageError, match="earlier write failed"):
        writer[0:32] = truth[0:32]
    with pytest.raises(bfio.UsageError, match="resume=True"):
        writer.close()
    writer.close()
    assert not path.exists() and part_of(path).exists()
    small_disk(4000)
    finish(path, case, truth)


def written_to(disk, path, case, truth, spare, work):
    """Write three planes, leave ``spare`` kilobytes, and expect that ``work(writer)`` finds the disk full."""
    disk(8000)
    writer = case.writer(path)
    writer[:, :, :3] = truth[:, :, :3]
    writer[:50, :50, 3] = truth[:50, :50, 3]
    writer.flush()
    found = os.statvfs(path.parent)
    disk((found.f_blocks - found.f_bfree) * found.f_frsize // 1024 + spare)
    with pytest.raises(OSError) as caught:
        work(writer)
    assert caught.value.errno == errno.ENOSPC
    writer._abandon()
    assert not path.exists()
    disk(8000)


@pytest.mark.parametrize("spare", [0, 12])
@pytest.mark.parametrize("levels", [1, 3])
def test_full_amid_a_checkpoint(small_disk, levels, spare):
    """The former checkpoint holds."""
    case = Case(compression="none", levels=levels, size=(256, 256, 4), tile=64)
    truth, path = noise(case), small_disk(64) / "a.ome.tif"

    def work(writer):
        for y in range(0, 250, 50):
            writer[y : y + 50, 60:130, 3] = truth[y : y + 50, 60:130, 3]
            writer.flush()

    written_to(small_disk, path, case, truth, spare, work)
    found = stored(part_of(path), levels)[0]
    assert np.array_equal(found[:, :, :3], truth[:, :, :3]) and np.array_equal(found[:50, :50, 3], truth[:50, :50, 3])
    finish(path, case, truth)


@pytest.mark.parametrize(("levels", "spare"), [(1, 0), (3, 0), (3, 12)])
def test_full_at_the_end(small_disk, levels, spare):
    """Tiles that are not whole, the rest of the pyramid, the tile that stands for missing ones."""
    case = Case(compression="none", levels=levels, size=(256, 256, 4), tile=64)
    truth, path = noise(case), small_disk(64) / "a.ome.tif"

    def work(writer):
        writer[70:90, 70:90, 3] = truth[70:90, 70:90, 3]
        writer.close()

    written_to(small_disk, path, case, truth, spare, work)
    with bfio.BioWriter(path, resume=True) as writer:  # parts that were made whole with zeros are no longer missing
        writer[:, :, 3] = truth[:, :, 3]
    check_finished(path, truth, case.levels)


def test_full_in_the_temporary_file_of_partial_tiles(small_disk, monkeypatch):
    monkeypatch.setattr(partial, "SLAB_NBYTES", 1)
    case = Case(compression="deflate", size=(256, 256, 4), levels=2)
    truth, path = noise(case), small_disk(96) / "a.ome.tif"
    writer = case.writer(path)
    with pytest.raises(bfio.TileWriteError, match=r"plane \d+, tile \d+.*No space left"):
        for y in range(0, 256, 32):
            writer[y : y + 16] = truth[y : y + 16]
    writer._abandon()
    small_disk(4000)
    finish(path, case, truth)


def test_no_room_even_for_the_front(small_disk):
    case = Case(size=(512, 512, 40), tile=16)
    folder = small_disk(64)
    writer = case.writer(folder / "a.ome.tif")
    with pytest.raises(OSError, match="No space left"):
        writer.flush()
    assert list(folder.iterdir()) == []


@contextmanager
def largest_file(nbytes):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("compression", ["none", "zstd", "deflate"])
@pytest.mark.parametrize("nbytes", [60_000, 200_000])
def test_files_may_not_be_larger(nbytes, compression, tmp_path):
    case = Case(compression=compression, levels=3, size=(200, 150, 4))
    truth, path = noise(case), tmp_path / "a.ome.tif"

    def work(tell):
        with largest_file(nbytes), case.writer(path) as writer:
            try:
                writer[:] = truth
            except bfio.TileWriteError as error:
                tell(error.errno)
                raise

    with child(work) as (_, lines):
        assert lines.read().split()[:2] == [str(errno.EFBIG), "raised"]
    assert not path.exists()
    finish(path, case, truth)

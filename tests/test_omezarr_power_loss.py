"""After a loss of power only what was synced is certain: other files may be torn, other names old, new or none."""

import os
import shutil
import sys
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from lossy_disk import LossyDisk, PowerFailure

import bfio
from bfio.omezarr.writing.growing import GrowingShard
from bfio.pyramid import halve

zarr = pytest.importorskip("zarr")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")

SHAPE = (96, 128, 4, 1, 1)
LAYOUTS = {
    "files": {"chunks": (2, 32, 32), "compression": "none"},  # torn files are no errors for all readers
    "shards": {"chunks": (2, 16, 32), "shards": (2, 32, 64)},
    "version 2": {"chunks": (1, 32, 32), "zarr_version": 2},
}


class Story:
    """What was written into an image, in which order."""

    def __init__(self, path, rng, **options):
        self.path, self.rng = path, rng
        self.writer = bfio.BioWriter(path, shape=SHAPE, dtype="uint16", max_workers=2, **options)
        self.kept = np.zeros(SHAPE, np.uint16)  # at the last checkpoint
        self.is_kept = np.zeros(SHAPE, bool)
        self.later = []

    def block(self):
        """A part of some chunks, or all of them, of noise or of zeros."""
        key = tuple(
            slice(start, start + n)
            for start, n in (
                (32 * int(self.rng.integers(3)) + 8 * int(self.rng.integers(2)), int(self.rng.choice([24, 32, 64]))),
                (32 * int(self.rng.integers(4)), int(self.rng.choice([32, 64]))),
                (2 * int(self.rng.integers(2)), 2),
            )
        )
        key = tuple(slice(one.start, min(one.stop, size)) for one, size in zip(key, SHAPE, strict=False))
        shape = tuple(one.stop - one.start for one in key) + (1, 1)
        high = 60000 if self.rng.random() < 0.75 else 1
        return key, self.rng.integers(0, high, shape, dtype=np.uint16)

    def write(self, n, writer=None):
        for _ in range(n):
            key, pixels = self.block()
            (writer or self.writer)[key] = pixels
            self.later.append((key, pixels))

    def flush(self):
        self.writer.flush()
        self.keep()

    def keep(self):
        for key, pixels in self.later:
            self.kept[key], self.is_kept[key] = pixels, True
        self.later = []

    def allowed(self, found):
        """Whether pixels are those of the last checkpoint, or were written later."""
        right = self.is_kept & (found == self.kept)
        for key, pixels in self.later:
            right[key] |= found[key] == pixels
        return right

    def resume(self):
        """Go on; what is missing is replaced. Whether all was kept that had to be."""
        truth = np.random.default_rng(5).integers(1, 60000, SHAPE, dtype=np.uint16)
        lost = np.zeros(SHAPE, bool)
        with bfio.BioWriter(self.path, resume=True, max_workers=2) as writer:
            for key in writer.missing:
                lost[key] = True
                writer[key] = truth[key]
        found = self.check()
        np.testing.assert_array_equal(found[lost], truth[lost])
        touched = np.zeros(SHAPE, bool)
        for key, _ in self.later:
            touched[key] = True
        assert self.allowed(found)[~lost].all()
        assert not (lost & self.is_kept & ~touched).any()
        return lost

    def check(self):
        """The pixels of the finished store, whose levels fit."""
        arrays = [zarr.open_group(self.path, mode="r")[str(level)][:] for level in range(3)]
        for above, below in pairwise(arrays):
            np.testing.assert_array_equal(below, halve(above))
        assert os.listdir(self.path.parent) == [self.path.name]
        return arrays[0].transpose(3, 4, 2, 1, 0)


@pytest.fixture
def disk(tmp_path, monkeypatch):
    root = tmp_path / "disk"
    root.mkdir()
    return LossyDisk(root, tmp_path / "graves", monkeypatch)


@pytest.fixture
def boot(monkeypatch):
    """Starts the machine again."""
    boots = [1]
    for module in ("notes", "begin"):
        monkeypatch.setattr(f"bfio.omezarr.writing.{module}.boot_mark", lambda: boots[-1])
    return lambda: boots.append(boots[-1] + 1)


@pytest.fixture(params=LAYOUTS)
def begin(request, disk, monkeypatch):
    monkeypatch.setattr("bfio.omezarr.writing.unsynced.MOST", 6)
    return partial(Story, disk.root / "a.ome.zarr", levels=3, **LAYOUTS[request.param])


@pytest.mark.parametrize("seed", range(6))
def test_what_was_flushed_stays(begin, disk, boot, seed):
    rng = np.random.default_rng(seed)
    story = begin(rng)
    story.write(int(rng.integers(12)))
    story.flush()
    story.write(int(rng.integers(12)))
    if seed % 2:
        story.flush()
        story.write(4)
    story.writer._abandon()
    disk.lose(rng)
    boot()
    story.resume()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("end", ["flush", "close"])
def test_the_power_fails_amid(begin, disk, boot, end, seed, monkeypatch):
    monkeypatch.setattr(GrowingShard, "give_up", GrowingShard.close)  # who has no power writes no more
    rng = np.random.default_rng([seed, 1])
    story = begin(rng)
    story.write(8)
    story.flush()
    story.write(8)
    disk.fails_at = len(disk.log) + int(rng.integers(25))
    try:
        getattr(story.writer, end)()
    except PowerFailure:
        story.writer._abandon()
        disk.lose(rng)
        boot()
        if not story.path.exists():
            story.resume()
            return
    else:
        disk.fails_at = None
        story.writer.close()
    story.keep()
    np.testing.assert_array_equal(story.check(), story.kept)


def test_a_finished_store_is_on_the_disk(begin, disk):
    story = begin(np.random.default_rng(2))
    story.write(20)
    story.writer.close()
    story.keep()
    disk.lose(np.random.default_rng(3))
    found = story.path.parent.iterdir()
    assert [path.name for path in found] == [story.path.name]
    np.testing.assert_array_equal(story.check(), story.kept)


def test_lost_twice(begin, disk, boot):
    """What the first loss has torn is not believed after a process that was killed later."""
    rng = np.random.default_rng(4)
    story = begin(rng)
    story.write(3)
    story.flush()
    story.write(12)
    story.writer._abandon()
    disk.lose(rng)
    boot()
    story.writer = bfio.BioWriter(story.path, resume=True)
    story.writer._abandon()
    story.resume()


def test_what_a_guest_has_flushed_stays(disk, boot):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        story = Story(disk.root / "a.ome.zarr", rng, levels=3, chunks=(2, 32, 32), compression="none")
        story.write(5)
        story.flush()
        with bfio.BioWriter.attach(story.path, max_workers=2) as guest:
            for y in (0, 32):
                key = (slice(y, y + 32), slice(0, 64), slice(0, 2))
                pixels = rng.integers(0, 60000 if y else 1, (32, 64, 2, 1, 1), dtype=np.uint16)
                guest[key] = pixels
                story.later.append((key, pixels))
            guest.flush()
            story.keep()
            key, pixels = (slice(32, 96), slice(32, 128), slice(0, 2)), np.full((64, 96, 2, 1, 1), 7, np.uint16)
            guest[key] = pixels
            story.later.append((key, pixels))
            guest._abandon()
        story.writer._abandon()
        disk.lose(rng)
        boot()
        story.resume()
        for path in disk.root.iterdir():
            shutil.rmtree(path)

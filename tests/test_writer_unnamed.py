"""Killed when the file is complete and lacks its name: resume finishes it, and believes nothing that is not certain."""

import errno
import time

import numpy as np
import pytest
from fault_tools import Case, apply, check_finished, child, kill, missing_mask, part_of, stored, write_missing

import bfio
from bfio.tiff.writing import checkpoint, session
from bfio.tiff.writing.partfile import PartFile
from bfio.tiff.writing.state import Field, is_complete, read_field

CASES = [
    Case(compression="deflate", levels=3),
    Case(compression="none", tile=16, samples=3, workers=1),
    Case(compression="zstd", levels=2, options={"bigtiff": False}),
]
CUT, REST = ("write", 0, 75, 0, 133), ("write", 75, 150, 0, 133)
"""Rows that cut the tiles of every case."""


def planes(rows, *zs, version=1):
    return [(*rows, z, version) for z in zs]


WHOLE = [*planes(CUT, 0, 1, 2), ("flush",), *planes(REST, 0, 1, 2)]
"""At the checkpoint there are parts of tiles; at the end there are none."""


def killed_before(step, path, case, ops, **more):
    """Let a child write and close, and kill it before a step of the close."""
    owner, name = step

    def work(tell):
        def stop(*_):
            tell("there")
            time.sleep(30)

        writer = case.writer(path, **more)
        for op in ops:
            apply(writer, case, op)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, stop)
            writer.close()

    with child(work) as (pid, lines):
        assert lines.readline() == "there\n"
        kill(pid)


TRIM, SYNC, RENAME = (PartFile, "trim"), (PartFile, "sync"), (PartFile, "publish")


@pytest.mark.parametrize("step", [TRIM, SYNC, RENAME], ids=lambda step: step[1])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.compression)
def test_a_complete_file_only_gets_its_name(case, step, tmp_path):
    path = tmp_path / "a.ome.tif"
    ops = [op for op in WHOLE if step is not SYNC or op != ("flush",)]  # a checkpoint is a sync as well
    killed_before(step, path, case, ops)
    assert not path.exists()
    stored(part_of(path), case.levels)
    with bfio.BioWriter(path, resume=True) as writer:
        assert writer.missing == []
    check_finished(path, case.truth(1), case.levels)


@pytest.mark.parametrize("ops", [WHOLE, planes(CUT, 0, 2)], ids=["whole", "not whole"])
def test_it_is_the_file_that_it_would_have_been(ops, tmp_path):
    case = CASES[0]
    expected = tmp_path / "b.ome.tif"
    with case.writer(expected) as writer:
        for op in ops:
            apply(writer, case, op)
    path = tmp_path / "a.ome.tif"
    killed_before(RENAME, path, case, ops)
    killed_before(RENAME, path, case, [], resume=True)
    with case.writer(path, resume=True):
        pass
    for found, wanted in zip(stored(path, case.levels), stored(expected, case.levels), strict=True):
        assert np.array_equal(found, wanted)
    assert not part_of(path).exists()


def test_tiles_that_nobody_wrote_are_still_missing(tmp_path):
    case = CASES[0]
    path = tmp_path / "a.ome.tif"
    killed_before(RENAME, path, case, planes(CUT, 0, 2))
    with bfio.BioWriter(path, resume=True) as writer:
        missing = missing_mask(writer, case.empty.shape)
        assert missing[:, :, 1].all() and missing[96:].all() and not missing[:64, :, [0, 2]].any()
        expected = np.where(missing, case.truth(7), np.pad(case.truth(1)[:75], ((0, 75), (0, 0), (0, 0))))
        expected[:, :, 1] = case.truth(7)[:, :, 1]
        write_missing(writer, case)
    check_finished(path, expected, case.levels)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.compression)
def test_after_a_loss_of_power_it_is_not_taken_for_whole(case, tmp_path, monkeypatch):
    path = tmp_path / "a.ome.tif"
    killed_before(RENAME, path, case, WHOLE)
    with part_of(path).open("r+b") as file:
        end, _ = read_field(file.fileno(), Field.CHECKPOINT)
        blob = read_field(file.fileno(), Field.BLOB)
        file.seek(max(end, sum(blob)))
        file.write(bytes(part_of(path).stat().st_size - max(end, sum(blob))))  # what never came to the disk
    monkeypatch.setattr(checkpoint, "boot_mark", lambda: 7)
    with case.writer(path, resume=True) as writer:
        missing = missing_mask(writer, case.empty.shape)
        assert missing[75:].all() and not missing[:75].any()
        write_missing(writer, case, version=1)
    check_finished(path, case.truth(1), case.levels)


def test_a_disk_that_fails_at_the_end(tmp_path, monkeypatch):
    case = CASES[1]
    path = tmp_path / "a.ome.tif"
    writer = case.writer(path)
    for op in WHOLE:
        apply(writer, case, op)

    def fail(part):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="Input/output"):
        patch.setattr(PartFile, "sync", fail)
        writer.close()
    assert not path.exists()
    with case.writer(path, resume=True) as writer:
        missing = missing_mask(writer, case.empty.shape)
        assert missing[75:].all() and not missing[:75].any()
        write_missing(writer, case, version=1)
    check_finished(path, case.truth(1), case.levels)


def test_killed_when_it_has_its_name(tmp_path, caplog):
    case = CASES[0]
    path = tmp_path / "a.ome.tif"
    killed_before((session, "wipe"), path, case, WHOLE)
    check_finished(path, case.truth(1), case.levels)
    with bfio.BioReader(path) as reader:
        np.testing.assert_array_equal(reader[:], case.truth(1))
    assert not caplog.records


def test_nobody_joins_a_complete_file(tmp_path):
    path = tmp_path / "a.ome.tif"
    killed_before(RENAME, path, CASES[0], WHOLE)
    before = part_of(path).read_bytes()
    with pytest.raises(bfio.UsageError, match="was finished by the process that began it"):
        bfio.BioWriter.attach(path)
    assert part_of(path).read_bytes() == before
    with open(part_of(path), "rb") as file:
        assert is_complete(file.fileno())
    with pytest.raises(bfio.UsageError, match="was begun with other values"):
        CASES[1].writer(path, resume=True)[0, 0] = 1


def test_convert_goes_on(tmp_path):
    case, path, source = CASES[0], tmp_path / "a.ome.tif", tmp_path / "source.ome.tif"
    with case.writer(source) as writer:
        writer[:] = case.truth(1)

    def work(tell):
        def stop(*_):
            tell("there")
            time.sleep(30)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(PartFile, "publish", stop)
            bfio.convert(source, path, tile_size=32, levels=3)

    with child(work) as (pid, lines):
        assert lines.readline() == "there\n"
        kill(pid)
    assert not path.exists()
    bfio.convert(source, path, tile_size=32, levels=3, resume=True)
    check_finished(path, case.truth(1), 3)

"""After a loss of power only what was synchronised is certain: younger bytes may be anything, the entries too."""

import mmap
import random

import numpy as np
import pytest
from fault_tools import Case, apply, check_finished, check_resumed, part_of, random_ops, write_missing

import bfio
from bfio.tiff.writing import checkpoint
from bfio.tiff.writing.front import build_front
from bfio.tiff.writing.state import Field, read_field, read_state


def written(case, path, ops):
    """Apply the operations and go away; where in them the last flush was."""
    writer = case.writer(path)
    for op in ops:
        apply(writer, case, op)
    writer._abandon()
    return max((index for index, op in enumerate(ops) if op[0] == "flush"), default=-1)


def lose(path, rng, how):
    """Pages behind the last checkpoint become zeros, or noise."""
    page = mmap.PAGESIZE
    with open(path, "r+b", buffering=0) as file:
        end, _ = read_field(file.fileno(), Field.CHECKPOINT)
        blob = read_field(file.fileno(), Field.BLOB)
        size = path.stat().st_size
        for start in range(end, size, page // 8):
            stop = min(start + page // 8, size)
            if rng.random() < 0.6 and not (start < sum(blob) and blob[0] < stop):
                file.seek(start)
                file.write(bytes(stop - start) if how == "zeros" else random.Random(start).randbytes(stop - start))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("how", ["zeros", "noise"])
@pytest.mark.parametrize("compression", ["deflate", "none", "zstd", "packbits"])
def test_bytes_behind_the_checkpoint_are_lost(compression, how, seed, tmp_path, monkeypatch):
    case = Case(compression=compression, levels=3, tile=16, workers=1)
    rng = np.random.default_rng([seed, 9])
    path = tmp_path / "a.ome.tif"
    ops = [*random_ops(case, rng, 25), ("flush",), *random_ops(case, rng, 12, flush=0)]
    ops = [*ops[:26], *(op for op in ops[26:] if op[5] == 2)]  # only one plane changes after the flush
    flushed = written(case, path, ops)
    lose(part_of(path), rng, how)
    monkeypatch.setattr(checkpoint, "boot_mark", lambda: 1234567)
    before = [op for op in ops[: flushed + 1] if op[0] == "flush" or op[5] != 2]
    with case.writer(path, resume=True) as writer:
        # of planes that were not touched since, everything is there; the other one may lack tiles, and has no wrong one
        check_resumed(writer, path, case, [*before, ("flush",), *ops], len(before))
        expected = check_resumed(writer, path, case, ops, -1)
        write_missing(writer, case)
    check_finished(path, expected, case.levels)


def test_entries_that_are_half_old_and_half_new_are_not_believed(tmp_path, monkeypatch):
    case = Case(compression="deflate", levels=2)
    path = tmp_path / "a.ome.tif"
    writer = case.writer(path)
    writer[:] = case.truth(0)
    writer.flush()
    writer[0:32, 0:32, 0] = np.zeros((32, 32), np.uint16)  # far fewer bytes
    writer._abandon()
    with open(part_of(path), "r+b") as file:
        recipe, _ = read_state(file.fileno())
        front = build_front(recipe)
        size = front.entry_nbytes
        file.seek(int(front.count_entries[0][0]))
        count = int.from_bytes(file.read(size), "little")
        file.seek(int(front.offset_entries[0][0]) + size)
        neighbour = int.from_bytes(file.read(size), "little")
        file.seek(int(front.offset_entries[0][0]))
        file.write((neighbour - 2 * count).to_bytes(size, "little"))  # some older place
    monkeypatch.setattr(checkpoint, "boot_mark", lambda: 1234567)
    with case.writer(path, resume=True) as writer:
        assert [key[:3] for key in writer.missing] == [(slice(0, 32), slice(0, 32), slice(0, 1))]
        write_missing(writer, case, 0)
    check_finished(path, case.truth(0), 2)


def test_without_a_checkpoint_nothing_is_certain(tmp_path, monkeypatch):
    """Not even the IFDs."""
    case = Case(levels=2)
    path = tmp_path / "a.ome.tif"
    writer = case.writer(path)
    writer[:, :, 1] = case.truth(0)[:, :, 1]
    writer._abandon()
    with open(part_of(path), "r+b") as file:
        first = read_state(file.fileno())[1].nbytes + 16
        file.seek(first)
        file.write(bytes(200))  # the first IFD
    monkeypatch.setattr(checkpoint, "boot_mark", lambda: 1234567)
    with bfio.BioWriter(path, resume=True) as writer:
        assert len(writer.missing) == 3 * 5 * 5
        write_missing(writer, case)
    check_finished(path, case.truth(7), 2)


def test_an_unknown_boot_is_never_the_same_one(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "boot_mark", lambda: 0)
    case = Case(compression="none")
    path = tmp_path / "a.ome.tif"
    writer = case.writer(path)
    writer[:, :, 0] = case.truth(0)[:, :, 0]
    writer.flush()
    writer[:, :, 1] = case.truth(0)[:, :, 1]
    writer._abandon()
    with case.writer(path, resume=True) as writer:
        assert {key[2].start for key in writer.missing} == {1, 2}
        write_missing(writer, case, 0)
    check_finished(path, case.truth(0), 1)

"""Checkpoints: what readers see of an unfinished file, how large it becomes, and that it is always the same."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from fault_tools import Case, apply, check_extents, check_finished, part_of, random_ops, stored

import bfio


def test_a_flushed_file_holds_what_was_written_and_zeros(tmp_path):
    case = Case(levels=2, compression="zstd")
    path = tmp_path / "a.ome.tif"
    expected = case.empty
    with case.writer(path) as writer:
        for op in [*random_ops(case, np.random.default_rng(3), 30, flush=0.3), ("flush",), ("flush",)]:
            apply(writer, case, op)
            if op[0] == "write":
                expected[op[1] : op[2], op[3] : op[4], op[5]] = case.truth(op[6])[op[1] : op[2], op[3] : op[4], op[5]]
                continue
            assert not path.exists()
            assert np.array_equal(stored(part_of(path), 2)[0], expected)
            with bfio.BioReader(part_of(path), backend="python") as reader:
                assert np.array_equal(reader[:], expected)
    check_finished(path, expected, 2)


def test_nothing_written_and_flushed(tmp_path):
    case = Case(levels=2)
    path = tmp_path / "a.ome.tif"
    with case.writer(path) as writer:
        writer.flush()
        assert not stored(part_of(path), 2)[0].any()
        writer.flush()
    check_finished(path, case.empty, 2)


@pytest.mark.parametrize("cut", [0, 5], ids=["whole", "part"])
@pytest.mark.parametrize("flush_every", [0, 1, 7])
@pytest.mark.parametrize("compression", ["none", "deflate"])
def test_a_tile_written_200_times_needs_little_space(compression, flush_every, cut, tmp_path):
    case = Case(size=(64, 64, 1), compression=compression, tile=32, workers=1)
    path = tmp_path / "a.ome.tif"
    rng = np.random.default_rng(0)
    with case.writer(path) as writer:
        writer[:] = case.truth(0)
        writer.flush()
        first = part_of(path).stat().st_size
        for turn in range(200):
            tile = rng.integers(0, 60000 if turn % 2 else 2000, (32 - cut, 32), dtype=np.uint16)
            writer[: 32 - cut, :32, 0] = tile
            if flush_every and turn % flush_every == 0:
                writer.flush()
        size = part_of(path).stat().st_size
    expected = case.truth(0)
    expected[: 32 - cut, :32, 0] = tile
    check_finished(path, expected, 1)
    assert size < first + 8 * 32 * 32 * 2, (first, size)


def test_the_snapshots_of_a_partial_tile_take_turns(tmp_path):
    case = Case(size=(64, 64, 1), compression="none", tile=64, workers=1)
    path = tmp_path / "a.ome.tif"
    with case.writer(path) as writer:
        for turn in range(60):
            writer[turn : turn + 1, :, 0] = case.truth(0)[turn : turn + 1, :, 0]
            writer.flush()
            check_extents(part_of(path))
        assert part_of(path).stat().st_size < 5 * 64 * 64 * 2 + 4096
        writer[60:, :, 0] = case.truth(0)[60:, :, 0]
    check_finished(path, case.truth(0), 1)


@pytest.mark.parametrize("compression", ["deflate", "zstd", "lzw", "packbits", "none", "jpeg"])
def test_the_same_writes_give_the_same_bytes(compression, tmp_path):
    dtype = "uint8" if compression == "jpeg" else "uint16"
    case = Case(size=(100, 90, 2), compression=compression, levels=3, tile=16, dtype=dtype)
    ops = random_ops(case, np.random.default_rng(1), 30, flush=0.15)
    found = set()
    for turn, workers in enumerate([1, 4, 4]):
        path = tmp_path / str(turn) / "a.ome.tif"
        path.parent.mkdir()
        with replace(case, workers=workers).writer(path) as writer:
            for op in ops:
                apply(writer, case, op)
        found.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(found) == 1

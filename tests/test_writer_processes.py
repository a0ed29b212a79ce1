"""One file, several processes: forked, spawned, killed and replaced."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fault_tools import Case, check_extents, check_finished, child, kill, part_of, stored, write_missing
from writer_child import ACROSS, TILE, tile_pixels, write_tiles

import bfio

N_PLANES = 3
N_TILES = N_PLANES * ACROSS * ACROSS
SCRIPT = Path(__file__).with_name("writer_child.py")


def tiled(levels=1, compression="deflate"):
    side = ACROSS * TILE
    return Case(size=(side, side, N_PLANES), tile=TILE, levels=levels, compression=compression, workers=1)


def image():
    tiles = np.array([tile_pixels(index) for index in range(N_TILES)])
    tiles = tiles.reshape(N_PLANES, ACROSS, ACROSS, TILE, TILE)
    return tiles.transpose(1, 3, 2, 4, 0).reshape(ACROSS * TILE, ACROSS * TILE, N_PLANES)


def attached(path, indices):
    """Work of a child: attach and write tiles."""

    def work(tell):
        with bfio.BioWriter.attach(path, max_workers=1) as writer:
            tell("attached")
            write_tiles(writer, indices)
        tell("done")

    return work


@pytest.mark.parametrize("compression", ["deflate", "none"])
@pytest.mark.parametrize("levels", [1, 4])
def test_many_processes_append_small_tiles(compression, levels, tmp_path):
    """Forked ones and spawned ones, and the coordinator too."""
    path = tmp_path / "a.ome.tif"
    with tiled(levels, compression).writer(path) as writer:
        writer.flush()
        command = [sys.executable, str(SCRIPT), str(path), "0", "4", str(N_TILES)]
        spawned = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        with child(attached(path, range(1, N_TILES, 4))) as (_, one), \
                child(attached(path, range(2, N_TILES, 4))) as (_, other):  # fmt: skip
            assert one.readline() == "attached\n"
            write_tiles(writer, range(3, N_TILES, 4))
            assert one.read() == "done\n" and other.read() == "attached\ndone\n"
        assert spawned.communicate()[0] == "done\n"
        check_extents(part_of(path))
        assert writer.missing == []
    check_finished(path, image(), levels)


def test_a_killed_process_is_replaced(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tiled(levels=2).writer(path) as writer:
        write_tiles(writer, range(0, 10))
        writer.flush()
        with child(attached(path, range(10, N_TILES - 20))) as (pid, lines):
            lines.readline()
            while len(writer.missing) > N_TILES - 50:
                pass
            kill(pid)
        assert writer.missing
        with child(attached(path, range(10, N_TILES))) as (_, lines):
            assert lines.read() == "attached\ndone\n"
        write_tiles(writer, range(0, 5))  # rewritten: the lower level follows
    check_finished(path, image(), 2)


def test_without_the_replacement_the_file_is_not_finished(tmp_path):
    path = tmp_path / "a.ome.tif"
    writer = tiled(levels=2).writer(path)
    write_tiles(writer, range(10))
    writer.flush()
    with child(attached(path, range(10, N_TILES - 1))) as (_, lines):
        assert lines.read() == "attached\ndone\n"
    with pytest.raises(bfio.TileWriteError, match="resume=True") as caught:
        writer.close()
    assert (caught.value.plane, caught.value.tile) == (N_PLANES - 1, ACROSS * ACROSS - 1)
    assert not path.exists() and part_of(path).exists()
    with bfio.BioWriter(path, resume=True) as writer:
        assert len(writer.missing) == 1
        write_tiles(writer, range(N_TILES - 1, N_TILES))
    check_finished(path, image(), 2)


def test_rewriting_by_another_process_reaches_the_lower_levels(tmp_path):
    path = tmp_path / "a.ome.tif"
    case = tiled(levels=4, compression="zstd")
    with case.writer(path) as writer:
        writer[:] = case.truth(0)
        writer.flush()
        with child(attached(path, range(0, N_TILES, 7))) as (_, lines):
            assert lines.read() == "attached\ndone\n"
        write_tiles(writer, range(0, N_TILES, 11))
    expected = case.truth(0)
    changed = np.zeros(N_TILES, bool)
    changed[::7] = changed[::11] = True
    mask = changed.reshape(N_PLANES, ACROSS, ACROSS).transpose(1, 2, 0).repeat(TILE, 0).repeat(TILE, 1)
    expected[mask] = image()[mask]
    check_finished(path, expected, 4)


def test_blocks_that_cut_tiles_are_refused(tmp_path):
    case = tiled()
    path = tmp_path / "a.ome.tif"
    with case.writer(path) as writer:
        writer[:16, :16, 0] = case.truth(0)[:16, :16, 0]  # still alone
        writer.flush()
        with bfio.BioWriter.attach(path) as other:
            for one in (writer, other):
                with pytest.raises(bfio.UsageError, match="multiples of 32 rows"):
                    one[:, 5:, 1] = case.truth(0)[:, 5:, 1]
            other[32:, :, 0] = case.truth(0)[32:, :, 0]
            other[:32, 32:, 0] = case.truth(0)[:32, 32:, 0]
        writer[:, :, 1:] = case.truth(0)[:, :, 1:]
        with bfio.BioWriter.attach(path) as other:
            other[:32, :32, 0] = case.truth(0)[:32, :32, 0]
    check_finished(path, case.truth(0), 1)


def test_resume_while_others_are_still_attached(tmp_path):
    """The coordinator is killed, its successor must not take the others' tiles for missing."""
    path = tmp_path / "a.ome.tif"
    case = tiled(levels=2)

    def coordinate(tell):
        with case.writer(path) as writer:
            write_tiles(writer, range(20))
            writer.flush()
            tell("begun")
            time.sleep(30)

    with child(coordinate) as (pid, lines):
        assert lines.readline() == "begun\n"
        with bfio.BioWriter.attach(path) as other:
            write_tiles(other, range(20, 60))
            kill(pid)
            with bfio.BioWriter(path, resume=True) as writer:
                write_tiles(other, range(60, N_TILES))
                other.flush()
                assert writer.missing == []
    check_finished(path, image(), 2)


def test_who_writes_after_the_end_is_told(tmp_path):
    path = tmp_path / "a.ome.tif"
    case = tiled()
    with case.writer(path) as writer:
        writer[:] = image()
        writer.flush()
        other = bfio.BioWriter.attach(path)
    with other, pytest.raises(bfio.UsageError, match="finished by the process that began it"):
        other[:32, :32, 0] = np.zeros((32, 32), np.uint16)
    check_finished(path, image(), 1)


def test_attach_needs_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="must begin the file"):
        bfio.BioWriter.attach(tmp_path / "a.ome.tif")
    (tmp_path / "b.ome.tif.part").write_bytes(b"II*\0 something else" * 10)
    with pytest.raises(bfio.FormatError, match="not an unfinished"):
        bfio.BioWriter.attach(tmp_path / "b.ome.tif")


def test_the_coordinator_is_killed_and_another_one_resumes(tmp_path):
    path = tmp_path / "a.ome.tif"
    case = tiled(levels=3, compression="none")

    def coordinate(tell):
        with case.writer(path) as writer:
            writer.flush()
            tell("begun")
            write_tiles(writer, range(0, N_TILES, 2))
            time.sleep(30)

    with child(coordinate) as (pid, lines):
        assert lines.readline() == "begun\n"
        with child(attached(path, range(1, N_TILES, 4))) as (_, others):
            assert others.read() == "attached\ndone\n"
        kill(pid)
    with case.writer(path, resume=True) as writer:
        found = stored(part_of(path), 3)[0]
        full = image()
        for y, x, z, *_ in writer.missing:
            found[y, x, z] = full[y, x, z]
        assert np.array_equal(found, full)
        write_missing(writer, case, 0)
    assert path.exists()

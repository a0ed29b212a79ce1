"""How parts of planes are asked for: the guesses that are made of a reader without tiles. No Java."""

import pytest

from bfio.bioformats.access import Access
from bfio.bioformats.regions import Region, default_tile_rows
from bfio.metadata import Level
from bfio.tiling import Grid

SIZE = 4096
WHOLE, EXACT = Grid(SIZE, SIZE, SIZE, SIZE), Grid(SIZE, SIZE, 1, 1)
STRIP = Region(range(64), range(SIZE))
KEEP = 128 << 20


def untold(most=KEEP):
    return Access(Level(SIZE, SIZE, (default_tile_rows(SIZE, SIZE, 2), SIZE)), 2, most)


def test_tiles_that_are_told_are_taken():
    access = Access(Level(SIZE, SIZE, (512, 256)), 2, KEEP)
    assert access.grid == Grid(SIZE, SIZE, 512, 256)
    access.learn_from_part(STRIP, 1.0)
    assert access.grid == Grid(SIZE, SIZE, 512, 256)


@pytest.mark.parametrize(("most", "grid"), [(KEEP, WHOLE), (1 << 20, EXACT), (0, EXACT)])
def test_a_plane_of_one_tile_is_read_whole_where_it_can_be_kept(most, grid):
    assert Access(Level(SIZE, SIZE, (SIZE, SIZE)), 2, most).grid == grid


def test_tiles_beyond_what_java_can_hold_are_not_taken():
    huge = Access(Level(1 << 20, 1 << 20, (1 << 16, 1 << 16)), 2, 1 << 62)
    assert huge.grid == Grid(1 << 20, 1 << 20, 1, 1)


def test_a_reader_that_decodes_the_plane_for_each_part():
    access = untold()
    assert access.grid == EXACT
    access.learn_from_part(STRIP, 0.2)
    assert access.grid == WHOLE, "a slow part: the next one is tried by the whole plane"
    access.learn_from_whole(0.22)
    assert access.grid == EXACT, "not sure yet: the first part may have been slow by chance"
    access.learn_from_part(STRIP, 0.19)
    assert access.grid == WHOLE


def test_a_reader_that_was_slow_the_first_time_only():
    access = untold()
    access.learn_from_part(STRIP, 0.2)
    access.learn_from_whole(0.05)
    access.learn_from_part(STRIP, 0.001)
    assert access.grid == EXACT
    access.learn_from_part(STRIP, 5.0)
    assert access.grid == EXACT, "once may be chance"
    access.learn_from_part(STRIP, 0.001)
    access.learn_from_part(STRIP, 5.0)
    assert access.grid == EXACT
    access.learn_from_part(STRIP, 5.0)
    assert access.grid == WHOLE


def test_small_parts_that_cost_a_little_are_not_worth_the_plane():
    access = untold()
    access.learn_from_part(STRIP, 0.2)
    access.learn_from_whole(0.1)
    for _ in range(5):
        access.learn_from_part(Region(range(8), range(8)), 0.005)
        assert access.grid == EXACT


def test_a_slow_reader_that_reads_parts():
    access = untold()
    access.learn_from_part(STRIP, 0.1)
    access.learn_from_whole(6.0)
    assert access.grid == EXACT
    access.learn_from_part(STRIP, 0.1)
    assert access.grid == EXACT


def test_a_quick_reader_is_asked_for_parts_in_parallel():
    access = untold()
    first = access.target_nbytes(32 << 20, 2)
    access.learn_from_part(Region(range(1024), range(1024)), 0.004)
    assert access.grid == EXACT
    assert access.target_nbytes(32 << 20, 2) < first
    assert access.target_nbytes(2 << 20, 2) == 1 << 20


def test_a_reader_that_decodes_all_rows_above_a_part():
    """As that of PNG does: the first parts are quick."""
    access = untold()
    costs = []
    for plane in range(3):
        for y in range(0, SIZE, 64):
            if access.grid == WHOLE:
                access.learn_from_whole(0.5)
                costs.append((plane, "whole"))
                break
            access.learn_from_part(Region(range(y, y + 64), range(SIZE)), 0.5 * (y + 64) / SIZE)
            costs.append((plane, y))
    assert (0, "whole") in costs
    assert access.grid == WHOLE
    assert len(costs) < SIZE // 64


def test_what_can_not_be_kept_is_never_read_whole():
    access = untold(most=1 << 20)
    access.learn_from_part(STRIP, 3.0)
    assert access.grid == EXACT

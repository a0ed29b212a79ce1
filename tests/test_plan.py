"""Plans without files: run in numpy on encoded tiles that hold the index of each pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfio import _kernels
from bfio.plan import FORMAT, NO_SLOT, TASK, plan_planes, tasks_per_plane
from bfio.tiling import Grid


@st.composite
def axes(draw):
    """Size of an axis, size of a tile, and a selection."""
    size = draw(st.integers(1, 60))
    start = draw(st.integers(0, size - 1))
    stop = draw(st.integers(start + 1, size))
    return size, draw(st.integers(1, 24)), range(start, stop, draw(st.integers(1, 9)))


@st.composite
def cases(draw):
    """A grid and a selection of its rectangle."""
    (size_y, tile_rows, y), (size_x, tile_cols, x) = draw(axes()), draw(axes())
    strips = draw(st.booleans())
    if strips:
        tile_rows, tile_cols = min(tile_rows, size_y), size_x
    return Grid(size_y, size_x, tile_rows, tile_cols, strips), y, x


def tables(grid, n_planes, first_tile=0):
    """Per plane: offsets and byte counts that name plane and tile, so that they are known again in the tasks."""
    n_entries = first_tile + grid.n_tiles
    numbers = np.arange(n_planes * n_entries, dtype=np.uint64).reshape(n_planes, n_entries)
    return [(row, row + np.uint64(1000)) for row in numbers]


def plan(grid, y, x, plane_dst, first_tile=0):
    """Tasks of planes that begin at these bytes of the output."""
    planes = [(*table, first_tile, int(dst)) for table, dst in zip(tables(grid, len(plane_dst), first_tile), plane_dst)]
    return plan_planes(grid, y, x, planes)


def run(tasks, grid, steps, shape):
    """What kernels would do with a plan: linear pixel index of plane and image into an int64 output; and the cover."""
    out, cover = np.full(shape, -1, np.int64), np.zeros(shape, int)
    for task in tasks:
        tile_y, tile_x = divmod(int(task["tile"]), grid.tiles_across)
        rows = int(task["y0"]) + steps[0] * np.arange(task["rows"])
        cols = int(task["x0"]) + steps[1] * np.arange(task["n_cols"])
        assert rows[-1] < task["tile_rows"] and cols[-1] < grid.tile_cols
        y, x = tile_y * grid.tile_rows + rows, tile_x * grid.tile_cols + cols
        y_dst, x_dst = int(task["y_dst"]), int(task["x_dst"])
        place = (task["plane"], slice(y_dst, y_dst + len(rows)), slice(x_dst, x_dst + len(cols)))
        out[place] = (int(task["plane"]) * grid.size_y + y[:, None]) * grid.size_x + x
        cover[place] += 1
    return out, cover


@settings(deadline=None)
@given(cases(), st.integers(1, 4))
def test_plan_gives_the_selected_pixels_and_each_once(case, n_planes):
    grid, y, x = case
    shape = (n_planes, len(y), len(x))
    image = np.arange(n_planes * grid.size_y * grid.size_x).reshape(n_planes, grid.size_y, grid.size_x)
    out, cover = run(plan(grid, y, x, np.zeros(n_planes)), grid, (y.step, x.step), shape)
    assert (cover == 1).all()
    assert np.array_equal(out, image[np.ix_(range(n_planes), y, x)])


@given(cases(), st.integers(0, 5))
def test_offsets_and_byte_counts_are_those_of_plane_and_tile(case, first_tile):
    grid, y, x = case
    tasks = plan(grid, y, x, [0, 0], first_tile)
    assert tasks.dtype == TASK
    assert len(tasks) == 2 * tasks_per_plane(grid, y, x)
    assert (tasks["tile"] >= first_tile).all() and (tasks["tile"] < first_tile + grid.n_tiles).all()
    assert (tasks["offset"] == tasks["plane"] * np.uint64(first_tile + grid.n_tiles) + tasks["tile"]).all()
    assert (tasks["nbytes"] == tasks["offset"] + np.uint64(1000)).all()
    assert (tasks["slot"] == NO_SLOT).all()
    assert not tasks["ready"].any()


@given(cases(), st.lists(st.integers(-(2**50), 2**50), min_size=1, max_size=4))
def test_every_task_knows_where_its_plane_begins(case, plane_dst):
    grid, y, x = case
    tasks = plan(grid, y, x, plane_dst)
    assert (tasks["plane_dst"] == np.repeat(plane_dst, tasks_per_plane(grid, y, x))).all()


def test_only_touched_tiles_are_planned():
    tasks = plan(Grid(4096, 4096, 256, 256), range(255, 257), range(300, 400), [0])
    assert tasks["tile"].tolist() == [1, 17]


def test_tiles_between_the_steps_are_left_out():
    tasks = plan(Grid(1000, 16, 10, 16), range(5, 1000, 300), range(16), [0])
    assert tasks["tile"].tolist() == [0, 30, 60, 90]
    assert tasks["y0"].tolist() == [5, 5, 5, 5]
    assert tasks["y_dst"].tolist() == [0, 1, 2, 3]


def test_offsets_of_huge_files():
    planes = [(np.array([2**63 + 5], np.uint64), np.array([2**40], np.uint64), 0, 2**50)]
    (task,) = plan_planes(Grid(32, 32, 32, 32), range(32), range(32), planes)
    assert task["offset"] == 2**63 + 5 and task["nbytes"] == 2**40 and task["plane_dst"] == 2**50


def door(**changes):
    """The kernel's arguments for a plane of 64 x 64 in tiles of 16, one of them replaced."""
    arguments = {
        "tasks": np.zeros(16, TASK).view("u1"), "first_task": 0, "plane": 0, "offsets": np.ones(16, "u8"),
        "byte_counts": np.ones(16, "u8"), "first_tile": 0, "plane_dst": 0, "size_y": 64, "tile_rows": 16,
        "tile_cols": 16, "tiles_across": 4, "strips": False, "y_start": 0, "y_step": 1, "y_count": 64, "x_start": 0,
        "x_step": 1, "x_count": 64,
    }  # fmt: skip
    return _kernels.plan_plane(**arguments | changes)


def test_the_kernel_fills_all_tasks():
    assert door() == 16


@pytest.mark.parametrize(
    "change",
    [
        {"tasks": np.zeros(15, TASK).view("u1")}, {"tasks": np.zeros(0, "u1")}, {"first_task": 1}, {"first_task": -1},
        {"offsets": np.ones(15, "u8")}, {"byte_counts": np.ones(15, "u8")}, {"offsets": np.ones(0, "u8")},
        {"first_tile": 1}, {"first_tile": -1}, {"tile_rows": 0}, {"tile_cols": -4}, {"tiles_across": 0}, {"y_step": 0},
        {"x_step": -1}, {"y_count": 0}, {"x_count": 65}, {"y_count": 2**62}, {"x_start": 2**62}, {"x_start": 1},
        {"x_step": 2**62}, {"strips": True, "size_y": 63}, {"y_start": 2**63 - 1},
    ],
)  # fmt: skip
def test_the_kernel_refuses_what_does_not_fit(change):
    with pytest.raises(ValueError, match="."):
        door(**change)


def test_records_are_packed_as_the_kernels_have_them():
    assert FORMAT.itemsize == 6 * 4 + 2 * 2 + 5 + 2 * 8 + 16
    assert TASK.itemsize == 5 * 8 + 9 * 4

"""Plans without files: run in numpy on encoded tiles that hold the index of each pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfio.plan import FORMAT, NO_SLOT, TASK, Grid, cut_plane, plan_tasks


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


def tables(grid, cut, n_planes):
    """Offsets and byte counts that name plane and tile, so that they are known again in the tasks."""
    planes = np.arange(n_planes, dtype=np.uint64)[:, None]
    offsets = planes * np.uint64(grid.n_tiles) + cut.tile.astype(np.uint64)
    return offsets, offsets + np.uint64(1000)


def run(tasks, grid, form, shape):
    """What kernels would do with a plan: linear pixel index of plane and image into an int64 output; and the cover."""
    out, cover = np.full(shape, -1, np.int64), np.zeros(shape, int)
    y_stride, x_stride = out.strides[-2:]
    for task in tasks:
        plane, tile = divmod(int(task["offset"]), grid.n_tiles)
        tile_y, tile_x = divmod(tile, grid.tiles_across)
        rows = int(task["y0"]) + form[0] * np.arange(task["rows"])
        cols = int(task["x0"]) + form[1] * np.arange(task["n_cols"])
        assert rows[-1] < task["tile_rows"] and cols[-1] < grid.tile_cols
        y, x = tile_y * grid.tile_rows + rows, tile_x * grid.tile_cols + cols
        values = (plane * grid.size_y + y[:, None]) * grid.size_x + x
        for i in range(len(rows)):
            first = int(task["dst"]) + i * y_stride
            places = (first + np.arange(len(cols)) * x_stride) // out.itemsize
            out.reshape(-1)[places] = values[i]
            cover.reshape(-1)[places] += 1
    return out, cover


@settings(deadline=None)
@given(cases(), st.integers(1, 4))
def test_plan_gives_the_selected_pixels_and_each_once(case, n_planes):
    grid, y, x = case
    cut = cut_plane(grid, y, x)
    shape = (n_planes, len(y), len(x))
    image = np.arange(n_planes * grid.size_y * grid.size_x).reshape(n_planes, grid.size_y, grid.size_x)
    strides = np.empty(shape, np.int64).strides
    tasks = plan_tasks(cut, *tables(grid, cut, n_planes), np.arange(n_planes) * strides[0], *strides[1:])
    out, cover = run(tasks, grid, (y.step, x.step), shape)
    assert (cover == 1).all()
    assert np.array_equal(out, image[np.ix_(range(n_planes), y, x)])


@given(cases())
def test_byte_counts_go_with_their_offsets(case):
    grid, y, x = case
    cut = cut_plane(grid, y, x)
    tasks = plan_tasks(cut, *tables(grid, cut, 2), np.zeros(2, np.int64), 8, 8)
    assert tasks.dtype == TASK
    assert len(tasks) == 2 * cut.n_tasks
    assert (tasks["nbytes"] == tasks["offset"] + np.uint64(1000)).all()
    assert (tasks["slot"] == NO_SLOT).all()
    assert not tasks["ready"].any()


@given(cases())
def test_negative_strides_run_backwards(case):
    grid, y, x = case
    cut = cut_plane(grid, y, x)
    offsets = tables(grid, cut, 1)
    forward = plan_tasks(cut, *offsets, np.zeros(1, np.int64), 100, 2)["dst"]
    backward = plan_tasks(cut, *offsets, np.array([7]), -100, -2)["dst"]
    assert np.array_equal(backward, 7 - forward)


@given(cases())
def test_encoded_rows(case):
    grid, _, _ = case
    rows = grid.encoded_rows(np.arange(grid.tiles_down))
    assert (rows[:-1] == grid.tile_rows).all()
    if grid.strips:
        assert rows.sum() == grid.size_y and (rows > 0).all()
    else:
        assert rows[-1] == grid.tile_rows


@pytest.mark.parametrize(
    ("grid", "n_tiles"),
    [(Grid(1, 1, 16, 16), 1), (Grid(16, 17, 16, 16), 2), (Grid(33, 33, 16, 16), 9), (Grid(10, 5, 3, 5, True), 4)],
)
def test_number_of_tiles(grid, n_tiles):
    assert grid.n_tiles == n_tiles == cut_plane(grid, range(grid.size_y), range(grid.size_x)).n_tasks


def test_only_touched_tiles_are_planned():
    cut = cut_plane(Grid(4096, 4096, 256, 256), range(255, 257), range(300, 400))
    assert cut.tile.tolist() == [1, 17]


def test_offsets_of_huge_files_and_outputs():
    cut = cut_plane(Grid(32, 32, 32, 32), range(32), range(32))
    tasks = plan_tasks(cut, np.array([[2**63 + 5]], np.uint64), np.array([[2**40]], np.uint64), np.array([2**50]), 1, 1)
    assert tasks["offset"][0] == 2**63 + 5 and tasks["nbytes"][0] == 2**40 and tasks["dst"][0] == 2**50


def test_records_are_packed_as_the_kernels_have_them():
    assert FORMAT.itemsize == 6 * 4 + 2 * 2 + 5 + 2 * 8 + 16
    assert TASK.itemsize == 4 * 8 + 6 * 4

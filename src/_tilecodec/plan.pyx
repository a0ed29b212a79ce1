"""Lay a rectangle over the tiles of a plane: one task per tile that it touches."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from _tilecodec.tiletask cimport tile_task

cdef struct axis:                  # a selection of one axis and the tiles it falls on
    int64_t start
    int64_t step
    int64_t count
    int64_t tile_size

cdef struct cut:                   # one tile of an axis
    int64_t tile
    int64_t first                  # first selected index, counted from the tile's origin
    int64_t count
    int64_t dst                    # its position in the selection


cdef bint _next_cut(const axis* a, cut* c) noexcept nogil:
    """Advance to the next tile that holds a selected index; false at the end."""
    cdef int64_t index, left
    c.dst += c.count
    if c.dst >= a.count:
        return False
    index = a.start + c.dst * a.step
    c.tile = index // a.tile_size
    c.first = index - c.tile * a.tile_size
    left = (a.tile_size - 1 - c.first) // a.step + 1
    c.count = min(left, a.count - c.dst)
    return True


cdef int64_t _fill(
    tile_task* tasks, int64_t room, const tile_task* pattern, const axis* y, const axis* x, int64_t tiles_across,
    int64_t size_y, bint strips, const uint64_t* offsets, const uint64_t* byte_counts, int64_t n_tiles
) noexcept nogil:
    """Write the tasks; how many, or -1 where a tile is not in the tables or the tasks do not fit."""
    cdef cut row, col
    cdef int64_t n = 0
    cdef int64_t tile
    cdef tile_task* t
    row.dst = row.count = 0
    while _next_cut(y, &row):
        if row.tile > (n_tiles - 1 - <int64_t>pattern.tile) // tiles_across:  # before the product below overflows
            return -1
        col.dst = col.count = 0
        while _next_cut(x, &col):
            tile = <int64_t>pattern.tile + row.tile * tiles_across + col.tile
            if n >= room or tile >= n_tiles or col.tile >= tiles_across:
                return -1
            t = &tasks[n]
            t[0] = pattern[0]
            t.tile = tile
            t.offset = offsets[tile]
            t.nbytes = byte_counts[tile]
            t.tile_rows = min(y.tile_size, size_y - row.tile * y.tile_size) if strips else y.tile_size
            t.y0, t.rows, t.y_dst = row.first, row.count, row.dst
            t.x0, t.n_cols, t.x_dst = col.first, col.count, col.dst
            n += 1
    return n


def plan_plane(
    uint8_t[::1] tasks not None,
    int64_t first_task,
    int64_t plane,
    const uint64_t[::1] offsets not None,
    const uint64_t[::1] byte_counts not None,
    int64_t first_tile,
    int64_t plane_dst,
    int64_t size_y,
    int64_t tile_rows,
    int64_t tile_cols,
    int64_t tiles_across,
    bint strips,
    int64_t y_start,
    int64_t y_step,
    int64_t y_count,
    int64_t x_start,
    int64_t x_step,
    int64_t x_count,
):
    """Write the tasks of one plane into ``tasks`` (bytes of ``tile_task`` records) from ``first_task`` on.

    The rectangle is ``y_count`` rows from ``y_start`` on, every ``y_step``-th, by columns alike. Tiles are numbered
    row-major from ``first_tile`` on in ``offsets`` and ``byte_counts``; a byte count of 0 is a sparse tile. With
    ``strips`` the last tile of the image has only the rows that are left of ``size_y``.

    Returns
    -------
    int
        Number of tasks, in row-major order of the tiles.
    """
    cdef tile_task pattern
    cdef axis y, x
    cdef int64_t n_records = tasks.shape[0] // <Py_ssize_t>sizeof(tile_task)
    cdef int64_t n_tiles = min(offsets.shape[0], byte_counts.shape[0])
    cdef int64_t n
    y.start, y.step, y.count, y.tile_size = y_start, y_step, y_count, tile_rows
    x.start, x.step, x.count, x.tile_size = x_start, x_step, x_count, tile_cols
    if min(y_step, x_step, tile_rows, tile_cols, y_count, x_count, tiles_across) < 1:
        raise ValueError("steps, counts and tile sizes must be positive")
    if min(y_start, x_start, first_tile, first_task) < 0 or first_task >= n_records or n_tiles < 1:
        raise ValueError("starts must not be negative, and there must be room and tiles")
    if first_tile >= n_tiles:
        raise ValueError("the first tile is not in the tables")
    if max(tile_rows, tile_cols, y_count, x_count) > 0xFFFFFFFF or max(y_start, x_start, size_y) > <int64_t>1 << 40:
        raise ValueError("the plane is too large")
    if y_step > (<int64_t>1 << 40) // y_count or x_step > (<int64_t>1 << 40) // x_count:
        raise ValueError("the selection leaves the plane")
    if strips and y_start + (y_count - 1) * y_step >= size_y:
        raise ValueError("the selection leaves the plane")
    pattern.slot = -1
    pattern.plane_dst = plane_dst
    pattern.tile = first_tile
    pattern.plane = plane
    pattern.ready = pattern.decoded_rows = 0
    with nogil:
        n = _fill(<tile_task*>&tasks[0] + first_task, n_records - first_task, &pattern, &y, &x, tiles_across, size_y,
                  strips, &offsets[0], &byte_counts[0], n_tiles)
    if n < 0:
        raise ValueError("the selection leaves the tiles, or the tasks do not fit")
    return n

"""One worker's job: its checks, and the way from a decoded tile into the output."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from _tilecodec.convert cimport convert_strided, copy_strided, extent, fill_strided, strides
from _tilecodec.status cimport BAD_TASK, OK
from _tilecodec.tiletask cimport tile_format, tile_task

cdef uint64_t MAX_TILE_NBYTES = <uint64_t>1 << 46


cdef uint8_t* room(scratch* buffer, size_t nbytes) noexcept nogil:
    """At least nbytes of scratch memory, or NULL; earlier contents are lost."""
    if buffer.nbytes < nbytes or buffer.data == NULL:
        free(buffer.data)
        buffer.data = <uint8_t*>malloc(nbytes if nbytes > 0 else 1)
        buffer.nbytes = nbytes if buffer.data != NULL else 0
    return buffer.data


cdef size_t _kind_size(uint8_t kind) noexcept nogil:
    """Bytes of one item of a numeric kind (convert.kind); 0 for what is none."""
    if kind <= 3:
        return <size_t>1 << kind
    if kind <= 7:
        return <size_t>1 << (kind - 4)
    return <size_t>1 << (kind - 7) if kind <= 10 else 0


cdef int check_format(const tile_format* f, size_t out_item_size) noexcept nogil:
    cdef uint64_t pixel
    if f.src_kind == f.dst_kind and not f.rescale:
        if out_item_size != f.item_size:
            return BAD_TASK
    elif _kind_size(f.src_kind) != f.item_size or _kind_size(f.dst_kind) != out_item_size:
        return BAD_TASK
    if f.item_size not in (1, 2, 4, 8, 16) or f.swap_size not in (0, 1, 2, 4, 8):
        return BAD_TASK
    if f.cols == 0 or f.samples == 0 or f.n_samples == 0 or f.y_step == 0 or f.x_step == 0:
        return BAD_TASK
    if f.first_sample >= f.samples or f.n_samples > f.samples - f.first_sample:
        return BAD_TASK
    if f.swap_size > f.item_size:
        return BAD_TASK
    pixel = <uint64_t>f.samples * f.item_size
    return OK if f.cols <= MAX_TILE_NBYTES // pixel else BAD_TASK


cdef int check_task(const job* j, const tile_task* t) noexcept nogil:
    """Everything a kernel relies on: the rectangle lies in the tile, its copy in the output, the slot in the cache."""
    cdef const tile_format* f = j.format
    cdef const target* out = &j.out
    cdef uint32_t n_rows = t.decoded_rows if t.decoded_rows > 0 else t.tile_rows
    cdef int64_t low, high
    if t.tile_rows == 0 or t.tile_rows > MAX_TILE_NBYTES // j.row_nbytes or n_rows > t.tile_rows:
        return BAD_TASK
    if t.slot >= 0:
        if t.tile_rows * j.row_nbytes > j.slab_nbytes or (
                <size_t>t.slot > j.slab_nbytes - t.tile_rows * j.row_nbytes):
            return BAD_TASK
    elif t.ready:
        return BAD_TASK
    if t.rows == 0:
        return OK if t.slot >= 0 and t.nbytes > 0 else BAD_TASK
    if t.n_cols == 0 or t.y0 >= n_rows or t.x0 >= f.cols:
        return BAD_TASK
    if <uint64_t>(t.rows - 1) * f.y_step > n_rows - 1 - t.y0:
        return BAD_TASK
    if <uint64_t>(t.n_cols - 1) * f.x_step > f.cols - 1 - t.x0:
        return BAD_TASK
    if t.y_dst >= out.rows or t.rows > out.rows - t.y_dst or t.x_dst >= out.cols or t.n_cols > out.cols - t.x_dst:
        return BAD_TASK
    if f.n_samples > out.channels:
        return BAD_TASK
    # the rectangle lies in a whole plane of the output, so only the plane's place is left to check
    low = high = 0
    _stretch((out.rows - 1) * out.step.row, &low, &high)
    _stretch((out.cols - 1) * out.step.col, &low, &high)
    _stretch(<int64_t>(f.n_samples - 1) * out.step.sample, &low, &high)
    if t.plane_dst < out.lo - low or t.plane_dst > out.hi - <int64_t>out.item_size - high:
        return BAD_TASK
    return OK


cdef uint8_t* place(const job* j, const tile_task* t) noexcept nogil:
    """Where the first item of the rectangle goes."""
    return j.out.data + t.plane_dst + t.y_dst * j.out.step.row + t.x_dst * j.out.step.col


cdef void _stretch(int64_t reach, int64_t* low, int64_t* high) noexcept nogil:
    if reach < 0:
        low[0] += reach
    else:
        high[0] += reach


cdef int emit(
    const job* j, const tile_task* t, const uint8_t* first, size_t row_nbytes, size_t skipped, size_t rows
) noexcept nogil:
    """Copy or convert ``rows`` rows whose first wanted sample is at ``first``; ``skipped`` output rows precede them."""
    cdef const tile_format* f = j.format
    cdef strides src
    cdef extent n
    cdef uint8_t* dst = place(j, t) + <int64_t>skipped * j.out.step.row
    src.row = row_nbytes * f.y_step
    src.col = j.pixel_nbytes * f.x_step
    src.sample = f.item_size
    n.rows, n.cols, n.samples = rows, t.n_cols, f.n_samples
    if j.plain_copy:
        return copy_strided(dst, &j.out.step, first, &src, &n, f.item_size)
    return convert_strided(
        dst, &j.out.step, f.dst_kind, first, &src, f.src_kind, &n, f.rescale, f.scale, f.offset)


cdef int emit_tile(const job* j, const tile_task* t, const uint8_t* tile) noexcept nogil:
    return emit(
        j, t, tile + t.y0 * j.row_nbytes + t.x0 * j.pixel_nbytes + j.format.first_sample * j.format.item_size,
        j.row_nbytes, 0, t.rows)


cdef int fill(const job* j, const tile_task* t) noexcept nogil:
    cdef extent n
    n.rows, n.cols, n.samples = t.rows, t.n_cols, j.format.n_samples
    return fill_strided(place(j, t), &j.out.step, &n, j.format.fill, j.out.item_size)


cdef bint pixels_adjacent(const job* j) noexcept nogil:
    """Whether a run of whole pixels of the tile is a run of bytes in the output, unconverted."""
    cdef const tile_format* f = j.format
    return (
        j.plain_copy and f.x_step == 1 and f.n_samples == f.samples
        and j.out.step.col == <int64_t>j.pixel_nbytes
        and (f.samples == 1 or j.out.step.sample == f.item_size))


cdef bint is_whole(const job* j, const tile_task* t) noexcept nogil:
    """Whether the rectangle is the whole tile, and its rows lie in the output as they lie in the tile."""
    return (
        pixels_adjacent(j) and j.format.y_step == 1 and t.x0 == 0 and t.n_cols == j.format.cols
        and t.y0 == 0 and t.rows == t.tile_rows)


cdef bint is_direct(const job* j, const tile_task* t) noexcept nogil:
    """Whether the rectangle is the whole tile and lies in the output as it lies in the tile."""
    return is_whole(j, t) and (t.rows == 1 or j.out.step.row == <int64_t>j.row_nbytes)


cdef int bind_target(target* out, Py_buffer* view) except -1:
    """Describe an output of shape (T, C, Z, Y, X); consecutive samples of a pixel are consecutive along C."""
    cdef int axis
    cdef int64_t reach
    if view.ndim != 5:
        raise ValueError("out must have the five axes TCZYX")
    out.data = <uint8_t*>view.buf
    out.lo, out.hi = 0, view.itemsize
    for axis in range(5):
        if view.shape[axis] == 0:
            raise ValueError("out must not be empty")
        reach = (view.shape[axis] - 1) * view.strides[axis]
        if reach < 0:
            out.lo += reach
        else:
            out.hi += reach
    out.channels, out.rows, out.cols = view.shape[1], view.shape[3], view.shape[4]
    out.step.sample, out.step.row, out.step.col = view.strides[1], view.strides[3], view.strides[4]
    out.item_size = view.itemsize
    return 0

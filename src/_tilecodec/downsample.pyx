"""Half the size: each 2 x 2 items of a plane become one, by several threads that share a counter.

Rows that are contiguous and aligned go straight into the loops of `pairs`; others, and the last column of an odd
width, pass through small buffers. Where only one row or column is left it counts twice, which changes no mean, no
maximum and no frequency.
"""

from cpython.buffer cimport PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint8_t, uintptr_t
from libc.string cimport memcpy

from _tilecodec.atomic cimport fetch_add
from _tilecodec.convert cimport F2, F8, U2, convert_strided, copy_strided, extent, strides
from _tilecodec.pairs cimport MAXIMUM, MODE, NEAREST, find_reduce_pixels, find_reduce_rows, reduce_pixels, reduce_rows

METHODS = ("mean", "nearest", "mode", "max")

cdef enum:
    RUN = 512              # items that one pass through the buffers makes
    BLOCK = 1 << 17        # items of the output that are one task, at least a row

cdef struct block:         # what one thread does at a time: rows of all channels at one (t, z)
    const uint8_t* src
    uint8_t* dst
    size_t rows

cdef struct halving:       # sizes in items, strides in bytes; axes T, C, Z, Y, X
    const uint8_t* src
    uint8_t* dst
    ptrdiff_t src_shape[5]
    ptrdiff_t dst_shape[5]
    ptrdiff_t src_strides[5]
    ptrdiff_t dst_strides[5]
    int how
    int kind
    int work_kind          # of the arithmetic: float16 is computed in double
    size_t item_size
    size_t work_size
    reduce_rows reduce
    reduce_pixels reduce_all   # all samples of pixels at once, or NULL
    bint interleaved       # channels lie closer to each other than columns
    ptrdiff_t block_rows
    ptrdiff_t n_blocks     # of one (t, z)


cdef inline size_t size_of(int any_kind) noexcept nogil:
    return <size_t> 1 << (any_kind & 3) if any_kind < F2 else <size_t> 2 << (any_kind - F2)


cdef inline bint is_plain(const uint8_t* data, ptrdiff_t step, size_t item_size) noexcept nogil:
    """A run that a typed pointer may walk over."""
    return step == <ptrdiff_t> item_size and <uintptr_t> data % item_size == 0


cdef void part_of_row(
    const halving* h, uint8_t* dst, const uint8_t* src, ptrdiff_t bottom_step, size_t n, bint odd
) noexcept nogil:
    """Up to RUN items: gather (and widen) two rows, reduce, scatter (and narrow). Odd: the last column is alone."""
    cdef double rows[2][2 * RUN]
    cdef double made[RUN]
    cdef size_t size = h.work_size
    cdef uint8_t* top = <uint8_t*> rows[0]
    cdef uint8_t* bottom = <uint8_t*> rows[1]
    cdef strides near = strides(sizeof(rows[0]), size, 0)
    cdef strides far = strides(bottom_step, h.src_strides[4], 0)
    cdef strides out = strides(0, h.dst_strides[4], 0)
    cdef extent n_in = extent(2, 2 * n - odd, 1)
    cdef extent n_out = extent(1, n, 1)
    convert_strided(top, &near, h.work_kind, src, &far, h.kind, &n_in, False, 1, 0)
    if odd:
        memcpy(top + (2 * n - 1) * size, top + (2 * n - 2) * size, size)
        memcpy(bottom + (2 * n - 1) * size, bottom + (2 * n - 2) * size, size)
    h.reduce(<uint8_t*> made, top, bottom, n)
    convert_strided(dst, &out, h.kind, <uint8_t*> made, &near, h.work_kind, &n_out, False, 1, 0)


cdef void make_row(const halving* h, uint8_t* dst, const uint8_t* src, ptrdiff_t bottom_step) noexcept nogil:
    """One row of one plane."""
    cdef ptrdiff_t src_step = h.src_strides[4]
    cdef ptrdiff_t dst_step = h.dst_strides[4]
    cdef size_t cols = h.dst_shape[4]
    cdef size_t pairs = h.src_shape[4] // 2
    cdef size_t x = 0
    cdef size_t n
    if (
        h.kind == h.work_kind and is_plain(dst, dst_step, h.item_size) and is_plain(src, src_step, h.item_size)
        and is_plain(src + bottom_step, src_step, h.item_size)
    ):
        h.reduce(dst, src, src + bottom_step, pairs)
        x = pairs
    while x < cols:
        n = min(cols - x, <size_t> RUN)
        part_of_row(
            h, dst + <ptrdiff_t> x * dst_step, src + 2 * <ptrdiff_t> x * src_step, bottom_step, n, x + n > pairs)
        x += n


cdef void make_pixels(const halving* h, uint8_t* dst, const uint8_t* src, ptrdiff_t bottom_step) noexcept nogil:
    """One row of all channels, which are samples side by side."""
    cdef size_t samples = h.src_shape[1]
    cdef ptrdiff_t pairs = h.src_shape[4] // 2
    cdef ptrdiff_t size = h.item_size
    cdef ptrdiff_t k
    h.reduce_all(dst, src, src + bottom_step, pairs, samples)
    if h.dst_shape[4] > pairs:
        for k in range(<ptrdiff_t> samples):
            part_of_row(
                h, dst + pairs * h.dst_strides[4] + k * size, src + 2 * pairs * h.src_strides[4] + k * size,
                bottom_step, 1, True)


cdef block find_block(const halving* h, ptrdiff_t task) noexcept nogil:
    cdef block b
    cdef ptrdiff_t y = task % h.n_blocks * h.block_rows
    cdef ptrdiff_t z = task // h.n_blocks % h.src_shape[2]
    cdef ptrdiff_t t = task // h.n_blocks // h.src_shape[2]
    b.src = h.src + (t * h.src_strides[0] + z * h.src_strides[2] + 2 * y * h.src_strides[3])
    b.dst = h.dst + (t * h.dst_strides[0] + z * h.dst_strides[2] + y * h.dst_strides[3])
    b.rows = min(h.block_rows, h.dst_shape[3] - y)
    return b


cdef void make_block(const halving* h, ptrdiff_t task) noexcept nogil:
    """Row by row; channels inside, where they are interleaved, so that a line of the cache is used up at once."""
    cdef block b = find_block(h, task)
    cdef ptrdiff_t channels = h.src_shape[1] if h.reduce_all == NULL else 1
    cdef ptrdiff_t rows = b.rows
    cdef bint at_edge = 2 * (task % h.n_blocks * h.block_rows + rows) > h.src_shape[3]
    cdef ptrdiff_t i, y, c, bottom_step
    cdef const uint8_t* src
    cdef uint8_t* dst
    for i in range(rows * channels):
        y = i // channels if h.interleaved else i % rows
        c = i % channels if h.interleaved else i // rows
        bottom_step = 0 if at_edge and y == rows - 1 else h.src_strides[3]
        dst = b.dst + (c * h.dst_strides[1] + y * h.dst_strides[3])
        src = b.src + (c * h.src_strides[1] + 2 * y * h.src_strides[3])
        if h.reduce_all == NULL:
            make_row(h, dst, src, bottom_step)
        else:
            make_pixels(h, dst, src, bottom_step)


cdef void pick_block(const halving* h, ptrdiff_t task) noexcept nogil:
    """The top left items."""
    cdef block b = find_block(h, task)
    cdef strides src = strides(2 * h.src_strides[3], 2 * h.src_strides[4], h.src_strides[1])
    cdef strides dst = strides(h.dst_strides[3], h.dst_strides[4], h.dst_strides[1])
    cdef extent n = extent(b.rows, h.dst_shape[4], h.dst_shape[1])
    copy_strided(b.dst, &dst, b.src, &src, &n, h.item_size)


cdef bint work(const halving* h, int64_t* counter, int64_t budget) noexcept nogil:
    """Blocks until none is left (True) or the budget is spent."""
    cdef ptrdiff_t n_tasks = h.dst_shape[0] * h.dst_shape[2] * h.n_blocks
    cdef int64_t task_nbytes = h.block_rows * h.src_shape[4] * 2 * h.src_shape[1] * <int64_t> h.item_size
    cdef int64_t task
    while budget > 0:
        task = fetch_add(counter, 1)
        if task < 0 or task >= n_tasks:
            return True
        if h.how == NEAREST:
            pick_block(h, task)
        else:
            make_block(h, task)
        budget -= task_nbytes
    return False


cdef int bind(halving* h, const Py_buffer* src, const Py_buffer* dst) except -1:
    """Check shapes and sizes, which is all that the loops rely on."""
    cdef int axis
    cdef ptrdiff_t expected
    if src.ndim != 5 or dst.ndim != 5:
        raise ValueError(f"arrays of {src.ndim} and {dst.ndim} dimensions instead of the five axes TCZYX")
    for axis in range(5):
        expected = src.shape[axis] if axis < 3 else (src.shape[axis] + 1) // 2
        if dst.shape[axis] != expected:
            raise ValueError(f"axis {axis} of the output has {dst.shape[axis]} items instead of {expected}")
        h.src_shape[axis], h.dst_shape[axis] = src.shape[axis], dst.shape[axis]
        h.src_strides[axis], h.dst_strides[axis] = src.strides[axis], dst.strides[axis]
    if src.itemsize != dst.itemsize:
        raise ValueError(f"items of {src.itemsize} bytes become items of {dst.itemsize} bytes")
    h.interleaved = abs(src.strides[1]) < abs(src.strides[4])
    h.src, h.dst, h.item_size = <const uint8_t*> src.buf, <uint8_t*> dst.buf, src.itemsize
    return 0


cdef int choose(halving* h, int how, int kind) except -1:
    """The loop for method and kind."""
    if not 0 <= how <= MAXIMUM:  # 0, as Cython makes MEAN <= how a comparison of unsigned numbers
        raise ValueError(f"method {how} is none of {METHODS}")
    h.how, h.reduce_all = how, NULL
    if how == NEAREST:
        return 0
    if not 0 <= kind <= F8 or h.item_size != size_of(kind):
        raise ValueError(f"{h.item_size} byte items are not of kind {kind}")
    h.kind = U2 if how == MODE and kind == F2 else kind
    h.work_kind = F8 if h.kind == F2 else h.kind
    h.work_size = size_of(h.work_kind)
    h.reduce = find_reduce_rows(how, h.work_kind)
    if has_pixels(h.src_strides, h) and has_pixels(h.dst_strides, h) and <uintptr_t> h.dst % h.item_size == 0:
        h.reduce_all = find_reduce_pixels(how, h.kind)
    return 0


cdef bint has_pixels(const ptrdiff_t* steps, const halving* h) noexcept:
    """Whether all channels of a pixel are a run of items, and a row is one of pixels; at addresses that fit."""
    cdef ptrdiff_t size = h.item_size
    cdef int axis
    for axis in range(5):
        if steps[axis] % size != 0:
            return False
    return steps[1] == size and steps[4] == h.src_shape[1] * size and <uintptr_t> h.src % size == 0


def downsample_planes(src, dst, int how, int kind, int64_t[::1] counter not None, int64_t budget):
    """Reduce 2 x 2 items of each plane to one, without the GIL; any number of threads may work on one call's data.

    Parameters
    ----------
    src : object with the buffer protocol
        Shape (T, C, Z, Y, X), any strides, native byte order.
    dst : object with the buffer protocol
        Shape (T, C, Z, ceil(Y / 2), ceil(X / 2)), writable, any strides; no overlap with `src`.
    how : int
        Place of the method in ``METHODS``. mean: the nearest integer, halves towards plus infinity; of reals, NaN if
        one is NaN. nearest: the top left item. mode: the most frequent item, of equally frequent ones the first in
        reading order; items are equal if their bits are. max: NaN counts as the largest.
    kind : int
        Place of the dtype in ``convert.KINDS``; not looked at by nearest.
    counter : int64 array of length 1
        Next block of rows, shared by all threads. Set it to ``2**62`` to stop them.
    budget : int
        Bytes of the source after which the call comes back, so that signals are seen.

    Returns
    -------
    bool
        Whether nothing is left to do; else the budget is spent.

    Raises
    ------
    ValueError
        Shapes, item sizes, method or kind do not go together.
    """
    cdef Py_buffer src_view, dst_view
    cdef halving h
    cdef bint done = True
    if counter.shape[0] != 1:
        raise ValueError("counter must have one entry")
    PyObject_GetBuffer(src, &src_view, PyBUF_STRIDES)
    try:
        PyObject_GetBuffer(dst, &dst_view, PyBUF_STRIDES | PyBUF_WRITABLE)
        try:
            bind(&h, &src_view, &dst_view)
            choose(&h, how, kind)
            if dst_view.len > 0:
                h.block_rows = max(BLOCK // (h.dst_shape[4] * h.dst_shape[1]), 1)
                h.n_blocks = (h.dst_shape[3] + h.block_rows - 1) // h.block_rows
                with nogil:
                    done = work(&h, &counter[0], budget)
        finally:
            PyBuffer_Release(&dst_view)
    finally:
        PyBuffer_Release(&src_view)
    return done

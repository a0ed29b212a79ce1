"""Strided copies, and dtype conversion and rescaling with saturation.

A conversion works on runs of items: gathered into a small buffer unless they are contiguous and aligned, cast by
one typed loop per pair of kinds, and scattered. Float16 is widened to float32 on the way in and narrowed from
float64 on the way out.
"""

from cpython.buffer cimport PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t, uint16_t, uintptr_t
from libc.string cimport memcpy, memset

from _tilecodec.cast cimport cast_any, narrow_to_halves, widen_halves
from _tilecodec.status cimport BAD_TASK, OK

KINDS = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8")

cdef enum:
    RUN = 512          # items of one pass through the buffers on the stack: 14 kB, to stay in the L1 cache

cdef struct loops:
    # An extent in the order of its loops; strides of the destination (dst) and the source (src) in bytes.
    size_t outer
    size_t middle
    size_t inner
    ptrdiff_t dst_outer
    ptrdiff_t dst_middle
    ptrdiff_t dst_inner
    ptrdiff_t src_outer
    ptrdiff_t src_middle
    ptrdiff_t src_inner

cdef struct recipe:
    int dst_kind
    int src_kind
    bint rescale
    double scale
    double offset


# Order of loops: rows, samples, columns, merged where both sides allow it, so that runs are long.

cdef loops in_order(const strides* dst, const strides* src, const extent* n) noexcept nogil:
    cdef loops order = loops(n.rows, n.samples, n.cols, dst.row, dst.sample, dst.col, src.row, src.sample, src.col)
    merge_samples(&order)
    if order.middle == 1:
        merge_rows(&order)
    return order


cdef void merge_samples(loops* order) noexcept nogil:
    cdef ptrdiff_t samples = <ptrdiff_t> order.middle
    cdef bint together = (
        order.dst_inner == samples * order.dst_middle and order.src_inner == samples * order.src_middle
    )
    if order.middle == 1 or not (together or order.inner == 1):
        return
    order.inner = order.inner * order.middle
    order.dst_inner, order.src_inner = order.dst_middle, order.src_middle
    order.middle, order.dst_middle, order.src_middle = 1, 0, 0


cdef void merge_rows(loops* order) noexcept nogil:
    cdef ptrdiff_t cols = <ptrdiff_t> order.inner
    cdef bint together = order.dst_outer == cols * order.dst_inner and order.src_outer == cols * order.src_inner
    if order.outer == 1 or not (together or order.inner == 1):
        return
    if order.inner == 1:
        order.dst_inner, order.src_inner = order.dst_outer, order.src_outer
    order.inner = order.inner * order.outer
    order.outer, order.dst_outer, order.src_outer = 1, 0, 0


# Copies.

cdef inline void move_each(
    uint8_t* dst, ptrdiff_t dst_step, const uint8_t* src, ptrdiff_t src_step, size_t n, size_t item_size
) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(<ptrdiff_t> n):
        memcpy(dst + i * dst_step, src + i * src_step, item_size)


cdef void move_run(
    uint8_t* dst, ptrdiff_t dst_step, const uint8_t* src, ptrdiff_t src_step, size_t n, size_t item_size
) noexcept nogil:
    """Copy ``n`` items with any steps; a literal size makes a plain load and store of each memcpy."""
    cdef ptrdiff_t packed = <ptrdiff_t> item_size
    if dst_step == packed and src_step == packed:
        memcpy(dst, src, n * item_size)
    elif item_size == 1:
        move_each(dst, dst_step, src, src_step, n, 1)
    elif item_size == 2:
        move_each(dst, dst_step, src, src_step, n, 2)
    elif item_size == 4:
        move_each(dst, dst_step, src, src_step, n, 4)
    elif item_size == 8:
        move_each(dst, dst_step, src, src_step, n, 8)
    elif item_size == 16:
        move_each(dst, dst_step, src, src_step, n, 16)
    else:
        move_each(dst, dst_step, src, src_step, n, item_size)


cdef int copy_strided(
    uint8_t* dst, const strides* dst_strides, const uint8_t* src, const strides* src_strides,
    const extent* n, size_t item_size
) noexcept nogil:
    """Copy items between two layouts that do not overlap."""
    cdef loops order
    cdef ptrdiff_t i, k
    if item_size == 0:
        return BAD_TASK
    if n.rows == 0 or n.cols == 0 or n.samples == 0:
        return OK
    order = in_order(dst_strides, src_strides, n)
    for i in range(<ptrdiff_t> order.outer):
        for k in range(<ptrdiff_t> order.middle):
            move_run(
                dst + (i * order.dst_outer + k * order.dst_middle), order.dst_inner,
                src + (i * order.src_outer + k * order.src_middle), order.src_inner,
                order.inner, item_size,
            )
    return OK


cdef int fill_strided(
    uint8_t* dst, const strides* dst_strides, const extent* n, const uint8_t* item, size_t item_size
) noexcept nogil:
    """Copy one item everywhere: a source that stands still, or memset for runs of one byte value."""
    cdef strides still = strides(0, 0, 0)
    cdef loops order
    cdef ptrdiff_t i, k
    cdef size_t b
    cdef bint uniform = item_size > 0
    for b in range(1, item_size):
        uniform = uniform and item[b] == item[0]
    order = in_order(dst_strides, &still, n)
    if not uniform or order.inner == 0 or order.dst_inner != <ptrdiff_t> item_size:
        return copy_strided(dst, dst_strides, item, &still, n, item_size)
    for i in range(<ptrdiff_t> order.outer):
        for k in range(<ptrdiff_t> order.middle):
            memset(dst + (i * order.dst_outer + k * order.dst_middle), item[0], order.inner * item_size)
    return OK


# Conversion.

cdef inline size_t size_of(int any_kind) noexcept nogil:
    return <size_t> 1 << (any_kind & 3) if any_kind < F2 else <size_t> 2 << (any_kind - F2)


cdef inline bint is_plain(const uint8_t* data, ptrdiff_t step, size_t item_size) noexcept nogil:
    """A run that a typed pointer may walk over."""
    return step == <ptrdiff_t> item_size and <uintptr_t> data % item_size == 0


cdef void convert_part(
    uint8_t* dst, ptrdiff_t dst_step, const uint8_t* src, ptrdiff_t src_step, size_t n, const recipe* how
) noexcept nogil:
    """Convert up to ``RUN`` items: gather, widen, rescale, cast or narrow, scatter; each only if needed."""
    cdef double gathered[RUN]
    cdef double values[RUN]
    cdef double made[RUN]
    cdef float widened[RUN]
    cdef int src_kind = how.src_kind
    cdef size_t dst_size = size_of(how.dst_kind)
    cdef size_t src_size = size_of(src_kind)
    cdef bint in_place = is_plain(dst, dst_step, dst_size)
    cdef uint8_t* out = dst if in_place else <uint8_t*> made
    if not is_plain(src, src_step, src_size):
        move_run(<uint8_t*> gathered, <ptrdiff_t> src_size, src, src_step, n, src_size)
        src = <const uint8_t*> gathered
    if src_kind == F2:
        widen_halves(widened, <const uint16_t*> src, n)
        src, src_kind = <const uint8_t*> widened, F4
    if how.rescale or how.dst_kind == F2:
        cast_any(<uint8_t*> values, F8, src, src_kind, n)
        src, src_kind = <const uint8_t*> values, F8
    if how.rescale:
        rescale_run(values, n, how.scale, how.offset)
    if how.dst_kind == F2:
        narrow_to_halves(<uint16_t*> out, values, n)
    else:
        cast_any(out, how.dst_kind, src, src_kind, n)
    if not in_place:
        move_run(dst, dst_step, out, <ptrdiff_t> dst_size, n, dst_size)


cdef void rescale_run(double* values, size_t n, double scale, double offset) noexcept nogil:
    cdef size_t i
    for i in range(n):
        values[i] = values[i] * scale + offset


cdef void convert_run(
    uint8_t* dst, ptrdiff_t dst_step, const uint8_t* src, ptrdiff_t src_step, size_t n, const recipe* how
) noexcept nogil:
    """Convert a run of any length: at once where one cast does it, else part by part."""
    cdef size_t start = 0
    cdef size_t length
    cdef bint staged = how.rescale or how.dst_kind == F2 or how.src_kind == F2
    if (
        not staged
        and is_plain(dst, dst_step, size_of(how.dst_kind))
        and is_plain(src, src_step, size_of(how.src_kind))
    ):
        cast_any(dst, how.dst_kind, src, how.src_kind, n)
        return
    while start < n:
        length = n - start if n - start < RUN else RUN
        convert_part(
            dst + <ptrdiff_t> start * dst_step, dst_step,
            src + <ptrdiff_t> start * src_step, src_step, length, how,
        )
        start += length


cdef int convert_strided(
    uint8_t* dst, const strides* dst_strides, int dst_kind,
    const uint8_t* src, const strides* src_strides, int src_kind,
    const extent* n, bint rescale, double scale, double offset
) noexcept nogil:
    """Convert items (rescaled to ``value * scale + offset``) between two layouts that do not overlap."""
    cdef recipe how = recipe(dst_kind, src_kind, rescale, scale, offset)
    cdef loops order
    cdef ptrdiff_t i, k
    if dst_kind < U1 or dst_kind > F8 or src_kind < U1 or src_kind > F8:
        return BAD_TASK
    if dst_kind == src_kind and not rescale:
        return copy_strided(dst, dst_strides, src, src_strides, n, size_of(src_kind))
    if n.rows == 0 or n.cols == 0 or n.samples == 0:
        return OK
    order = in_order(dst_strides, src_strides, n)
    for i in range(<ptrdiff_t> order.outer):
        for k in range(<ptrdiff_t> order.middle):
            convert_run(
                dst + (i * order.dst_outer + k * order.dst_middle), order.dst_inner,
                src + (i * order.src_outer + k * order.src_middle), order.src_inner,
                order.inner, &how,
            )
    return OK


# The doors.

cdef strides strides_of(const Py_buffer* view) noexcept:
    return strides(row=view.strides[0], col=view.strides[1], sample=view.strides[2])


cdef extent extent_of(const Py_buffer* view) noexcept:
    return extent(rows=view.shape[0], cols=view.shape[1], samples=view.shape[2])


cdef int check_views(const Py_buffer* dst, int dst_kind, const Py_buffer* src, int src_kind) except -1:
    if not 0 <= src_kind <= F8 or not 0 <= dst_kind <= F8:
        raise ValueError(f"kinds {src_kind} and {dst_kind} are not both in 0..{F8}")
    if src.ndim != 3 or dst.ndim != 3:
        raise ValueError(f"arrays of {src.ndim} and {dst.ndim} dimensions instead of 3")
    for k in range(3):
        if src.shape[k] != dst.shape[k]:
            raise ValueError(f"axis {k} of {src.shape[k]} items in the source, {dst.shape[k]} in the output")
    if <size_t> src.itemsize != size_of(src_kind) or <size_t> dst.itemsize != size_of(dst_kind):
        raise ValueError(f"{src.itemsize} and {dst.itemsize} byte items are not of kinds {src_kind} and {dst_kind}")
    return 0


cdef int convert_views(
    const Py_buffer* dst, int dst_kind, const Py_buffer* src, int src_kind,
    bint rescale, double scale, double offset,
) except -1:
    cdef strides dst_strides, src_strides
    cdef extent n
    cdef int status
    check_views(dst, dst_kind, src, src_kind)
    dst_strides, src_strides, n = strides_of(dst), strides_of(src), extent_of(dst)
    with nogil:
        status = convert_strided(
            <uint8_t*> dst.buf, &dst_strides, dst_kind, <const uint8_t*> src.buf, &src_strides, src_kind,
            &n, rescale, scale, offset,
        )
    assert status == OK
    return 0


def convert_array(src, dst, int src_kind, int dst_kind, bint rescale, double scale, double offset):
    """Copy an array into another one of the same shape, converting the numbers; without the GIL.

    Integers that do not fit are clipped to the nearest value that does. Reals to integers: NaN becomes 0, the
    rest is rounded half to even and clipped. To a narrower real: as IEEE 754, with infinity on overflow.

    Parameters
    ----------
    src, dst : object with the buffer protocol
        Three dimensions (rows, columns, samples), equal shapes, any strides, native byte order; no overlap.
    src_kind, dst_kind : int
        Places of the two dtypes in ``KINDS``.
    rescale : bool
        Convert ``value * scale + offset``, computed in double, instead of the value.
    scale, offset : float
        Ignored without `rescale`.

    Raises
    ------
    ValueError
        Kinds, item sizes or shapes do not go together.
    BufferError
        `dst` cannot be written to (numpy says ValueError).
    """
    cdef Py_buffer src_view, dst_view
    PyObject_GetBuffer(src, &src_view, PyBUF_STRIDES)
    try:
        PyObject_GetBuffer(dst, &dst_view, PyBUF_STRIDES | PyBUF_WRITABLE)
        try:
            convert_views(&dst_view, dst_kind, &src_view, src_kind, rescale, scale, offset)
        finally:
            PyBuffer_Release(&dst_view)
    finally:
        PyBuffer_Release(&src_view)


def fill_array(dst, bytes item not None):
    """Copy one item to all places of an array; without the GIL.

    Parameters
    ----------
    dst : object with the buffer protocol
        Three dimensions, any strides.
    item : bytes
        The item, of the array's item size.

    Raises
    ------
    ValueError
        The array has not three dimensions, or its items another size.
    BufferError
        `dst` cannot be written to (numpy says ValueError).
    """
    cdef Py_buffer view
    cdef strides dst_strides
    cdef extent n
    cdef const uint8_t* value = item
    cdef size_t item_size = len(item)
    PyObject_GetBuffer(dst, &view, PyBUF_STRIDES | PyBUF_WRITABLE)
    try:
        if view.ndim != 3 or <size_t> view.itemsize != item_size:
            raise ValueError(f"{view.ndim} dimensions, {view.itemsize} byte items; an item of {item_size} bytes")
        dst_strides, n = strides_of(&view), extent_of(&view)
        with nogil:
            fill_strided(<uint8_t*> view.buf, &dst_strides, &n, value, item_size)
    finally:
        PyBuffer_Release(&view)

"""Batch of tile tasks: read, check, decompress, un-predict, swap, convert, crop into the output."""

from cpython.buffer cimport (
    PyBUF_STRIDES,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from _tilecodec.atomic cimport fetch_add
from _tilecodec.byteorder cimport swap_inplace
from _tilecodec.codec cimport codec_close, codec_open, codec_state, decompress_fn, find_decompressor
from _tilecodec.convert cimport convert_strided, copy_strided, extent, fill_strided, strides
from _tilecodec.posix cimport HAS_PREAD, HAS_SCATTER, positional_read, positional_read_rows
from _tilecodec.predictor cimport undo_float, undo_horizontal
from _tilecodec.status cimport BAD_TASK, NO_CODEC, OK, OUT_OF_MEMORY, READ_FAILED, TOO_SHORT, TRUNCATED
from _tilecodec.tiletask cimport tile_format, tile_task

cdef enum:
    COMPRESSION_NONE = 1
    PREDICTOR_NONE = 1
    PREDICTOR_HORIZONTAL = 2
    PREDICTOR_FLOAT = 3
    RAW_CHUNK = 131072         # bytes of uncompressed rows read at once: stays in the L2 cache
    SCATTER_ROW = 1024         # rows at least this long go from the file into their places without a copy between
    NARROW_ROW = 4096          # rows at least this long are read in parts if a quarter or less is wanted

cdef uint64_t MAX_TILE_NBYTES = <uint64_t>1 << 46
cdef size_t ENCODED_SLACK = 1 << 16

cdef struct scratch:
    uint8_t* data
    size_t nbytes

cdef struct target:            # the output buffer
    uint8_t* data
    int64_t lo                 # bytes that belong to it, relative to data
    int64_t hi
    int64_t rows
    int64_t cols
    int64_t channels
    strides step
    size_t item_size

cdef struct job:               # all that one worker uses during one call
    const tile_format* format
    size_t row_nbytes
    size_t pixel_nbytes
    int fd
    const uint8_t* data
    size_t data_nbytes
    uint8_t* slab
    size_t slab_nbytes
    target out
    codec_state codec
    decompress_fn decompress
    bint plain_copy            # same kind and no rescale: bytes are copied
    scratch tile
    scratch encoded
    scratch row


cdef uint8_t* _room(scratch* buffer, size_t nbytes) noexcept nogil:
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


cdef int _check_format(const tile_format* f, size_t out_item_size) noexcept nogil:
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


cdef int _check_task(const job* j, const tile_task* t) noexcept nogil:
    """Everything a kernel relies on: the rectangle lies in the tile, its copy in the output, the slot in the cache."""
    cdef const tile_format* f = j.format
    cdef const target* out = &j.out
    cdef int64_t low, high
    if t.tile_rows == 0 or t.tile_rows > MAX_TILE_NBYTES // j.row_nbytes:
        return BAD_TASK
    if t.slot >= 0:
        if t.tile_rows * j.row_nbytes > j.slab_nbytes or (
                <size_t>t.slot > j.slab_nbytes - t.tile_rows * j.row_nbytes):
            return BAD_TASK
    elif t.ready:
        return BAD_TASK
    if t.rows == 0:
        return OK if t.slot >= 0 and t.nbytes > 0 else BAD_TASK
    if t.n_cols == 0 or t.y0 >= t.tile_rows or t.x0 >= f.cols:
        return BAD_TASK
    if <uint64_t>(t.rows - 1) * f.y_step > t.tile_rows - 1 - t.y0:
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


cdef uint8_t* _place(const job* j, const tile_task* t) noexcept nogil:
    """Where the first item of the rectangle goes."""
    return j.out.data + t.plane_dst + t.y_dst * j.out.step.row + t.x_dst * j.out.step.col


cdef void _stretch(int64_t reach, int64_t* low, int64_t* high) noexcept nogil:
    if reach < 0:
        low[0] += reach
    else:
        high[0] += reach


cdef int _emit(const job* j, const tile_task* t, const uint8_t* first, size_t row_nbytes, size_t skipped,
               size_t rows) noexcept nogil:
    """Copy or convert ``rows`` rows whose first wanted sample is at ``first``; ``skipped`` output rows precede them."""
    cdef const tile_format* f = j.format
    cdef strides src
    cdef extent n
    cdef uint8_t* dst = _place(j, t) + <int64_t>skipped * j.out.step.row
    src.row = row_nbytes * f.y_step
    src.col = j.pixel_nbytes * f.x_step
    src.sample = f.item_size
    n.rows, n.cols, n.samples = rows, t.n_cols, f.n_samples
    if j.plain_copy:
        return copy_strided(dst, &j.out.step, first, &src, &n, f.item_size)
    return convert_strided(
        dst, &j.out.step, f.dst_kind, first, &src, f.src_kind, &n, f.rescale, f.scale, f.offset)


cdef int _emit_tile(const job* j, const tile_task* t, const uint8_t* tile) noexcept nogil:
    return _emit(
        j, t, tile + t.y0 * j.row_nbytes + t.x0 * j.pixel_nbytes + j.format.first_sample * j.format.item_size,
        j.row_nbytes, 0, t.rows)


cdef int _fill(const job* j, const tile_task* t) noexcept nogil:
    cdef extent n
    n.rows, n.cols, n.samples = t.rows, t.n_cols, j.format.n_samples
    return fill_strided(_place(j, t), &j.out.step, &n, j.format.fill, j.out.item_size)


cdef bint _pixels_adjacent(const job* j) noexcept nogil:
    """Whether a run of whole pixels of the tile is a run of bytes in the output, unconverted."""
    cdef const tile_format* f = j.format
    return (
        j.plain_copy and f.x_step == 1 and f.n_samples == f.samples
        and j.out.step.col == <int64_t>j.pixel_nbytes
        and (f.samples == 1 or j.out.step.sample == f.item_size))


cdef bint _is_direct(const job* j, const tile_task* t) noexcept nogil:
    """Whether the rectangle is the whole tile and lies in the output as it lies in the tile."""
    return (
        _pixels_adjacent(j) and j.format.y_step == 1 and t.x0 == 0 and t.n_cols == j.format.cols
        and t.y0 == 0 and t.rows == t.tile_rows
        and (t.rows == 1 or j.out.step.row == <int64_t>j.row_nbytes))


cdef int _read(const job* j, uint64_t offset, size_t nbytes, uint8_t* dst) noexcept nogil:
    """Exactly nbytes from the source."""
    cdef int64_t n
    if j.fd < 0:
        if offset > j.data_nbytes or nbytes > j.data_nbytes - offset:
            return TRUNCATED
        memcpy(dst, j.data + offset, nbytes)
        return OK
    if offset > <uint64_t>1 << 62:
        return TRUNCATED
    n = positional_read(j.fd, dst, nbytes, <int64_t>offset)
    if n < 0:
        return READ_FAILED
    return OK if <size_t>n == nbytes else TRUNCATED


cdef int _copy_raw_narrow(job* j, const tile_task* t, size_t row_step) noexcept nogil:
    """Uncompressed, few columns of long rows: read only those columns, row by row."""
    cdef const tile_format* f = j.format
    cdef size_t hull = (<size_t>(t.n_cols - 1) * f.x_step + 1) * j.pixel_nbytes
    cdef uint8_t* row = _room(&j.row, hull)
    cdef uint64_t position = t.offset + t.y0 * j.row_nbytes + t.x0 * j.pixel_nbytes
    cdef size_t i
    cdef int status
    if row == NULL:
        return OUT_OF_MEMORY
    for i in range(t.rows):
        status = _read(j, position + i * row_step, hull, row)
        if status == OK and f.swap_size > 1:
            status = swap_inplace(row, hull // f.swap_size, f.swap_size)
        if status == OK:
            status = _emit(j, t, row + f.first_sample * f.item_size, 0, i, 1)
        if status != OK:
            return status
    return OK


cdef int _copy_raw(job* j, const tile_task* t) noexcept nogil:
    """Uncompressed and not predicted: only the wanted rows are read, straight into the output where they lie alike."""
    cdef const tile_format* f = j.format
    cdef size_t row_step = j.row_nbytes * (f.y_step if t.rows > 1 else 1)  # the step of one row may be anything
    cdef size_t per_chunk = RAW_CHUNK // row_step
    cdef size_t done = 0
    cdef size_t rows, hull
    cdef uint8_t* chunk
    cdef int status
    if t.nbytes < t.tile_rows * j.row_nbytes:
        return TOO_SHORT
    if f.swap_size <= 1 and _pixels_adjacent(j) and f.y_step == 1 and t.x0 == 0 and t.n_cols == f.cols:
        if t.rows == 1 or j.out.step.row == <int64_t>j.row_nbytes:
            return _read(j, t.offset + t.y0 * j.row_nbytes, t.rows * j.row_nbytes, _place(j, t))
        if HAS_SCATTER and j.fd >= 0 and j.row_nbytes >= SCATTER_ROW and t.offset < <uint64_t>1 << 62 and (
                positional_read_rows(j.fd, <char*>_place(j, t), j.out.step.row, j.row_nbytes, t.rows,
                                     <int64_t>(t.offset + t.y0 * j.row_nbytes))):
            return OK
    if j.row_nbytes >= NARROW_ROW and <uint64_t>t.n_cols * f.x_step <= f.cols // 4:
        return _copy_raw_narrow(j, t, row_step)
    if per_chunk < 1:
        per_chunk = 1
    chunk = _room(&j.tile, (per_chunk - 1) * row_step + j.row_nbytes)
    if chunk == NULL:
        return OUT_OF_MEMORY
    while done < t.rows:
        rows = min(per_chunk, t.rows - done)
        hull = (rows - 1) * row_step + j.row_nbytes
        status = _read(j, t.offset + t.y0 * j.row_nbytes + done * row_step, hull, chunk)
        if status == OK and f.swap_size > 1:
            status = swap_inplace(chunk, hull // f.swap_size, f.swap_size)
        if status == OK:
            status = _emit(
                j, t, chunk + t.x0 * j.pixel_nbytes + f.first_sample * f.item_size, j.row_nbytes, done, rows)
        if status != OK:
            return status
        done += rows
    return OK


cdef int _encoded_bytes(job* j, const tile_task* t, size_t tile_nbytes, const uint8_t** src,
                        size_t* nbytes) noexcept nogil:
    """The encoded tile in memory; what can not belong to a tile of this size is not read."""
    cdef uint64_t wanted = min(t.nbytes, <uint64_t>2 * tile_nbytes + ENCODED_SLACK)
    cdef int64_t n
    if j.fd < 0:
        if t.offset >= j.data_nbytes:
            return TRUNCATED
        src[0] = j.data + t.offset
        nbytes[0] = min(wanted, <uint64_t>(j.data_nbytes - t.offset))
        return OK
    src[0] = _room(&j.encoded, wanted)
    if src[0] == NULL:
        return OUT_OF_MEMORY
    if t.offset > <uint64_t>1 << 62:
        return TRUNCATED
    n = positional_read(j.fd, j.encoded.data, wanted, <int64_t>t.offset)
    if n < 0:
        return READ_FAILED
    nbytes[0] = n
    return OK if n > 0 else TRUNCATED


cdef int _undo(job* j, uint8_t* rows, size_t n_rows) noexcept nogil:
    """Predictor and byte order, in place, on whole rows of the tile."""
    cdef const tile_format* f = j.format
    if f.predictor == PREDICTOR_NONE:
        if f.swap_size <= 1:
            return OK
        return swap_inplace(rows, n_rows * j.row_nbytes // f.swap_size, f.swap_size)
    if f.predictor == PREDICTOR_HORIZONTAL:
        return undo_horizontal(rows, n_rows, f.cols, f.samples, f.item_size, f.swap_size > 1)
    if f.predictor == PREDICTOR_FLOAT:
        if _room(&j.row, j.row_nbytes) == NULL:
            return OUT_OF_MEMORY
        return undo_float(rows, n_rows, f.cols, f.samples, f.item_size, j.row.data)
    return NO_CODEC


cdef int _decode(job* j, const tile_task* t) noexcept nogil:
    """One task from its encoded bytes to the output."""
    cdef size_t tile_nbytes = t.tile_rows * j.row_nbytes
    cdef bint direct = t.slot < 0 and _is_direct(j, t)
    cdef const uint8_t* src = NULL
    cdef size_t nbytes = 0
    cdef size_t first_row = 0
    cdef size_t n_rows = t.tile_rows
    cdef uint8_t* tile
    cdef int status = _encoded_bytes(j, t, tile_nbytes, &src, &nbytes)
    if status != OK:
        return status
    if direct:
        tile = _place(j, t)
    elif t.slot >= 0:
        tile = j.slab + t.slot
    else:
        tile = _room(&j.tile, tile_nbytes)
        first_row = t.y0                     # rows that nobody asked for stay predicted
        n_rows = <size_t>(t.rows - 1) * j.format.y_step + 1
    if tile == NULL:
        return OUT_OF_MEMORY
    status = j.decompress(&j.codec, src, nbytes, tile, tile_nbytes)
    if status == OK:
        status = _undo(j, tile + first_row * j.row_nbytes, n_rows)
    if status == OK and not direct and t.rows > 0:
        status = _emit_tile(j, t, tile)
    return status


cdef int _run_task(job* j, const tile_task* t) noexcept nogil:
    cdef int status = _check_task(j, t)
    if status != OK:
        return status
    if t.ready and t.rows == 0:
        return OK
    if t.ready:
        return _emit_tile(j, t, j.slab + t.slot)
    if t.nbytes == 0:
        return _fill(j, t)
    if j.format.compression == COMPRESSION_NONE and j.format.predictor == PREDICTOR_NONE and t.slot < 0:
        return _copy_raw(j, t)
    return _decode(j, t)


cdef int64_t _work(job* j, const tile_task* tasks, int64_t n_tasks, int64_t* counter, int64_t budget,
                   int* status) noexcept nogil:
    """Take tasks until none is left (-1), the budget of decoded bytes is spent (-2), or one fails (its index)."""
    cdef int64_t index
    status[0] = OK
    while budget > 0:
        index = fetch_add(counter, 1)
        if index < 0 or index >= n_tasks:
            return -1
        status[0] = _run_task(j, &tasks[index])
        if status[0] != OK:
            return index
        budget -= <int64_t>min(<uint64_t>tasks[index].tile_rows * j.row_nbytes, <uint64_t>1 << 40) + 1
    return -2


cdef int _bind_target(target* out, Py_buffer* view) except -1:
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


def decode_tiles(
    const uint8_t[::1] format not None,
    const uint8_t[::1] tasks not None,
    int fd,
    const uint8_t[::1] data,
    out,
    uint8_t[::1] slab,
    int64_t[::1] counter not None,
    int64_t budget,
):
    """Decode tasks into ``out`` until none is left; call it from several threads with one counter.

    Parameters
    ----------
    format : bytes of one ``tile_format``
    tasks : bytes of an array of ``tile_task``
    fd : int
        File descriptor to read from by position, or -1: offsets of tasks are positions in ``data``.
    data : bytes-like or None
    out : ndarray of shape (T, C, Z, Y, X), writable, any strides
    slab : writable bytes-like or None
        The cache that slots of tasks point into.
    counter : int64 array of length 1
        Index of the next task, shared by all threads. Set it to ``2**62`` to stop them.
    budget : int
        Decoded bytes after which the call comes back, so that signals are seen.

    Returns
    -------
    (status, index)
        Index -1: no task is left. -2: the budget is spent. Else this task failed with the status; the others go on.
    """
    cdef job j
    cdef Py_buffer view
    cdef int status = OK
    cdef int64_t index = -1
    cdef const tile_task* first_task = NULL
    cdef int64_t n_tasks = tasks.shape[0] // <Py_ssize_t>sizeof(tile_task)
    if format.shape[0] != sizeof(tile_format) or tasks.shape[0] != n_tasks * <Py_ssize_t>sizeof(tile_task):
        raise ValueError("format or tasks do not have the size of their structs")
    if counter.shape[0] != 1:
        raise ValueError("counter must have one entry")
    if n_tasks == 0:
        return OK, -1
    if fd >= 0 and not HAS_PREAD:
        raise ValueError("this platform has no positional read; pass data")
    first_task = <const tile_task*>&tasks[0]
    j.format = <const tile_format*>&format[0]
    j.fd = fd
    j.data = &data[0] if data is not None and data.shape[0] > 0 else NULL
    j.data_nbytes = data.shape[0] if data is not None else 0
    j.slab = &slab[0] if slab is not None and slab.shape[0] > 0 else NULL
    j.slab_nbytes = slab.shape[0] if slab is not None else 0
    j.tile.data = j.encoded.data = j.row.data = NULL
    j.tile.nbytes = j.encoded.nbytes = j.row.nbytes = 0
    j.pixel_nbytes = <size_t>j.format.samples * j.format.item_size
    j.row_nbytes = j.format.cols * j.pixel_nbytes
    j.plain_copy = j.format.src_kind == j.format.dst_kind and not j.format.rescale
    PyObject_GetBuffer(out, &view, PyBUF_STRIDES | PyBUF_WRITABLE)
    try:
        _bind_target(&j.out, &view)
        with nogil:
            status = _check_format(j.format, j.out.item_size)
            if status == OK:
                status = codec_open(&j.codec, j.format.compression)
                if status == OK:
                    j.decompress = find_decompressor(j.format.compression)
                    index = _work(&j, first_task, n_tasks, &counter[0], budget, &status)
                else:
                    index = 0
                codec_close(&j.codec)
            else:
                index = 0
            free(j.tile.data)
            free(j.encoded.data)
            free(j.row.data)
    finally:
        PyBuffer_Release(&view)
    return status, index

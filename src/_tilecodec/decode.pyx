"""Batch of tile tasks: read, check, decompress, un-predict, swap, convert, crop into the output."""

from cpython.buffer cimport (
    PyBUF_STRIDES,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free

from _tilecodec.atomic cimport fetch_add
from _tilecodec.byteorder cimport swap_inplace
from _tilecodec.decompress cimport decompressor_close, decompressor_open, find_decompressor
from _tilecodec.job cimport (
    bind_target,
    check_format,
    check_task,
    emit_tile,
    fill,
    is_direct,
    job,
    place,
    room,
)
from _tilecodec.posix cimport HAS_PREAD, positional_read
from _tilecodec.unpredict cimport undo_float, undo_horizontal
from _tilecodec.rawcopy cimport copy_raw
from _tilecodec.status cimport NO_CODEC, OK, OUT_OF_MEMORY, READ_FAILED, TRUNCATED
from _tilecodec.tiletask cimport tile_format, tile_task

cdef enum:
    COMPRESSION_NONE = 1
    PREDICTOR_NONE = 1
    PREDICTOR_HORIZONTAL = 2
    PREDICTOR_FLOAT = 3

cdef size_t ENCODED_SLACK = 1 << 16

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
    src[0] = room(&j.encoded, wanted)
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
        if room(&j.row, j.row_nbytes) == NULL:
            return OUT_OF_MEMORY
        return undo_float(rows, n_rows, f.cols, f.samples, f.item_size, j.row.data)
    return NO_CODEC


cdef int _decode(job* j, const tile_task* t) noexcept nogil:
    """One task from its encoded bytes to the output."""
    cdef size_t tile_nbytes = t.tile_rows * j.row_nbytes
    cdef bint direct = t.slot < 0 and is_direct(j, t)
    cdef const uint8_t* src = NULL
    cdef size_t nbytes = 0
    cdef size_t first_row = 0
    cdef size_t stop_row = t.decoded_rows if t.decoded_rows > 0 else t.tile_rows
    cdef uint8_t* tile
    cdef int status = _encoded_bytes(j, t, tile_nbytes, &src, &nbytes)
    if status != OK:
        return status
    if direct:
        tile = place(j, t)
    elif t.slot >= 0:
        tile = j.slab + t.slot
    else:
        tile = room(&j.tile, tile_nbytes)
        first_row = t.y0                     # rows that nobody asked for stay predicted
        stop_row = t.y0 + <size_t>(t.rows - 1) * j.format.y_step + 1
    if tile == NULL:
        return OUT_OF_MEMORY
    status = j.decompress(&j.codec, src, nbytes, tile, tile_nbytes, stop_row * j.row_nbytes)
    if status == OK:
        status = _undo(j, tile + first_row * j.row_nbytes, stop_row - first_row)
    if status == OK and not direct and t.rows > 0:
        status = emit_tile(j, t, tile)
    return status


cdef int _run_task(job* j, const tile_task* t) noexcept nogil:
    cdef int status = check_task(j, t)
    if status != OK:
        return status
    if t.ready and t.rows == 0:
        return OK
    if t.ready:
        return emit_tile(j, t, j.slab + t.slot)
    if t.nbytes == 0:
        return fill(j, t)
    if j.format.compression == COMPRESSION_NONE and j.format.predictor == PREDICTOR_NONE and t.slot < 0:
        return copy_raw(j, t)
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
        bind_target(&j.out, &view)
        with nogil:
            status = check_format(j.format, j.out.item_size)
            if status == OK:
                status = decompressor_open(&j.codec, j.format.compression)
                if status == OK:
                    j.decompress = find_decompressor(j.format.compression)
                    index = _work(&j, first_task, n_tasks, &counter[0], budget, &status)
                else:
                    index = 0
                decompressor_close(&j.codec)
            else:
                index = 0
            free(j.tile.data)
            free(j.encoded.data)
            free(j.row.data)
    finally:
        PyBuffer_Release(&view)
    return status, index

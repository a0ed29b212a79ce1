"""Uncompressed tiles: only the wanted rows are read, straight into the output where they lie alike."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from _tilecodec.byteorder cimport swap_inplace
from _tilecodec.job cimport emit, job, pixels_adjacent, place, room
from _tilecodec.posix cimport HAS_SCATTER, positional_read, positional_read_rows
from _tilecodec.status cimport OK, OUT_OF_MEMORY, READ_FAILED, TOO_SHORT, TRUNCATED
from _tilecodec.tiletask cimport tile_format, tile_task

cdef enum:
    RAW_CHUNK = 131072         # bytes of rows read at once: stays in the L2 cache
    SCATTER_ROW = 1024         # rows at least this long go from the file into their places without a copy between
    NARROW_ROW = 4096          # rows at least this long are read in parts if a quarter or less is wanted


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
    cdef uint8_t* row = room(&j.row, hull)
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
            status = emit(j, t, row + f.first_sample * f.item_size, 0, i, 1)
        if status != OK:
            return status
    return OK


cdef int copy_raw(job* j, const tile_task* t) noexcept nogil:
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
    if f.swap_size <= 1 and pixels_adjacent(j) and f.y_step == 1 and t.x0 == 0 and t.n_cols == f.cols:
        if t.rows == 1 or j.out.step.row == <int64_t>j.row_nbytes:
            return _read(j, t.offset + t.y0 * j.row_nbytes, t.rows * j.row_nbytes, place(j, t))
        if HAS_SCATTER and j.fd >= 0 and j.row_nbytes >= SCATTER_ROW and t.offset < <uint64_t>1 << 62 and (
                positional_read_rows(j.fd, <char*>place(j, t), j.out.step.row, j.row_nbytes, t.rows,
                                     <int64_t>(t.offset + t.y0 * j.row_nbytes))):
            return OK
    if j.row_nbytes >= NARROW_ROW and <uint64_t>t.n_cols * f.x_step <= f.cols // 4:
        return _copy_raw_narrow(j, t, row_step)
    if per_chunk < 1:
        per_chunk = 1
    chunk = room(&j.tile, (per_chunk - 1) * row_step + j.row_nbytes)
    if chunk == NULL:
        return OUT_OF_MEMORY
    while done < t.rows:
        rows = min(per_chunk, t.rows - done)
        hull = (rows - 1) * row_step + j.row_nbytes
        status = _read(j, t.offset + t.y0 * j.row_nbytes + done * row_step, hull, chunk)
        if status == OK and f.swap_size > 1:
            status = swap_inplace(chunk, hull // f.swap_size, f.swap_size)
        if status == OK:
            status = emit(
                j, t, chunk + t.x0 * j.pixel_nbytes + f.first_sample * f.item_size, j.row_nbytes, done, rows)
        if status != OK:
            return status
        done += rows
    return OK

"""From the image in memory to the bytes of one tile: gathered, converted, padded with zeros, predicted."""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memset

from _tilecodec.convert cimport convert_strided, copy_strided, extent, strides
from _tilecodec.job cimport check_format, check_task, is_direct, is_whole, job, pixels_adjacent, place, room
from _tilecodec.predict cimport predict_rows
from _tilecodec.pwrite cimport piece
from _tilecodec.status cimport BAD_TASK, OK, OUT_OF_MEMORY
from _tilecodec.tiletask cimport tile_format, tile_task

cdef enum:
    PREDICTOR_NONE = 1
    PREDICTOR_FLOAT = 3
    CHUNK_NBYTES = 16384       # rows that wait for the predictor: stays in the L1 cache


cdef int check_gather_format(const tile_format* f, size_t src_item_size) noexcept nogil:
    """The checks of decoding with the sides exchanged, and no more than encoding knows: whole native pixels."""
    cdef tile_format turned = f[0]
    turned.src_kind, turned.dst_kind = f.dst_kind, f.src_kind
    if f.first_sample != 0 or f.n_samples != f.samples or f.y_step != 1 or f.x_step != 1 or f.swap_size > 1:
        return BAD_TASK
    if f.predictor < PREDICTOR_NONE or f.predictor > PREDICTOR_FLOAT:
        return BAD_TASK
    return check_format(&turned, src_item_size)


cdef int check_gather_task(const job* j, const tile_task* t) noexcept nogil:
    """The rectangle starts where the tile does, fits into it, and lies in the image."""
    if t.y0 != 0 or t.x0 != 0 or t.slot >= 0 or t.ready:
        return BAD_TASK
    return check_task(j, t)


cdef const uint8_t* tile_in_place(const job* j, const tile_task* t) noexcept nogil:
    return place(j, t) if j.format.predictor == PREDICTOR_NONE and is_direct(j, t) else NULL


cdef bint rows_in_place(const job* j, const tile_task* t, piece* rows) noexcept nogil:
    cdef bint whole = j.out.step.row == <int64_t>j.row_nbytes
    if j.format.predictor != PREDICTOR_NONE or not is_whole(j, t) or not (whole or j.row_nbytes >= _LONG_ROW):
        return False
    if whole or t.rows == 1:
        rows[0] = piece(place(j, t), t.rows * j.row_nbytes, 1, 0)
    else:
        rows[0] = piece(place(j, t), j.row_nbytes, t.rows, j.out.step.row)
    return True


cdef int _take(const job* j, const tile_task* t, size_t skipped, size_t rows, uint8_t* dst) noexcept nogil:
    """Copy or convert ``rows`` rows of the image, behind ``skipped`` ones, into packed rows of the tile."""
    cdef const tile_format* f = j.format
    cdef const uint8_t* src = place(j, t) + <ptrdiff_t>skipped * j.out.step.row
    cdef strides packed = strides(j.row_nbytes, j.pixel_nbytes, f.item_size)
    cdef extent n = extent(rows, t.n_cols, f.samples)
    if j.plain_copy:
        return copy_strided(dst, &packed, src, &j.out.step, &n, f.item_size)
    return convert_strided(
        dst, &packed, f.dst_kind, src, &j.out.step, f.src_kind, &n, f.rescale, f.scale, f.offset)


cdef void _clear_right(const job* j, const tile_task* t, size_t rows, uint8_t* dst) noexcept nogil:
    """Zeros in the columns that the image does not cover."""
    cdef size_t covered = t.n_cols * j.pixel_nbytes
    cdef size_t i
    if covered < j.row_nbytes:
        for i in range(rows):
            memset(dst + i * j.row_nbytes + covered, 0, j.row_nbytes - covered)


cdef int _predict_chunks(job* j, const tile_task* t, uint8_t* tile) noexcept nogil:
    """Few rows at a time: gathered into scratch memory, from there predicted into the tile."""
    cdef const tile_format* f = j.format
    cdef size_t per_chunk = min(max(CHUNK_NBYTES // j.row_nbytes, <size_t>1), <size_t>t.rows)
    cdef size_t done = 0
    cdef size_t rows
    cdef uint8_t* chunk = room(&j.row, per_chunk * j.row_nbytes)
    cdef int status = OK if chunk != NULL else OUT_OF_MEMORY
    if status == OK:
        _clear_right(j, t, per_chunk, chunk)
    while status == OK and done < t.rows:
        rows = min(per_chunk, t.rows - done)
        status = _take(j, t, done, rows, chunk)
        if status == OK:
            status = predict_rows(
                f.predictor, tile + done * j.row_nbytes, chunk, rows, j.row_nbytes, f.cols, f.samples, f.item_size)
        done += rows
    return status


cdef int gather_tile(job* j, const tile_task* t, uint8_t* tile) noexcept nogil:
    cdef const tile_format* f = j.format
    memset(tile + t.rows * j.row_nbytes, 0, (t.tile_rows - t.rows) * j.row_nbytes)   # predicted zeros are zeros
    if f.predictor == PREDICTOR_NONE:
        _clear_right(j, t, t.rows, tile)
        return _take(j, t, 0, t.rows, tile)
    if t.n_cols == f.cols and pixels_adjacent(j):
        return predict_rows(
            f.predictor, tile, place(j, t), t.rows, j.out.step.row, f.cols, f.samples, f.item_size)
    return _predict_chunks(j, t, tile)

# All that one worker uses while it decodes tasks, and what is done with a decoded tile.

from cpython.buffer cimport Py_buffer
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t

from _tilecodec.decompress cimport decompressor, decompress_fn
from _tilecodec.convert cimport strides
from _tilecodec.tiletask cimport tile_format, tile_task

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
    decompressor codec
    decompress_fn decompress
    bint plain_copy            # same kind and no rescale: bytes are copied
    scratch tile
    scratch encoded
    scratch row

cdef uint8_t* room(scratch* buffer, size_t nbytes) noexcept nogil
cdef int bind_target(target* out, Py_buffer* view) except -1
cdef int check_format(const tile_format* f, size_t out_item_size) noexcept nogil
cdef int check_task(const job* j, const tile_task* t) noexcept nogil
cdef uint8_t* place(const job* j, const tile_task* t) noexcept nogil
cdef int emit(
    const job* j, const tile_task* t, const uint8_t* first, size_t row_nbytes, size_t skipped, size_t rows
) noexcept nogil
cdef int emit_tile(const job* j, const tile_task* t, const uint8_t* tile) noexcept nogil
cdef int fill(const job* j, const tile_task* t) noexcept nogil
cdef bint pixels_adjacent(const job* j) noexcept nogil
cdef bint is_whole(const job* j, const tile_task* t) noexcept nogil
cdef bint is_direct(const job* j, const tile_task* t) noexcept nogil

# From the image in memory to the bytes of one tile. The job's `out` is the image here: tasks read from it.

from libc.stdint cimport uint8_t

from _tilecodec.job cimport job
from _tilecodec.pwrite cimport piece
from _tilecodec.tiletask cimport tile_format, tile_task

cdef enum:
    _LONG_ROW = 1024            # bytes; the system copies shorter rows slower than `copy_strided`

cdef int check_gather_format(const tile_format* f, size_t src_item_size) noexcept nogil
cdef int check_gather_task(const job* j, const tile_task* t) noexcept nogil
# The tile where it lies in the image, if nothing is to be done to it; else NULL.
cdef const uint8_t* tile_in_place(const job* j, const tile_task* t) noexcept nogil
# Whether the tile lies in the image by long rows that need not be gathered to be written, and how it lies there.
cdef bint rows_in_place(const job* j, const tile_task* t, piece* rows) noexcept nogil
# All bytes of the tile: gathered, converted, padded with zeros, predicted.
cdef int gather_tile(job* j, const tile_task* t, uint8_t* tile) noexcept nogil

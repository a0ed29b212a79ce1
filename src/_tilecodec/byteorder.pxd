# Reversal of the bytes of each item, in place.

from libc.stdint cimport uint8_t


cdef int swap_inplace(uint8_t* data, size_t n_items, size_t item_size) noexcept nogil

# Two rows become one of half the length: the arithmetic of one pyramid level. Sizes count items.

from libc.stdint cimport uint8_t

cdef enum method:
    MEAN = 0
    NEAREST = 1
    MODE = 2
    MAXIMUM = 3

# Item i of dst is made of items 2i and 2i + 1 of both rows. All three are contiguous and aligned.
ctypedef void (*reduce_rows)(uint8_t* dst, const uint8_t* top, const uint8_t* bottom, size_t n) noexcept nogil

cdef reduce_rows find_reduce_rows(int how, int any_kind) noexcept nogil  # NULL: there is none

# The same for pixels of several samples that lie side by side; n counts pixels of dst.
ctypedef void (*reduce_pixels)(
    uint8_t* dst, const uint8_t* top, const uint8_t* bottom, size_t n, size_t samples) noexcept nogil

cdef reduce_pixels find_reduce_pixels(int how, int any_kind) noexcept nogil  # NULL: sample by sample

# Numeric kinds, strided copies and dtype conversion with saturation. Sizes count items, strides count bytes.

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t


cdef enum kind:
    U1 = 0
    U2 = 1
    U4 = 2
    U8 = 3
    I1 = 4
    I2 = 5
    I4 = 6
    I8 = 7
    F2 = 8
    F4 = 9
    F8 = 10

cdef struct extent:
    size_t rows
    size_t cols
    size_t samples

cdef struct strides:
    ptrdiff_t row
    ptrdiff_t col
    ptrdiff_t sample

# Source and destination must not overlap; both may be at any address.
cdef int copy_strided(
    uint8_t* dst, const strides* dst_strides, const uint8_t* src, const strides* src_strides,
    const extent* n, size_t item_size
) noexcept nogil

cdef int fill_strided(
    uint8_t* dst, const strides* dst_strides, const extent* n, const uint8_t* item, size_t item_size
) noexcept nogil

cdef int convert_strided(
    uint8_t* dst, const strides* dst_strides, int dst_kind,
    const uint8_t* src, const strides* src_strides, int src_kind,
    const extent* n, bint rescale, double scale, double offset
) noexcept nogil

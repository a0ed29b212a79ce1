from libc.stdint cimport uint8_t

cdef size_t packbits_bound(size_t nbytes) noexcept nogil
cdef int packbits_encode(
    const uint8_t* src, size_t src_nbytes, size_t row_nbytes, uint8_t* dst, size_t dst_room, size_t* written
) noexcept nogil
cdef int packbits_decode(
    const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes
) noexcept nogil

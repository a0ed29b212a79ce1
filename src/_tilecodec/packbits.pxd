from libc.stdint cimport uint8_t

cdef int packbits_decode(
    const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes
) noexcept nogil

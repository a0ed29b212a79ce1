from libc.stdint cimport uint8_t

# ``state`` is scratch of lzw_state_nbytes() bytes, aligned as by malloc: one per thread, filled by each call.
cdef size_t lzw_state_nbytes() noexcept nogil
cdef int lzw_decode(
    const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes, void* state
) noexcept nogil

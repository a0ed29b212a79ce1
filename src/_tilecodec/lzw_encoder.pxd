from libc.stdint cimport uint8_t

# ``state`` is scratch of lzw_encoder_nbytes() bytes, aligned as by malloc: one per thread, filled by each call.
cdef size_t lzw_encoder_nbytes() noexcept nogil
cdef size_t lzw_bound(size_t nbytes) noexcept nogil
cdef int lzw_encode(
    const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_room, size_t* written, void* state
) noexcept nogil

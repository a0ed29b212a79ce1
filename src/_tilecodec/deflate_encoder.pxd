from libc.stdint cimport uint8_t

# ``encoder`` is what deflate_encoder_new made: one per thread. Level -1 is bfio's own choice.
cdef bint has_deflate_encoder() noexcept nogil
cdef bint is_deflate_level(int level) noexcept nogil
cdef void* deflate_encoder_new(int level) noexcept nogil      # NULL: no memory
cdef void deflate_encoder_free(void* encoder) noexcept nogil
cdef size_t deflate_bound(size_t nbytes) noexcept nogil
cdef int deflate_encode(
    void* encoder, const uint8_t* src, size_t src_nbytes, size_t row_nbytes, uint8_t* dst, size_t dst_room,
    size_t* written
) noexcept nogil

from libc.stdint cimport uint8_t

# ``state`` is scratch of image_deflate_nbytes() bytes, aligned as by malloc, image_deflate_init() once: one per thread.
cdef size_t image_deflate_nbytes() noexcept nogil
cdef void image_deflate_init(void* state) noexcept nogil
cdef int image_deflate(
    const uint8_t* src, size_t src_nbytes, size_t row_nbytes, uint8_t* dst, size_t dst_room,
    size_t* written, void* state
) noexcept nogil

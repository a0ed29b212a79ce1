from libc.stdint cimport uint8_t

# ``state`` is scratch of noisy_deflate_nbytes() bytes, aligned as by malloc: one per thread, made ready once by
# noisy_deflate_init(). noisy_deflate_plan() tells whether bytes are noisy; if so, noisy_deflate() of them may follow.
cdef size_t noisy_deflate_nbytes() noexcept nogil
cdef void noisy_deflate_init(void* state) noexcept nogil
cdef bint noisy_deflate_plan(const uint8_t* src, size_t src_nbytes, void* state) noexcept nogil
cdef int noisy_deflate(
    const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_room, size_t* written, void* state
) noexcept nogil

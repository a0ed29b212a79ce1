from libc.stdint cimport uint32_t

# What the machine's crc32 instruction makes of four bytes, from 0: the lowest byte of the word comes first.
cdef uint32_t crc32c_word(uint32_t word) noexcept nogil

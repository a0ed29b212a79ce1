from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef enum:
    MAX_SYMBOLS = 288

# At least two symbols get a code. n <= MAX_SYMBOLS, limit <= 15, and all counts together fit in 32 bits.
cdef void huffman_lengths(const uint32_t* counts, int n, int limit, uint8_t* lengths) noexcept nogil
cdef void huffman_codes(const uint8_t* lengths, int n, uint16_t* codes) noexcept nogil   # low bits first

# Words and bits, the same on each machine; compilers make one instruction of each.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #ifdef _MSC_VER
    #include <intrin.h>
    static __inline unsigned tilecodec_trailing_zeros(uint64_t x) {
        unsigned long n = 0; _BitScanForward64(&n, x); return n;
    }
    #else
    static inline unsigned tilecodec_trailing_zeros(uint64_t x) { return __builtin_ctzll(x); }
    #endif
    """
    unsigned int trailing_zeros "tilecodec_trailing_zeros" (uint64_t x) noexcept nogil   # x is not 0


cdef inline uint32_t load32(const uint8_t* src) noexcept nogil:
    """Four bytes, the first one at the bottom."""
    return <uint32_t> src[0] | <uint32_t> src[1] << 8 | <uint32_t> src[2] << 16 | <uint32_t> src[3] << 24


cdef inline uint64_t load64(const uint8_t* src) noexcept nogil:
    """Eight bytes, the first one at the bottom."""
    return load32(src) | <uint64_t> load32(src + 4) << 32


cdef inline void store64(uint8_t* dst, uint64_t word) noexcept nogil:
    """Eight bytes, the first one from the bottom."""
    dst[0] = <uint8_t> word
    dst[1] = <uint8_t> (word >> 8)
    dst[2] = <uint8_t> (word >> 16)
    dst[3] = <uint8_t> (word >> 24)
    dst[4] = <uint8_t> (word >> 32)
    dst[5] = <uint8_t> (word >> 40)
    dst[6] = <uint8_t> (word >> 48)
    dst[7] = <uint8_t> (word >> 56)

# Whether bytes hold no long copies, so that a codec does well not to look for them.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from _tilecodec.bits cimport load64

cdef enum:
    NOISE_SAMPLE = 1 << 13  # bytes of each of the three samples
    NOISE_LEAST = 1 << 15  # fewer bytes are not worth it
    NOISE_SLOTS = 1 << 11


cdef inline uint32_t count_copies(const uint8_t* src) noexcept nogil:
    """How many of the words in a sample stood in it before."""
    cdef uint16_t[NOISE_SLOTS] places
    cdef uint32_t n = 0
    cdef uint32_t i
    cdef uint64_t word
    cdef uint16_t* place
    memset(places, 0, sizeof(places))
    for i in range(4, NOISE_SAMPLE - 8, 4):
        word = load64(src + i)
        place = &places[(word * <uint64_t> 0x9E3779B97F4A7C15) >> 53]
        n += load64(src + place[0]) == word
        place[0] = <uint16_t> i
    return n


cdef inline bint is_noisy(const uint8_t* src, size_t nbytes) noexcept nogil:
    cdef size_t quarter = nbytes // 4
    cdef uint32_t n
    if nbytes < NOISE_LEAST:
        return False
    n = count_copies(src + quarter // 2) + count_copies(src + 3 * quarter // 2) + count_copies(src + 5 * quarter // 2)
    return n < 3 * (NOISE_SAMPLE >> 6)  # one word in sixteen

"""Byte order: reversal of the bytes of each item, in place, at any address."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from _tilecodec.status cimport BAD_TASK, OK

# Compilers make one bswap of the shifts below, and SSE2 has no vector bswap: there it is spelled out, as a swap
# inside 16 bit words and a shuffle of the words. Other machines have a vector instruction that the compiler finds.
cdef extern from *:
    """
    #if defined(__SSE2__) || defined(_M_X64)
    #include <emmintrin.h>
    static __m128i swapped_words(const uint8_t* data) {
        __m128i words = _mm_loadu_si128((const __m128i*)data);
        return _mm_or_si128(_mm_slli_epi16(words, 8), _mm_srli_epi16(words, 8));
    }
    static size_t swap_blocks(uint8_t* data, size_t nbytes, size_t item_size) {
        const size_t stop = nbytes & ~(size_t)15;
        size_t i;
        if (item_size == 4) {
            for (i = 0; i < stop; i += 16) {
                __m128i words = _mm_shufflelo_epi16(swapped_words(data + i), _MM_SHUFFLE(2, 3, 0, 1));
                words = _mm_shufflehi_epi16(words, _MM_SHUFFLE(2, 3, 0, 1));
                _mm_storeu_si128((__m128i*)(data + i), words);
            }
        } else {
            for (i = 0; i < stop; i += 16) {
                __m128i words = _mm_shufflelo_epi16(swapped_words(data + i), _MM_SHUFFLE(0, 1, 2, 3));
                words = _mm_shufflehi_epi16(words, _MM_SHUFFLE(0, 1, 2, 3));
                _mm_storeu_si128((__m128i*)(data + i), words);
            }
        }
        return stop;
    }
    #else
    static size_t swap_blocks(uint8_t* data, size_t nbytes, size_t item_size) {
        (void)data; (void)nbytes; (void)item_size;
        return 0;
    }
    #endif
    """
    # Swaps the leading whole 16 byte blocks of 4 or 8 byte items; returns how many bytes are done.
    size_t swap_blocks(uint8_t* data, size_t nbytes, size_t item_size) noexcept nogil


cdef void swap_2(uint8_t* data, size_t n_items) noexcept nogil:
    cdef uint16_t value
    cdef size_t i
    for i in range(n_items):
        memcpy(&value, data + 2 * i, 2)
        value = <uint16_t> ((value << 8) | (value >> 8))
        memcpy(data + 2 * i, &value, 2)


cdef void swap_4(uint8_t* data, size_t n_items) noexcept nogil:
    cdef uint32_t value
    cdef size_t i
    for i in range(n_items):
        memcpy(&value, data + 4 * i, 4)
        value = ((value & 0x00FF00FFU) << 8) | ((value >> 8) & 0x00FF00FFU)
        value = (value << 16) | (value >> 16)
        memcpy(data + 4 * i, &value, 4)


cdef void swap_8(uint8_t* data, size_t n_items) noexcept nogil:
    cdef uint64_t value
    cdef size_t i
    for i in range(n_items):
        memcpy(&value, data + 8 * i, 8)
        value = ((value & 0x00FF00FF00FF00FFU) << 8) | ((value >> 8) & 0x00FF00FF00FF00FFU)
        value = ((value & 0x0000FFFF0000FFFFU) << 16) | ((value >> 16) & 0x0000FFFF0000FFFFU)
        value = (value << 32) | (value >> 32)
        memcpy(data + 8 * i, &value, 8)


cdef int swap_inplace(uint8_t* data, size_t n_items, size_t item_size) noexcept nogil:
    """Reverse the bytes of each of ``n_items`` items of 1, 2, 4 or 8 bytes at any address."""
    cdef size_t done
    if item_size == 1:
        return OK
    if item_size == 2:
        swap_2(data, n_items)
        return OK
    if item_size != 4 and item_size != 8:
        return BAD_TASK
    done = swap_blocks(data, n_items * item_size, item_size) // item_size
    if item_size == 4:
        swap_4(data + done * 4, n_items - done)
    else:
        swap_8(data + done * 8, n_items - done)
    return OK


def swap(uint8_t[::1] buffer not None, size_t item_size):
    """Reverse the byte order of each item of a buffer, in place.

    Parameters
    ----------
    buffer : writable contiguous bytes
        Whole items, at any address.
    item_size : int
        Bytes per item: 1 (nothing to do), 2, 4 or 8.

    Raises
    ------
    ValueError
        The item size is another one, or the buffer does not hold whole items.
    """
    cdef size_t nbytes = buffer.shape[0]
    cdef int status
    if item_size not in (1, 2, 4, 8) or nbytes % item_size:
        raise ValueError(f"{nbytes} bytes are not whole items of 1, 2, 4 or 8 bytes: item size {item_size}")
    if nbytes == 0:
        return
    with nogil:
        status = swap_inplace(&buffer[0], nbytes // item_size, item_size)
    assert status == OK

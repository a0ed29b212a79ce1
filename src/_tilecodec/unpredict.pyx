"""Predictors: TIFF 6.0 section 14 (differences) and Adobe TIFF Technical Note 3 (floating point), undone."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from _tilecodec.byteorder cimport swap_inplace
from _tilecodec.status cimport BAD_TASK, OK

# A running sum in plain C costs one dependent add per item. With SSE2 a block of whole pixels (16 bytes, or 12 or
# 15) is summed in log steps by shifting it over itself; what one block hands to the next is a single add.
cdef extern from *:
    """
    #if defined(__SSE2__) || defined(_M_X64)
    #include <emmintrin.h>
    /* REPEAT_n: the last n bytes of a register, all over it. */
    #define REPEAT_8(x) _mm_unpackhi_epi64(x, x)
    #define REPEAT_4(x) _mm_shuffle_epi32(x, 0xFF)
    #define REPEAT_2(x) REPEAT_4(_mm_shufflehi_epi16(x, 0xFF))
    #define REPEAT_1(x) REPEAT_2(_mm_unpackhi_epi8(x, x))
    #define GROWN(x, n, bits) _mm_add_epi##bits(x, _mm_slli_si128(x, n))
    #define SUM_WHOLE(bits, stride)                                                            \
    static size_t sum_##bits##_##stride(uint8_t* row, size_t nbytes) {                         \
        const size_t stop = nbytes & ~(size_t)15;                                              \
        __m128i carry = _mm_setzero_si128();                                                   \
        size_t i;                                                                              \
        for (i = 0; i < stop; i += 16) {                                                       \
            __m128i x = _mm_loadu_si128((const __m128i*)(row + i));                            \
            x = GROWN(x, stride, bits);                                                        \
            if (stride < 8) x = GROWN(x, (stride < 8 ? 2 * stride : 0), bits);                 \
            if (stride < 4) x = GROWN(x, (stride < 4 ? 4 * stride : 0), bits);                 \
            if (stride < 2) x = GROWN(x, (stride < 2 ? 8 * stride : 0), bits);                 \
            _mm_storeu_si128((__m128i*)(row + i), _mm_add_epi##bits(x, carry));                \
            carry = _mm_add_epi##bits(carry, REPEAT_##stride(x));                              \
        }                                                                                      \
        return stop;                                                                           \
    }
    /* Pixels of 3 or 6 bytes: blocks of 15 or 12 bytes. What a register holds behind its block is stored back as
       it was; the next block is loaded before that store, which it overlaps: waiting for it made it 5 times slower. */
    #define SUM_PART(bits, stride, block)                                                      \
    static size_t sum_##bits##_##stride(uint8_t* row, size_t nbytes) {                         \
        const __m128i inside = _mm_srli_si128(_mm_set1_epi8(-1), 16 - block);                  \
        __m128i carry = _mm_setzero_si128(), raw, next, x, last;                               \
        size_t i;                                                                              \
        if (nbytes < 16) return 0;                                                             \
        next = _mm_loadu_si128((const __m128i*)row);                                           \
        for (i = 0; nbytes - i >= 16 + block; i += block) {                                    \
            raw = next;                                                                        \
            next = _mm_loadu_si128((const __m128i*)(row + i + block));                         \
            x = _mm_and_si128(raw, inside);                                                    \
            x = GROWN(x, stride, bits);                                                        \
            x = GROWN(x, 2 * stride, bits);                                                    \
            if (stride < 4) x = GROWN(x, (stride < 4 ? 4 * stride : 0), bits);                 \
            last = _mm_srli_si128(_mm_slli_si128(x, 16 - block), 16 - stride);                 \
            last = _mm_or_si128(last, _mm_slli_si128(last, stride));                           \
            last = _mm_or_si128(last, _mm_slli_si128(last, 2 * stride));                       \
            if (stride < 4) last = _mm_or_si128(last, _mm_slli_si128(last, (stride < 4 ? 4 * stride : 0))); \
            x = _mm_and_si128(_mm_add_epi##bits(x, carry), inside);                            \
            _mm_storeu_si128((__m128i*)(row + i), _mm_or_si128(x, _mm_andnot_si128(inside, raw))); \
            carry = _mm_add_epi##bits(carry, last);                                            \
        }                                                                                      \
        return i;                                                                              \
    }
    SUM_WHOLE(8, 1) SUM_WHOLE(8, 2) SUM_WHOLE(8, 4) SUM_PART(8, 3, 15)
    SUM_WHOLE(16, 2) SUM_WHOLE(16, 4) SUM_WHOLE(16, 8) SUM_PART(16, 6, 12)
    SUM_WHOLE(32, 4) SUM_WHOLE(32, 8)
    static size_t sum_blocks(uint8_t* row, size_t nbytes, size_t samples, size_t item_size) {
        if (samples > 4 || item_size > 4) return 0;
        switch (item_size * 8 + samples) {
            case 8 + 1: return sum_8_1(row, nbytes);
            case 8 + 2: return sum_8_2(row, nbytes);
            case 8 + 3: return sum_8_3(row, nbytes);
            case 8 + 4: return sum_8_4(row, nbytes);
            case 16 + 1: return sum_16_2(row, nbytes);
            case 16 + 2: return sum_16_4(row, nbytes);
            case 16 + 3: return sum_16_6(row, nbytes);
            case 16 + 4: return sum_16_8(row, nbytes);
            case 32 + 1: return sum_32_4(row, nbytes);
            case 32 + 2: return sum_32_8(row, nbytes);
        }
        return 0;
    }
    #else
    static size_t sum_blocks(uint8_t* row, size_t nbytes, size_t samples, size_t item_size) {
        (void)row; (void)nbytes; (void)samples; (void)item_size;
        return 0;
    }
    #endif
    """
    # Sums leading blocks of whole pixels of a row; returns how many bytes are done (0: none of its business).
    size_t sum_blocks(uint8_t* row, size_t nbytes, size_t samples, size_t item_size) noexcept nogil


ctypedef fused item:
    uint8_t
    uint16_t
    uint32_t
    uint64_t


cdef void sum_items(uint8_t* row, size_t start, size_t n_items, size_t samples, item zero) noexcept nogil:
    """Add to each item from ``start`` the one ``samples`` before it, at any address."""
    cdef item here
    cdef item before
    cdef size_t i
    if samples == 1 and start < n_items:
        memcpy(&before, row + (start - 1) * sizeof(item), sizeof(item))
        for i in range(start, n_items):
            memcpy(&here, row + i * sizeof(item), sizeof(item))
            before = <item> (before + here)
            memcpy(row + i * sizeof(item), &before, sizeof(item))
        return
    for i in range(start, n_items):
        memcpy(&before, row + (i - samples) * sizeof(item), sizeof(item))
        memcpy(&here, row + i * sizeof(item), sizeof(item))
        here = <item> (here + before)
        memcpy(row + i * sizeof(item), &here, sizeof(item))


cdef void sum_row(uint8_t* row, size_t n_items, size_t samples, size_t item_size) noexcept nogil:
    """Running sum over a row of native items, each sample for itself."""
    cdef size_t start = sum_blocks(row, n_items * item_size, samples, item_size) // item_size
    if start < samples:
        start = samples
    if item_size == 1:
        sum_items[uint8_t](row, start, n_items, samples, 0)
    elif item_size == 2:
        sum_items[uint16_t](row, start, n_items, samples, 0)
    elif item_size == 4:
        sum_items[uint32_t](row, start, n_items, samples, 0)
    else:
        sum_items[uint64_t](row, start, n_items, samples, 0)


cdef int undo_horizontal(
    uint8_t* data, size_t rows, size_t width, size_t samples, size_t item_size, bint swap
) noexcept nogil:
    """Undo predictor 2: rows of differences in file byte order become rows of native values."""
    cdef size_t n_items = width * samples
    cdef size_t _row
    if item_size != 1 and item_size != 2 and item_size != 4 and item_size != 8:
        return BAD_TASK
    if n_items == 0:
        return OK
    for _row in range(rows):
        if swap:
            swap_inplace(data, n_items, item_size)
        sum_row(data, n_items, samples, item_size)
        data += n_items * item_size
    return OK


cdef void join_planes_2(uint8_t* row, const uint8_t* planes, size_t n_items) noexcept nogil:
    cdef uint16_t value
    cdef size_t i
    for i in range(n_items):
        value = <uint16_t> ((<uint32_t> planes[i] << 8) | planes[n_items + i])
        memcpy(row + 2 * i, &value, 2)


cdef void join_planes_4(uint8_t* row, const uint8_t* planes, size_t n_items) noexcept nogil:
    cdef const uint8_t* second = planes + n_items
    cdef const uint8_t* third = second + n_items
    cdef const uint8_t* fourth = third + n_items
    cdef uint32_t value
    cdef size_t i
    for i in range(n_items):
        value = (<uint32_t> planes[i] << 24) | (<uint32_t> second[i] << 16) | (<uint32_t> third[i] << 8)
        value = value | fourth[i]
        memcpy(row + 4 * i, &value, 4)


cdef void join_planes_8(uint8_t* row, const uint8_t* planes, size_t n_items) noexcept nogil:
    cdef uint64_t value
    cdef size_t i, plane
    for i in range(n_items):
        value = 0
        for plane in range(8):
            value = (value << 8) | planes[plane * n_items + i]
        memcpy(row + 8 * i, &value, 8)


cdef int undo_float(
    uint8_t* data, size_t rows, size_t width, size_t samples, size_t item_size, uint8_t* row_scratch
) noexcept nogil:
    """Undo predictor 3: rows of differenced byte planes, most significant first, become native items."""
    cdef size_t n_items = width * samples
    cdef size_t _row
    if item_size != 2 and item_size != 4 and item_size != 8:
        return BAD_TASK
    if n_items == 0:
        return OK
    for _row in range(rows):
        sum_row(data, n_items * item_size, samples, 1)
        memcpy(row_scratch, data, n_items * item_size)
        if item_size == 2:
            join_planes_2(data, row_scratch, n_items)
        elif item_size == 4:
            join_planes_4(data, row_scratch, n_items)
        else:
            join_planes_8(data, row_scratch, n_items)
        data += n_items * item_size
    return OK


def undo(
    uint8_t[::1] buffer not None,
    size_t rows,
    size_t width,
    size_t samples,
    size_t item_size,
    int predictor,
    bint swap,
):
    """Undo a TIFF predictor over contiguous rows, in place; on return the items have native byte order.

    Parameters
    ----------
    buffer : writable contiguous bytes
        ``rows * width * samples * item_size`` of them, at any address.
    rows, width, samples : int
        Shape; the samples of a pixel stand side by side.
    item_size : int
        Bytes per sample: 1, 2, 4 or 8 for predictor 2; 2, 4 or 8 for predictor 3.
    predictor : int
        2 (TIFF 6.0 section 14) or 3 (Adobe TIFF Technical Note 3).
    swap : bool
        The file's byte order is not the native one. Predictor 3 has one order in every file and ignores it.

    Raises
    ------
    ValueError
        The size of the buffer is not that of the shape, or predictor and item size do not go together.
    MemoryError
        There is no room for a copy of one row.
    """
    cdef size_t row_size
    cdef uint8_t* scratch = NULL
    cdef int status
    known = {2: (1, 2, 4, 8), 3: (2, 4, 8)}
    if item_size not in known.get(predictor, ()):
        raise ValueError(f"predictor {predictor} with items of {item_size} bytes")
    shape = (rows, width, samples, item_size)
    if int(rows) * int(width) * int(samples) * int(item_size) != buffer.shape[0]:
        raise ValueError(f"{buffer.shape[0]} bytes do not have the shape {shape}")
    if buffer.shape[0] == 0:
        return
    row_size = width * samples * item_size
    if predictor == 3:
        scratch = <uint8_t*> malloc(row_size)
        if scratch == NULL:
            raise MemoryError(f"no room for a row of {row_size} bytes")
    try:
        with nogil:
            if predictor == 2:
                status = undo_horizontal(&buffer[0], rows, width, samples, item_size, swap)
            else:
                status = undo_float(&buffer[0], rows, width, samples, item_size, scratch)
    finally:
        free(scratch)
    assert status == OK

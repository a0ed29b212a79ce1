"""Two rows become one of half the length: mean, mode or maximum of 2 x 2 items. The loops are free of branches."""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from _tilecodec.convert cimport F4, F8, I1, I2, I4, I8, U1, U2, U4, U8

ctypedef fused short_integer:
    uint8_t
    uint16_t
    int8_t
    int16_t

ctypedef fused long_integer:
    uint32_t
    uint64_t
    int32_t
    int64_t

ctypedef fused bits:
    uint8_t
    uint16_t
    uint32_t
    uint64_t

ctypedef fused number:
    uint8_t
    uint16_t
    uint32_t
    uint64_t
    int8_t
    int16_t
    int32_t
    int64_t
    float
    double


# Means. Integers are rounded to the nearest, halves towards plus infinity: a shift does that for negative sums too.

cdef void mean_short(
    short_integer* dst, const short_integer* top, const short_integer* bottom, size_t n
) noexcept nogil:
    cdef size_t i
    for i in range(n):
        dst[i] = <short_integer> (
            (<int32_t> top[2 * i] + top[2 * i + 1] + bottom[2 * i] + bottom[2 * i + 1] + 2) >> 2
        )


cdef inline void mean_each(
    short_integer* dst, const short_integer* top, const short_integer* bottom, size_t n, size_t samples
) noexcept nogil:
    cdef size_t i, k, left, right
    for i in range(n):
        for k in range(samples):
            left = 2 * i * samples + k
            right = left + samples
            dst[i * samples + k] = <short_integer> (
                (<int32_t> top[left] + top[right] + bottom[left] + bottom[right] + 2) >> 2
            )


cdef void mean_pixels(
    short_integer* dst, const short_integer* top, const short_integer* bottom, size_t n, size_t samples
) noexcept nogil:
    """Colours; a literal number of samples makes a loop that vectorises."""
    if samples == 3:
        mean_each(dst, top, bottom, n, 3)
    elif samples == 4:
        mean_each(dst, top, bottom, n, 4)
    else:
        mean_each(dst, top, bottom, n, samples)


cdef void mean_long(long_integer* dst, const long_integer* top, const long_integer* bottom, size_t n) noexcept nogil:
    """Quotients and remainders by 4 apart, so that the sum never overflows and no wider type is needed."""
    cdef long_integer a, b, c, d
    cdef size_t i
    for i in range(n):
        a, b, c, d = top[2 * i], top[2 * i + 1], bottom[2 * i], bottom[2 * i + 1]
        dst[i] = (a >> 2) + (b >> 2) + (c >> 2) + (d >> 2) + (((a & 3) + (b & 3) + (c & 3) + (d & 3) + 2) >> 2)


cdef void mean_float(float* dst, const float* top, const float* bottom, size_t n) noexcept nogil:
    """Summed in double, so that the largest floats, a common value for "no data", keep their value."""
    cdef double left, right
    cdef size_t i
    for i in range(n):
        left = <double> top[2 * i] + <double> bottom[2 * i]
        right = <double> top[2 * i + 1] + <double> bottom[2 * i + 1]
        dst[i] = <float> ((left + right) * 0.25)


cdef void mean_double(double* dst, const double* top, const double* bottom, size_t n) noexcept nogil:
    """Quarters are summed, for the same reason."""
    cdef double left, right
    cdef size_t i
    for i in range(n):
        left = 0.25 * top[2 * i] + 0.25 * bottom[2 * i]
        right = 0.25 * top[2 * i + 1] + 0.25 * bottom[2 * i + 1]
        dst[i] = left + right


# Choices.

cdef void most_frequent(bits* dst, const bits* top, const bits* bottom, size_t n) noexcept nogil:
    """Of equally frequent ones the first in reading order; which of them are equal is a matter of bits alone."""
    cdef bits a, b, c, d
    cdef size_t i
    for i in range(n):
        a, b, c, d = top[2 * i], top[2 * i + 1], bottom[2 * i], bottom[2 * i + 1]
        c = c if c == d else a
        b = b if (b == bottom[2 * i]) | (b == d) else c
        dst[i] = a if (a == top[2 * i + 1]) | (a == bottom[2 * i]) | (a == d) else b


cdef inline number larger(number a, number b) noexcept nogil:
    """NaN counts as the largest; two choices vectorise where one of both conditions does not."""
    cdef number c = b if a < b else a
    return b if b != b else c


cdef void largest(number* dst, const number* top, const number* bottom, size_t n) noexcept nogil:
    cdef size_t i
    for i in range(n):
        dst[i] = larger(larger(top[2 * i], top[2 * i + 1]), larger(bottom[2 * i], bottom[2 * i + 1]))


# From kinds to functions.

cdef reduce_rows _find_mean(int any_kind) noexcept nogil:
    if any_kind == U1:
        return <reduce_rows> mean_short[uint8_t]
    if any_kind == U2:
        return <reduce_rows> mean_short[uint16_t]
    if any_kind == I1:
        return <reduce_rows> mean_short[int8_t]
    if any_kind == I2:
        return <reduce_rows> mean_short[int16_t]
    if any_kind == U4:
        return <reduce_rows> mean_long[uint32_t]
    if any_kind == U8:
        return <reduce_rows> mean_long[uint64_t]
    if any_kind == I4:
        return <reduce_rows> mean_long[int32_t]
    if any_kind == I8:
        return <reduce_rows> mean_long[int64_t]
    if any_kind == F4:
        return <reduce_rows> mean_float
    if any_kind == F8:
        return <reduce_rows> mean_double
    return NULL


cdef reduce_rows _find_mode(int any_kind) noexcept nogil:
    if any_kind in (U1, I1):
        return <reduce_rows> most_frequent[uint8_t]
    if any_kind in (U2, I2):
        return <reduce_rows> most_frequent[uint16_t]
    if any_kind in (U4, I4, F4):
        return <reduce_rows> most_frequent[uint32_t]
    if any_kind in (U8, I8, F8):
        return <reduce_rows> most_frequent[uint64_t]
    return NULL


cdef reduce_rows _find_maximum(int any_kind) noexcept nogil:
    if any_kind == U1:
        return <reduce_rows> largest[uint8_t]
    if any_kind == U2:
        return <reduce_rows> largest[uint16_t]
    if any_kind == U4:
        return <reduce_rows> largest[uint32_t]
    if any_kind == U8:
        return <reduce_rows> largest[uint64_t]
    if any_kind == I1:
        return <reduce_rows> largest[int8_t]
    if any_kind == I2:
        return <reduce_rows> largest[int16_t]
    if any_kind == I4:
        return <reduce_rows> largest[int32_t]
    if any_kind == I8:
        return <reduce_rows> largest[int64_t]
    if any_kind == F4:
        return <reduce_rows> largest[float]
    if any_kind == F8:
        return <reduce_rows> largest[double]
    return NULL


cdef reduce_rows find_reduce_rows(int how, int any_kind) noexcept nogil:
    """The loop for a method and a kind of number; NULL where there is none."""
    if how == MEAN:
        return _find_mean(any_kind)
    if how == MODE:
        return _find_mode(any_kind)
    if how == MAXIMUM:
        return _find_maximum(any_kind)
    return NULL


cdef reduce_pixels find_reduce_pixels(int how, int any_kind) noexcept nogil:
    """Only for what colours are made of; others pay for the general way."""
    if how == MEAN and any_kind == U1:
        return <reduce_pixels> mean_pixels[uint8_t]
    if how == MEAN and any_kind == U2:
        return <reduce_pixels> mean_pixels[uint16_t]
    return NULL

"""Casts between runs of numbers, with saturation. Only numbers: the caller has contiguous, aligned runs."""

from libc.math cimport rint
from libc.stdint cimport (
    int8_t,
    int16_t,
    int32_t,
    int64_t,
    uint8_t,
    uint16_t,
    uint32_t,
    uint64_t,
)
from libc.string cimport memcpy

from _tilecodec.convert cimport F4, F8, I1, I2, I4, I8, U1, U2, U4, U8

# Two names for one list: Cython makes all pairs of two fused types, but only equal pairs of one.
ctypedef fused integer:
    uint8_t
    uint16_t
    uint32_t
    uint64_t
    int8_t
    int16_t
    int32_t
    int64_t

ctypedef fused from_integer:
    uint8_t
    uint16_t
    uint32_t
    uint64_t
    int8_t
    int16_t
    int32_t
    int64_t

ctypedef fused wide_integer:
    uint64_t
    int64_t

ctypedef fused short_integer:
    uint8_t
    uint16_t
    int8_t
    int16_t

ctypedef fused real:
    float
    double

ctypedef fused source:
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

ctypedef fused target:
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


# The bounds are constants to the C compiler, and each loop is free of branches (64 bit integers from reals apart),
# so that it vectorises.

cdef inline uint64_t top_of(integer zero) noexcept nogil:
    """Largest value of an integer type."""
    cdef bint has_sign = <integer> (zero - 1) < zero
    return (~(<uint64_t> 0)) >> (64 - 8 * sizeof(integer) + has_sign)


cdef inline int64_t bottom_of(integer zero) noexcept nogil:
    """Smallest value of an integer type."""
    cdef bint has_sign = <integer> (zero - 1) < zero
    return -(<int64_t> top_of(zero)) - 1 if has_sign else 0


cdef void clip_run(integer* dst, const from_integer* src, size_t n) noexcept nogil:
    cdef from_integer high = <from_integer> min(top_of(<from_integer> 0), top_of(<integer> 0))
    cdef from_integer low = <from_integer> max(bottom_of(<from_integer> 0), bottom_of(<integer> 0))
    cdef from_integer value
    cdef size_t i
    for i in range(n):
        value = src[i]
        value = high if value > high else value
        value = low if value < low else value
        dst[i] = <integer> value


# Round half to even, then NaN becomes 0, then clip. Adding and taking away 1.5 * 2**23 (2**52 for double) rounds in
# the arithmetic itself: no call, no instruction newer than SSE2. A number too large for that is far too large for the
# target as well. Rounding comes first because gcc makes a branch of a choice that arithmetic follows.

cdef void round_short(short_integer* dst, const float* src, size_t n) noexcept nogil:
    cdef float high = <float> top_of(<short_integer> 0)
    cdef float low = <float> bottom_of(<short_integer> 0)
    cdef float magic = 12582912.0
    cdef float zero = 0.0
    cdef float value
    cdef size_t i
    for i in range(n):
        value = src[i] + magic
        value = value - magic
        value = value if value == value else zero
        value = value if value > low else low
        value = value if value < high else high
        dst[i] = <short_integer> <int32_t> value


cdef void round_long(integer* dst, const real* src, size_t n) noexcept nogil:
    cdef double high = <double> top_of(<integer> 0)
    cdef double low = <double> bottom_of(<integer> 0)
    cdef double magic = 6755399441055744.0
    cdef double value
    cdef size_t i
    for i in range(n):
        value = src[i] + magic
        value = value - magic
        value = value if value == value else 0.0
        value = value if value > low else low
        value = value if value < high else high
        if integer is uint32_t:
            dst[i] = <uint32_t> <int32_t> (value - 2147483648.0) ^ 0x80000000U
        else:
            dst[i] = <integer> <int32_t> value


cdef void round_wide(wide_integer* dst, const real* src, size_t n) noexcept nogil:
    """Reals to 64 bit integers, whose top is no double, so that the comparison is with top + 1."""
    cdef uint64_t top = top_of(<wide_integer> 0)
    cdef int64_t bottom = bottom_of(<wide_integer> 0)
    cdef double above = <double> (top // 2 + 1) * 2.0
    cdef double value
    cdef size_t i
    for i in range(n):
        value = rint(<double> src[i])
        if value != value:
            dst[i] = 0
        elif value >= above:
            dst[i] = <wide_integer> top
        elif value <= <double> bottom:
            dst[i] = <wide_integer> bottom
        else:
            dst[i] = <wide_integer> value


cdef void cast_run(target* dst, const source* src, size_t n) noexcept nogil:
    """One run of one kind to one of another."""
    cdef size_t i
    if target in real:
        for i in range(n):
            dst[i] = <target> src[i]
    elif source in integer:
        clip_run(dst, src, n)
    elif target in wide_integer:
        round_wide(dst, src, n)
    elif target in short_integer and source is float:
        round_short(dst, src, n)
    else:
        round_long(dst, src, n)


# Float16: 1 bit sign, 5 exponent (bias 15), 10 fraction.

cdef void widen_halves(float* dst, const uint16_t* src, size_t n) noexcept nogil:
    """Float16 to float32, exactly; subnormals are their fraction times 2**-24. Masks instead of choices, as above."""
    cdef uint32_t body, bits, tiny_bits, is_tiny
    cdef float tiny
    cdef size_t i
    for i in range(n):
        body = src[i] & 0x7FFFU
        tiny = <float> <int32_t> body * <float> 5.9604644775390625e-8
        memcpy(&tiny_bits, &tiny, 4)
        bits = (body << 13) + (<uint32_t> 112 << 23)
        bits = bits | ((0U - <uint32_t> (body >= 0x7C00U)) & 0x7F800000U)
        is_tiny = 0U - <uint32_t> (body < 0x400U)
        bits = (tiny_bits & is_tiny) | (bits & ~is_tiny)
        bits = bits | (<uint32_t> (src[i] & 0x8000U) << 16)
        memcpy(&dst[i], &bits, 4)


cdef inline uint16_t half_of(double value) noexcept nogil:
    """Nearest float16, ties to even; from 65520 on that is infinity."""
    cdef uint64_t bits
    cdef uint16_t sign
    memcpy(&bits, &value, 8)
    sign = <uint16_t> ((bits >> 48) & 0x8000U)
    bits = bits & 0x7FFFFFFFFFFFFFFFU
    if bits > 0x7FF0000000000000U:
        return <uint16_t> (sign | 0x7E00U | ((bits >> 42) & 0x1FFU))
    if bits >= 0x40EFFE0000000000U:
        return <uint16_t> (sign | 0x7C00U)
    if bits < 0x3F10000000000000U:
        memcpy(&value, &bits, 8)
        value = value * 16777216.0 + 4503599627370496.0
        return <uint16_t> (sign | <uint16_t> (value - 4503599627370496.0))
    bits = bits + 0x1FFFFFFFFFFU + ((bits >> 42) & 1)
    return <uint16_t> (sign | ((bits >> 42) - (<uint64_t> 1008 << 10)))


cdef void narrow_to_halves(uint16_t* dst, const double* src, size_t n) noexcept nogil:
    cdef size_t i
    for i in range(n):
        dst[i] = half_of(src[i])


# From kinds to types.

cdef void cast_from(uint8_t* dst, int dst_kind, const source* src, size_t n) noexcept nogil:
    if dst_kind == U1:
        cast_run(<uint8_t*> dst, src, n)
    elif dst_kind == U2:
        cast_run(<uint16_t*> dst, src, n)
    elif dst_kind == U4:
        cast_run(<uint32_t*> dst, src, n)
    elif dst_kind == U8:
        cast_run(<uint64_t*> dst, src, n)
    elif dst_kind == I1:
        cast_run(<int8_t*> dst, src, n)
    elif dst_kind == I2:
        cast_run(<int16_t*> dst, src, n)
    elif dst_kind == I4:
        cast_run(<int32_t*> dst, src, n)
    elif dst_kind == I8:
        cast_run(<int64_t*> dst, src, n)
    elif dst_kind == F4:
        cast_run(<float*> dst, src, n)
    elif dst_kind == F8:
        cast_run(<double*> dst, src, n)


cdef void cast_any(uint8_t* dst, int dst_kind, const uint8_t* src, int src_kind, size_t n) noexcept nogil:
    """One run of any kinds but float16."""
    if src_kind == U1:
        cast_from(dst, dst_kind, <const uint8_t*> src, n)
    elif src_kind == U2:
        cast_from(dst, dst_kind, <const uint16_t*> src, n)
    elif src_kind == U4:
        cast_from(dst, dst_kind, <const uint32_t*> src, n)
    elif src_kind == U8:
        cast_from(dst, dst_kind, <const uint64_t*> src, n)
    elif src_kind == I1:
        cast_from(dst, dst_kind, <const int8_t*> src, n)
    elif src_kind == I2:
        cast_from(dst, dst_kind, <const int16_t*> src, n)
    elif src_kind == I4:
        cast_from(dst, dst_kind, <const int32_t*> src, n)
    elif src_kind == I8:
        cast_from(dst, dst_kind, <const int64_t*> src, n)
    elif src_kind == F4:
        cast_from(dst, dst_kind, <const float*> src, n)
    elif src_kind == F8:
        cast_from(dst, dst_kind, <const double*> src, n)

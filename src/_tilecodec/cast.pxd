# Casts between contiguous, aligned runs of numbers, with saturation.

from libc.stdint cimport uint8_t, uint16_t


# Any two kinds but float16.
cdef void cast_any(uint8_t* dst, int dst_kind, const uint8_t* src, int src_kind, size_t n) noexcept nogil

cdef void widen_halves(float* dst, const uint16_t* src, size_t n) noexcept nogil

cdef void narrow_to_halves(uint16_t* dst, const double* src, size_t n) noexcept nogil

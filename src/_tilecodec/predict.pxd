# Applying the TIFF predictors 2 (horizontal differencing) and 3 (floating point).

from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport uint8_t


# Rows of width * samples native items, `src_row_stride` bytes apart, become packed rows of differences in native order.
# Source and destination must not overlap; both may be at any address.
cdef int predict_rows(
    int predictor, uint8_t* dst, const uint8_t* src, size_t rows, ptrdiff_t src_row_stride,
    size_t width, size_t samples, size_t item_size
) noexcept nogil

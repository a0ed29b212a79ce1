# Undoing the TIFF predictors 2 (horizontal differencing) and 3 (floating point).

from libc.stdint cimport uint8_t


# Rows of width * samples items in file byte order become native values; `swap`: the file's order is not native.
cdef int undo_horizontal(
    uint8_t* data, size_t rows, size_t width, size_t samples, size_t item_size, bint swap
) noexcept nogil

# row_scratch: width * samples * item_size bytes. In every file the most significant plane comes first.
cdef int undo_float(
    uint8_t* data, size_t rows, size_t width, size_t samples, size_t item_size, uint8_t* row_scratch
) noexcept nogil

"""Predictors: TIFF 6.0 section 14 (differences) and Adobe TIFF Technical Note 3 (floating point), applied."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from _tilecodec.status cimport BAD_TASK, OK

# Loops over plain indices, loads and stores by memcpy of a literal size: compilers make SIMD code of them.

ctypedef fused item:
    uint8_t
    uint16_t
    uint32_t
    uint64_t


cdef void subtract_items(uint8_t* dst, const uint8_t* src, size_t n_items, size_t samples, item zero) noexcept nogil:
    """Each item less the one ``samples`` before it."""
    cdef const uint8_t* ahead = src + samples * sizeof(item)
    cdef uint8_t* out = dst + samples * sizeof(item)
    cdef item here
    cdef item before
    cdef size_t i
    memcpy(dst, src, samples * sizeof(item))
    for i in range(n_items - samples):
        memcpy(&here, ahead + i * sizeof(item), sizeof(item))
        memcpy(&before, src + i * sizeof(item), sizeof(item))
        here = <item> (here - before)
        memcpy(out + i * sizeof(item), &here, sizeof(item))


cdef inline uint8_t byte_at(const uint8_t* src, int shift, item zero) noexcept nogil:
    cdef item value
    memcpy(&value, src, sizeof(item))
    return <uint8_t> (value >> shift)


cdef void subtract_planes(uint8_t* dst, const uint8_t* src, size_t n_items, size_t samples, item zero) noexcept nogil:
    """Bytes of equal weight side by side, the most significant first; each less the byte ``samples`` before it."""
    cdef const uint8_t* ahead = src + samples * sizeof(item)
    cdef const uint8_t* last = src + (n_items - samples) * sizeof(item)
    cdef int shift = 8 * <int> sizeof(item)
    cdef size_t i, _plane
    for _plane in range(sizeof(item)):
        shift -= 8
        for i in range(samples):          # the byte before these is in the plane before
            dst[i] = byte_at(src + i * sizeof(item), shift, zero)
            if _plane > 0:
                dst[i] = <uint8_t> (dst[i] - byte_at(last + i * sizeof(item), shift + 8, zero))
        dst += samples
        for i in range(n_items - samples):
            dst[i] = <uint8_t> (
                byte_at(ahead + i * sizeof(item), shift, zero) - byte_at(src + i * sizeof(item), shift, zero)
            )
        dst += n_items - samples


cdef void predict_horizontal(
    uint8_t* dst, const uint8_t* src, size_t n_items, size_t samples, size_t item_size
) noexcept nogil:
    if item_size == 1:
        subtract_items[uint8_t](dst, src, n_items, samples, 0)
    elif item_size == 2:
        subtract_items[uint16_t](dst, src, n_items, samples, 0)
    elif item_size == 4:
        subtract_items[uint32_t](dst, src, n_items, samples, 0)
    else:
        subtract_items[uint64_t](dst, src, n_items, samples, 0)


cdef void predict_float(
    uint8_t* dst, const uint8_t* src, size_t n_items, size_t samples, size_t item_size
) noexcept nogil:
    if item_size == 2:
        subtract_planes[uint16_t](dst, src, n_items, samples, 0)
    elif item_size == 4:
        subtract_planes[uint32_t](dst, src, n_items, samples, 0)
    else:
        subtract_planes[uint64_t](dst, src, n_items, samples, 0)


cdef bint _known(int predictor, size_t item_size) noexcept nogil:
    if predictor == 3:
        return item_size == 2 or item_size == 4 or item_size == 8
    return predictor == 2 and (item_size == 1 or item_size == 2 or item_size == 4 or item_size == 8)


cdef int predict_rows(
    int predictor, uint8_t* dst, const uint8_t* src, size_t rows, ptrdiff_t src_row_stride,
    size_t width, size_t samples, size_t item_size
) noexcept nogil:
    """Apply predictor 2 or 3 to native rows; those of ``dst`` are packed."""
    cdef size_t n_items = width * samples
    cdef size_t row_nbytes = n_items * item_size
    cdef ptrdiff_t i
    if not _known(predictor, item_size):
        return BAD_TASK
    if n_items == 0:
        return OK
    for i in range(<ptrdiff_t> rows):
        if predictor == 2:
            predict_horizontal(dst, src + i * src_row_stride, n_items, samples, item_size)
        else:
            predict_float(dst, src + i * src_row_stride, n_items, samples, item_size)
        dst += row_nbytes
    return OK


def apply(
    uint8_t[::1] dst not None,
    const uint8_t[::1] src not None,
    size_t rows,
    size_t width,
    size_t samples,
    size_t item_size,
    int predictor,
):
    """Apply a TIFF predictor to contiguous rows of native items.

    Parameters
    ----------
    dst, src : contiguous bytes
        ``rows * width * samples * item_size`` of them, at any address, not overlapping.
    rows, width, samples : int
        Shape; the samples of a pixel stand side by side.
    item_size : int
        Bytes per sample: 1, 2, 4 or 8 for predictor 2; 2, 4 or 8 for predictor 3.
    predictor : int
        2 (TIFF 6.0 section 14; differences in native byte order) or 3 (Adobe TIFF Technical Note 3).

    Raises
    ------
    ValueError
        The size of a buffer is not that of the shape, or predictor and item size do not go together.
    """
    cdef int status
    if not _known(predictor, item_size):
        raise ValueError(f"predictor {predictor} with items of {item_size} bytes")
    shape = (rows, width, samples, item_size)
    nbytes = int(rows) * int(width) * int(samples) * int(item_size)
    if nbytes != src.shape[0] or nbytes != dst.shape[0]:
        raise ValueError(f"{src.shape[0]} and {dst.shape[0]} bytes do not have the shape {shape}")
    if nbytes == 0:
        return
    with nogil:
        status = predict_rows(
            predictor, &dst[0], &src[0], rows, <ptrdiff_t> (width * samples * item_size), width, samples, item_size
        )
    assert status == OK

"""Deflate with a zlib header and checksum (RFC 1950 and 1951), by libdeflate."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free

from _tilecodec.libdeflate cimport (
    WITH_LIBDEFLATE,
    libdeflate_alloc_compressor,
    libdeflate_compressor,
    libdeflate_free_compressor,
    libdeflate_zlib_compress,
    libdeflate_zlib_compress_bound,
)
from _tilecodec.status cimport OK, TOO_LONG

cdef enum:
    DEFAULT = -1
    HIGHEST = 12

cdef struct Encoder:
    libdeflate_compressor* slow


cdef bint has_deflate_encoder() noexcept nogil:
    return WITH_LIBDEFLATE


cdef bint is_deflate_level(int level) noexcept nogil:
    return DEFAULT <= level <= HIGHEST


cdef void* deflate_encoder_new(int level) noexcept nogil:
    cdef Encoder* encoder = <Encoder*> calloc(1, sizeof(Encoder))
    if encoder == NULL:
        return NULL
    encoder.slow = libdeflate_alloc_compressor(1 if level == DEFAULT else level)
    if encoder.slow == NULL:
        deflate_encoder_free(encoder)
        return NULL
    return encoder


cdef void deflate_encoder_free(void* encoder) noexcept nogil:
    cdef Encoder* e = <Encoder*> encoder
    if e == NULL:
        return
    if e.slow != NULL:
        libdeflate_free_compressor(e.slow)
    free(e)


cdef size_t deflate_bound(size_t nbytes) noexcept nogil:
    return libdeflate_zlib_compress_bound(NULL, nbytes)


cdef int deflate_encode(
    void* encoder, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_room, size_t* written
) noexcept nogil:
    """Compress into ``dst``; TOO_LONG where it does not fit."""
    written[0] = libdeflate_zlib_compress((<Encoder*> encoder).slow, src, src_nbytes, dst, dst_room)
    return OK if written[0] > 0 else TOO_LONG

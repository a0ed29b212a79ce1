"""Function table: TIFF compression -> decompressor. Its twin is ``compress``."""

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from _tilecodec.compression cimport ADOBE_DEFLATE, DEFLATE, LZW, NONE, PACKBITS, ZSTD, ZSTD_OLD
from _tilecodec.libdeflate cimport (
    LIBDEFLATE_INSUFFICIENT_SPACE,
    LIBDEFLATE_SHORT_OUTPUT,
    LIBDEFLATE_SUCCESS,
    WITH_LIBDEFLATE,
    libdeflate_alloc_decompressor,
    libdeflate_free_decompressor,
    libdeflate_result,
    libdeflate_zlib_decompress,
)
from _tilecodec.lzw_decoder cimport lzw_decode, lzw_state_nbytes
from _tilecodec.packbits cimport packbits_decode
from _tilecodec.status cimport CORRUPT, NO_CODEC, OK, OUT_OF_MEMORY, TOO_LONG, TOO_SHORT, TRUNCATED
from _tilecodec.zstd cimport WITH_ZSTD, ZSTD_createDCtx, ZSTD_freeDCtx
from _tilecodec.zstd_decoder cimport zstd_decode


cdef int _decompress_none(
    decompressor* d, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes, size_t wanted
) noexcept nogil:
    if src_nbytes < dst_nbytes:
        return TRUNCATED
    memcpy(dst, src, wanted)
    return OK


cdef int _decompress_packbits(
    decompressor* d, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes, size_t wanted
) noexcept nogil:
    return packbits_decode(src, src_nbytes, dst, dst_nbytes)


cdef int _decompress_lzw(
    decompressor* d, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes, size_t wanted
) noexcept nogil:
    return lzw_decode(src, src_nbytes, dst, dst_nbytes, d.lzw)


cdef int _decompress_deflate(
    decompressor* d, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes, size_t wanted
) noexcept nogil:
    # without a place for the written size, libdeflate demands the exact size
    cdef libdeflate_result result = libdeflate_zlib_decompress(
        d.deflate, src, src_nbytes, dst, dst_nbytes, NULL)
    if result == LIBDEFLATE_SUCCESS:
        return OK
    if result == LIBDEFLATE_SHORT_OUTPUT:
        return TOO_SHORT
    if result == LIBDEFLATE_INSUFFICIENT_SPACE:
        return TOO_LONG
    return CORRUPT


cdef int _decompress_zstd(
    decompressor* d, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes, size_t wanted
) noexcept nogil:
    return zstd_decode(d.zstd, src, src_nbytes, dst, dst_nbytes, wanted)


cdef decompress_fn find_decompressor(int compression) noexcept nogil:
    if compression == NONE:
        return _decompress_none
    if compression == LZW:
        return _decompress_lzw
    if compression == PACKBITS:
        return _decompress_packbits
    if WITH_LIBDEFLATE and (compression == ADOBE_DEFLATE or compression == DEFLATE):
        return _decompress_deflate
    if WITH_ZSTD and (compression == ZSTD or compression == ZSTD_OLD):
        return _decompress_zstd
    return NULL


cdef int decompressor_open(decompressor* d, int compression) noexcept nogil:
    """Allocate what one worker needs to decompress; ``decompressor_close`` must follow whatever is returned."""
    d.deflate = NULL
    d.zstd = NULL
    d.lzw = NULL
    if find_decompressor(compression) == NULL:
        return NO_CODEC
    if compression == LZW:
        d.lzw = malloc(lzw_state_nbytes())
        return OK if d.lzw != NULL else OUT_OF_MEMORY
    if compression == ADOBE_DEFLATE or compression == DEFLATE:
        d.deflate = libdeflate_alloc_decompressor()
        return OK if d.deflate != NULL else OUT_OF_MEMORY
    if compression == ZSTD or compression == ZSTD_OLD:
        d.zstd = ZSTD_createDCtx()
        return OK if d.zstd != NULL else OUT_OF_MEMORY
    return OK


cdef void decompressor_close(decompressor* d) noexcept nogil:
    free(d.lzw)
    if d.deflate != NULL:
        libdeflate_free_decompressor(d.deflate)
    if d.zstd != NULL:
        ZSTD_freeDCtx(d.zstd)


def has_decompressor(int compression):
    """Whether this build decompresses the TIFF compression without the GIL."""
    return find_decompressor(compression) != NULL


def decompress(int compression, const uint8_t[::1] src not None, size_t nbytes):
    """Decompress one tile to exactly ``nbytes`` bytes, nothing else done to them.

    Returns
    -------
    (status, bytes)
        A kernel status, and the bytes (undefined unless the status is 0).
    """
    cdef decompressor d
    cdef const uint8_t* start = &src[0] if src.shape[0] > 0 else <const uint8_t*> b""  # some C libraries like no NULL
    cdef size_t src_nbytes = src.shape[0]
    cdef bytes result = PyBytes_FromStringAndSize(NULL, nbytes)
    cdef uint8_t* dst = <uint8_t*>PyBytes_AsString(result)
    cdef int status
    with nogil:
        status = decompressor_open(&d, compression)
        if status == OK:
            status = find_decompressor(compression)(&d, start, src_nbytes, dst, nbytes, nbytes)
        decompressor_close(&d)
    return status, result

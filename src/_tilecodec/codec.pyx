"""Function table: TIFF compression -> decompressor. The only module that links foreign C libraries."""

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from _tilecodec.libdeflate cimport (
    LIBDEFLATE_INSUFFICIENT_SPACE,
    LIBDEFLATE_SHORT_OUTPUT,
    LIBDEFLATE_SUCCESS,
    LIBDEFLATE_VERSION_STRING,
    WITH_LIBDEFLATE,
    libdeflate_alloc_decompressor,
    libdeflate_free_decompressor,
    libdeflate_result,
    libdeflate_zlib_decompress,
)
from _tilecodec.lzw cimport lzw_decode, lzw_state_nbytes
from _tilecodec.packbits cimport packbits_decode
from _tilecodec.status cimport CORRUPT, NO_CODEC, OK, OUT_OF_MEMORY, TOO_LONG, TOO_SHORT, TRUNCATED
from _tilecodec.zstd cimport (
    WITH_ZSTD,
    ZSTD_createDCtx,
    ZSTD_decompressDCtx,
    ZSTD_error_dstSize_tooSmall,
    ZSTD_error_srcSize_wrong,
    ZSTD_ErrorCode,
    ZSTD_freeDCtx,
    ZSTD_getErrorCode,
    ZSTD_isError,
    ZSTD_versionString,
)

# Compression tag values: TIFF 6.0 section 8 and the registered extensions
cdef enum:
    NONE = 1
    LZW = 5
    ADOBE_DEFLATE = 8
    PACKBITS = 32773
    DEFLATE = 32946
    ZSTD_OLD = 34926      # used before 50000 was registered
    ZSTD = 50000


cdef int _decompress_none(
    codec_state* state, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes
) noexcept nogil:
    if src_nbytes < dst_nbytes:
        return TRUNCATED
    memcpy(dst, src, dst_nbytes)
    return OK


cdef int _decompress_packbits(
    codec_state* state, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes
) noexcept nogil:
    return packbits_decode(src, src_nbytes, dst, dst_nbytes)


cdef int _decompress_lzw(
    codec_state* state, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes
) noexcept nogil:
    return lzw_decode(src, src_nbytes, dst, dst_nbytes, state.lzw)


cdef int _decompress_deflate(
    codec_state* state, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes
) noexcept nogil:
    # without a place for the written size, libdeflate demands the exact size
    cdef libdeflate_result result = libdeflate_zlib_decompress(
        state.deflate, src, src_nbytes, dst, dst_nbytes, NULL)
    if result == LIBDEFLATE_SUCCESS:
        return OK
    if result == LIBDEFLATE_SHORT_OUTPUT:
        return TOO_SHORT
    if result == LIBDEFLATE_INSUFFICIENT_SPACE:
        return TOO_LONG
    return CORRUPT


cdef int _decompress_zstd(
    codec_state* state, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes
) noexcept nogil:
    cdef size_t written = ZSTD_decompressDCtx(state.zstd, dst, dst_nbytes, src, src_nbytes)
    cdef ZSTD_ErrorCode error
    if not ZSTD_isError(written):
        return OK if written == dst_nbytes else TOO_SHORT
    error = ZSTD_getErrorCode(written)
    if error == ZSTD_error_dstSize_tooSmall:
        return TOO_LONG
    return TRUNCATED if error == ZSTD_error_srcSize_wrong else CORRUPT


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


cdef int codec_open(codec_state* state, int compression) noexcept nogil:
    """Allocate what one worker needs to decompress; ``codec_close`` must follow whatever is returned."""
    state.deflate = NULL
    state.zstd = NULL
    state.lzw = NULL
    if find_decompressor(compression) == NULL:
        return NO_CODEC
    if compression == LZW:
        state.lzw = malloc(lzw_state_nbytes())
        return OK if state.lzw != NULL else OUT_OF_MEMORY
    if compression == ADOBE_DEFLATE or compression == DEFLATE:
        state.deflate = libdeflate_alloc_decompressor()
        return OK if state.deflate != NULL else OUT_OF_MEMORY
    if compression == ZSTD or compression == ZSTD_OLD:
        state.zstd = ZSTD_createDCtx()
        return OK if state.zstd != NULL else OUT_OF_MEMORY
    return OK


cdef void codec_close(codec_state* state) noexcept nogil:
    free(state.lzw)
    if state.deflate != NULL:
        libdeflate_free_decompressor(state.deflate)
    if state.zstd != NULL:
        ZSTD_freeDCtx(state.zstd)


def has_decompressor(int compression):
    """Whether this build decompresses the TIFF compression without the GIL."""
    return find_decompressor(compression) != NULL


def build_info():
    """Versions of the C libraries in this build; None where a library is absent.

    Returns
    -------
    dict
        ``{"libdeflate": str | None, "zstd": str | None}``
    """
    return {
        "libdeflate": (<bytes>LIBDEFLATE_VERSION_STRING).decode() if WITH_LIBDEFLATE else None,
        "zstd": (<bytes>ZSTD_versionString()).decode() if WITH_ZSTD else None,
    }


def decompress(int compression, const uint8_t[::1] src not None, size_t nbytes):
    """Decompress one tile to exactly ``nbytes`` bytes, nothing else done to them.

    Returns
    -------
    (status, bytes)
        A kernel status, and the bytes (undefined unless the status is 0).
    """
    cdef codec_state state
    cdef const uint8_t* start = &src[0] if src.shape[0] > 0 else NULL
    cdef size_t src_nbytes = src.shape[0]
    cdef bytes result = PyBytes_FromStringAndSize(NULL, nbytes)
    cdef uint8_t* dst = <uint8_t*>PyBytes_AsString(result)
    cdef int status
    with nogil:
        status = codec_open(&state, compression)
        if status == OK:
            status = find_decompressor(compression)(&state, start, src_nbytes, dst, nbytes)
        codec_close(&state)
    return status, result

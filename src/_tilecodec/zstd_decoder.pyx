"""Zstandard: a whole stream, or a frame only as far as somebody looks at it (RFC 8878, section 3.1.1)."""

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memset

from _tilecodec.status cimport CORRUPT, NO_CODEC, OK, OUT_OF_MEMORY, TOO_LONG, TOO_SHORT, TRUNCATED
from _tilecodec.zstd cimport (
    WITH_ZSTD,
    ZSTD_createDCtx,
    ZSTD_d_stableOutBuffer,
    ZSTD_DCtx,
    ZSTD_DCtx_reset,
    ZSTD_DCtx_setParameter,
    ZSTD_decompressDCtx,
    ZSTD_decompressStream,
    ZSTD_error_dstSize_tooSmall,
    ZSTD_error_srcSize_wrong,
    ZSTD_ErrorCode,
    ZSTD_findFrameCompressedSize,
    ZSTD_freeDCtx,
    ZSTD_getErrorCode,
    ZSTD_getFrameContentSize,
    ZSTD_inBuffer,
    ZSTD_isError,
    ZSTD_outBuffer,
    ZSTD_reset_session_only,
)

cdef enum:
    BLOCK_NBYTES = 1 << 17     # most that a block holds when decoded, and what encoders put in
    MAGIC_NBYTES = 4
    # bits of the descriptor of a frame
    DICTIONARY = 3
    CHECKSUM = 4
    SINGLE_SEGMENT = 32
    # a block
    BLOCK_HEADER = 3
    RLE = 1


cdef bint _is_worth_it(size_t dst_nbytes, size_t wanted) noexcept nogil:
    """Whether more than an eighth can be left out: a whole frame is decoded at a higher rate."""
    cdef size_t end
    if not WITH_ZSTD or wanted >= dst_nbytes:
        return False
    end = ((wanted - 1) // BLOCK_NBYTES + 1) * BLOCK_NBYTES if wanted > 0 else 0
    return end <= dst_nbytes - (dst_nbytes // 8 + 1)


cdef size_t _header_nbytes(const uint8_t* src, size_t src_nbytes, size_t dst_nbytes) noexcept nogil:
    """Bytes before the first block; 0 if src is not one complete frame of dst_nbytes bytes that may be left early."""
    cdef uint8_t descriptor
    cdef size_t nbytes
    if src_nbytes <= MAGIC_NBYTES or memcmp(src, <const char*>b"\x28\xb5\x2f\xfd", MAGIC_NBYTES) != 0:
        return 0
    descriptor = src[MAGIC_NBYTES]
    if descriptor & (CHECKSUM | DICTIONARY) or ZSTD_getFrameContentSize(src, src_nbytes) != dst_nbytes:
        return 0
    if ZSTD_findFrameCompressedSize(src, src_nbytes) != src_nbytes:      # walks over the headers of all blocks
        return 0
    nbytes = MAGIC_NBYTES + 1
    if descriptor >> 6:                                                  # size of the content: 2, 4 or 8 bytes
        nbytes += <size_t>1 << (descriptor >> 6)
    elif descriptor & SINGLE_SEGMENT:
        nbytes += 1
    return nbytes if descriptor & SINGLE_SEGMENT else nbytes + 1         # size of the window


cdef size_t _block_end(const uint8_t* src, size_t src_nbytes, size_t start) noexcept nogil:
    """Where a block ends; 0 if none begins there."""
    cdef uint32_t header
    cdef size_t nbytes
    if start >= src_nbytes or src_nbytes - start < BLOCK_HEADER:
        return 0
    header = src[start] | <uint32_t>src[start + 1] << 8 | <uint32_t>src[start + 2] << 16
    nbytes = 1 if (header >> 1 & 3) == RLE else header >> 3
    start += BLOCK_HEADER
    return start + nbytes if nbytes <= src_nbytes - start else 0


cdef bint _decode_start(
    ZSTD_DCtx* context, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes, size_t wanted
) noexcept nogil:
    """Block by block, until enough is there; false if something is odd, which the decoder of whole streams judges."""
    cdef size_t position = _header_nbytes(src, src_nbytes, dst_nbytes)
    cdef ZSTD_inBuffer encoded
    cdef ZSTD_outBuffer decoded
    if position == 0 or ZSTD_isError(ZSTD_DCtx_reset(context, ZSTD_reset_session_only)):
        return False
    if ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_stableOutBuffer, 1)):
        return False
    encoded.src, encoded.size, encoded.pos = src, 0, 0
    decoded.dst, decoded.size, decoded.pos = dst, dst_nbytes, 0
    while decoded.pos < wanted:
        position = _block_end(src, src_nbytes, position)
        if position == 0:
            return False
        encoded.size = position
        if ZSTD_isError(ZSTD_decompressStream(context, &decoded, &encoded)):
            return False
    return True


cdef int zstd_decode(
    ZSTD_DCtx* context, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes, size_t wanted
) noexcept nogil:
    cdef size_t written
    cdef ZSTD_ErrorCode error
    if _is_worth_it(dst_nbytes, wanted) and _decode_start(context, src, src_nbytes, dst, dst_nbytes, wanted):
        return OK
    written = ZSTD_decompressDCtx(context, dst, dst_nbytes, src, src_nbytes)
    if not ZSTD_isError(written):
        return OK if written == dst_nbytes else TOO_SHORT
    error = ZSTD_getErrorCode(written)
    if error == ZSTD_error_dstSize_tooSmall:
        return TOO_LONG
    return TRUNCATED if error == ZSTD_error_srcSize_wrong else CORRUPT


def stops_early(size_t nbytes, size_t wanted):
    """Whether the first ``wanted`` of ``nbytes`` bytes cost clearly less than all of them, for most frames."""
    return _is_worth_it(nbytes, wanted)


def decode(const uint8_t[::1] src not None, size_t nbytes, size_t wanted):
    """Decode the start of a stream of ``nbytes`` bytes, at least ``wanted`` of them.

    A frame is left early if it is the only one, holds its size, and has neither checksum nor dictionary. That all of it
    is there is known by the headers of its blocks.

    Returns
    -------
    (status, bytes)
        A kernel status, and ``nbytes`` bytes: zeros where nothing was decoded; undefined unless the status is 0.
    """
    cdef const uint8_t* start = &src[0] if src.shape[0] > 0 else <const uint8_t*> b""  # some C libraries like no NULL
    cdef size_t src_nbytes = src.shape[0]
    cdef bytes result = PyBytes_FromStringAndSize(NULL, nbytes)
    cdef uint8_t* dst = <uint8_t*>PyBytes_AsString(result)
    cdef ZSTD_DCtx* context
    cdef int status = NO_CODEC
    with nogil:
        memset(dst, 0, nbytes)
        context = ZSTD_createDCtx()
        if WITH_ZSTD:
            status = OUT_OF_MEMORY
        if context != NULL:
            status = zstd_decode(context, start, src_nbytes, dst, nbytes, wanted)
            ZSTD_freeDCtx(context)
    return status, result

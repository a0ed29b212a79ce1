"""Function table: TIFF compression -> compressor. Its twin is ``decompress``."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from _tilecodec.compression cimport ADOBE_DEFLATE, DEFLATE, LZW, NONE, PACKBITS, ZSTD, ZSTD_OLD
from _tilecodec.deflate_encoder cimport (
    deflate_bound,
    deflate_encode,
    deflate_encoder_free,
    deflate_encoder_new,
    has_deflate_encoder,
    is_deflate_level,
)
from _tilecodec.isal cimport ISAL_MAJOR_VERSION, ISAL_MINOR_VERSION, ISAL_PATCH_VERSION, WITH_ISAL
from _tilecodec.libdeflate cimport LIBDEFLATE_VERSION_STRING, WITH_LIBDEFLATE
from _tilecodec.lzw_encoder cimport lzw_bound, lzw_encode, lzw_encoder_nbytes
from _tilecodec.packbits cimport packbits_bound, packbits_encode
from _tilecodec.noise cimport is_noisy
from _tilecodec.status cimport BAD_TASK, NO_CODEC, OK, OUT_OF_MEMORY, TOO_LONG
from _tilecodec.zstd cimport (
    WITH_ZSTD,
    ZSTD_c_checksumFlag,
    ZSTD_c_compressionLevel,
    ZSTD_c_experimentalParam5,
    ZSTD_c_targetLength,
    ZSTD_CCtx,
    ZSTD_CCtx_setParameter,
    ZSTD_compress2,
    ZSTD_compressBound,
    ZSTD_createCCtx,
    ZSTD_error_dstSize_tooSmall,
    ZSTD_freeCCtx,
    ZSTD_getErrorCode,
    ZSTD_isError,
    ZSTD_maxCLevel,
    ZSTD_versionString,
)

cdef enum:
    DEFAULT = -1
    ZSTD_DEFAULT = 1
    ZSTD_LOWEST = -7
    # How far level 1 steps on in noise, where copies hardly shorten it: twice as fast, and 1% larger
    ZSTD_STRIDE = 64

cdef const uint8_t* NOTHING = b""  # where no bytes are: not NULL, which C libraries may not like


cdef int _compress_none(
    compressor* c, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_room, size_t* written
) noexcept nogil:
    if src_nbytes > dst_room:
        return TOO_LONG
    memcpy(dst, src, src_nbytes)
    written[0] = src_nbytes
    return OK


cdef int _compress_deflate(
    compressor* c, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_room, size_t* written
) noexcept nogil:
    return deflate_encode(c.state, src, src_nbytes, c.row_nbytes, dst, dst_room, written)


cdef int _compress_zstd(
    compressor* c, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_room, size_t* written
) noexcept nogil:
    if c.hastens:
        ZSTD_CCtx_setParameter(
            <ZSTD_CCtx*> c.state, ZSTD_c_targetLength, ZSTD_STRIDE if is_noisy(src, src_nbytes) else 0)
    written[0] = ZSTD_compress2(<ZSTD_CCtx*> c.state, dst, dst_room, src, src_nbytes)
    if not ZSTD_isError(written[0]):
        return OK
    return TOO_LONG if ZSTD_getErrorCode(written[0]) == ZSTD_error_dstSize_tooSmall else OUT_OF_MEMORY


cdef int _compress_lzw(
    compressor* c, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_room, size_t* written
) noexcept nogil:
    return lzw_encode(src, src_nbytes, dst, dst_room, written, c.state)


cdef int _compress_packbits(
    compressor* c, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_room, size_t* written
) noexcept nogil:
    return packbits_encode(src, src_nbytes, c.row_nbytes, dst, dst_room, written)


cdef compress_fn find_compressor(int compression) noexcept nogil:
    if compression == NONE:
        return _compress_none
    if compression == LZW:
        return _compress_lzw
    if compression == PACKBITS:
        return _compress_packbits
    if has_deflate_encoder() and (compression == ADOBE_DEFLATE or compression == DEFLATE):
        return _compress_deflate
    if WITH_ZSTD and (compression == ZSTD or compression == ZSTD_OLD):
        return _compress_zstd
    return NULL


cdef int _open_zstd(compressor* c) noexcept nogil:
    cdef int level = ZSTD_DEFAULT if c.level == DEFAULT else c.level
    if not ZSTD_LOWEST <= level <= ZSTD_maxCLevel():
        return BAD_TASK
    c.state = ZSTD_createCCtx()
    if c.state == NULL:
        return OUT_OF_MEMORY
    ZSTD_CCtx_setParameter(<ZSTD_CCtx*> c.state, ZSTD_c_compressionLevel, level)
    if level == ZSTD_DEFAULT:
        c.hastens = not ZSTD_isError(ZSTD_CCtx_setParameter(<ZSTD_CCtx*> c.state, ZSTD_c_experimentalParam5, 1))
    return OK


cdef int compressor_open(compressor* c, int compression, int level) noexcept nogil:
    """Allocate what one worker needs to compress; ``compressor_close`` must follow whatever is returned.

    BAD_TASK for a level that the codec does not have. Codecs without levels take any.
    """
    c.compression = compression
    c.level = level
    c.row_nbytes = 0
    c.hastens = False
    c.state = NULL
    if find_compressor(compression) == NULL:
        return NO_CODEC
    if compression == ADOBE_DEFLATE or compression == DEFLATE:
        if not is_deflate_level(level):
            return BAD_TASK
        c.state = deflate_encoder_new(level)
        return OK if c.state != NULL else OUT_OF_MEMORY
    if compression == ZSTD or compression == ZSTD_OLD:
        return _open_zstd(c)
    if compression == LZW:
        c.state = malloc(lzw_encoder_nbytes())
        return OK if c.state != NULL else OUT_OF_MEMORY
    return OK


cdef void compressor_close(compressor* c) noexcept nogil:
    if c.compression == ADOBE_DEFLATE or c.compression == DEFLATE:
        deflate_encoder_free(c.state)
    elif c.compression == ZSTD or c.compression == ZSTD_OLD:
        ZSTD_freeCCtx(<ZSTD_CCtx*> c.state)
    else:
        free(c.state)
    c.state = NULL


cdef size_t compress_bound(int compression, size_t nbytes) noexcept nogil:
    if compression == ADOBE_DEFLATE or compression == DEFLATE:
        return deflate_bound(nbytes)
    if compression == ZSTD or compression == ZSTD_OLD:
        return ZSTD_compressBound(nbytes)
    if compression == LZW:
        return lzw_bound(nbytes)
    if compression == PACKBITS:
        return packbits_bound(nbytes)
    return nbytes


def has_compressor(int compression):
    """Whether this build compresses with the TIFF compression without the GIL."""
    return find_compressor(compression) != NULL


def build_info():
    """Versions of the C libraries in this build; None where a library is absent.

    Returns
    -------
    dict
        ``{"isal": str | None, "libdeflate": str | None, "zstd": str | None}``
    """
    isal = f"{ISAL_MAJOR_VERSION}.{ISAL_MINOR_VERSION}.{ISAL_PATCH_VERSION}"
    return {
        "isal": isal if WITH_ISAL else None,
        "libdeflate": (<bytes>LIBDEFLATE_VERSION_STRING).decode() if WITH_LIBDEFLATE else None,
        "zstd": (<bytes>ZSTD_versionString()).decode() if WITH_ZSTD else None,
    }


def bound(int compression, size_t nbytes):
    """Bytes that are always enough for ``nbytes`` compressed bytes."""
    return compress_bound(compression, nbytes)


def compress_into(
    int compression, int level, const uint8_t[::1] src not None, uint8_t[::1] dst not None, size_t row_nbytes=0,
    bint checksum=False,
):
    """Compress one tile into ``dst``, nothing else done to it.

    Parameters
    ----------
    compression : int
        Value of the TIFF tag.
    level : int
        -1 is bfio's choice. Deflate has 0 to 12, zstd -7 to 22 (its own -1 can not be asked for).
    src, dst : bytes-like
    row_nbytes : int
        Bytes of a row, which PackBits packs by itself; 0: all is one row. Deflate shrinks more if it knows.
    checksum : bool
        Whether a frame of zstd ends with a checksum of its data; other codecs do not look at it.

    Returns
    -------
    (status, int)
        A kernel status, and how many bytes were written (undefined unless the status is 0).
    """
    cdef compressor c
    cdef const uint8_t* first = &src[0] if src.shape[0] > 0 else NOTHING
    cdef uint8_t* out = &dst[0] if dst.shape[0] > 0 else <uint8_t*> NOTHING
    cdef size_t src_nbytes = src.shape[0]
    cdef size_t dst_room = dst.shape[0]
    cdef size_t written = 0
    cdef int status
    with nogil:
        status = compressor_open(&c, compression, level)
        c.row_nbytes = row_nbytes
        if status == OK and checksum and (compression == ZSTD or compression == ZSTD_OLD):
            ZSTD_CCtx_setParameter(<ZSTD_CCtx*> c.state, ZSTD_c_checksumFlag, 1)
        if status == OK:
            status = find_compressor(compression)(&c, first, src_nbytes, out, dst_room, &written)
        compressor_close(&c)
    return status, written


def compress(int compression, int level, const uint8_t[::1] src not None, size_t row_nbytes=0):
    """Compress one tile; the parameters are those of ``compress_into``.

    Returns
    -------
    (status, bytes)
        A kernel status, and the bytes (none unless the status is 0).
    """
    cdef bytearray dst = bytearray(compress_bound(compression, src.shape[0]))
    status, written = compress_into(compression, level, src, dst, row_nbytes)
    return status, bytes(memoryview(dst)[:written]) if status == OK else b""


def compress_series(int compression, int level, sources, size_t row_nbytes=0):
    """Compress tiles one after the other by one compressor, as a worker does.

    Returns
    -------
    list of (status, bytes)
    """
    cdef compressor c
    cdef const uint8_t[::1] src
    cdef const uint8_t* first
    cdef uint8_t[::1] dst
    cdef size_t written
    cdef int status
    cdef list done = []
    try:
        status = compressor_open(&c, compression, level)
        c.row_nbytes = row_nbytes
        for source in sources if status == OK else ():
            src = source
            first = &src[0] if src.shape[0] > 0 else NOTHING
            dst = bytearray(compress_bound(compression, src.shape[0]) + 1)
            written = 0
            with nogil:
                status = find_compressor(compression)(&c, first, src.shape[0], &dst[0], dst.shape[0], &written)
            done.append((status, bytes(dst[:written])))
    finally:
        compressor_close(&c)
    return done

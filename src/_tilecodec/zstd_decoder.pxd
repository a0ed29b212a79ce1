from libc.stdint cimport uint8_t

from _tilecodec.zstd cimport ZSTD_DCtx

# Fills dst, but may stop behind its first ``wanted`` bytes; also then src is complete, and made for dst_nbytes.
cdef int zstd_decode(
    ZSTD_DCtx* context, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes, size_t wanted
) noexcept nogil

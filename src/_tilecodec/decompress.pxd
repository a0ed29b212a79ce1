# Compression tag -> decompressor. What a build has is fixed when it is compiled.

from libc.stdint cimport uint8_t

from _tilecodec.libdeflate cimport libdeflate_decompressor
from _tilecodec.zstd cimport ZSTD_DCtx

cdef struct decompressor:             # one per worker and call
    libdeflate_decompressor* deflate
    ZSTD_DCtx* zstd
    void* lzw

# Fills dst, at least its first ``wanted`` bytes, and returns a status: OK only for bytes of a whole tile of dst_nbytes.
ctypedef int (*decompress_fn)(
    decompressor*, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes, size_t wanted
) noexcept nogil

cdef decompress_fn find_decompressor(int compression) noexcept nogil   # NULL: not in this build
cdef int decompressor_open(decompressor* d, int compression) noexcept nogil
cdef void decompressor_close(decompressor* d) noexcept nogil

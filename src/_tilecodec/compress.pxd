# Compression tag -> compressor. What a build has is fixed when it is compiled.

from libc.stdint cimport uint8_t

cdef struct compressor:              # one per worker and call
    int compression
    int level
    # bytes of a row of the tile, or 0; to be set after open: PackBits packs each row by itself, deflate looks at
    # the row above
    size_t row_nbytes
    void* state                      # of the codec
    bint hastens  # zstd at level 1: noise is passed over

# Fills written; TOO_LONG where dst_room is too little, and then dst holds anything. Same bytes for the same source.
ctypedef int (*compress_fn)(
    compressor*, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_room, size_t* written) noexcept nogil

cdef compress_fn find_compressor(int compression) noexcept nogil   # NULL: not in this build
cdef int compressor_open(compressor* c, int compression, int level) noexcept nogil   # level -1: default
cdef void compressor_close(compressor* c) noexcept nogil
cdef size_t compress_bound(int compression, size_t nbytes) noexcept nogil   # bytes that are always enough

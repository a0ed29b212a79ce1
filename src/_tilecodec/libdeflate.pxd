# libdeflate, in its own names. A build without it gets empty stand-ins and WITH_LIBDEFLATE false.

from libc.stdint cimport uint32_t

cdef extern from *:
    """
    #ifdef BFIO_WITH_LIBDEFLATE
    #include <libdeflate.h>
    #define TILECODEC_WITH_LIBDEFLATE 1
    #else
    #include <stddef.h>
    #include <stdint.h>
    #define TILECODEC_WITH_LIBDEFLATE 0
    #define LIBDEFLATE_VERSION_STRING ""
    struct libdeflate_decompressor { int absent; };
    enum libdeflate_result {
        LIBDEFLATE_SUCCESS = 0, LIBDEFLATE_BAD_DATA = 1,
        LIBDEFLATE_SHORT_OUTPUT = 2, LIBDEFLATE_INSUFFICIENT_SPACE = 3
    };
    static struct libdeflate_decompressor *libdeflate_alloc_decompressor(void) { return NULL; }
    static void libdeflate_free_decompressor(struct libdeflate_decompressor *d) { (void)d; }
    static enum libdeflate_result libdeflate_zlib_decompress(
        struct libdeflate_decompressor *d, const void *in, size_t in_nbytes,
        void *out, size_t out_nbytes, size_t *actual_out_nbytes) {
        (void)d; (void)in; (void)in_nbytes; (void)out; (void)out_nbytes; (void)actual_out_nbytes;
        return LIBDEFLATE_BAD_DATA;
    }
    struct libdeflate_compressor { int absent; };
    static struct libdeflate_compressor *libdeflate_alloc_compressor(int level) { (void)level; return NULL; }
    static uint32_t libdeflate_adler32(uint32_t sum, const void *in, size_t n) {
        (void)in; (void)n; return sum;
    }
    static void libdeflate_free_compressor(struct libdeflate_compressor *c) { (void)c; }
    static size_t libdeflate_zlib_compress_bound(struct libdeflate_compressor *c, size_t n) { (void)c; return n; }
    static size_t libdeflate_zlib_compress(
        struct libdeflate_compressor *c, const void *in, size_t n, void *out, size_t room) {
        (void)c; (void)in; (void)n; (void)out; (void)room; return 0;
    }
    #endif
    """
    const bint WITH_LIBDEFLATE "TILECODEC_WITH_LIBDEFLATE"
    const char* LIBDEFLATE_VERSION_STRING

    cdef struct libdeflate_decompressor:
        pass

    cdef enum libdeflate_result:
        LIBDEFLATE_SUCCESS
        LIBDEFLATE_BAD_DATA
        LIBDEFLATE_SHORT_OUTPUT
        LIBDEFLATE_INSUFFICIENT_SPACE

    libdeflate_decompressor* libdeflate_alloc_decompressor() noexcept nogil
    void libdeflate_free_decompressor(libdeflate_decompressor*) noexcept nogil
    libdeflate_result libdeflate_zlib_decompress(
        libdeflate_decompressor*, const void* src, size_t src_nbytes,
        void* dst, size_t dst_nbytes, size_t* written) noexcept nogil

    cdef struct libdeflate_compressor:
        pass

    uint32_t libdeflate_adler32(uint32_t checksum, const void* src, size_t nbytes) noexcept nogil
    libdeflate_compressor* libdeflate_alloc_compressor(int level) noexcept nogil
    void libdeflate_free_compressor(libdeflate_compressor*) noexcept nogil
    size_t libdeflate_zlib_compress_bound(libdeflate_compressor*, size_t nbytes) noexcept nogil
    size_t libdeflate_zlib_compress(
        libdeflate_compressor*, const void* src, size_t src_nbytes, void* dst, size_t dst_room) noexcept nogil

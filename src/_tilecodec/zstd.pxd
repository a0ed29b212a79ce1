# Zstandard, in its own names. A build without it gets empty stand-ins and WITH_ZSTD false.

cdef extern from *:
    """
    #ifdef BFIO_WITH_ZSTD
    #include <zstd.h>
    #include <zstd_errors.h>
    #define TILECODEC_WITH_ZSTD 1
    #else
    #include <stddef.h>
    #define TILECODEC_WITH_ZSTD 0
    #define ZSTD_CONTENTSIZE_UNKNOWN (0ULL - 1)
    #define ZSTD_CONTENTSIZE_ERROR (0ULL - 2)
    typedef struct { int absent; } ZSTD_DCtx;
    typedef struct { const void *src; size_t size; size_t pos; } ZSTD_inBuffer;
    typedef struct { void *dst; size_t size; size_t pos; } ZSTD_outBuffer;
    typedef enum { ZSTD_reset_session_only = 1 } ZSTD_ResetDirective;
    typedef enum { ZSTD_d_windowLogMax = 100 } ZSTD_dParameter;
    typedef struct { int absent; } ZSTD_CCtx;
    typedef enum {
        ZSTD_c_compressionLevel = 100, ZSTD_c_targetLength = 106, ZSTD_c_checksumFlag = 201,
        ZSTD_c_experimentalParam5 = 1002
    } ZSTD_cParameter;
    static ZSTD_CCtx *ZSTD_createCCtx(void) { return NULL; }
    static size_t ZSTD_freeCCtx(ZSTD_CCtx *c) { (void)c; return 0; }
    static size_t ZSTD_CCtx_setParameter(ZSTD_CCtx *c, ZSTD_cParameter p, int v) {
        (void)c; (void)p; (void)v; return 1;
    }
    static size_t ZSTD_compress2(ZSTD_CCtx *c, void *dst, size_t n, const void *src, size_t m) {
        (void)c; (void)dst; (void)n; (void)src; (void)m; return 0;
    }
    static size_t ZSTD_compressBound(size_t n) { return n; }
    static int ZSTD_maxCLevel(void) { return 0; }
    typedef enum { ZSTD_error_dstSize_tooSmall = 70, ZSTD_error_srcSize_wrong = 72 } ZSTD_ErrorCode;
    static ZSTD_DCtx *ZSTD_createDCtx(void) { return NULL; }
    static size_t ZSTD_freeDCtx(ZSTD_DCtx *c) { (void)c; return 0; }
    static size_t ZSTD_decompressDCtx(ZSTD_DCtx *c, void *dst, size_t n, const void *src, size_t m) {
        (void)c; (void)dst; (void)n; (void)src; (void)m; return 0;
    }
    static size_t ZSTD_DCtx_reset(ZSTD_DCtx *c, ZSTD_ResetDirective r) { (void)c; (void)r; return 1; }
    static size_t ZSTD_DCtx_setParameter(ZSTD_DCtx *c, ZSTD_dParameter p, int v) {
        (void)c; (void)p; (void)v; return 1;
    }
    static size_t ZSTD_decompressStream(ZSTD_DCtx *c, ZSTD_outBuffer *o, ZSTD_inBuffer *i) {
        (void)c; (void)o; (void)i; return 1;
    }
    static unsigned long long ZSTD_getFrameContentSize(const void *src, size_t n) { (void)src; (void)n; return 0; }
    static unsigned ZSTD_isError(size_t code) { (void)code; return 1; }
    static ZSTD_ErrorCode ZSTD_getErrorCode(size_t code) { (void)code; return ZSTD_error_srcSize_wrong; }
    static size_t ZSTD_findFrameCompressedSize(const void *src, size_t n) { (void)src; (void)n; return 0; }
    static const char *ZSTD_versionString(void) { return ""; }
    #endif
    /* its name came with zstd 1.4.5; an older library refuses the number */
    #define TILECODEC_STABLE_OUT ((ZSTD_dParameter)1001)
    """
    const bint WITH_ZSTD "TILECODEC_WITH_ZSTD"

    ctypedef struct ZSTD_DCtx:
        pass
    ctypedef enum ZSTD_ErrorCode:
        ZSTD_error_dstSize_tooSmall
        ZSTD_error_srcSize_wrong

    ctypedef struct ZSTD_inBuffer:
        const void* src
        size_t size
        size_t pos
    ctypedef struct ZSTD_outBuffer:
        void* dst
        size_t size
        size_t pos
    ctypedef enum ZSTD_ResetDirective:
        ZSTD_reset_session_only
    ctypedef enum ZSTD_dParameter:
        ZSTD_d_stableOutBuffer "TILECODEC_STABLE_OUT"   # 1: blocks are decoded to where they belong in ``dst``

    ZSTD_DCtx* ZSTD_createDCtx() noexcept nogil
    size_t ZSTD_freeDCtx(ZSTD_DCtx*) noexcept nogil
    size_t ZSTD_decompressDCtx(
        ZSTD_DCtx*, void* dst, size_t dst_nbytes, const void* src, size_t src_nbytes) noexcept nogil
    size_t ZSTD_DCtx_reset(ZSTD_DCtx*, ZSTD_ResetDirective) noexcept nogil
    size_t ZSTD_DCtx_setParameter(ZSTD_DCtx*, ZSTD_dParameter, int value) noexcept nogil
    size_t ZSTD_decompressStream(ZSTD_DCtx*, ZSTD_outBuffer*, ZSTD_inBuffer*) noexcept nogil
    unsigned long long ZSTD_getFrameContentSize(const void* src, size_t src_nbytes) noexcept nogil
    unsigned int ZSTD_isError(size_t code) noexcept nogil
    ZSTD_ErrorCode ZSTD_getErrorCode(size_t code) noexcept nogil
    size_t ZSTD_findFrameCompressedSize(const void* src, size_t src_nbytes) noexcept nogil
    const char* ZSTD_versionString() noexcept nogil

    ctypedef struct ZSTD_CCtx:
        pass
    ctypedef enum ZSTD_cParameter:
        ZSTD_c_compressionLevel
        ZSTD_c_targetLength
        ZSTD_c_checksumFlag
        ZSTD_c_experimentalParam5  # 1: literals get Huffman codes, even where copies are looked for in haste

    ZSTD_CCtx* ZSTD_createCCtx() noexcept nogil
    size_t ZSTD_freeCCtx(ZSTD_CCtx*) noexcept nogil
    size_t ZSTD_CCtx_setParameter(ZSTD_CCtx*, ZSTD_cParameter, int value) noexcept nogil
    size_t ZSTD_compress2(
        ZSTD_CCtx*, void* dst, size_t dst_room, const void* src, size_t src_nbytes) noexcept nogil
    size_t ZSTD_compressBound(size_t nbytes) noexcept nogil
    int ZSTD_maxCLevel() noexcept nogil

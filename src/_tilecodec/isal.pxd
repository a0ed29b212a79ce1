# igzip of ISA-L, in its own names. A build without it gets empty stand-ins and WITH_ISAL false.

from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef extern from *:
    """
    #ifdef BFIO_WITH_ISAL
    #include <isa-l.h>
    #define TILECODEC_WITH_ISAL 1
    #else
    #include <stdint.h>
    #define TILECODEC_WITH_ISAL 0
    #define ISAL_MAJOR_VERSION 0
    #define ISAL_MINOR_VERSION 0
    #define ISAL_PATCH_VERSION 0
    #define ISAL_DEF_LVL1_DEFAULT 0
    #define ISAL_DEF_LVL1_REQ 0
    #define ISAL_DEF_LVL2_DEFAULT 0
    #define ISAL_DEF_LVL2_REQ 0
    #define ISAL_DEF_LVL3_DEFAULT 0
    #define ISAL_DEF_LVL3_REQ 0
    #define COMP_OK 0
    #define NO_FLUSH 0
    #define IGZIP_ZLIB 3
    struct isal_zstream {
        uint8_t *next_in; uint32_t avail_in; uint8_t *next_out; uint32_t avail_out; uint32_t total_out;
        uint32_t level; uint32_t level_buf_size; uint8_t *level_buf;
        uint16_t end_of_stream; uint16_t flush; uint16_t gzip_flag;
    };
    static void isal_deflate_init(struct isal_zstream *s) { (void)s; }
    static int isal_deflate_stateless(struct isal_zstream *s) { (void)s; return -1; }
    #endif
    """
    const bint WITH_ISAL "TILECODEC_WITH_ISAL"
    const int ISAL_MAJOR_VERSION
    const int ISAL_MINOR_VERSION
    const int ISAL_PATCH_VERSION
    const uint32_t ISAL_DEF_LVL1_DEFAULT
    const uint32_t ISAL_DEF_LVL1_REQ
    const uint32_t ISAL_DEF_LVL2_DEFAULT
    const uint32_t ISAL_DEF_LVL2_REQ
    const uint32_t ISAL_DEF_LVL3_DEFAULT
    const uint32_t ISAL_DEF_LVL3_REQ
    const int COMP_OK
    const uint16_t NO_FLUSH
    const uint16_t IGZIP_ZLIB

    cdef struct isal_zstream:
        uint8_t* next_in
        uint32_t avail_in
        uint8_t* next_out
        uint32_t avail_out
        uint32_t total_out
        uint32_t level
        uint32_t level_buf_size
        uint8_t* level_buf
        uint16_t end_of_stream
        uint16_t flush
        uint16_t gzip_flag

    void isal_deflate_init(isal_zstream*) noexcept nogil
    int isal_deflate_stateless(isal_zstream*) noexcept nogil

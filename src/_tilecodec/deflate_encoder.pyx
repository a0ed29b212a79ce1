"""Deflate with a zlib header and checksum (RFC 1950 and 1951).

Levels 1 to 3 are those of ISA-L where the build has it, else libdeflate's, as 0 and 4 to 12 are. Level -1 is what is
fastest, for each tile by itself: ``noisy_deflate`` where a sample holds no long copies, ``image_deflate``, or ISA-L
where a sample of the tile hardly shrinks. On 16-bit microscopy with a predictor the file is no larger than ISA-L's;
without one, and on 8-bit and 32-bit pixels, ``noisy_deflate`` can be 5 to 18% larger, at about twice the speed.
"""

from libc.stdint cimport uint8_t, uint32_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from _tilecodec.crc32c cimport crc32c_word
from _tilecodec.image_deflate cimport image_deflate, image_deflate_init, image_deflate_nbytes
from _tilecodec.isal cimport (
    COMP_OK,
    IGZIP_ZLIB,
    ISAL_DEF_LVL1_DEFAULT,
    ISAL_DEF_LVL1_REQ,
    ISAL_DEF_LVL2_DEFAULT,
    ISAL_DEF_LVL2_REQ,
    ISAL_DEF_LVL3_DEFAULT,
    ISAL_DEF_LVL3_REQ,
    NO_FLUSH,
    WITH_ISAL,
    isal_deflate_init,
    isal_deflate_stateless,
    isal_zstream,
)
from _tilecodec.libdeflate cimport (
    WITH_LIBDEFLATE,
    libdeflate_alloc_compressor,
    libdeflate_compressor,
    libdeflate_free_compressor,
    libdeflate_zlib_compress,
    libdeflate_zlib_compress_bound,
)
from _tilecodec.noisy_deflate cimport (
    noisy_deflate,
    noisy_deflate_init,
    noisy_deflate_nbytes,
    noisy_deflate_plan,
)
from _tilecodec.status cimport OK, TOO_LONG

cdef enum:
    DEFAULT = -1
    ISAL_HIGHEST = 3
    HIGHEST = 12
    SMALL = 4096  # image_deflate gives the last bytes no copies, which costs small tiles too much
    NOISY_LEAST = 1 << 18  # for smaller tiles noisy_deflate takes too long to fill its tables
    # What is sampled for level -1: one byte of so many, from the middle, but not more than SAMPLE_MOST
    SAMPLE_PART = 64
    SAMPLE_MOST = 1 << 15
    # Tiles that shrink more are label images and the like, for image_deflate; below, ISA-L is faster by up to a half
    # and the file 3% larger at most: by its level 2, and where tiles shrink less than NOISY by 3.
    SPARSE = 8
    NOISY = 2
    # Where the stream of ISA-L may stand: see _isal_stream
    N_PLACES = 16
    PLACE_NBYTES = 1 << 16
    HASHES = 1 << 12  # ISA-L has at least so many, or as many as there are bytes

cdef size_t MOST = (<size_t> 1 << 31) - 1  # ISA-L and image_deflate count in 32 bits

cdef struct Encoder:
    int level
    libdeflate_compressor* libdeflate
    uint8_t* isal  # room for N_PLACES of an isal_zstream
    uint8_t* isal_buffer
    uint32_t isal_buffer_nbytes
    void* image
    void* noisy  # state of noisy_deflate


cdef bint has_deflate_encoder() noexcept nogil:
    return WITH_LIBDEFLATE


cdef bint is_deflate_level(int level) noexcept nogil:
    return DEFAULT <= level <= HIGHEST


cdef bint _wants_isal(int level) noexcept nogil:
    return WITH_ISAL and (level == DEFAULT or 1 <= level <= ISAL_HIGHEST)


cdef bint _is_whole(const Encoder* e) noexcept nogil:
    """Whether all that it needs is there."""
    if e.libdeflate == NULL or (e.level == DEFAULT and (e.image == NULL or e.noisy == NULL)):
        return False
    return not _wants_isal(e.level) or (e.isal != NULL and e.isal_buffer != NULL)


cdef void* deflate_encoder_new(int level) noexcept nogil:
    cdef Encoder* encoder = <Encoder*> calloc(1, sizeof(Encoder))
    if encoder == NULL:
        return NULL
    encoder.level = level
    # with ISA-L too: for tiles that are too small or too large for the others
    encoder.libdeflate = libdeflate_alloc_compressor(1 if level == DEFAULT else level)
    if _wants_isal(level):
        encoder.isal_buffer_nbytes = max(ISAL_DEF_LVL1_DEFAULT, ISAL_DEF_LVL2_DEFAULT, ISAL_DEF_LVL3_DEFAULT)
        encoder.isal_buffer = <uint8_t*> malloc(encoder.isal_buffer_nbytes)
        encoder.isal = <uint8_t*> calloc(1, sizeof(isal_zstream) + (N_PLACES - 1) * PLACE_NBYTES)
    if level == DEFAULT:
        encoder.image = malloc(image_deflate_nbytes())
        encoder.noisy = malloc(noisy_deflate_nbytes())
    if not _is_whole(encoder):
        deflate_encoder_free(encoder)
        return NULL
    if encoder.image != NULL:
        image_deflate_init(encoder.image)
    if encoder.noisy != NULL:
        noisy_deflate_init(encoder.noisy)
    return encoder


cdef void deflate_encoder_free(void* encoder) noexcept nogil:
    cdef Encoder* e = <Encoder*> encoder
    if e == NULL:
        return
    if e.libdeflate != NULL:
        libdeflate_free_compressor(e.libdeflate)
    free(e.isal)
    free(e.isal_buffer)
    free(e.image)
    free(e.noisy)
    free(e)


cdef size_t deflate_bound(size_t nbytes) noexcept nogil:
    # ISA-L stores what does not shrink in blocks of 65535 bytes with 5 bytes before each
    return max(libdeflate_zlib_compress_bound(NULL, nbytes), nbytes + 5 * (nbytes // 65535 + 1) + 64)


cdef uint32_t _isal_tables_nbytes(int level) noexcept nogil:
    """The part of the level buffer that is read before it is written."""
    if level == 1:
        return ISAL_DEF_LVL1_REQ
    return ISAL_DEF_LVL2_REQ if level == 2 else ISAL_DEF_LVL3_REQ


cdef uint32_t _hash(const uint8_t* src) noexcept nogil:
    cdef uint32_t word
    memcpy(&word, src, sizeof(word))
    return crc32c_word(word)


cdef isal_zstream* _isal_stream(Encoder* e, const uint8_t* src, size_t src_nbytes) noexcept nogil:
    """The stream, at a place where its address has no influence on the bytes.

    Levels 1 and 2 of ISA-L up to 2.30 look the third byte up under a hash of the stream's address (bits 16 to 47), not
    of the data. That has no effect unless it is the hash of one of the first three bytes.
    """
    cdef isal_zstream* stream = <isal_zstream*> e.isal
    cdef uint32_t hashed
    cdef uint32_t mask = HASHES - 1
    cdef size_t place
    if src_nbytes < 8:
        return stream
    while mask >= src_nbytes:
        mask >>= 1
    for place in range(N_PLACES):
        stream = <isal_zstream*> (e.isal + place * PLACE_NBYTES)
        hashed = crc32c_word(<uint32_t> (<uintptr_t> stream >> 16))
        if (hashed ^ _hash(src)) & mask and (hashed ^ _hash(src + 1)) & mask and (hashed ^ _hash(src + 2)) & mask:
            break
    return stream


cdef int _isal_encode(
    Encoder* e, int level, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_room, size_t* written
) noexcept nogil:
    cdef isal_zstream* stream = _isal_stream(e, src, src_nbytes)
    isal_deflate_init(stream)  # not isal_deflate_stateless_init, which leaves fields as they are
    memset(e.isal_buffer, 0, _isal_tables_nbytes(level))  # else the bytes depend on the tiles before
    stream.level = level
    stream.level_buf = e.isal_buffer
    stream.level_buf_size = e.isal_buffer_nbytes
    stream.gzip_flag = IGZIP_ZLIB
    stream.flush = NO_FLUSH
    stream.end_of_stream = 1
    stream.next_in = <uint8_t*> src
    stream.avail_in = <uint32_t> src_nbytes
    stream.next_out = dst
    stream.avail_out = <uint32_t> min(dst_room, MOST)
    if isal_deflate_stateless(stream) != COMP_OK or stream.avail_in > 0:
        return TOO_LONG
    written[0] = stream.total_out
    return OK


cdef int _isal_level(Encoder* e, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_room) noexcept nogil:
    """The level of ISA-L for this tile, 0 for image_deflate, -1 where not even a sample fits in ``dst``."""
    cdef size_t nbytes = min(src_nbytes // SAMPLE_PART, <size_t> SAMPLE_MOST)
    cdef size_t written = 0
    if e.isal == NULL:
        return 0
    if e.level != DEFAULT:
        return e.level
    if _isal_encode(e, 1, src + (src_nbytes - nbytes) // 2, nbytes, dst, dst_room, &written) != OK:
        return -1
    if written < nbytes // SPARSE:
        return 0
    return 2 if written < nbytes // NOISY else 3


cdef int deflate_encode(
    void* encoder, const uint8_t* src, size_t src_nbytes, size_t row_nbytes, uint8_t* dst, size_t dst_room,
    size_t* written
) noexcept nogil:
    """Compress into ``dst``; TOO_LONG where it does not fit. ``row_nbytes`` is a hint for level -1, or 0."""
    cdef Encoder* e = <Encoder*> encoder
    cdef size_t bound = deflate_bound(src_nbytes)
    cdef int level, status
    if e.level == DEFAULT and NOISY_LEAST <= src_nbytes <= MOST and noisy_deflate_plan(src, src_nbytes, e.noisy):
        status = noisy_deflate(src, src_nbytes, dst, min(dst_room, bound), written, e.noisy)
        if status == OK or dst_room < bound:
            return status
    if src_nbytes <= MOST and (e.level != DEFAULT or src_nbytes >= SMALL):
        level = _isal_level(e, src, src_nbytes, dst, dst_room)
        if level < 0:
            return TOO_LONG  # and not another level, which may fit: the bytes must not depend on the room
        if level > 0:
            return _isal_encode(e, level, src, src_nbytes, dst, dst_room, written)
        if e.level == DEFAULT:
            status = image_deflate(src, src_nbytes, row_nbytes, dst, dst_room, written, e.image)
            if status == OK or dst_room < bound:
                return status
            # noise that got longer: libdeflate stores it
    written[0] = libdeflate_zlib_compress(e.libdeflate, src, src_nbytes, dst, dst_room)
    return OK if written[0] > 0 else TOO_LONG

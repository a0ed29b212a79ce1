"""Deflate for tiles of images, which are rows: a byte is like that above it, and a pixel is like that before it.

So the distance of a row and that of the last copy are tried beside the one of a hash table; and, as most pixels have
an even number of bytes, only even positions are looked at. Label images shrink as with libdeflate's middle levels,
several times faster.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from _tilecodec.bits cimport load32, load64, trailing_zeros
from _tilecodec.deflate_block cimport (
    END_OF_BLOCK,
    FARTHEST,
    LONGEST,
    MAX_SEQUENCES,
    back_symbol,
    bit_writer,
    block_clear,
    block_init,
    block_write,
    deflate_block,
)
from _tilecodec.libdeflate cimport WITH_LIBDEFLATE, libdeflate_adler32
from _tilecodec.status cimport NO_CODEC, OK, OUT_OF_MEMORY, TOO_LONG

cdef enum:
    STEP = 2
    HASH_BITS = 13
    MARGIN = LONGEST + 16  # bytes at the end where no copy starts, so that all loads stay inside
    SHORTEST = 4

cdef struct State:
    uint32_t[1 << HASH_BITS] places  # of four bytes, where they stood last
    deflate_block block

cdef struct Copy:
    uint32_t length
    uint32_t distance


cdef size_t image_deflate_nbytes() noexcept nogil:
    return sizeof(State)


cdef void image_deflate_init(void* state) noexcept nogil:
    block_init(&(<State*> state).block)


cdef inline uint32_t slot(uint32_t word) noexcept nogil:
    return (word * <uint32_t> 0x9E3779B1) >> (32 - HASH_BITS)


cdef inline uint32_t equal(const uint8_t* here, const uint8_t* there) noexcept nogil:
    """How many bytes are equal, of which four are known to be; even, and LONGEST at most."""
    cdef uint32_t n = 4
    cdef uint64_t difference
    while n < LONGEST:
        difference = load64(here + n) ^ load64(there + n)
        if difference != 0:
            return min(n + (trailing_zeros(difference) >> 3), <uint32_t> LONGEST) & ~<uint32_t> 1
        n += 8
    return LONGEST


cdef inline void consider(Copy* best, const uint8_t* here, uint32_t word, uint32_t distance) noexcept nogil:
    """Take the copy over that distance if it is longer."""
    cdef uint32_t length
    if load32(here - distance) == word:
        length = equal(here, here - distance)
        if length > best.length:
            best.length = length
            best.distance = distance


cdef inline Copy find(
    uint32_t* places, const uint8_t* src, size_t i, uint32_t last, uint32_t row
) noexcept nogil:
    """The longest copy for what stands at `i`; its length is 0 where there is none."""
    cdef Copy best
    cdef const uint8_t* here = src + i
    cdef uint32_t word = load32(here)
    cdef uint32_t* place = &places[slot(word)]
    cdef uint32_t distance = <uint32_t> i - place[0]
    place[0] = <uint32_t> i
    best.length = 0
    best.distance = 0
    consider(&best, here, word, last)
    if best.length < LONGEST and i >= row:
        consider(&best, here, word, row)
    if best.length < LONGEST and distance <= FARTHEST:
        consider(&best, here, word, distance)
    return best


cdef bint _squeeze(
    State* state, bit_writer* writer, const uint8_t* src, size_t nbytes, uint32_t row
) noexcept nogil:
    """All blocks; False where there is no room."""
    cdef deflate_block* block = &state.block
    cdef size_t start = 0  # of the block
    cdef size_t done = 0  # up to where its sequences reach
    cdef size_t i = min(<size_t> STEP, nbytes)
    cdef size_t stop = nbytes - MARGIN if nbytes > MARGIN else 0
    cdef size_t k
    cdef uint32_t last = STEP
    cdef Copy copy
    for k in range(i):
        block.literal_counts[src[k]] += 1
    while i < stop:
        copy = find(state.places, src, i, last, row)
        if copy.length < SHORTEST:
            block.literal_counts[src[i]] += 1
            block.literal_counts[src[i + 1]] += 1
            i += STEP
            continue
        last = copy.distance
        block.sequences[block.n_sequences].n_literals = <uint32_t> (i - done)
        block.sequences[block.n_sequences].length = copy.length
        block.sequences[block.n_sequences].back = last - 1
        block.n_sequences += 1
        block.literal_counts[END_OF_BLOCK + 1 + block.length_symbol[copy.length]] += 1
        block.distance_counts[back_symbol(block, last - 1)] += 1
        i += copy.length
        done = i
        state.places[slot(load32(src + i - STEP))] = <uint32_t> (i - STEP)
        if block.n_sequences == MAX_SEQUENCES:
            if not block_write(block, writer, src + start, 0, False):
                return False
            block_clear(block)
            start = i
    for k in range(i, nbytes):
        block.literal_counts[src[k]] += 1
    return block_write(block, writer, src + start, nbytes - done, True)


cdef int image_deflate(
    const uint8_t* src, size_t src_nbytes, size_t row_nbytes, uint8_t* dst, size_t dst_room,
    size_t* written, void* state
) noexcept nogil:
    """Compress less than 4 GB into ``dst``, with a zlib header and checksum; TOO_LONG where it does not fit.

    ``row_nbytes`` is a hint: rows of the tile, or 0.
    """
    cdef State* at = <State*> state
    cdef bit_writer writer
    cdef uint32_t checksum
    cdef int i
    if dst_room < 8:
        return TOO_LONG
    dst[0] = 0x78  # deflate, distances of up to 32768; RFC 1950, section 2.2
    dst[1] = 0x01  # fast
    writer.bits = 0
    writer.n_bits = 0
    writer.out = dst + 2
    writer.stop = dst + dst_room - 5  # a last byte, and the checksum
    memset(at.places, 0, sizeof(at.places))
    block_clear(&at.block)
    if not _squeeze(at, &writer, src, src_nbytes, row_nbytes if STEP <= row_nbytes <= FARTHEST else STEP):
        return TOO_LONG
    if writer.n_bits > 0:
        writer.out[0] = <uint8_t> writer.bits
        writer.out += 1
    checksum = libdeflate_adler32(1, src, src_nbytes)
    for i in range(4):
        writer.out[i] = <uint8_t> (checksum >> (24 - 8 * i))
    written[0] = writer.out + 4 - dst
    return OK


def encode_into(const uint8_t[::1] src not None, uint8_t[::1] dst not None, size_t row_nbytes=0):
    """Compress one tile into ``dst``, whatever its pixels are like.

    Returns
    -------
    (status, int)
        A kernel status, and how many bytes were written (undefined unless the status is 0).
    """
    cdef const uint8_t* first = &src[0] if src.shape[0] > 0 else <const uint8_t*> b""
    cdef uint8_t* out = &dst[0] if dst.shape[0] > 0 else <uint8_t*> b""
    cdef size_t src_nbytes = src.shape[0]
    cdef size_t dst_room = dst.shape[0]
    cdef size_t written = 0
    cdef void* state
    cdef int status = OUT_OF_MEMORY
    if not WITH_LIBDEFLATE:  # which makes the checksum
        return NO_CODEC, 0
    with nogil:
        state = malloc(image_deflate_nbytes())
        if state != NULL:
            image_deflate_init(state)
            status = image_deflate(first, src_nbytes, row_nbytes, out, dst_room, &written, state)
        free(state)
    return status, written

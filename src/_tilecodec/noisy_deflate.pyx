"""Deflate for noisy pixels, where long copies are rare and each branch on a pixel would be guessed wrong.

Each step takes four bytes, two pixels of 16 bits, either as four literals or as one copy, whichever is shorter. Both
are looked up as they go into the file, and a mask chooses: nothing branches on what the pixels are. A tile is one
block, with Huffman codes that come from two samples of it (RFC 1951, section 3.2.7).
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from _tilecodec.bits cimport load32, store64
from _tilecodec.huffman cimport huffman_codes, huffman_lengths
from _tilecodec.libdeflate cimport libdeflate_adler32
from _tilecodec.status cimport OK, TOO_LONG

cdef enum:
    STEP = 4
    HASH_BITS = 13
    WINDOW = 1 << 15
    N_BACKS = 1 << 14  # even distances
    END_OF_BLOCK = 256
    COPY = 258  # the symbol of a copy of four bytes
    N_LITERALS = 259
    N_DISTANCES = 30
    # Four literals and seven bits that wait fit into a word, and a pair of codes leaves room for its length
    LITERAL_LIMIT = 13
    DISTANCE_LIMIT = 12
    LENGTH_AT = 56  # of a code in a table: below it the bits
    SAMPLED = 48 << 10  # bytes of each of the two samples; those within the first WINDOW are not counted
    LOOK = 4096  # bytes that are looked at before
    CHUNK = 1 << 14
    CHUNK_ROOM = CHUNK * LITERAL_LIMIT // 8 + 8
    HEADER_ROOM = 256

cdef uint64_t BITS = (<uint64_t> 1 << LENGTH_AT) - 1
cdef uint8_t[19] ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

cdef struct State:
    uint32_t[1 << HASH_BITS] places  # of four bytes, where they stood last
    uint64_t[1 << 16] pairs  # of literals: both codes
    uint64_t[N_BACKS] copies  # over each even distance: code of the length, code of the distance, extra bits
    uint8_t[N_BACKS] symbols  # of even distances
    uint16_t[N_DISTANCES] distance_base
    uint8_t[N_DISTANCES] distance_extra
    uint32_t[N_LITERALS] literal_counts
    uint32_t[N_DISTANCES] distance_counts
    uint8_t[N_LITERALS] literal_lengths
    uint8_t[N_DISTANCES] distance_lengths
    uint32_t n_steps  # that were counted
    uint32_t n_long  # copies among them that could go on

cdef struct Writer:
    uint8_t* out
    uint64_t bits
    uint32_t n_bits


cdef size_t noisy_deflate_nbytes() noexcept nogil:
    return sizeof(State)


cdef void noisy_deflate_init(void* state) noexcept nogil:
    cdef State* at = <State*> state
    cdef uint32_t base = 0
    cdef uint32_t symbol, back
    for symbol in range(N_DISTANCES):
        at.distance_base[symbol] = <uint16_t> base
        at.distance_extra[symbol] = <uint8_t> (0 if symbol < 2 else symbol // 2 - 1)
        for back in range(base, base + (<uint32_t> 1 << at.distance_extra[symbol])):
            at.symbols[back >> 1] = <uint8_t> symbol  # odd ones, which are even distances, come last
        base += <uint32_t> 1 << at.distance_extra[symbol]


cdef inline uint32_t slot(uint32_t word) noexcept nogil:
    return (word * <uint32_t> 0x9E3779B1) >> (32 - HASH_BITS)


cdef inline uint32_t find(uint32_t* places, const uint8_t* src, uint32_t i) noexcept nogil:
    """Distance to where the same slot was last, less one. Both pixels of the step are noted."""
    cdef uint32_t* place = &places[slot(load32(src + i))]
    cdef uint32_t back = i - place[0] - 1
    place[0] = i
    places[slot(load32(src + i + 2))] = i + 2
    return back


cdef inline bint is_copy(const uint8_t* src, uint32_t i, uint32_t back) noexcept nogil:
    """Whether a copy is possible; the place itself may be read in any case."""
    return (load32(src + (i - back - 1)) == load32(src + i)) & (back < WINDOW)


cdef void _count(State* at, const uint8_t* src, uint32_t start, uint32_t stop, uint32_t counted) noexcept nogil:
    """Count the symbols of a sample from `counted` on, as if each possible copy were taken."""
    cdef uint32_t i, k, back
    memset(at.places, 0, sizeof(at.places))
    for i in range(start, stop, 4):  # STEP, which range() wants as a number
        back = find(at.places, src, i)
        if i < counted:
            continue
        at.n_steps += 1
        if is_copy(src, i, back):
            at.literal_counts[COPY] += 1
            at.distance_counts[at.symbols[back >> 1]] += 1
            at.n_long += load32(src + (i + STEP - back - 1)) == load32(src + i + STEP)
            continue
        for k in range(STEP):
            at.literal_counts[src[i + k]] += 1


cdef void _clear(State* at) noexcept nogil:
    memset(at.literal_counts, 0, sizeof(at.literal_counts))
    memset(at.distance_counts, 0, sizeof(at.distance_counts))
    at.n_steps = 0
    at.n_long = 0


cdef uint64_t _n_bits(State* at) noexcept nogil:
    """What the counted steps take."""
    cdef uint64_t n = 0
    cdef uint32_t i
    for i in range(N_LITERALS):
        n += <uint64_t> at.literal_counts[i] * at.literal_lengths[i]
    for i in range(N_DISTANCES):
        n += <uint64_t> at.distance_counts[i] * (at.distance_lengths[i] + at.distance_extra[i])
    return n


cdef bint noisy_deflate_plan(const uint8_t* src, size_t src_nbytes, void* state) noexcept nogil:
    """Make the codes, if the bytes are noisy and shrink: long copies, which are not looked for, are rare."""
    cdef State* at = <State*> state
    cdef uint32_t quarter = <uint32_t> (src_nbytes // 4) // STEP * STEP
    cdef uint32_t i
    if quarter < SAMPLED:
        return False
    _clear(at)
    _count(at, src, 2 * quarter, 2 * quarter + LOOK, 2 * quarter)
    if at.n_long > at.n_steps // 4:  # most often this is enough to see it
        return False
    _clear(at)
    for i in range(2):
        _count(at, src, (2 * i + 1) * quarter - SAMPLED // 2, (2 * i + 1) * quarter + SAMPLED // 2,
               (2 * i + 1) * quarter - SAMPLED // 2 + WINDOW)
    if at.n_long > at.n_steps // 16:
        return False
    for i in range(N_LITERALS):
        at.literal_counts[i] += 1  # what a sample does not hold may come all the same
    for i in range(N_DISTANCES):
        at.distance_counts[i] += 1
    huffman_lengths(at.literal_counts, N_LITERALS, LITERAL_LIMIT, at.literal_lengths)
    huffman_lengths(at.distance_counts, N_DISTANCES, DISTANCE_LIMIT, at.distance_lengths)
    return _n_bits(at) < <uint64_t> at.n_steps * (8 * STEP - 1)


cdef void _fill_tables(State* at, const uint16_t* literal_codes, const uint16_t* distance_codes) noexcept nogil:
    cdef uint64_t[256] codes
    cdef uint64_t[N_DISTANCES] prefixes
    cdef uint64_t n, code
    cdef uint32_t i, k, symbol
    for i in range(256):
        codes[i] = literal_codes[i] | <uint64_t> at.literal_lengths[i] << LENGTH_AT
    for i in range(256):  # the second byte of a pair
        code = codes[i] & BITS
        n = codes[i] >> LENGTH_AT << LENGTH_AT
        for k in range(256):
            at.pairs[i << 8 | k] = (codes[k] | code << at.literal_lengths[k]) + n
    n = at.literal_lengths[COPY]
    for i in range(N_DISTANCES):
        prefixes[i] = literal_codes[COPY] | <uint64_t> distance_codes[i] << n
    for i in range(N_BACKS):
        symbol = at.symbols[i]
        k = at.literal_lengths[COPY] + at.distance_lengths[symbol]
        code = prefixes[symbol] | <uint64_t> (2 * i + 1 - at.distance_base[symbol]) << k
        at.copies[i] = code | <uint64_t> (k + at.distance_extra[symbol]) << LENGTH_AT


cdef inline void put(Writer* w, uint64_t bits, uint32_t n_bits) noexcept nogil:
    """Write up to 57 bits; eight bytes behind the last whole one are spoilt."""
    w.bits |= bits << w.n_bits
    w.n_bits += n_bits
    store64(w.out, w.bits)
    w.out += w.n_bits >> 3
    w.bits >>= w.n_bits & 56
    w.n_bits &= 7


cdef inline uint32_t _turned(uint32_t four) noexcept nogil:
    """Four bits, the last one first."""
    return (four & 1) << 3 | (four & 2) << 1 | (four & 4) >> 1 | four >> 3


cdef void _write_header(State* at, Writer* w) noexcept nogil:
    """The lengths of all codes, in four bits each: sixteen symbols of equal length say so."""
    cdef uint32_t i
    put(w, 0x0178, 16)  # zlib: distances of up to 32768, fast (RFC 1950, section 2.2)
    put(w, 1 | 2 << 1 | (N_LITERALS - 257) << 3 | (N_DISTANCES - 1) << 8 | 15 << 13, 17)
    for i in range(19):
        put(w, 4 if ORDER[i] < 16 else 0, 3)
    for i in range(N_LITERALS):
        put(w, _turned(at.literal_lengths[i]), 4)
    for i in range(N_DISTANCES):
        put(w, _turned(at.distance_lengths[i]), 4)


cdef void _write_steps(State* at, Writer* writer, const uint8_t* src, uint32_t start, uint32_t stop) noexcept nogil:
    """Each step as what is shorter. A mask makes the code of an impossible copy the longest of all."""
    cdef Writer w = writer[0]  # a copy, of which no address is kept, may live in registers
    cdef uint32_t i, word, back
    cdef uint64_t copy, first, second, literals, shorter, code
    for i in range(start, stop, 4):  # STEP, which range() wants as a number
        word = load32(src + i)
        back = find(at.places, src, i)
        copy = at.copies[(back >> 1) & (N_BACKS - 1)] | (<uint64_t> is_copy(src, i, back) - 1)
        first = at.pairs[word & 0xFFFF]
        second = at.pairs[word >> 16]
        literals = (first | (second & BITS) << (first >> LENGTH_AT)) + (second >> LENGTH_AT << LENGTH_AT)
        shorter = <uint64_t> (<int64_t> ((copy >> LENGTH_AT) - (literals >> LENGTH_AT)) >> 63)
        code = literals ^ ((literals ^ copy) & shorter)
        put(&w, code & BITS, <uint32_t> (code >> LENGTH_AT))
    writer[0] = w


cdef int noisy_deflate(
    const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_room, size_t* written, void* state
) noexcept nogil:
    """Compress less than 4 GB into ``dst``, with a zlib header and checksum; TOO_LONG where it does not fit."""
    cdef State* at = <State*> state
    cdef uint16_t[N_LITERALS] literal_codes
    cdef uint16_t[N_DISTANCES] distance_codes
    cdef Writer w
    cdef uint32_t nbytes = <uint32_t> src_nbytes
    cdef uint32_t stop = (nbytes - STEP) // STEP * STEP if nbytes >= STEP else 0  # the last step reads beyond itself
    cdef uint32_t i = 0
    cdef uint32_t checksum
    if dst_room < HEADER_ROOM + CHUNK_ROOM:
        return TOO_LONG
    huffman_codes(at.literal_lengths, N_LITERALS, literal_codes)
    huffman_codes(at.distance_lengths, N_DISTANCES, distance_codes)
    _fill_tables(at, literal_codes, distance_codes)
    memset(at.places, 0, sizeof(at.places))
    w.out = dst
    w.bits = 0
    w.n_bits = 0
    _write_header(at, &w)
    while i < stop:
        if <size_t> (dst + dst_room - w.out) < CHUNK_ROOM + HEADER_ROOM:
            return TOO_LONG
        _write_steps(at, &w, src, i, min(stop, i + CHUNK))
        i = min(stop, i + CHUNK)
    for i in range(stop, nbytes):
        put(&w, literal_codes[src[i]], at.literal_lengths[src[i]])
    put(&w, literal_codes[END_OF_BLOCK], at.literal_lengths[END_OF_BLOCK])
    put(&w, 0, (8 - w.n_bits) & 7)
    checksum = libdeflate_adler32(1, src, src_nbytes)
    for i in range(4):
        put(&w, checksum >> (24 - 8 * i) & 0xFF, 8)
    written[0] = w.out - dst
    return OK

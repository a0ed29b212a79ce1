"""A block of deflate with Huffman codes of its own (RFC 1951, sections 3.2.5 to 3.2.7)."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from _tilecodec.bits cimport store64
from _tilecodec.huffman cimport huffman_codes, huffman_lengths

cdef enum:
    N_LENGTHS = 29  # symbols for lengths
    N_CLS = 19  # symbols for the lengths of codes
    SLACK = 16  # the writer stores whole words
    REPEAT = 16
    ZEROS = 17
    MANY_ZEROS = 18

cdef uint8_t[N_CLS] CLS_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

cdef struct Codes:
    uint8_t[N_LITERALS + N_DISTANCES] lengths  # those of the distances follow those of the literals that are used
    uint8_t[N_LITERALS] literal_lengths
    uint8_t[N_DISTANCES] distance_lengths
    uint16_t[N_LITERALS] literal_codes
    uint16_t[N_DISTANCES] distance_codes
    # the header: how many codes there are, and their lengths in symbols
    int n_literals
    int n_distances
    int n_cls
    int n_symbols
    uint8_t[N_LITERALS + N_DISTANCES] symbols
    uint8_t[N_LITERALS + N_DISTANCES] extras
    uint32_t[N_CLS] cls_counts
    uint8_t[N_CLS] cls_lengths
    uint16_t[N_CLS] cls_codes


cdef inline void put(bit_writer* w, uint64_t bits, uint32_t n) noexcept nogil:
    w.bits |= bits << w.n_bits
    w.n_bits += n


cdef inline void flush(bit_writer* w) noexcept nogil:
    """Write the whole bytes, at most 63 bits before; at most 7 bits are kept."""
    store64(w.out, w.bits)
    w.out += w.n_bits >> 3
    w.bits >>= w.n_bits & 56
    w.n_bits &= 7


cdef void block_init(deflate_block* block) noexcept nogil:
    cdef uint32_t symbol, n, i
    cdef uint32_t length = 3
    cdef uint32_t back = 0
    for symbol in range(N_LENGTHS):
        n = 0 if symbol < 4 or symbol == N_LENGTHS - 1 else (symbol - 4) // 4
        if symbol == N_LENGTHS - 1:
            length = LONGEST  # which has a symbol of its own
        block.length_base[symbol] = <uint16_t> length
        block.length_extra[symbol] = <uint8_t> n
        for i in range(length, min(length + (<uint32_t> 1 << n), <uint32_t> LONGEST + 1)):
            block.length_symbol[i] = <uint8_t> symbol
        length += <uint32_t> 1 << n
    for symbol in range(N_DISTANCES):
        n = 0 if symbol < 2 else (symbol - 2) // 2
        block.back_base[symbol] = <uint16_t> back
        block.back_extra[symbol] = <uint8_t> n
        for i in range(back, back + (<uint32_t> 1 << n)):
            block.back_symbol[i if i < 256 else 256 + (i >> 7)] = <uint8_t> symbol
        back += <uint32_t> 1 << n
    block_clear(block)


cdef void block_clear(deflate_block* block) noexcept nogil:
    memset(block.literal_counts, 0, sizeof(block.literal_counts))
    memset(block.distance_counts, 0, sizeof(block.distance_counts))
    block.n_sequences = 0


cdef void _make_codes(const deflate_block* block, Codes* c) noexcept nogil:
    huffman_lengths(block.literal_counts, N_LITERALS, 15, c.literal_lengths)
    huffman_lengths(block.distance_counts, N_DISTANCES, 15, c.distance_lengths)
    huffman_codes(c.literal_lengths, N_LITERALS, c.literal_codes)
    huffman_codes(c.distance_lengths, N_DISTANCES, c.distance_codes)
    c.n_literals = N_LITERALS
    while c.literal_lengths[c.n_literals - 1] == 0:  # the end of the block has a code
        c.n_literals -= 1
    c.n_distances = N_DISTANCES
    while c.distance_lengths[c.n_distances - 1] == 0:
        c.n_distances -= 1
    memcpy(c.lengths, c.literal_lengths, c.n_literals)
    memcpy(c.lengths + c.n_literals, c.distance_lengths, c.n_distances)


cdef void _pack_lengths(Codes* c) noexcept nogil:
    """The lengths of all codes as symbols of runs (section 3.2.7), and their own codes."""
    cdef int n = c.n_literals + c.n_distances
    cdef int i = 0
    cdef int length, symbol
    memset(c.cls_counts, 0, sizeof(c.cls_counts))
    c.n_symbols = 0
    while i < n:
        length = 1
        while i + length < n and c.lengths[i + length] == c.lengths[i]:
            length += 1
        symbol = c.lengths[i]
        c.extras[c.n_symbols] = 0
        if symbol == 0 and length >= 3:
            length = min(length, 138)
            symbol = MANY_ZEROS if length > 10 else ZEROS
            c.extras[c.n_symbols] = <uint8_t> (length - (11 if length > 10 else 3))
        elif i > 0 and c.lengths[i - 1] == symbol and length >= 3:
            length = min(length, 6)
            symbol = REPEAT
            c.extras[c.n_symbols] = <uint8_t> (length - 3)
        else:
            length = 1
        c.symbols[c.n_symbols] = <uint8_t> symbol
        c.cls_counts[symbol] += 1
        c.n_symbols += 1
        i += length
    huffman_lengths(c.cls_counts, N_CLS, 7, c.cls_lengths)
    huffman_codes(c.cls_lengths, N_CLS, c.cls_codes)
    c.n_cls = N_CLS
    while c.n_cls > 4 and c.cls_lengths[CLS_ORDER[c.n_cls - 1]] == 0:
        c.n_cls -= 1


cdef inline uint32_t _extra_bits(int symbol) noexcept nogil:
    """Bits that follow a symbol of the header."""
    return 2 if symbol == REPEAT else 3 if symbol == ZEROS else 7 if symbol == MANY_ZEROS else 0


cdef uint64_t _n_bits(const deflate_block* block, const Codes* c) noexcept nogil:
    """What the block takes, to the bit."""
    cdef uint64_t total = 17 + 3 * c.n_cls
    cdef int i
    for i in range(N_CLS):
        total += <uint64_t> c.cls_counts[i] * (c.cls_lengths[i] + _extra_bits(i))
    for i in range(N_LITERALS):
        total += <uint64_t> block.literal_counts[i] * c.literal_lengths[i]
    for i in range(N_LENGTHS):
        total += <uint64_t> block.literal_counts[END_OF_BLOCK + 1 + i] * block.length_extra[i]
    for i in range(N_DISTANCES):
        total += <uint64_t> block.distance_counts[i] * (c.distance_lengths[i] + block.back_extra[i])
    return total


cdef void _write_header(bit_writer* w, const Codes* c, bint final) noexcept nogil:
    cdef int i
    put(w, final, 1)
    put(w, 2, 2)  # with codes of its own
    put(w, c.n_literals - 257, 5)
    put(w, c.n_distances - 1, 5)
    put(w, c.n_cls - 4, 4)
    flush(w)
    for i in range(c.n_cls):
        put(w, c.cls_lengths[CLS_ORDER[i]], 3)
        flush(w)
    for i in range(c.n_symbols):
        put(w, c.cls_codes[c.symbols[i]], c.cls_lengths[c.symbols[i]])
        put(w, c.extras[i], _extra_bits(c.symbols[i]))
        flush(w)


cdef inline const uint8_t* _put_literals(
    bit_writer* w, const uint32_t* codes, const uint8_t* src, size_t n
) noexcept nogil:
    """Three in a word, as each has 15 bits at most; where the next byte stands."""
    while n >= 3:
        put(w, codes[src[0]] & 0xFFFFFF, codes[src[0]] >> 24)
        put(w, codes[src[1]] & 0xFFFFFF, codes[src[1]] >> 24)
        put(w, codes[src[2]] & 0xFFFFFF, codes[src[2]] >> 24)
        flush(w)
        src += 3
        n -= 3
    while n > 0:
        put(w, codes[src[0]] & 0xFFFFFF, codes[src[0]] >> 24)
        flush(w)
        src += 1
        n -= 1
    return src


cdef void _write_body(
    const deflate_block* block, bit_writer* writer, const Codes* c, const uint8_t* src, size_t n_tail
) noexcept nogil:
    cdef bit_writer w = writer[0]  # a copy, of which no address is kept, may live in registers
    cdef uint32_t[256] literals  # code, and above it its length
    cdef uint32_t[LONGEST + 1] lengths  # code and extra bits, and above them how many
    cdef uint32_t i, symbol, n
    cdef sequence s
    for i in range(256):
        literals[i] = c.literal_codes[i] | <uint32_t> c.literal_lengths[i] << 24
    for i in range(3, LONGEST + 1):
        symbol = block.length_symbol[i]
        n = c.literal_lengths[END_OF_BLOCK + 1 + symbol]
        lengths[i] = (
            c.literal_codes[END_OF_BLOCK + 1 + symbol] | (i - block.length_base[symbol]) << n
            | (n + block.length_extra[symbol]) << 24
        )
    for i in range(<uint32_t> block.n_sequences):
        s = block.sequences[i]
        src = _put_literals(&w, literals, src, s.n_literals) + s.length
        symbol = back_symbol(block, s.back)
        put(&w, lengths[s.length] & 0xFFFFFF, lengths[s.length] >> 24)
        put(&w, c.distance_codes[symbol], c.distance_lengths[symbol])
        put(&w, s.back - block.back_base[symbol], block.back_extra[symbol])
        flush(&w)
    _put_literals(&w, literals, src, n_tail)
    put(&w, c.literal_codes[END_OF_BLOCK], c.literal_lengths[END_OF_BLOCK])
    flush(&w)
    writer[0] = w


cdef bint block_write(
    deflate_block* block, bit_writer* writer, const uint8_t* src, size_t n_tail, bint final
) noexcept nogil:
    cdef Codes c
    block.literal_counts[END_OF_BLOCK] = 1
    memset(&c, 0, sizeof(c))
    _make_codes(block, &c)
    _pack_lengths(&c)
    if <uint64_t> (writer.stop - writer.out) < _n_bits(block, &c) // 8 + SLACK:
        return False
    _write_header(writer, &c, final)
    _write_body(block, writer, &c, src, n_tail)
    return True

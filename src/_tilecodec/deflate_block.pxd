# A block of deflate (RFC 1951) in the making: its strings, how often each symbol occurs, and writing it.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    MAX_SEQUENCES = 1 << 15
    LONGEST = 258
    FARTHEST = 1 << 15
    N_LITERALS = 286
    N_DISTANCES = 30
    END_OF_BLOCK = 256

cdef struct sequence:            # literals, then a copy of earlier bytes
    uint32_t n_literals
    uint16_t length
    uint16_t back                # distance - 1

cdef struct deflate_block:
    uint32_t[N_LITERALS] literal_counts      # literals, end, lengths
    uint32_t[N_DISTANCES] distance_counts
    size_t n_sequences
    sequence[MAX_SEQUENCES] sequences
    uint8_t[LONGEST + 1] length_symbol       # counted from 257
    uint8_t[512] back_symbol                 # of back < 256 itself, else of 256 + (back >> 7)
    uint16_t[29] length_base
    uint8_t[29] length_extra
    uint16_t[N_DISTANCES] back_base
    uint8_t[N_DISTANCES] back_extra

cdef struct bit_writer:          # low bits first
    uint64_t bits
    uint32_t n_bits              # less than 8 between blocks
    uint8_t* out
    uint8_t* stop


cdef inline uint32_t back_symbol(const deflate_block* block, uint32_t back) noexcept nogil:
    return block.back_symbol[back if back < 256 else 256 + (back >> 7)]


cdef void block_init(deflate_block* block) noexcept nogil      # once, for the tables
cdef void block_clear(deflate_block* block) noexcept nogil
# Writes the sequences, which stand for the bytes from src, and n_tail literals; False where there is no room.
cdef bint block_write(
    deflate_block* block, bit_writer* writer, const uint8_t* src, size_t n_tail, bint final) noexcept nogil

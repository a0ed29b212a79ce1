"""LZW as TIFF 6.0, section 13, has it: high bits first, codes grow one early. Its twin is ``lzw_decoder``.

A string of the table is a shorter one and a byte. So the table maps (code, byte) to the code of both; it is a hash
table with open addressing, cheaper to wipe at each Clear than to stamp (64 kB for 3836 codes).
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from _tilecodec.status cimport OK, TOO_LONG

cdef enum:
    CLEAR = 256
    END = 257
    LAST = 4094  # the code that is not given any more: a Clear takes its place
    TABLE_BITS = 14
    N_SLOTS = 1 << TABLE_BITS

cdef uint32_t EMPTY = 0xFFFFFFFF

cdef struct Encoder:
    uint32_t* slots  # an entry is (code << 20) | (byte << 12) | code of both
    uint32_t free  # the next code to give
    uint32_t width
    uint64_t bits  # that are not written yet, the last one at the bottom
    uint32_t n_bits
    uint8_t* out
    uint8_t* dst_stop


cdef size_t lzw_encoder_nbytes() noexcept nogil:
    return N_SLOTS * sizeof(uint32_t)


cdef size_t lzw_bound(size_t nbytes) noexcept nogil:
    """At worst each byte is a code of 12 bits, and there is a Clear after 3836 of them."""
    return nbytes + nbytes // 2 + nbytes // 2048 + 16


cdef inline bint put(Encoder* at, uint32_t code) noexcept nogil:
    """Write a code; False where there is no room."""
    cdef uint32_t word
    at.bits = at.bits << at.width | code
    at.n_bits += at.width
    if at.n_bits >= 32:
        if at.dst_stop - at.out < 4:
            return False
        at.n_bits -= 32
        word = <uint32_t> (at.bits >> at.n_bits)
        at.out[0] = <uint8_t> (word >> 24)
        at.out[1] = <uint8_t> (word >> 16)
        at.out[2] = <uint8_t> (word >> 8)
        at.out[3] = <uint8_t> word
        at.out += 4
    return True


cdef inline void forget(Encoder* at) noexcept nogil:
    """All strings but the single bytes, as after a Clear."""
    memset(at.slots, 0xFF, N_SLOTS * sizeof(uint32_t))
    at.free = END + 1
    at.width = 9


cdef inline bint give(Encoder* at) noexcept nogil:
    """Count a new code: widen the codes once the table of the decoder gets too large, or start anew."""
    cdef bint fits = True
    at.free += 1
    if at.free == LAST:
        fits = put(at, CLEAR)
        forget(at)
    elif at.free == <uint32_t> 1 << at.width:
        at.width += 1
    return fits


cdef bint finish(Encoder* at) noexcept nogil:
    """End, and the bits that are left."""
    if not put(at, END):
        return False
    while at.n_bits > 0:
        if at.out == at.dst_stop:
            return False
        at.out[0] = <uint8_t> (at.bits >> (at.n_bits - 8) if at.n_bits >= 8 else at.bits << (8 - at.n_bits))
        at.out += 1
        at.n_bits -= min(at.n_bits, <uint32_t> 8)
    return True


cdef bint run(Encoder* encoder, const uint8_t* src, size_t src_nbytes) noexcept nogil:
    """The codes of at least one byte."""
    cdef Encoder at = encoder[0]  # a copy, of which no address is kept, may live in registers
    cdef uint32_t code = src[0]
    cdef uint32_t key, slot, entry
    cdef size_t i
    for i in range(1, src_nbytes):
        key = code << 8 | src[i]
        slot = (key * <uint32_t> 0x9E3779B1) >> (32 - TABLE_BITS)
        entry = at.slots[slot]
        while entry >> 12 != key and entry != EMPTY:
            slot = (slot + 1) & (N_SLOTS - 1)
            entry = at.slots[slot]
        if entry != EMPTY:
            code = entry & 0xFFF
            continue
        at.slots[slot] = key << 12 | at.free
        if not put(&at, code) or not give(&at):
            return False
        code = src[i]
    if not put(&at, code) or not give(&at):
        return False
    encoder[0] = at
    return True


cdef int lzw_encode(
    const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_room, size_t* written, void* state
) noexcept nogil:
    """Compress into ``dst``; TOO_LONG where it does not fit."""
    cdef Encoder at
    at.slots = <uint32_t*> state
    at.bits = 0
    at.n_bits = 0
    at.out = dst
    at.dst_stop = dst + dst_room
    forget(&at)
    if not put(&at, CLEAR) or (src_nbytes > 0 and not run(&at, src, src_nbytes)) or not finish(&at):
        return TOO_LONG
    written[0] = at.out - dst
    return OK

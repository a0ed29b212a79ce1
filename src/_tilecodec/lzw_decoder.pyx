"""LZW as TIFF 6.0, section 13, has it, and as the writers before that section had it.

A string of the table is one that was written, plus the byte behind it: so it stands in the output already. An
entry is a place in the output and a length, and adding one is a single store.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from _tilecodec.status cimport CORRUPT, OK, TOO_LONG, TOO_SHORT, TRUNCATED

cdef enum:
    CLEAR = 256
    END = 257
    N_CODES = 4096
    SHORT = 16  # a string up to this long is copied by one load and one store
    GROUP = 4  # codes out of one load: 4 * 12 bits and the 7 bits before them fit in 64
    ROOM = 128  # more than the output that a group of short strings, or a chunk of a long one, may touch
    NO_STRING = 0xFFFF  # the length in the entries of Clear, End and codes not given yet
    MORE = -1  # the step's own status: go on

# An entry is (position << 16) | length; the position counts from the start of the output, and is outside
# of it for the 256 strings of one byte, which stand in `bytes`.
cdef struct Table:
    uint64_t entries[N_CODES]
    uint8_t bytes[256 + SHORT]

# Between codes: `pending` is the highest code that may come; its string is what the last code wrote, plus one
# byte that is not yet known, unless it comes now: then that byte is the first one of the string. Where there
# is room it stands at `out` already, so that a copy from low to high needs no special care.
cdef struct Decoder:
    Table* table
    const uint8_t* src
    uint64_t n_bits
    uint64_t bit
    uint8_t* dst
    uint8_t* out
    uint8_t* dst_stop
    uint32_t width
    uint32_t pending
    bint fits  # all positions fit in an entry, so the fast loop may be used
    uint32_t early  # 1: the width grows one code early (TIFF 6.0); 0: old bit order and late change

# What the fast loop keeps in registers.
cdef struct Group:
    uint64_t* entries
    uint64_t* slot  # the pending entry
    uint64_t here  # an entry of length 1 at `out`
    uint64_t bits  # the codes to come, from the top
    uint64_t entry
    const uint8_t* dst
    uint8_t* out


cdef size_t lzw_state_nbytes() noexcept nogil:
    return sizeof(Table)


cdef inline uint64_t big_endian(const uint8_t* src) noexcept nogil:
    """Eight bytes, the first one on top; compilers make one load of it."""
    return (
        <uint64_t> src[0] << 56 | <uint64_t> src[1] << 48 | <uint64_t> src[2] << 40 | <uint64_t> src[3] << 32
        | <uint64_t> src[4] << 24 | <uint64_t> src[5] << 16 | <uint64_t> src[6] << 8 | <uint64_t> src[7]
    )


cdef inline void clear(Decoder* at) noexcept nogil:
    """Forget all strings but the single bytes."""
    cdef uint32_t code
    for code in range(END + 1, at.pending + 1):
        at.table.entries[code] = NO_STRING
    at.pending = END  # no string is pending, only single bytes may come
    at.width = 9


cdef inline void grow(Decoder* at) noexcept nogil:
    """Widen the codes once the next one may need it."""
    if at.pending == (<uint32_t> 1 << at.width) - at.early and at.width < 12:
        at.width += 1


cdef uint32_t peek(const Decoder* at) noexcept nogil:
    """The next code, of which all bits are there."""
    cdef const uint8_t* src = at.src + (at.bit >> 3)
    cdef uint32_t shift = at.bit & 7
    cdef uint32_t n = (shift + at.width + 7) >> 3
    cdef uint32_t i
    cdef uint32_t bits = 0
    if at.early:
        for i in range(n):
            bits = bits << 8 | src[i]
        bits >>= 8 * n - shift - at.width
    else:
        for i in range(n):
            bits |= <uint32_t> src[i] << 8 * i
        bits >>= shift
    return bits & ((<uint32_t> 1 << at.width) - 1)


cdef int step(Decoder* at) noexcept nogil:
    """Decode one code with every check; MORE, or the status that ends the stream."""
    cdef uint64_t entry
    cdef size_t length, part, i
    cdef const uint8_t* string
    if at.n_bits - at.bit < at.width:
        return TRUNCATED
    cdef uint32_t code = peek(at)
    if code == CLEAR:
        at.bit += at.width
        clear(at)
        return MORE
    if code == END:
        return TOO_SHORT
    entry = at.table.entries[code]
    length = entry & 0xFFFF
    if length == NO_STRING:
        return CORRUPT
    string = &at.table.bytes[code] if code < CLEAR else at.dst + (entry >> 16)
    part = length if length < <size_t> (at.dst_stop - at.out) else <size_t> (at.dst_stop - at.out)
    for i in range(part):  # in this order: the last byte may be the first one written here
        at.out[i] = string[i]
    if part < length:
        at.out = at.dst_stop
        return TOO_LONG
    at.bit += at.width
    if at.pending < N_CODES - 1:
        at.pending += 1
        at.table.entries[at.pending] = <uint64_t> (at.out - at.dst) << 16 | (length + 1)
        grow(at)
    at.out += length
    if at.out < at.dst_stop:
        at.out[0] = string[0]
    return MORE


cdef inline bint short_code(Group* at, uint32_t width) noexcept nogil:
    """Decode one code if its string is short; else only look its entry up."""
    cdef uint64_t[2] string
    cdef uint64_t length
    at.entry = at.entries[at.bits >> (64 - width)]
    length = at.entry & 0xFFFF
    if length > SHORT:
        return False
    memcpy(string, at.dst + (<int64_t> at.entry >> 16), SHORT)
    memcpy(at.out, string, SHORT)
    at.out += length
    memcpy(at.out, string, 1)  # see Decoder: the byte behind the string, should this code repeat
    at.slot += 1
    at.slot[0] = at.here + length
    at.here += length << 16
    at.bits <<= width
    return True


cdef inline bint long_code(Group* at, const uint8_t* out_last) noexcept nogil:
    """Copy the string of the entry that was looked up, if it is one and there is room."""
    cdef uint64_t[8] chunk
    cdef uint64_t length = at.entry & 0xFFFF
    cdef const uint8_t* string
    if length == NO_STRING or out_last - at.out < <int64_t> length:
        return False
    string = at.dst + (<int64_t> at.entry >> 16)
    if length <= sizeof(chunk):
        memcpy(chunk, string, sizeof(chunk))
        memcpy(at.out, chunk, sizeof(chunk))
    else:
        memcpy(at.out, string, length - 1)
        at.out[length - 1] = string[length - 1]  # perhaps the first one written here
    at.out += length
    at.out[0] = string[0]
    at.slot += 1
    at.slot[0] = at.here + length
    at.here += length << 16
    return True


cdef void run(Decoder* decoder) noexcept nogil:
    """Decode groups of codes of one width as long as nothing can run out.

    Clear, End, a wrong code, a change of the width and both ends are left to ``step``.
    """
    cdef const uint8_t* src = decoder.src
    cdef uint64_t bit = decoder.bit
    cdef uint64_t n_bytes = decoder.n_bits >> 3
    cdef uint32_t width = decoder.width
    cdef uint64_t* slot_last = decoder.table.entries + ((<uint32_t> 1 << width) - 1 - GROUP)
    cdef uint8_t* out_last = decoder.dst_stop - ROOM
    cdef uint64_t* first
    cdef Group at
    cdef bint going = True
    at.entries = decoder.table.entries
    at.slot = at.entries + decoder.pending
    at.dst = decoder.dst
    at.out = decoder.out
    at.here = <uint64_t> (at.out - at.dst) << 16 | 1
    while going and at.slot <= slot_last and at.out <= out_last and n_bytes - (bit >> 3) >= 8:
        at.bits = big_endian(src + (bit >> 3)) << (bit & 7)
        first = at.slot
        if (
            short_code(&at, width) and short_code(&at, width)
            and short_code(&at, width) and short_code(&at, width)
        ):
            bit += GROUP * width
        else:
            going = long_code(&at, out_last)
            bit += <uint64_t> (at.slot - first) * width
    decoder.bit = bit
    decoder.out = at.out
    decoder.pending = <uint32_t> (at.slot - at.entries)
    grow(decoder)


cdef int finish(Decoder* at) noexcept nogil:
    """The status of what follows a full output: OK for nothing, Clear, End and zero bits, else TOO_LONG."""
    cdef uint32_t code
    cdef uint64_t i
    while at.n_bits - at.bit >= at.width:
        code = peek(at)
        if code == END:
            return OK
        if code != CLEAR:
            break
        at.bit += at.width
        clear(at)
    else:
        return OK
    if at.pending == (<uint32_t> 1 << (at.width - 1)) - at.early:
        at.width -= 1  # some writers forget to widen the last code
        if peek(at) == END:
            return OK
    if at.src[at.bit >> 3] & ((0xFF >> (at.bit & 7)) if at.early else (0xFF << (at.bit & 7))) & 0xFF:
        return TOO_LONG
    for i in range((at.bit >> 3) + 1, at.n_bits >> 3):
        if at.src[i]:
            return TOO_LONG
    return OK


cdef void start(
    Decoder* at, const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes
) noexcept nogil:
    """Everything as it is before the first code; a Clear at the start is customary, but not needed."""
    cdef uint32_t code
    cdef int64_t singles = <int64_t> (<uintptr_t> at.table.bytes - <uintptr_t> dst)
    at.src = src
    at.n_bits = <uint64_t> src_nbytes * 8
    at.bit = 0
    at.dst = at.out = dst
    at.dst_stop = dst + dst_nbytes
    # Old writers, low bits first: a Clear shows as a zero byte and an odd one
    at.early = not (src_nbytes >= 2 and src[0] == 0 and src[1] & 1)
    for code in range(256):
        at.table.bytes[code] = code
        at.table.entries[code] = <uint64_t> (singles + code) << 16 | 1
    for code in range(256, 256 + SHORT):
        at.table.bytes[code] = 0
    # 48 bits with a sign hold the distance of any two places of a 47-bit address space, today's
    at.fits = -(<int64_t> 1 << 47) <= singles < (<int64_t> 1 << 47) - 256
    at.table.entries[CLEAR] = NO_STRING
    at.table.entries[END] = NO_STRING
    at.pending = N_CODES - 1
    clear(at)


cdef int lzw_decode(
    const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes, void* state
) noexcept nogil:
    """Fill ``dst``, which is right up to the place where a fault shows, and whole with TOO_LONG.

    TOO_SHORT where End comes early, TRUNCATED where ``src`` ends without it, CORRUPT for a code without a
    string. Once the table is full, codes of 12 bits may go on without a Clear.
    """
    cdef Decoder at
    cdef int status = MORE
    at.table = <Table*> state
    start(&at, src, src_nbytes, dst, dst_nbytes)
    while status == MORE:
        if at.out == at.dst_stop:
            return finish(&at)
        if at.fits and at.early and at.dst_stop - at.out >= ROOM:
            run(&at)
        if at.out < at.dst_stop:
            status = step(&at)
    return status


def decode(const uint8_t[::1] src not None, Py_ssize_t nbytes):
    """Decompress LZW (TIFF 6.0, section 13, and the older order of bits).

    Parameters
    ----------
    src : bytes-like
        The compressed bytes.
    nbytes : int
        Bytes of the decompressed tile.

    Returns
    -------
    tuple of int and bytes
        The status (``status.pxd``), and ``nbytes`` bytes that are right up to where the stream reached.

    Raises
    ------
    ValueError
        ``nbytes`` is negative.
    MemoryError
        There is no room for ``nbytes`` bytes.
    """
    cdef const uint8_t* first = NULL
    cdef size_t src_nbytes = src.shape[0]
    cdef uint8_t* dst
    cdef void* state
    cdef int status
    if nbytes < 0:
        raise ValueError(f"nbytes is negative: {nbytes}")
    if src_nbytes > 0:
        first = &src[0]
    state = malloc(lzw_state_nbytes())
    dst = <uint8_t*> calloc(max(nbytes, 1), 1)
    try:
        if dst == NULL or state == NULL:
            raise MemoryError(f"no room for {nbytes} bytes")
        with nogil:
            status = lzw_decode(first, src_nbytes, dst, nbytes, state)
        return status, PyBytes_FromStringAndSize(<char*> dst, nbytes)
    finally:
        free(dst)
        free(state)

"""Huffman codes of limited length, in the canonical form of deflate (RFC 1951, section 3.2.2)."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

cdef enum:
    MAX_LENGTH = 15


cdef int _sort(const uint32_t* counts, int n, uint64_t* keys) noexcept nogil:
    """Symbols that occur, the rarest first, as (count << 16) | symbol; their number."""
    cdef int i, k
    cdef int n_used = 0
    cdef uint64_t key
    for i in range(n):
        if counts[i] == 0:
            continue
        key = <uint64_t> counts[i] << 16 | <uint64_t> i
        k = n_used
        while k > 0 and keys[k - 1] > key:
            keys[k] = keys[k - 1]
            k -= 1
        keys[k] = key
        n_used += 1
    return n_used


cdef void _count_depths(const uint64_t* keys, int n, int limit, int* n_of_length) noexcept nogil:
    """How many leaves of the Huffman tree have each depth; those below the limit count as on it."""
    cdef uint64_t[2 * MAX_SYMBOLS] weight
    cdef int[2 * MAX_SYMBOLS] parent
    cdef int[2 * MAX_SYMBOLS] depth
    cdef int leaf = 0
    cdef int inner = n  # the next inner node without a parent; inner nodes come lightest first
    cdef int node, child, _
    for node in range(n):
        weight[node] = keys[node] >> 16
    for node in range(n, 2 * n - 1):
        weight[node] = 0
        for _ in range(2):
            if leaf < n and (inner == node or weight[leaf] <= weight[inner]):
                child = leaf
                leaf += 1
            else:
                child = inner
                inner += 1
            weight[node] += weight[child]
            parent[child] = node
    depth[2 * n - 2] = 0
    for node in range(2 * n - 3, -1, -1):
        depth[node] = depth[parent[node]] + 1
        if node < n:
            n_of_length[min(depth[node], limit)] += 1


cdef void _fit(int limit, int* n_of_length) noexcept nogil:
    """Lengthen codes until all have a place among those of the limited length."""
    cdef int length
    cdef int64_t used = 0
    for length in range(1, limit + 1):
        used += <int64_t> n_of_length[length] << (limit - length)
    while used > <int64_t> 1 << limit:
        length = limit - 1
        while n_of_length[length] == 0:
            length -= 1
        # a leaf becomes a node with two leaves: itself, and one from the limit
        n_of_length[length] -= 1
        n_of_length[length + 1] += 2
        n_of_length[limit] -= 1
        used -= 1


cdef void huffman_lengths(const uint32_t* counts, int n, int limit, uint8_t* lengths) noexcept nogil:
    """The length of each symbol's code; 0 for one that does not occur."""
    cdef uint64_t[MAX_SYMBOLS] keys
    cdef int[MAX_LENGTH + 1] n_of_length
    cdef int n_used = _sort(counts, n, keys)
    cdef int length, symbol, _
    memset(lengths, 0, n)
    if n_used < 2:  # a code of one symbol is not complete, which some decoders refuse
        symbol = <int> (keys[0] & 0xFFFF) if n_used == 1 else 0
        lengths[symbol] = 1
        lengths[1 if symbol == 0 else 0] = 1
        return
    memset(n_of_length, 0, sizeof(n_of_length))
    _count_depths(keys, n_used, limit, n_of_length)
    _fit(limit, n_of_length)
    symbol = 0
    for length in range(limit, 0, -1):
        for _ in range(n_of_length[length]):
            lengths[keys[symbol] & 0xFFFF] = <uint8_t> length
            symbol += 1


cdef void huffman_codes(const uint8_t* lengths, int n, uint16_t* codes) noexcept nogil:
    cdef int[MAX_LENGTH + 1] n_of_length
    cdef uint32_t[MAX_LENGTH + 1] following
    cdef uint32_t code = 0
    cdef uint32_t turned
    cdef int i, _
    memset(n_of_length, 0, sizeof(n_of_length))
    for i in range(n):
        n_of_length[lengths[i]] += 1
    n_of_length[0] = 0
    for i in range(1, MAX_LENGTH + 1):
        code = (code + n_of_length[i - 1]) << 1
        following[i] = code
    for i in range(n):
        if lengths[i] == 0:
            continue
        code = following[lengths[i]]
        following[lengths[i]] += 1
        turned = 0
        for _ in range(lengths[i]):
            turned = turned << 1 | (code & 1)
            code >>= 1
        codes[i] = <uint16_t> turned

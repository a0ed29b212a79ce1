"""CRC32C: the checksum with Castagnoli's polynomial (RFC 3720, section 12.1), eight bytes at a time from tables."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef uint32_t POLYNOMIAL = 0x82F63B78  # bits in reverse order

# Written once, when the module is imported. Table n has the checksums of one byte with n zeros behind it.
cdef uint32_t[8][256] TABLES


cdef void _fill_tables() noexcept nogil:
    cdef uint32_t entry
    cdef size_t byte, table, _bit
    for byte in range(256):
        entry = <uint32_t>byte
        for _bit in range(8):
            entry = (entry >> 1) ^ (POLYNOMIAL if entry & 1 else 0)
        TABLES[0][byte] = entry
    for table in range(1, 8):
        for byte in range(256):
            entry = TABLES[table - 1][byte]
            TABLES[table][byte] = (entry >> 8) ^ TABLES[0][entry & 0xFF]


cdef uint32_t crc32c_word(uint32_t word) noexcept nogil:
    return (
        TABLES[3][word & 0xFF] ^ TABLES[2][(word >> 8) & 0xFF] ^ TABLES[1][(word >> 16) & 0xFF] ^ TABLES[0][word >> 24]
    )


cdef uint32_t _checksum(const uint8_t* data, size_t nbytes) noexcept nogil:
    cdef uint32_t crc = ~<uint32_t>0
    cdef uint64_t word
    cdef size_t i = 0
    cdef int k
    while nbytes - i >= 8:
        word = 0
        for k in range(8):  # compilers make one load of it where bytes are in this order
            word |= <uint64_t>data[i + k] << (8 * k)
        word ^= crc
        crc = TABLES[7][word & 0xFF]
        for k in range(1, 8):
            crc ^= TABLES[7 - k][(word >> (8 * k)) & 0xFF]
        i += 8
    while i < nbytes:
        crc = (crc >> 8) ^ TABLES[0][(crc ^ data[i]) & 0xFF]
        i += 1
    return ~crc


def crc32c(const uint8_t[::1] data not None):
    """Checksum of bytes, as an unsigned int of 32 bits; of none it is 0."""
    cdef uint32_t found
    cdef size_t nbytes = data.shape[0]
    if nbytes == 0:
        return 0
    with nogil:
        found = _checksum(&data[0], nbytes)
    return found


_fill_tables()

# Field types of TIFF tags, and integers in the byte order of the file.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef inline uint64_t load(const uint8_t* at, size_t nbytes, bint swap) noexcept nogil:
    """Unsigned integer of 1, 2, 4 or 8 bytes, at any alignment."""
    cdef uint16_t two
    cdef uint32_t four
    cdef uint64_t eight
    if nbytes == 1:
        return at[0]
    if nbytes == 2:
        memcpy(&two, at, 2)
        return <uint16_t> ((two << 8) | (two >> 8)) if swap else two
    if nbytes == 4:
        memcpy(&four, at, 4)
        if swap:
            four = ((four & 0x00FF00FFU) << 8) | ((four >> 8) & 0x00FF00FFU)
            four = (four << 16) | (four >> 16)
        return four
    memcpy(&eight, at, 8)
    if swap:
        eight = ((eight & 0x00FF00FF00FF00FFULL) << 8) | ((eight >> 8) & 0x00FF00FF00FF00FFULL)
        eight = ((eight & 0x0000FFFF0000FFFFULL) << 16) | ((eight >> 16) & 0x0000FFFF0000FFFFULL)
        eight = (eight << 32) | (eight >> 32)
    return eight


cdef inline size_t item_nbytes(uint16_t field_type) noexcept nogil:
    """Size of one item of a field type; 0 for an unknown one."""
    if field_type in (1, 2, 6, 7):
        return 1
    if field_type in (3, 8, 14):
        return 2
    if field_type in (4, 9, 11, 13):
        return 4
    if field_type in (5, 10, 12, 15, 16, 17, 18):
        return 8
    return 0


cdef inline bint is_integer(uint16_t field_type) noexcept nogil:
    """BYTE, SHORT, LONG, IFD, LONG8, IFD8 and the signed ones, whose bits are read as unsigned."""
    return field_type in (1, 3, 4, 6, 8, 9, 13, 16, 17, 18)

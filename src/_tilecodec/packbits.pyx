"""PackBits, the byte run lengths of TIFF 6.0, section 9."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from _tilecodec.status cimport OK, TOO_LONG, TRUNCATED

cdef enum:
    NOTHING = 128  # the head byte of a packet without content
    LONGEST = 128  # bytes of a packet
    WORTH = 3  # equal bytes from so many on are a packet of their own


cdef int packbits_decode(
    const uint8_t* src, size_t src_nbytes, uint8_t* dst, size_t dst_nbytes
) noexcept nogil:
    """Fill ``dst``; what follows in ``src`` once it is full is padding.

    TRUNCATED where ``src`` ends first, TOO_LONG where a packet crosses the end of ``dst`` (full then).
    """
    cdef size_t length, part
    while dst_nbytes > 0:
        if src_nbytes < 2:  # the shortest packet with content
            return TRUNCATED
        src_nbytes -= 1
        length = src[0]
        src += 1
        if length == NOTHING:
            continue
        if length > NOTHING:
            length = 257 - length
            part = length if length < dst_nbytes else dst_nbytes
            memset(dst, src[0], part)
            src += 1
            src_nbytes -= 1
        else:
            length += 1
            part = length if length < dst_nbytes else dst_nbytes
            if src_nbytes < part:
                memcpy(dst, src, src_nbytes)
                return TRUNCATED
            memcpy(dst, src, part)
            src += part
            src_nbytes -= part
        if part < length:
            return TOO_LONG
        dst += part
        dst_nbytes -= part
    return OK


cdef size_t packbits_bound(size_t nbytes) noexcept nogil:
    """Rows of one byte are the worst."""
    return 2 * nbytes


cdef inline size_t _run(const uint8_t* src, size_t nbytes) noexcept nogil:
    """How many equal bytes there are at the start of at least one."""
    cdef size_t n = 1
    while n < nbytes and src[n] == src[0]:
        n += 1
    return n


cdef inline size_t _literals(const uint8_t* src, size_t nbytes) noexcept nogil:
    """How many bytes there are before the next run that is worth a packet."""
    cdef size_t n = 0
    while nbytes - n >= WORTH:
        if src[n] == src[n + 1] and src[n] == src[n + 2]:
            return n
        n += 1
    return nbytes


cdef size_t _pack_row(const uint8_t* src, size_t nbytes, uint8_t* dst, size_t room) noexcept nogil:
    """Bytes written, or more than ``room``."""
    cdef size_t used = 0
    cdef size_t length
    while nbytes > 0:
        length = min(_literals(src, min(nbytes, <size_t> LONGEST + WORTH - 1)), <size_t> LONGEST)
        if length > 0:
            if room - used < length + 1:
                return room + 1
            dst[used] = <uint8_t> (length - 1)
            memcpy(dst + used + 1, src, length)
            used += length + 1
        else:
            length = _run(src, min(nbytes, <size_t> LONGEST))
            if room - used < 2:
                return room + 1
            dst[used] = <uint8_t> (257 - length)
            dst[used + 1] = src[0]
            used += 2
        src += length
        nbytes -= length
    return used


cdef int packbits_encode(
    const uint8_t* src, size_t src_nbytes, size_t row_nbytes, uint8_t* dst, size_t dst_room, size_t* written
) noexcept nogil:
    """Compress rows of ``row_nbytes`` into ``dst``, each by itself; TOO_LONG where it does not fit."""
    cdef size_t part
    cdef size_t used = 0
    cdef size_t done = 0
    while done < src_nbytes:
        part = min(src_nbytes - done, row_nbytes if row_nbytes > 0 else src_nbytes)
        used += _pack_row(src + done, part, dst + used, dst_room - used)
        if used > dst_room:
            return TOO_LONG
        done += part
    written[0] = used
    return OK


def decode(const uint8_t[::1] src not None, Py_ssize_t nbytes):
    """Decompress PackBits (TIFF 6.0, section 9).

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
    cdef int status
    if nbytes < 0:
        raise ValueError(f"nbytes is negative: {nbytes}")
    if src_nbytes > 0:
        first = &src[0]
    dst = <uint8_t*> calloc(max(nbytes, 1), 1)
    if dst == NULL:
        raise MemoryError(f"no room for {nbytes} bytes")
    try:
        with nogil:
            status = packbits_decode(first, src_nbytes, dst, nbytes)
        return status, PyBytes_FromStringAndSize(<char*> dst, nbytes)
    finally:
        free(dst)

"""PackBits, the byte run lengths of TIFF 6.0, section 9."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from _tilecodec.status cimport OK, TOO_LONG, TRUNCATED

cdef enum:
    NOTHING = 128  # the head byte of a packet without content


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

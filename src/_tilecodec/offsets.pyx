"""Decode the arrays of offsets and byte counts of an IFD (TIFF 6.0, section 3; BigTIFF)."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from _tilecodec.fieldtype cimport is_integer, item_nbytes, load
from _tilecodec.posix cimport positional_read
from _tilecodec.status cimport BAD_TASK, OK, OUT_OF_MEMORY, READ_FAILED, TRUNCATED, status

cdef enum:
    BUFFER_NBYTES = 262144


cdef void decode_block(
    const uint8_t* block, size_t nbytes, size_t item, bint swap, uint64_t* out, size_t n_out,
) noexcept nogil:
    """Whole items of a block as native integers, as many as fit into both."""
    cdef size_t k, n = min(nbytes // item, n_out)
    if item == 8 and not swap:
        memcpy(out, block, n * 8)
    elif item == 8:
        for k in range(n):
            out[k] = load(block + 8 * k, 8, True)
    elif item == 4 and not swap:
        for k in range(n):
            out[k] = load(block + 4 * k, 4, False)
    elif item == 4:
        for k in range(n):
            out[k] = load(block + 4 * k, 4, True)
    else:
        for k in range(n):
            out[k] = load(block + item * k, item, swap)


cdef status read_array(
    int fd, uint64_t position, size_t item, bint swap, uint64_t* out, size_t n_out, uint8_t* buffer,
) noexcept nogil:
    """Decode an array of a file, a window at a time."""
    cdef size_t n, done = 0
    cdef int64_t got
    while done < n_out:
        n = min(n_out - done, <size_t> BUFFER_NBYTES // item)
        got = positional_read(fd, buffer, n * item, <int64_t> (position + done * item))
        if got < 0:
            return READ_FAILED
        if <size_t> got < n * item:
            return TRUNCATED
        decode_block(buffer, n * item, item, swap, out + done, n)
        done += n
    return OK


def read_values(
    int fd, const uint8_t[::1] data, uint64_t position, uint16_t field_type, bint swap,
    uint64_t[::1] out not None,
):
    """Decode an array of offsets or byte counts of any integer field type; signed ones are read as unsigned.

    Parameters
    ----------
    fd : int
        Descriptor to read from; negative: `data` holds the whole array.
    data : uint8 (bytes,), or None
    position : int
        Of the array in the file; not used with `data`.
    field_type : int
    swap : bool
    out : uint64 (n,)
        Output; its size is the number of values.

    Returns
    -------
    int
        Status.
    """
    cdef size_t item = item_nbytes(field_type), n_out = <size_t> out.shape[0]
    cdef uint8_t* buffer = NULL
    cdef status state = OK
    if not is_integer(field_type) or position > <uint64_t> 1 << 62 or n_out > <uint64_t> 1 << 58:
        return <int> BAD_TASK
    if n_out == 0:
        return <int> OK
    if fd < 0:
        if data is None or <size_t> data.shape[0] // item < n_out:
            return <int> TRUNCATED
        with nogil:
            decode_block(&data[0], <size_t> data.shape[0], item, swap, &out[0], n_out)
        return <int> OK
    buffer = <uint8_t*> malloc(BUFFER_NBYTES)
    if buffer == NULL:
        return <int> OUT_OF_MEMORY
    try:
        with nogil:
            state = read_array(fd, position, item, swap, &out[0], n_out, buffer)
    finally:
        free(buffer)
    return <int> state

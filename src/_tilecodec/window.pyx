"""Bytes of a file where they are wanted: read by pread into one buffer, or looked up in pieces of it."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from _tilecodec.posix cimport HAS_PREAD, positional_read
from _tilecodec.status cimport BAD_TASK, NEED_MORE, OK, OUT_OF_MEMORY, READ_FAILED, TRUNCATED, status

CAN_READ = bool(HAS_PREAD)    # without it, kernels take bytes and no descriptor

cdef enum:
    FIRST_READ_NBYTES = 4096      # grows to WINDOW_NBYTES as long as what is wanted lies close together


cdef status find_piece(byte_source* source, uint64_t position, uint64_t nbytes) noexcept nogil:
    """Make the piece that holds these bytes the window, or note that they are wanted."""
    cdef const uint8_t* data = source.data
    cdef size_t k
    for k in range(source.n_pieces):
        source.window, source.start, source.nbytes = data, source.pieces[2 * k], source.pieces[2 * k + 1]
        if in_window(source, position, nbytes):
            return OK
        data += source.nbytes
    source.wanted_position, source.wanted_nbytes = position, nbytes
    return NEED_MORE


cdef status refill(byte_source* source, uint64_t position, uint64_t nbytes) noexcept nogil:
    """Read the window at a position: little after a far jump, more and more while IFDs lie close together."""
    cdef uint64_t stop = source.start + source.nbytes
    cdef uint64_t want
    cdef int64_t got
    if position >= source.start and (position < stop or position - stop < source.ahead):
        source.ahead = min(source.ahead * 4, <uint64_t> WINDOW_NBYTES)
    else:
        source.ahead = FIRST_READ_NBYTES
    want = min(max(source.ahead, nbytes), source.file_nbytes - position)
    source.nbytes = 0
    got = positional_read(source.fd, source.buffer, <size_t> want, <int64_t> position)
    if got < 0:
        return READ_FAILED
    source.window, source.start, source.nbytes = source.buffer, position, <uint64_t> got
    return OK if nbytes <= source.nbytes else TRUNCATED


cdef status locate(
    byte_source* source, uint64_t position, uint64_t nbytes, const uint8_t** found,
) noexcept nogil:
    """Pointer to at most WINDOW_NBYTES bytes of an IFD; it holds until the next call."""
    cdef status state = OK
    if nbytes > source.file_nbytes or position > source.file_nbytes - nbytes:
        return TRUNCATED
    if not in_window(source, position, nbytes):
        state = refill(source, position, nbytes) if source.fd >= 0 else find_piece(source, position, nbytes)
    if state == OK:
        found[0] = source.window + (position - source.start)
    return state


cdef status peek(byte_source* source, uint64_t position, size_t nbytes, uint8_t* block) noexcept nogil:
    """Copy a few bytes of a value, which may stand far from its IFD; with a descriptor the window stays."""
    cdef status state = OK
    cdef int64_t got
    if not in_window(source, position, nbytes):
        if source.fd >= 0:
            got = positional_read(source.fd, block, nbytes, <int64_t> position)
            return READ_FAILED if got < 0 else OK if <size_t> got == nbytes else TRUNCATED
        state = find_piece(source, position, nbytes)
    if state == OK:
        memcpy(block, source.window + (position - source.start), nbytes)
    return state


cdef status open_source(
    byte_source* source, int fd, const uint8_t* data, uint64_t data_nbytes, const uint64_t* pieces,
    size_t n_pieces, uint64_t file_nbytes,
) noexcept nogil:
    """Set up a source; to be closed whatever this returns."""
    cdef size_t k
    memset(source, 0, sizeof(byte_source))
    if file_nbytes > <uint64_t> 1 << 62:
        return BAD_TASK
    for k in range(n_pieces):
        if pieces[2 * k + 1] > data_nbytes:
            return BAD_TASK
        data_nbytes -= pieces[2 * k + 1]
    source.fd, source.file_nbytes = fd, file_nbytes
    source.data, source.pieces, source.n_pieces = data, pieces, n_pieces
    if fd >= 0:
        source.buffer = <uint8_t*> malloc(WINDOW_NBYTES)
        if source.buffer == NULL:
            return OUT_OF_MEMORY
    return OK


cdef void close_source(byte_source* source) noexcept nogil:
    free(source.buffer)
    source.buffer = NULL

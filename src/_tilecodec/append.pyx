"""Bytes behind all that is in a file, which other threads and processes append to as well.

The end is either a number that the threads of one process share, or the size of the file under an advisory lock. That
lock does not keep the threads of a process apart, so they have one of their own.
"""

from libc.errno cimport EAGAIN
from libc.stdint cimport int64_t, uint8_t

from _tilecodec.atomic cimport fetch_add
from _tilecodec.pwrite cimport (
    HAS_SHARED,
    file_size,
    lock_file,
    piece,
    positional_write_pieces,
    reserve,
    send_to_disk,
    unlock_file,
)
from _tilecodec.status cimport LIMIT, OK, WRITE_FAILED
from _tilecodec.sync cimport load, pause, replace, store

CAN_SHARE = bool(HAS_SHARED)    # without it, only one process may append
N_END = _N_END
SENT = ON_ITS_WAY           # place in `end`; a number that no file reaches keeps all from being sent to the disk

cdef enum:
    PATIENCE = 250              # looks (about 25 ms) before Python may see signals
    SMALL_FILE = 8388608        # no room is reserved for files of up to so many bytes
    STEP = 33554432             # bytes that are reserved at once
    PORTION = 4194304           # bytes that are sent to the disk at once


cdef int append_pieces(
    const appendix* a, const piece* pieces, size_t n, int64_t nbytes, int64_t* offset, size_t* n_done
) noexcept nogil:
    n_done[0] = 0
    if a.shared:
        return _append_shared(a, pieces, n, nbytes, offset, n_done)
    offset[0] = fetch_add(&a.end[END], nbytes)
    if offset[0] > a.limit - nbytes:
        return BEYOND
    return positional_write_pieces(a.fd, pieces, n, offset[0], n_done)


cdef int _append_shared(
    const appendix* a, const piece* pieces, size_t n, int64_t nbytes, int64_t* offset, size_t* n_done
) noexcept nogil:
    cdef int error = _lock(a)
    if error:
        return error
    error = file_size(a.fd, offset)
    if not error and offset[0] > a.limit - nbytes:
        error = BEYOND
    if not error:
        _reserve(a, offset[0] + nbytes)
        error = positional_write_pieces(a.fd, pieces, n, offset[0], n_done)
    if not error:
        store(&a.end[END], offset[0] + nbytes)
    unlock_file(a.fd)
    store(&a.end[END_LOCK], 0)
    return error


cdef void _reserve(const appendix* a, int64_t end) noexcept nogil:
    """Have room on the disk up to ``end``, if the file system can; whether it does is no matter of correctness."""
    cdef int64_t begin = a.end[RESERVED]
    if end <= SMALL_FILE or end <= begin:
        return
    begin = max(begin, end - STEP // 2)
    a.end[RESERVED] = end + STEP if reserve(a.fd, begin, end + STEP - begin) == 0 else a.limit


cdef void send_on(const appendix* a, int64_t end) noexcept nogil:
    cdef int64_t begin = load(&a.end[ON_ITS_WAY])
    if end - begin >= PORTION and replace(&a.end[ON_ITS_WAY], begin, end):
        send_to_disk(a.fd, begin, end - begin)


cdef int _lock(const appendix* a) noexcept nogil:
    """The lock of the threads, then that of the processes; on an error neither is held."""
    cdef int error
    cdef int look = 0
    while not replace(&a.end[END_LOCK], 0, 1):
        pause(look)
        look += 1
        if look == PATIENCE:
            return EAGAIN
    while True:
        error = lock_file(a.fd)
        if error != EAGAIN or look == PATIENCE:
            break
        pause(look)
        look += 1
    if error:
        store(&a.end[END_LOCK], 0)
    return error


def append_bytes(int fd, int64_t[::1] end not None, bint shared, const uint8_t[::1] data not None, int64_t limit):
    """Append bytes to a file.

    Parameters
    ----------
    fd : int
        File descriptor to write to by position.
    end : int64 array of length 16
        ``end[0]`` is where the next bytes go; the rest belongs to the kernels and starts as zeros. One array for all
        calls and threads of a process that append to the file.
    shared : bool
        Other processes append too: the end is the size of the file, under an advisory lock.
    data : bytes-like, not empty
    limit : int
        Bytes that the file may have.

    Returns
    -------
    (status, errno, offset)
        Status 0 and errno EAGAIN: another process has kept the file locked for long; call again.
    """
    cdef appendix a = appendix(fd, &end[0], shared, limit)
    cdef piece whole
    cdef size_t nbytes = data.shape[0]
    cdef int64_t offset = 0
    cdef size_t n_done
    cdef int error
    if end.shape[0] != _N_END or nbytes == 0 or (shared and not HAS_SHARED):
        raise ValueError("end must have 16 entries, there must be data, and shared is for POSIX")
    whole = piece(&data[0], nbytes, 1, 0)
    with nogil:
        error = append_pieces(&a, &whole, 1, <int64_t>nbytes, &offset, &n_done)
        if not error:
            send_on(&a, offset + <int64_t>nbytes)
    if error == BEYOND:
        return LIMIT, 0, 0
    if error == EAGAIN:
        return OK, error, 0
    return (WRITE_FAILED if error else OK), error, offset

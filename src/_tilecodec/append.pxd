# Bytes behind all that is in a file, which other threads and processes append to as well.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t

from _tilecodec.pwrite cimport piece

cdef enum:                      # places in `end`, which all threads of a process share
    END = 0                     # where the next bytes go
    RESERVED = 1                # up to where there is room on the disk
    ON_ITS_WAY = 2              # up to where the system was asked to bring it to the disk
    END_LOCK = 8
    _N_END = 16
    BEYOND = -1                 # not an errno: the bytes would lie behind `limit`

cdef struct appendix:
    int fd
    int64_t* end
    bint shared                 # other processes append too: the size of the file is the end
    int64_t limit               # last position that a table of the file can name

# Writes pieces of memory, `nbytes` in all, one behind the other. 0, an errno or BEYOND; EAGAIN: another process keeps
# the file locked for long, and nothing was written. `n_done`: pieces that are in the file to the last byte.
cdef int append_pieces(
    const appendix* a, const piece* pieces, size_t n, int64_t nbytes, int64_t* offset, size_t* n_done
) noexcept nogil
# Let the disk begin with what is written up to `end`, while others still encode: who waits for it has less to wait.
cdef void send_on(const appendix* a, int64_t end) noexcept nogil

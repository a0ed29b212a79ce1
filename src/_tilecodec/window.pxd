# Bytes of a file where they are wanted, for kernels that follow offsets.

from libc.stdint cimport uint8_t, uint64_t

from _tilecodec.status cimport status

cdef enum:
    WINDOW_NBYTES = 262144

# A buffer refilled by pread, or pieces of the caller (rows of offset, nbytes; their data lie in a row).
cdef struct byte_source:
    int fd
    uint64_t file_nbytes
    uint8_t* buffer
    uint64_t ahead
    const uint8_t* data
    const uint64_t* pieces
    size_t n_pieces
    const uint8_t* window
    uint64_t start
    uint64_t nbytes
    uint64_t wanted_position
    uint64_t wanted_nbytes


cdef inline bint in_window(const byte_source* source, uint64_t position, uint64_t nbytes) noexcept nogil:
    return (position >= source.start and nbytes <= source.nbytes
            and position - source.start <= source.nbytes - nbytes)


cdef status locate(
    byte_source* source, uint64_t position, uint64_t nbytes, const uint8_t** found,
) noexcept nogil
cdef status peek(byte_source* source, uint64_t position, size_t nbytes, uint8_t* block) noexcept nogil
cdef status find_piece(byte_source* source, uint64_t position, uint64_t nbytes) noexcept nogil
cdef status open_source(
    byte_source* source, int fd, const uint8_t* data, uint64_t data_nbytes, const uint64_t* pieces,
    size_t n_pieces, uint64_t file_nbytes,
) noexcept nogil
cdef void close_source(byte_source* source) noexcept nogil

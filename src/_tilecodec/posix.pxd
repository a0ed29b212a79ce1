# Positional reads. Windows has no pread: there the kernels take bytes from memory instead.

from libc.stdint cimport int64_t

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    #ifdef _WIN32
    #define TILECODEC_HAS_PREAD 0
    static int64_t tilecodec_pread(int fd, void *buffer, size_t nbytes, int64_t offset) {
        (void)fd; (void)buffer; (void)nbytes; (void)offset;
        return -1;
    }
    #else
    #include <errno.h>
    #include <sys/types.h>
    #include <unistd.h>
    #define TILECODEC_HAS_PREAD 1
    static int64_t tilecodec_pread(int fd, void *buffer, size_t nbytes, int64_t offset) {
        size_t done = 0;
        while (done < nbytes) {
            ssize_t n = pread(fd, (char *)buffer + done, nbytes - done, (off_t)(offset + (int64_t)done));
            if (n == 0) break;
            if (n < 0) {
                if (errno == EINTR) continue;
                return -1;
            }
            done += (size_t)n;
        }
        return (int64_t)done;
    }
    #endif
    #ifdef __linux__
    #include <sys/uio.h>
    #define TILECODEC_HAS_SCATTER 1
    /* one system call for up to 256 rows; false where it brought less than asked for */
    static int tilecodec_pread_rows(int fd, char *first, int64_t stride, size_t row_nbytes, size_t rows,
                                    int64_t offset) {
        struct iovec parts[256];
        size_t done = 0;
        while (done < rows) {
            size_t n = rows - done < 256 ? rows - done : 256;
            for (size_t i = 0; i < n; i++) {
                parts[i].iov_base = first + (int64_t)(done + i) * stride;
                parts[i].iov_len = row_nbytes;
            }
            ssize_t got = preadv(fd, parts, (int)n, (off_t)(offset + (int64_t)(done * row_nbytes)));
            if (got < 0 || (size_t)got != n * row_nbytes) return 0;
            done += n;
        }
        return 1;
    }
    #else
    #define TILECODEC_HAS_SCATTER 0
    static int tilecodec_pread_rows(int fd, char *first, int64_t stride, size_t row_nbytes, size_t rows,
                                    int64_t offset) {
        (void)fd; (void)first; (void)stride; (void)row_nbytes; (void)rows; (void)offset;
        return 0;
    }
    #endif
    """
    # Bytes read (fewer than asked for only at the end of the file), or -1.
    int64_t positional_read "tilecodec_pread"(int fd, void* buffer, size_t nbytes, int64_t offset) noexcept nogil
    const bint HAS_PREAD "TILECODEC_HAS_PREAD"
    # Consecutive bytes of the file into rows that lie `stride` apart. False: read them in another way.
    bint positional_read_rows "tilecodec_pread_rows"(
        int fd, char* first, int64_t stride, size_t row_nbytes, size_t rows, int64_t offset) noexcept nogil
    const bint HAS_SCATTER "TILECODEC_HAS_SCATTER"

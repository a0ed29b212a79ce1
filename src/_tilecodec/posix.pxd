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
    """
    # Bytes read (fewer than asked for only at the end of the file), or -1.
    int64_t positional_read "tilecodec_pread"(int fd, void* buffer, size_t nbytes, int64_t offset) noexcept nogil
    const bint HAS_PREAD "TILECODEC_HAS_PREAD"

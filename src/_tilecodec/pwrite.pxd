# Positional writes, and what processes that append to one file agree by. All return 0 or an errno.

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint8_t

cdef extern from *:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <stddef.h>
    #include <stdint.h>
    #define TILECODEC_MAX_WRITE ((size_t)1 << 30)
    #ifdef _WIN32
    #ifndef WIN32_LEAN_AND_MEAN
    #define WIN32_LEAN_AND_MEAN
    #endif
    #include <windows.h>
    #include <io.h>
    static int tilecodec_write_error(void) {
        switch (GetLastError()) {
            case ERROR_DISK_FULL: case ERROR_HANDLE_DISK_FULL: return ENOSPC;
            case ERROR_ACCESS_DENIED: return EACCES;
            case ERROR_INVALID_HANDLE: return EBADF;
            default: return EIO;
        }
    }
    static int tilecodec_pwrite(int fd, const uint8_t *data, size_t nbytes, int64_t offset) {
        HANDLE file = (HANDLE)_get_osfhandle(fd);
        if (file == INVALID_HANDLE_VALUE) return EBADF;
        while (nbytes > 0) {
            OVERLAPPED place = {0};
            DWORD part = (DWORD)(nbytes < TILECODEC_MAX_WRITE ? nbytes : TILECODEC_MAX_WRITE);
            DWORD done = 0;
            place.Offset = (DWORD)(offset & 0xFFFFFFFF);
            place.OffsetHigh = (DWORD)(offset >> 32);
            if (!WriteFile(file, data, part, &done, &place)) return tilecodec_write_error();
            if (done == 0) return EIO;
            data += done;
            nbytes -= done;
            offset += done;
        }
        return 0;
    }
    #else
    #include <sys/types.h>
    #include <unistd.h>
    static int tilecodec_pwrite(int fd, const uint8_t *data, size_t nbytes, int64_t offset) {
        while (nbytes > 0) {
            size_t part = nbytes < TILECODEC_MAX_WRITE ? nbytes : TILECODEC_MAX_WRITE;
            ssize_t n = pwrite(fd, data, part, (off_t)offset);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return errno;
            if (n == 0) return EIO;
            data += n;
            nbytes -= (size_t)n;
            offset += n;
        }
        return 0;
    }
    #endif
    typedef struct {
        const uint8_t *data;
        size_t nbytes;
        size_t n_rows;
        ptrdiff_t step;
    } tilecodec_piece;
    #ifdef __linux__
    #include <sys/uio.h>
    #define TILECODEC_ROWS 1024
    /* Pieces of memory one behind the other into the file: one system call for up to 1024 rows of them. */
    static int tilecodec_pwrite_pieces(int fd, const tilecodec_piece *pieces, size_t n_pieces, int64_t offset,
                                       size_t *n_done) {
        struct iovec rows[TILECODEC_ROWS];
        size_t row = 0, skipped = 0;  /* of the first piece that is not done: whole rows, and bytes of the next one */
        *n_done = 0;
        while (*n_done < n_pieces) {
            size_t n = 0, k, piece = *n_done, next = row;
            ssize_t done;
            while (n < TILECODEC_ROWS && piece < n_pieces) {
                size_t before = n == 0 ? skipped : 0;
                rows[n].iov_base = (void *)(pieces[piece].data + (ptrdiff_t)next * pieces[piece].step + before);
                rows[n++].iov_len = pieces[piece].nbytes - before;
                if (++next == pieces[piece].n_rows) {
                    next = 0;
                    piece++;
                }
            }
            done = pwritev(fd, rows, (int)n, (off_t)offset);
            if (done < 0 && errno == EINTR) continue;
            if (done < 0) return errno;
            if (done == 0) return EIO;
            offset += done;
            for (k = 0; k < n && (size_t)done >= rows[k].iov_len; k++) {
                done -= (ssize_t)rows[k].iov_len;
                skipped = 0;
                if (++row == pieces[*n_done].n_rows) {
                    row = 0;
                    *n_done += 1;
                }
            }
            skipped += (size_t)done;  /* a short write: the next call tells why */
        }
        return 0;
    }
    #else
    static int tilecodec_pwrite_pieces(int fd, const tilecodec_piece *pieces, size_t n_pieces, int64_t offset,
                                       size_t *n_done) {
        *n_done = 0;
        for (size_t i = 0; i < n_pieces; i++) {
            for (size_t row = 0; row < pieces[i].n_rows; row++) {
                const uint8_t *data = pieces[i].data + (ptrdiff_t)row * pieces[i].step;
                int error = tilecodec_pwrite(fd, data, pieces[i].nbytes, offset);
                if (error) return error;
                offset += (int64_t)pieces[i].nbytes;
            }
            *n_done += 1;
        }
        return 0;
    }
    #endif
    #if defined(__linux__) && defined(FALLOC_FL_KEEP_SIZE)
    static int tilecodec_reserve(int fd, int64_t offset, int64_t nbytes) {
        return fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)nbytes) == 0 ? 0 : errno;
    }
    #else
    static int tilecodec_reserve(int fd, int64_t offset, int64_t nbytes) {
        (void)fd; (void)offset; (void)nbytes;
        return ENOSYS;
    }
    #endif
    #if defined(__linux__) && defined(SYNC_FILE_RANGE_WRITE)
    static void tilecodec_send_to_disk(int fd, int64_t offset, int64_t nbytes) {
        (void)sync_file_range(fd, (off64_t)offset, (off64_t)nbytes, SYNC_FILE_RANGE_WRITE);
    }
    #else
    static void tilecodec_send_to_disk(int fd, int64_t offset, int64_t nbytes) {
        (void)fd; (void)offset; (void)nbytes;
    }
    #endif
    #ifdef _WIN32
    #define TILECODEC_HAS_SHARED 0
    static int tilecodec_lock(int fd) { (void)fd; return ENOSYS; }
    static void tilecodec_unlock(int fd) { (void)fd; }
    static int tilecodec_file_size(int fd, int64_t *nbytes) { (void)fd; (void)nbytes; return ENOSYS; }
    #else
    #include <sys/file.h>
    #define TILECODEC_HAS_SHARED 1
    static int tilecodec_lock(int fd) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) return 0;
        return errno == EINTR || errno == EWOULDBLOCK ? EAGAIN : errno;
    }
    static void tilecodec_unlock(int fd) {
        flock(fd, LOCK_UN);
    }
    static int tilecodec_file_size(int fd, int64_t *nbytes) {
        off_t end = lseek(fd, 0, SEEK_END);  /* fstat needs glibc 2.33; nobody uses the position of a descriptor */
        if (end < 0) return errno;
        *nbytes = (int64_t)end;
        return 0;
    }
    #endif
    """
    int positional_write "tilecodec_pwrite"(int fd, const uint8_t* data, size_t nbytes, int64_t offset) noexcept nogil
    ctypedef struct piece "tilecodec_piece":
        const uint8_t* data
        size_t nbytes           # of a row, not 0
        size_t n_rows           # not 0
        ptrdiff_t step          # from row to row, in bytes
    # Pieces of memory one behind the other; how many were written to the last byte.
    int positional_write_pieces "tilecodec_pwrite_pieces"(
        int fd, const piece* pieces, size_t n_pieces, int64_t offset, size_t* n_done
    ) noexcept nogil
    # Room on the disk behind the end of the file, whose size stays: writing there costs a third less.
    int reserve "tilecodec_reserve"(int fd, int64_t offset, int64_t nbytes) noexcept nogil
    # The system begins to bring written bytes to the disk; nobody waits, and nobody may rely on it.
    void send_to_disk "tilecodec_send_to_disk"(int fd, int64_t offset, int64_t nbytes) noexcept nogil
    # A lock of the file that other processes respect, but not other threads; EAGAIN: somebody holds it.
    int lock_file "tilecodec_lock"(int fd) noexcept nogil
    void unlock_file "tilecodec_unlock"(int fd) noexcept nogil
    int file_size "tilecodec_file_size"(int fd, int64_t* nbytes) noexcept nogil
    const bint HAS_SHARED "TILECODEC_HAS_SHARED"

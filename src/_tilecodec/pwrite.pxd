# Positional writes, and what processes that append to one file agree by. All return 0 or an errno.

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
    #ifdef __linux__
    #include <sys/uio.h>
    #define TILECODEC_PARTS 256
    /* Pieces of memory one behind the other into the file: one system call for up to 256 of them. */
    static int tilecodec_pwrite_parts(int fd, const uint8_t *const *data, const size_t *nbytes, size_t n_parts,
                                      int64_t offset, size_t *n_done) {
        struct iovec parts[TILECODEC_PARTS];
        *n_done = 0;
        while (n_parts > 0) {
            size_t n = n_parts < TILECODEC_PARTS ? n_parts : TILECODEC_PARTS;
            size_t i, whole = 0;
            ssize_t done;
            for (i = 0; i < n; i++) {
                parts[i].iov_base = (void *)data[i];
                parts[i].iov_len = nbytes[i];
            }
            done = pwritev(fd, parts, (int)n, (off_t)offset);
            if (done < 0 && errno == EINTR) continue;
            if (done < 0) return errno;
            offset += done;
            while (whole < n && (size_t)done >= nbytes[whole]) done -= (ssize_t)nbytes[whole++];
            if (whole < n) {  /* a short write: the rest of the part where it stopped, so that an error is seen */
                int error = tilecodec_pwrite(fd, data[whole] + done, nbytes[whole] - (size_t)done, offset);
                *n_done += whole;
                if (error) return error;
                offset += (int64_t)nbytes[whole++] - done;
                *n_done += 1;
            } else {
                *n_done += n;
            }
            data += whole;
            nbytes += whole;
            n_parts -= whole;
        }
        return 0;
    }
    #else
    static int tilecodec_pwrite_parts(int fd, const uint8_t *const *data, const size_t *nbytes, size_t n_parts,
                                      int64_t offset, size_t *n_done) {
        *n_done = 0;
        for (size_t i = 0; i < n_parts; i++) {
            int error = tilecodec_pwrite(fd, data[i], nbytes[i], offset);
            if (error) return error;
            *n_done += 1;
            offset += (int64_t)nbytes[i];
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
    # Pieces of memory one behind the other; how many were written to the last byte.
    int positional_write_parts "tilecodec_pwrite_parts"(
        int fd, const uint8_t* const* data, const size_t* nbytes, size_t n_parts, int64_t offset, size_t* n_done
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

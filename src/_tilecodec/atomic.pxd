# A shared task counter: fetch-and-add and store on an int64 that several threads use.

from libc.stdint cimport int64_t

cdef extern from *:
    """
    #include <stdint.h>
    #ifdef _MSC_VER
    #include <intrin.h>
    static int64_t tilecodec_fetch_add(int64_t *p, int64_t n) {
        return (int64_t)_InterlockedExchangeAdd64((volatile __int64 *)p, n);
    }
    #else
    static int64_t tilecodec_fetch_add(int64_t *p, int64_t n) {
        return __atomic_fetch_add(p, n, __ATOMIC_RELAXED);
    }
    #endif
    """
    int64_t fetch_add "tilecodec_fetch_add"(int64_t* p, int64_t n) noexcept nogil

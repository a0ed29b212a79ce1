# What threads agree by: loads, stores and compare-exchange in one order that all threads see, and a way to wait.

from libc.stdint cimport int64_t

cdef extern from *:
    """
    #include <stdint.h>
    #ifdef _MSC_VER
    #include <intrin.h>
    static int64_t tilecodec_load(const int64_t *p) {
        return (int64_t)_InterlockedCompareExchange64((volatile __int64 *)p, 0, 0);
    }
    static void tilecodec_store(int64_t *p, int64_t n) {
        (void)_InterlockedExchange64((volatile __int64 *)p, n);
    }
    static int tilecodec_replace(int64_t *p, int64_t old, int64_t fresh) {
        return (int64_t)_InterlockedCompareExchange64((volatile __int64 *)p, fresh, old) == old;
    }
    #else
    static int64_t tilecodec_load(const int64_t *p) {
        return __atomic_load_n(p, __ATOMIC_SEQ_CST);
    }
    static void tilecodec_store(int64_t *p, int64_t n) {
        __atomic_store_n(p, n, __ATOMIC_SEQ_CST);
    }
    static int tilecodec_replace(int64_t *p, int64_t old, int64_t fresh) {
        return __atomic_compare_exchange_n(p, &old, fresh, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    #endif
    #ifdef _WIN32
    #ifndef WIN32_LEAN_AND_MEAN
    #define WIN32_LEAN_AND_MEAN
    #endif
    #include <windows.h>
    static void tilecodec_pause(int n) {
        if (n < 16) SwitchToThread(); else Sleep(1);
    }
    #else
    #include <sched.h>
    #include <time.h>
    static void tilecodec_pause(int n) {
        struct timespec t = {0, 50000};
        if (n < 16) sched_yield(); else nanosleep(&t, NULL);
    }
    #endif
    """
    int64_t load "tilecodec_load"(const int64_t* p) noexcept nogil
    void store "tilecodec_store"(int64_t* p, int64_t n) noexcept nogil
    # Whether it was `old`, and is `fresh` now.
    bint replace "tilecodec_replace"(int64_t* p, int64_t old, int64_t fresh) noexcept nogil
    # Between the looks of somebody who waits: let others run, after some looks sleep for about 0.1 ms.
    void pause "tilecodec_pause"(int looks) noexcept nogil

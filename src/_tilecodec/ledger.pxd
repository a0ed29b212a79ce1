# Who does which task, and who writes: what the workers of one batch share.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t

from _tilecodec.append cimport appendix
from _tilecodec.job cimport job
from _tilecodec.tiletask cimport tile_task

cdef enum:                # in `progress`: each that is often written has a cache line of its own
    COUNTER = 0                 # the next task that nobody has taken
    COMMITTED = 8               # tasks before this one are in the file
    LOCK = 16                   # 1: somebody writes
    STOP = 24                   # not 0: take no task, write no tile
    ERRNO = 25                  # of the write that failed
    _N_PROGRESS = 32

cdef enum:               # instead of the index of a task
    NONE_LEFT = -1
    COME_BACK = -2              # the budget is spent, or the wait is long: let Python look for signals
    FULL = -3                   # the arena holds what is not written yet

cdef struct ledger:
    const job* job              # for tiles that are written from where they lie in the image
    const tile_task* tasks
    int64_t n_tasks
    int64_t* progress
    int64_t* nbytes             # of the encoded tile; 0: not finished
    int64_t* offsets            # in the file; 0: not written
    uint8_t* arena              # n_slots encoded tiles; task i uses slot i % n_slots
    int64_t n_slots
    size_t slot_nbytes
    int64_t worth_writing       # finished tasks that are worth a system call
    appendix file               # descriptor -1: nothing is written
    const int64_t* offset_entries
    const int64_t* count_entries
    size_t entry_nbytes

# Index of a task that is the caller's now, or NONE_LEFT or FULL.
cdef int64_t claim(ledger* l) noexcept nogil
# Wait for a slot, and help to free one. NONE_LEFT and COME_BACK as above; a task that fails comes with its status.
cdef int64_t next_task(ledger* l, int* status) noexcept nogil
cdef uint8_t* slot_of(const ledger* l, int64_t index) noexcept nogil
# Note that a task is encoded.
cdef void finish(ledger* l, int64_t index, size_t nbytes) noexcept nogil
# Write finished tasks in order unless another worker is at it. Index of the one that failed, COME_BACK, or NONE_LEFT.
cdef int64_t commit(ledger* l, bint rest, int* status) noexcept nogil
cdef void stop(ledger* l) noexcept nogil

"""Who does which task, and who writes: tiles are encoded in any order and appended to the file in task order.

Whoever has finished a task notes it, then tries to get the lock of the writer. Who does not get it goes on encoding:
the one who holds it looks again *after* it has let go. Both first store and then load, and all these accesses are in
one order (`sync`), so at least one of the two sees the other's store, and nothing finished stays behind. Before a
worker returns it commits however little there is, so nothing finished outlives the last worker unwritten.
"""

from libc.errno cimport EAGAIN
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from _tilecodec.append cimport BEYOND, append_pieces, send_on
from _tilecodec.compression cimport NONE
from _tilecodec.gather cimport rows_in_place
from _tilecodec.pwrite cimport piece, positional_write
from _tilecodec.status cimport BAD_TASK, LIMIT, OK, WRITE_FAILED
from _tilecodec.sync cimport load, pause, replace, store

cdef enum:
    RUN = 64                   # tiles that one system call writes
    PATIENCE = 250             # looks (about 25 ms) before Python may see signals
    CLASSIC = 4                # bytes of an entry of classic TIFF

cdef struct run:               # consecutive finished tasks
    int64_t first
    size_t n
    int64_t offset
    int64_t nbytes
    piece pieces[RUN]


cdef void stop(ledger* l) noexcept nogil:
    store(&l.progress[STOP], 1)


cdef bint _stopped(const ledger* l) noexcept nogil:
    return load(&l.progress[STOP]) != 0


cdef uint8_t* slot_of(const ledger* l, int64_t index) noexcept nogil:
    return l.arena + <size_t>(index % l.n_slots) * l.slot_nbytes


cdef int64_t claim(ledger* l) noexcept nogil:
    cdef int64_t index
    while True:
        index = load(&l.progress[COUNTER])
        if index < 0 or index >= l.n_tasks or _stopped(l):
            return NONE_LEFT
        if l.file.fd >= 0 and index - load(&l.progress[COMMITTED]) >= l.n_slots:
            return FULL
        if replace(&l.progress[COUNTER], index, index + 1):
            return index


cdef int64_t next_task(ledger* l, int* status) noexcept nogil:
    cdef int64_t index, failed
    cdef int look
    for look in range(PATIENCE):
        index = claim(l)
        if index != FULL:
            return index
        failed = commit(l, True, status)
        if failed != NONE_LEFT:
            return failed
        if index - load(&l.progress[COMMITTED]) >= l.n_slots:
            pause(look)
    return COME_BACK


cdef void finish(ledger* l, int64_t index, size_t nbytes) noexcept nogil:
    store(&l.nbytes[index], <int64_t>nbytes)


cdef bint _is_worth_it(const ledger* l, bint rest) noexcept nogil:
    """Whether the next task to be written is finished, and without ``rest`` enough others behind it."""
    cdef int64_t first = load(&l.progress[COMMITTED])
    if first < 0 or first >= l.n_tasks or load(&l.nbytes[first]) == 0:
        return False
    return rest or load(&l.nbytes[min(first + l.worth_writing, l.n_tasks) - 1]) != 0


cdef int64_t commit(ledger* l, bint rest, int* status) noexcept nogil:
    cdef int64_t failed = NONE_LEFT
    cdef int64_t end = 0
    while failed == NONE_LEFT and not _stopped(l) and _is_worth_it(l, rest):
        if not replace(&l.progress[LOCK], 0, 1):
            return NONE_LEFT
        failed = _write_run(l, status, &end)
        if status[0] != OK:
            stop(l)                        # before the next one may try
        store(&l.progress[LOCK], 0)
        if failed == NONE_LEFT:
            send_on(&l.file, end)          # which takes time; others may write meanwhile
    return failed


cdef int64_t _write_run(ledger* l, int* status, int64_t* end) noexcept nogil:
    """Append the finished tasks that come next, and enter in the tables of the file what was written of them."""
    cdef run r
    cdef size_t k
    cdef int error, entry_error
    status[0] = _collect(l, &r)
    if status[0] != OK:
        return r.first
    if r.n == 0:
        return NONE_LEFT
    error = append_pieces(&l.file, r.pieces, r.n, r.nbytes, &r.offset, &r.n)
    if error == EAGAIN:
        return COME_BACK
    entry_error = _enter(l, &r)
    if entry_error:
        error, r.n = entry_error, 0
    for k in range(r.n):
        l.offsets[r.first + <int64_t>k] = r.offset
        r.offset += _size(&r.pieces[k])
    end[0] = r.offset
    store(&l.progress[COMMITTED], r.first + <int64_t>r.n)
    if error:
        store(&l.progress[ERRNO], 0 if error == BEYOND else error)
        status[0] = LIMIT if error == BEYOND else WRITE_FAILED
        return r.first + <int64_t>r.n
    return NONE_LEFT


cdef int64_t _size(const piece* p) noexcept nogil:
    return <int64_t>(p.nbytes * p.n_rows)


cdef int _collect(const ledger* l, run* r) noexcept nogil:
    """The next finished tasks and where their bytes are."""
    cdef int64_t index
    cdef int64_t nbytes
    cdef piece* rows
    r.first = index = load(&l.progress[COMMITTED])
    r.n = 0
    r.nbytes = 0
    while r.n < RUN and <uint64_t>index < <uint64_t>l.n_tasks and not _stopped(l):
        nbytes = load(&l.nbytes[index])
        if nbytes == 0:
            break
        rows = &r.pieces[r.n]
        if l.job.format.compression != NONE or not rows_in_place(l.job, &l.tasks[index], rows):
            if <uint64_t>nbytes > l.slot_nbytes:
                return BAD_TASK
            rows[0] = piece(slot_of(l, index), <size_t>nbytes, 1, 0)
        r.nbytes += _size(rows)
        r.n += 1
        index += 1
    return OK


cdef int _enter(const ledger* l, const run* r) noexcept nogil:
    """Patch the byte counts and then the offsets of a run into the tables of the file."""
    cdef uint64_t values[RUN]
    cdef uint64_t offset = <uint64_t>r.offset
    cdef size_t k
    cdef int error
    for k in range(r.n):
        values[k] = <uint64_t>_size(&r.pieces[k])
    error = _patch(l, l.count_entries + r.first, values, r.n)
    for k in range(r.n):
        values[k] = offset
        offset += <uint64_t>_size(&r.pieces[k])
    return error if error else _patch(l, l.offset_entries + r.first, values, r.n)


cdef int _patch(const ledger* l, const int64_t* positions, const uint64_t* values, size_t n) noexcept nogil:
    """Write entries at their positions; those side by side by one call."""
    cdef uint8_t packed[RUN * 8]
    cdef uint32_t narrow
    cdef size_t first = 0
    cdef size_t k
    cdef int error
    for k in range(n):
        if l.entry_nbytes == CLASSIC:
            narrow = <uint32_t>values[k]
            memcpy(packed + k * CLASSIC, &narrow, CLASSIC)
        else:
            memcpy(packed + k * 8, &values[k], 8)
    for k in range(1, n + 1):
        if k < n and positions[k] == positions[k - 1] + <int64_t>l.entry_nbytes:
            continue
        error = positional_write(
            l.file.fd, packed + first * l.entry_nbytes, (k - first) * l.entry_nbytes, positions[first])
        if error:
            return error
        first = k
    return 0

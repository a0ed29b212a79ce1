"""Batch of tile tasks: gather, convert, pad, predict, compress, append to the file, enter into its tables."""

from cpython.buffer cimport PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from _tilecodec.append cimport _N_END
from _tilecodec.compress cimport (
    compress_bound,
    compress_fn,
    compressor,
    compressor_close,
    compressor_open,
    find_compressor,
)
from _tilecodec.compression cimport NONE
from _tilecodec.gather cimport (
    _LONG_ROW,
    check_gather_format,
    check_gather_task,
    gather_tile,
    rows_in_place,
    tile_in_place,
)
from _tilecodec.job cimport bind_target, job, room
from _tilecodec.ledger cimport (
    COME_BACK,
    NONE_LEFT,
    _N_PROGRESS,
    commit,
    finish,
    ledger,
    next_task,
    slot_of,
    stop,
)
from _tilecodec.ledger cimport COMMITTED as _COMMITTED
from _tilecodec.ledger cimport ERRNO as _ERRNO
from _tilecodec.ledger cimport STOP as _STOP
from _tilecodec.pwrite cimport HAS_SHARED, piece
from _tilecodec.status cimport BAD_TASK, OK, OUT_OF_MEMORY
from _tilecodec.tiletask cimport tile_format, tile_task

N_PROGRESS, COMMITTED, STOP, ERRNO = _N_PROGRESS, _COMMITTED, _STOP, _ERRNO   # places in `progress`

LONG_ROW = _LONG_ROW        # bytes of a row that is written from where it lies in the image, if nothing is done to it

cdef enum:
    WORTH_WRITING = 131072      # bytes that are worth the system calls of a commit


cdef int _encode(
    job* j, compressor* c, compress_fn compress, const ledger* l, int64_t index, size_t* nbytes
) noexcept nogil:
    """One task from the image into its slot, or nowhere if its bytes can be written from where they are."""
    cdef const tile_task* t = &l.tasks[index]
    cdef const uint8_t* tile
    cdef uint8_t* gathered
    cdef piece rows
    cdef size_t tile_nbytes
    cdef int status = check_gather_task(j, t)
    if status != OK:
        return status
    tile_nbytes = nbytes[0] = t.tile_rows * j.row_nbytes
    if c.compression == NONE and l.file.fd >= 0 and rows_in_place(j, t, &rows):
        return OK
    if compress_bound(c.compression, tile_nbytes) > l.slot_nbytes:
        return BAD_TASK
    if c.compression == NONE:
        return gather_tile(j, t, slot_of(l, index))
    tile = tile_in_place(j, t)
    if tile == NULL:
        tile = gathered = room(&j.tile, tile_nbytes)
        status = gather_tile(j, t, gathered) if tile != NULL else OUT_OF_MEMORY
    if status == OK:
        status = compress(c, tile, tile_nbytes, slot_of(l, index), l.slot_nbytes, nbytes)
    return BAD_TASK if status == OK and nbytes[0] == 0 else status


cdef int64_t _work(job* j, compressor* c, ledger* l, int64_t budget, int* status) noexcept nogil:
    """Encode until no task is left, the budget of bytes is spent, or a task fails; commit all that is finished."""
    cdef compress_fn compress = find_compressor(c.compression)
    cdef int64_t index = COME_BACK
    cdef int64_t failed
    cdef size_t nbytes
    while budget > 0:
        index = next_task(l, status)
        if index < 0 or status[0] != OK:
            break
        status[0] = _encode(j, c, compress, l, index, &nbytes)
        if status[0] != OK:
            break
        finish(l, index, nbytes)
        budget -= <int64_t>min(<uint64_t>l.tasks[index].tile_rows * j.row_nbytes, <uint64_t>1 << 40) + 1
        index = commit(l, False, status) if l.file.fd >= 0 else NONE_LEFT
        if index != NONE_LEFT:
            break
        index = COME_BACK
    if status[0] == OK and l.file.fd >= 0:
        failed = commit(l, True, status)
        index = index if failed == NONE_LEFT else failed
    if status[0] != OK:
        stop(l)
    return index


cdef int _bind_tables(
    ledger* l, const int64_t[::1] offset_entries, const int64_t[::1] count_entries, int64_t[::1] end, int entry_nbytes
) except -1:
    """Where in the file to write, if anything is to be written."""
    if offset_entries is None or count_entries is None or end is None:
        raise ValueError("a descriptor needs end and the positions of the entries")
    if offset_entries.shape[0] != l.n_tasks or count_entries.shape[0] != l.n_tasks or end.shape[0] != _N_END:
        raise ValueError("there must be one entry for each task, and end must have 16")
    if entry_nbytes != 4 and entry_nbytes != 8:
        raise ValueError("entries have 4 or 8 bytes")
    if l.file.shared and not HAS_SHARED:
        raise ValueError("this platform has no lock between processes")
    l.file.end = &end[0]
    l.file.limit = <int64_t>0xFFFFFFFF if entry_nbytes == 4 else <int64_t>1 << 62
    l.offset_entries, l.count_entries, l.entry_nbytes = &offset_entries[0], &count_entries[0], entry_nbytes
    return 0


cdef int _bind_ledger(
    ledger* l, const uint8_t[::1] tasks, uint8_t[::1] arena, int64_t n_slots, int64_t[::1] progress,
    int64_t[::1] nbytes, int64_t[::1] offsets
) except -1:
    """The memory that the workers share; there is at least one task."""
    l.n_tasks = tasks.shape[0] // <Py_ssize_t>sizeof(tile_task)
    if tasks.shape[0] != l.n_tasks * <Py_ssize_t>sizeof(tile_task):
        raise ValueError("tasks do not have the size of their struct")
    if nbytes.shape[0] != l.n_tasks or offsets.shape[0] != l.n_tasks or progress.shape[0] != _N_PROGRESS:
        raise ValueError("progress must have 32 entries, nbytes and offsets one for each task")
    if n_slots < 1 or n_slots > arena.shape[0] or (l.file.fd < 0 and l.n_tasks > n_slots):
        raise ValueError("there are too few slots")
    l.tasks = <const tile_task*>&tasks[0]
    l.progress, l.nbytes, l.offsets = &progress[0], &nbytes[0], &offsets[0]
    l.arena, l.n_slots, l.slot_nbytes = &arena[0], n_slots, <size_t>(arena.shape[0] // n_slots)
    l.worth_writing = min(max(<int64_t>(WORTH_WRITING // l.slot_nbytes), <int64_t>1), max(n_slots // 2, <int64_t>1))
    return 0


def encode_tiles(
    const uint8_t[::1] format not None,
    const uint8_t[::1] tasks not None,
    int level,
    src,
    uint8_t[::1] arena not None,
    int64_t n_slots,
    int64_t[::1] progress not None,
    int64_t[::1] nbytes not None,
    int64_t[::1] offsets not None,
    int fd,
    int64_t[::1] end,
    bint shared,
    const int64_t[::1] offset_entries,
    const int64_t[::1] count_entries,
    int entry_nbytes,
    int64_t budget,
):
    """Encode tasks from ``src`` and append them to a file until none is left; call it from several threads at once.

    All arguments but ``budget`` are the same in each thread. The tiles are appended in the order of the tasks.

    Parameters
    ----------
    format : bytes of one ``tile_format``
        ``src_kind`` is that of ``src``, ``dst_kind`` and ``item_size`` that of the file, in native byte order.
    tasks : bytes of an array of ``tile_task``
        The rectangle starts at the first pixel of the tile; what it does not cover becomes zeros.
    level : int
        Of the compression; -1 is bfio's choice.
    src : ndarray of shape (T, C, Z, Y, X), any strides
    arena : writable bytes
        ``n_slots`` encoded tiles; the task i is in slot ``i % n_slots`` until it is written.
    n_slots : int
    progress : int64 array of length ``N_PROGRESS``, zeros at first
        A value other than 0 at ``STOP`` stops all threads: no further tile is begun or written. ``COMMITTED`` tells
        how many tasks are in the file, ``ERRNO`` why a write failed.
    nbytes, offsets : int64 arrays, one entry for each task, zeros at first
        Bytes of the encoded tile, and its place in the file, 0 unless it is there and in the tables.
    fd : int
        File descriptor to write to by position, or -1: nothing is written, all tasks stay in their slots.
    end, shared
        See ``append_bytes``.
    offset_entries, count_entries : int64 arrays, one entry for each task, or None
        Positions in the file of the tile's entries in TileOffsets and TileByteCounts (TIFF 6.0 section 15).
    entry_nbytes : int
        4 in classic TIFF, 8 in BigTIFF.
    budget : int
        Bytes of tiles after which the call comes back, so that signals are seen.

    Returns
    -------
    (status, index)
        Index -1: no task is left. -2: the budget is spent, call again. Else this task failed with the status, and
        all threads stop.
    """
    cdef job j
    cdef ledger l
    cdef compressor c
    cdef Py_buffer view
    cdef int status = OK
    cdef int64_t index = NONE_LEFT
    cdef int compression
    if format.shape[0] != sizeof(tile_format):
        raise ValueError("format does not have the size of its struct")
    if tasks.shape[0] == 0:
        return OK, NONE_LEFT
    memset(&j, 0, sizeof(j))
    memset(&l, 0, sizeof(l))
    j.format = <const tile_format*>&format[0]
    j.pixel_nbytes = <size_t>j.format.samples * j.format.item_size
    j.row_nbytes = j.format.cols * j.pixel_nbytes
    j.plain_copy = j.format.src_kind == j.format.dst_kind and not j.format.rescale
    l.job, l.file.fd, l.file.shared = &j, fd, shared
    _bind_ledger(&l, tasks, arena, n_slots, progress, nbytes, offsets)
    if fd >= 0:
        _bind_tables(&l, offset_entries, count_entries, end, entry_nbytes)
    compression = j.format.compression
    PyObject_GetBuffer(src, &view, PyBUF_STRIDES)
    try:
        bind_target(&j.out, &view)
        with nogil:
            status = check_gather_format(j.format, j.out.item_size)
            if status == OK:
                status = compressor_open(&c, compression, level)
                c.row_nbytes = j.row_nbytes
                if status == OK:
                    index = _work(&j, &c, &l, budget, &status)
                else:
                    index = 0
                compressor_close(&c)
            else:
                index = 0
            if status != OK:
                stop(&l)
            free(j.tile.data)
            free(j.row.data)
    finally:
        PyBuffer_Release(&view)
    return status, index

"""Walk IFD chains into packed records (TIFF 6.0, section 2; BigTIFF)."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from _tilecodec.fieldtype cimport is_integer, item_nbytes, load
from _tilecodec.status cimport BAD_TASK, CORRUPT, LIMIT, LOOP, OK, PAST_END, TRUNCATED, status
from _tilecodec.window cimport byte_source, close_source, find_piece, in_window, locate, open_source, peek

RECORD_NBYTES = sizeof(ifd_record)

cdef enum:
    BLOCK_NBYTES = 4096
    MOST_ENTRIES = 4096           # more than this is no IFD; libtiff and tifffile draw the same line
    MOST_VALUES = 268435456       # array values examined in one call; bounds what a hostile file costs

# Tags that a record is made of. A slot is the place of a tag among the references of one IFD.
cdef enum:
    WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, DESCRIPTION, STRIP_OFFSETS, SAMPLES
    ROWS_PER_STRIP, STRIP_BYTE_COUNTS, PLANAR, PREDICTOR, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS
    TILE_BYTE_COUNTS, SUB_IFDS, SAMPLE_FORMAT, JPEG_TABLES, SUBSAMPLING, IMAGE_DEPTH
    TILE_DEPTH, SUBFILE_TYPE, N_SLOTS

cdef struct ifd_reader:
    byte_source source
    bint swap
    size_t head_nbytes      # of the number of entries
    size_t entry_nbytes
    size_t inline_nbytes    # a value of this size or less stands in the entry; an offset has this size, too
    uint64_t values_left
    status failed           # of the IFD in work: set once, then nothing more is read
    uint32_t flags          # of the IFD in work


cdef inline int slot_of(uint16_t tag) noexcept nogil:
    """Slot of a tag, or -1 for one that a record does not hold."""
    if tag == 254:
        return SUBFILE_TYPE
    if tag == 256:
        return WIDTH
    if tag == 257:
        return LENGTH
    if tag == 258:
        return BITS
    if tag == 259:
        return COMPRESSION
    if tag == 262:
        return PHOTOMETRIC
    if tag == 266:
        return FILL_ORDER
    if tag == 270:
        return DESCRIPTION
    if tag == 273:
        return STRIP_OFFSETS
    if tag == 277:
        return SAMPLES
    if tag == 278:
        return ROWS_PER_STRIP
    if tag == 279:
        return STRIP_BYTE_COUNTS
    if tag == 284:
        return PLANAR
    if tag == 317:
        return PREDICTOR
    if tag == 322:
        return TILE_WIDTH
    if tag == 323:
        return TILE_LENGTH
    if tag == 324:
        return TILE_OFFSETS
    if tag == 325:
        return TILE_BYTE_COUNTS
    if tag == 330:
        return SUB_IFDS
    if tag == 339:
        return SAMPLE_FORMAT
    if tag == 347:
        return JPEG_TABLES
    if tag == 530:
        return SUBSAMPLING
    if tag == 32997:
        return IMAGE_DEPTH
    if tag == 32998:
        return TILE_DEPTH
    return -1


cdef bint usable(ifd_reader* reader, const value_ref* ref) noexcept nogil:
    """Whether a tag holds integers; one that does not is as good as missing."""
    if ref.field_type != 0 and not is_integer(ref.field_type):
        reader.flags |= STRANGE_TYPE
        return False
    return ref.field_type != 0 and ref.count != 0


cdef bint in_file(ifd_reader* reader, const value_ref* ref, uint64_t count) noexcept nogil:
    """Whether the first values of an integer tag lie in the file, behind its header."""
    cdef uint64_t nbytes = count * item_nbytes(ref.field_type)
    cdef uint64_t size = reader.source.file_nbytes
    if ref.position >= 8 and ref.position <= size and nbytes <= size - ref.position:
        return True
    reader.flags |= BAD_VALUE
    return False


cdef uint64_t number(
    ifd_reader* reader, const value_ref* ref, uint64_t index, uint64_t default,
    uint64_t most,
) noexcept nogil:
    """One integer: the default if missing, 0 if behind the end, `most` if larger. Sets reader.failed."""
    cdef size_t nbytes = item_nbytes(ref.field_type)
    cdef uint8_t[8] block
    cdef uint64_t value
    if reader.failed != OK or not usable(reader, ref) or index >= ref.count:
        return default
    if not in_file(reader, ref, index + 1):
        return 0
    reader.failed = peek(&reader.source, ref.position + index * nbytes, nbytes, block)
    if reader.failed != OK:
        return 0
    value = load(block, nbytes, reader.swap)
    if value > most:
        reader.flags |= OUT_OF_RANGE
        return most
    return value


cdef bint differs(
    ifd_reader* reader, const value_ref* ref, uint64_t n_samples,
) noexcept nogil:
    """Whether the samples have different values. Sets BAD_VALUE, reader.failed."""
    cdef uint8_t[BLOCK_NBYTES] block
    cdef uint64_t nbytes = item_nbytes(ref.field_type)
    cdef uint64_t n, k, first = 0, done = 0, count = min(ref.count, n_samples)
    if reader.failed != OK or not usable(reader, ref) or count < 2 or not in_file(reader, ref, count):
        return False
    if reader.values_left < count:
        reader.failed = LIMIT
        return False
    reader.values_left -= count
    if reader.source.fd < 0 and not in_window(&reader.source, ref.position, count * nbytes):
        # All of it at once: asked for block by block, each were a round trip of the caller.
        reader.failed = find_piece(&reader.source, ref.position, count * nbytes)
    while done < count and reader.failed == OK:
        n = min(count - done, <uint64_t> BLOCK_NBYTES // nbytes)
        reader.failed = peek(&reader.source, ref.position + done * nbytes, <size_t> (n * nbytes), block)
        if reader.failed != OK:
            return False
        if done == 0:
            first = load(block, <size_t> nbytes, reader.swap)
        for k in range(n):
            if load(block + k * nbytes, <size_t> nbytes, reader.swap) != first:
                return True
        done += n
    return False


cdef void sort_entries(
    ifd_reader* reader, const uint8_t* entries, size_t n_entries, uint64_t position,
    value_ref* refs,
) noexcept nogil:
    """Put a reference to each known tag into its slot; the first of two counts, as in libtiff."""
    cdef const uint8_t* at
    cdef value_ref* ref
    cdef uint16_t tag, last = 0
    cdef uint32_t seen = 0
    cdef size_t k, nbytes
    cdef int place
    for k in range(n_entries):
        at = entries + k * reader.entry_nbytes
        tag = <uint16_t> load(at, 2, reader.swap)
        if tag < last:
            reader.flags |= UNSORTED
        last = tag
        place = slot_of(tag)
        if place < 0:
            continue
        if seen & (<uint32_t> 1 << place):
            reader.flags |= DUPLICATE
            continue
        seen |= <uint32_t> 1 << place
        ref = &refs[place]
        ref.field_type = <uint16_t> load(at + 2, 2, reader.swap)
        ref.count = load(at + 4, reader.inline_nbytes, reader.swap)
        ref.position = position + k * reader.entry_nbytes + 4 + reader.inline_nbytes
        nbytes = item_nbytes(ref.field_type)
        if nbytes == 0:
            reader.flags |= STRANGE_TYPE
        elif ref.count > reader.inline_nbytes // nbytes:
            ref.position = load(at + 4 + reader.inline_nbytes, reader.inline_nbytes, reader.swap)


cdef void fill_numbers(
    ifd_reader* reader, const value_ref* refs, ifd_record* record,
) noexcept nogil:
    """Read the structural values of one IFD; where TIFF 6.0 gives no default, 0 (65535: no photometric)."""
    cdef uint64_t most16 = 0xFFFF, most32 = 0xFFFFFFFFU, most64 = ~<uint64_t> 0
    record.width = number(reader, &refs[WIDTH], 0, 0, most64)
    record.length = number(reader, &refs[LENGTH], 0, 0, most64)
    record.tile_width = <uint32_t> number(reader, &refs[TILE_WIDTH], 0, 0, most32)
    record.tile_length = <uint32_t> number(reader, &refs[TILE_LENGTH], 0, 0, most32)
    record.rows_per_strip = <uint32_t> number(reader, &refs[ROWS_PER_STRIP], 0, most32, most32)
    record.image_depth = <uint32_t> number(reader, &refs[IMAGE_DEPTH], 0, 1, most32)
    record.tile_depth = <uint32_t> number(reader, &refs[TILE_DEPTH], 0, 1, most32)
    record.new_subfile_type = <uint32_t> number(reader, &refs[SUBFILE_TYPE], 0, 0, most32)
    record.bits_per_sample = <uint16_t> number(reader, &refs[BITS], 0, 1, most16)
    record.samples_per_pixel = <uint16_t> number(reader, &refs[SAMPLES], 0, 1, most16)
    record.sample_format = <uint16_t> number(reader, &refs[SAMPLE_FORMAT], 0, 1, most16)
    record.compression = <uint16_t> number(reader, &refs[COMPRESSION], 0, 1, most16)
    record.photometric = <uint16_t> number(reader, &refs[PHOTOMETRIC], 0, most16, most16)
    record.planar_configuration = <uint16_t> number(reader, &refs[PLANAR], 0, 1, most16)
    record.predictor = <uint16_t> number(reader, &refs[PREDICTOR], 0, 1, most16)
    record.fill_order = <uint16_t> number(reader, &refs[FILL_ORDER], 0, 1, most16)
    record.subsampling_h = <uint16_t> number(reader, &refs[SUBSAMPLING], 0, 2, most16)
    record.subsampling_v = <uint16_t> number(reader, &refs[SUBSAMPLING], 1, 2, most16)
    if differs(reader, &refs[BITS], record.samples_per_pixel):
        reader.flags |= MIXED_BITS
    if differs(reader, &refs[SAMPLE_FORMAT], record.samples_per_pixel):
        reader.flags |= MIXED_FORMATS


cdef void fill_references(ifd_reader* reader, const value_ref* refs, ifd_record* record) noexcept nogil:
    """Note where the arrays stand. Tiles are told by their size, as in libtiff; offsets may be in 273."""
    cdef bint tiles = refs[TILE_OFFSETS].field_type != 0
    cdef bint strips = refs[STRIP_OFFSETS].field_type != 0
    cdef bint tile_counts = refs[TILE_BYTE_COUNTS].field_type != 0
    cdef bint strip_counts = refs[STRIP_BYTE_COUNTS].field_type != 0
    record.tiled = refs[TILE_WIDTH].field_type != 0 or refs[TILE_LENGTH].field_type != 0
    if tiles and strips:
        reader.flags |= TILES_AND_STRIPS
    if tiles and (record.tiled or not strips):
        record.offsets = refs[TILE_OFFSETS]
    else:
        record.offsets = refs[STRIP_OFFSETS]
    if tile_counts and (record.tiled or not strip_counts):
        record.byte_counts = refs[TILE_BYTE_COUNTS]
    else:
        record.byte_counts = refs[STRIP_BYTE_COUNTS]
    record.n_offsets = record.offsets.count if usable(reader, &record.offsets) else 0
    usable(reader, &record.byte_counts)
    usable(reader, &refs[SUB_IFDS])
    record.sub_ifds = refs[SUB_IFDS]
    record.jpeg_tables = refs[JPEG_TABLES]
    record.image_description = refs[DESCRIPTION]


cdef status read_ifd(
    ifd_reader* reader, uint64_t offset, ifd_record* record, bint* last,
) noexcept nogil:
    """Fill one record. `last`: the file ends before the offset of the next IFD, but the record is good."""
    cdef value_ref[N_SLOTS] refs
    cdef const uint8_t* at = NULL
    cdef uint64_t n_entries, nbytes
    cdef status state
    last[0] = False
    if offset < 8:
        return CORRUPT
    if offset >= reader.source.file_nbytes:
        return PAST_END
    state = locate(&reader.source, offset, reader.head_nbytes, &at)
    if state != OK:
        return state
    n_entries = load(at, reader.head_nbytes, reader.swap)
    if n_entries == 0 or n_entries > MOST_ENTRIES:
        return CORRUPT
    nbytes = reader.head_nbytes + n_entries * reader.entry_nbytes
    state = locate(&reader.source, offset, nbytes + reader.inline_nbytes, &at)
    if state == TRUNCATED:
        last[0] = True
        state = locate(&reader.source, offset, nbytes, &at)
    if state != OK:
        return state
    memset(record, 0, sizeof(ifd_record))
    memset(refs, 0, sizeof(refs))
    record.offset, record.n_entries = offset, <uint32_t> n_entries
    if not last[0]:
        record.next_offset = load(at + nbytes, reader.inline_nbytes, reader.swap)
    reader.failed, reader.flags = OK, 0
    sort_entries(reader, at + reader.head_nbytes, <size_t> n_entries, offset + reader.head_nbytes, refs)
    fill_numbers(reader, refs, record)
    fill_references(reader, refs, record)
    record.flags = reader.flags
    return reader.failed


cdef status walk_chain(
    ifd_reader* reader, ifd_record* records, size_t n_records, uint64_t* next_offset,
    size_t* n_done,
) noexcept nogil:
    """Follow a chain; Brent's algorithm finds a loop after at most three times as many IFDs as there are."""
    cdef uint64_t tortoise = next_offset[0], power = 1, steps = 0
    cdef bint last = False
    cdef status state
    cdef size_t n
    for n in range(n_records):
        if next_offset[0] == 0:
            return OK
        state = read_ifd(reader, next_offset[0], &records[n], &last)
        if state != OK:
            return state
        n_done[0] = n + 1
        next_offset[0] = records[n].next_offset
        if last:
            return TRUNCATED
        if next_offset[0] == tortoise:
            return LOOP
        steps += 1
        if steps == power:
            tortoise, power, steps = next_offset[0], power * 2, 0
    return OK


cdef status read_each(
    ifd_reader* reader, const uint64_t* offsets, ifd_record* records, size_t n_records,
    size_t* n_done,
) noexcept nogil:
    """Read the IFDs at the given offsets, whatever follows them."""
    cdef bint last = False
    cdef status state
    cdef size_t n
    for n in range(n_records):
        state = read_ifd(reader, offsets[n], &records[n], &last)
        if state != OK:
            return state
        n_done[0] = n + 1
    return OK


cdef status open_reader(
    ifd_reader* reader, int fd, const uint8_t[::1] data, const uint64_t[:, ::1] pieces, uint64_t file_nbytes,
    bint bigtiff, bint swap,
) noexcept:
    """Set up what a walk reads from; to be closed whatever this returns."""
    cdef const uint8_t* bytes_at = &data[0] if data is not None and data.shape[0] else NULL
    cdef const uint64_t* rows = NULL
    cdef size_t data_nbytes = <size_t> data.shape[0] if data is not None else 0
    cdef size_t n_pieces = 0
    if pieces is not None and pieces.shape[0] and pieces.shape[1] == 2 and bytes_at != NULL:
        rows, n_pieces = &pieces[0, 0], <size_t> pieces.shape[0]
    reader.swap, reader.values_left, reader.failed, reader.flags = swap, MOST_VALUES, OK, 0
    reader.head_nbytes, reader.entry_nbytes, reader.inline_nbytes = 2, 12, 4
    if bigtiff:
        reader.head_nbytes, reader.entry_nbytes, reader.inline_nbytes = 8, 20, 8
    return open_source(&reader.source, fd, bytes_at, data_nbytes, rows, n_pieces, file_nbytes)


def walk(
    int fd, const uint8_t[::1] data, const uint64_t[:, ::1] pieces, uint64_t file_nbytes,
    uint64_t first_offset, bint bigtiff, bint swap, uint8_t[::1] records not None,
):
    """Fill records with the IFDs of a chain (TIFF 6.0, section 2).

    Parameters
    ----------
    fd : int
        Descriptor to read from with pread; negative: use `data`.
    data, pieces : uint8 (bytes,) and uint64 (n, 2), or None
        Parts of the file, one behind the other, and the file position and size of each.
    file_nbytes, first_offset : int
        Size of the file; where the chain, or the rest of it, starts.
    bigtiff, swap : bool
        BigTIFF; the byte order of the file is not that of this machine.
    records : uint8 (n * RECORD_NBYTES,)
        Output, n times `ifd_record`. The walk ends when it is full; go on with the returned offset of the
        next IFD, which is 0 at the end.

    Returns
    -------
    tuple of int
        Records filled, status, offset of the first IFD not read, and with NEED_MORE the position and
        number of the bytes that `data` lacks.
    """
    cdef ifd_reader reader
    cdef uint64_t next_offset = first_offset
    cdef size_t n_done = 0, n_records = <size_t> records.shape[0] // sizeof(ifd_record)
    cdef status state = open_reader(&reader, fd, data, pieces, file_nbytes, bigtiff, swap)
    if state == OK and n_records:
        with nogil:
            state = walk_chain(&reader, <ifd_record*> &records[0], n_records, &next_offset, &n_done)
    close_source(&reader.source)
    return n_done, <int> state, next_offset, reader.source.wanted_position, reader.source.wanted_nbytes


def read_ifds(
    int fd, const uint8_t[::1] data, const uint64_t[:, ::1] pieces, uint64_t file_nbytes,
    const uint64_t[::1] offsets not None, bint bigtiff, bint swap, uint8_t[::1] records not None,
):
    """Fill records with the IFDs at `offsets` (SubIFDs, say); for the other parameters see `walk`.

    Returns
    -------
    tuple of int
        Records filled, status, and with NEED_MORE the position and number of the bytes that `data` lacks.
    """
    cdef ifd_reader reader
    cdef size_t n_done = 0, n_records = <size_t> records.shape[0] // sizeof(ifd_record)
    cdef status state = open_reader(&reader, fd, data, pieces, file_nbytes, bigtiff, swap)
    if <size_t> offsets.shape[0] != n_records:
        state = BAD_TASK
    if state == OK and n_records:
        with nogil:
            state = read_each(&reader, &offsets[0], <ifd_record*> &records[0], n_records, &n_done)
    close_source(&reader.source)
    return n_done, <int> state, reader.source.wanted_position, reader.source.wanted_nbytes

# The one list of kernel statuses. bfio/_kernels.py turns them into exceptions; keep both in step.

cdef enum status:
    OK = 0
    TRUNCATED = 1          # the encoded bytes end before the tile is complete
    CORRUPT = 2            # the encoded bytes are not a valid stream (bad code, checksum, header)
    TOO_LONG = 3           # the stream holds more than the tile
    TOO_SHORT = 4          # the stream ended cleanly, but holds less than the tile
    READ_FAILED = 5        # pread reported an error
    OUT_OF_MEMORY = 6
    BAD_TASK = 7           # a task does not fit its tile, its source or the output: a bug of the caller
    NO_CODEC = 8           # this build has no decoder for the compression
    LOOP = 9               # an IFD chain comes back to itself
    PAST_END = 10          # an offset points behind the end of the file
    BAD_HEADER = 11        # not a TIFF header
    LIMIT = 12             # a limit was reached
    NEED_MORE = 13         # bytes outside the window that was handed in are needed
    WRITE_FAILED = 14      # a write, or a lock for it, reported an errno

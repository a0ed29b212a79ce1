# What a kernel is asked to do, as data. numpy record arrays (bfio/plan.py: FORMAT, TASK) bind to these structs.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef packed struct tile_format:      # how: the same for all tasks of a call
    uint32_t cols                    # width of an encoded tile, in pixels
    uint32_t samples                 # interleaved samples per pixel in the tile
    uint32_t first_sample            # samples to copy: first, and how many
    uint32_t n_samples
    uint32_t y_step                  # every y_step-th row and x_step-th pixel is copied
    uint32_t x_step
    uint16_t compression
    uint16_t predictor
    uint8_t item_size                # bytes of one sample: 1, 2, 4, 8 or 16
    uint8_t swap_size                # bytes to reverse per number (0 or 1: already native)
    uint8_t src_kind                 # convert.kind of the file and of the output;
    uint8_t dst_kind                 # equal (and rescale 0): bytes are copied
    uint8_t rescale                  # 1: value * scale + offset before the conversion
    double scale
    double offset
    uint8_t fill[16]                 # one item for sparse tiles, native byte order

cdef packed struct tile_task:        # where: one tile cut with one rectangle
    uint64_t offset                  # encoded bytes in the file, or in the bytes handed in
    uint64_t nbytes                  # 0: sparse, the rectangle is filled
    int64_t slot                     # place of the decoded tile in the cache; -1: not cached
    int64_t plane_dst                # byte offset in the output of the plane's first item
    uint64_t tile                    # index of the tile in its IFD, and of the plane in the plan:
    uint32_t plane                   # not for the kernels, but for whoever explains a failure
    uint32_t tile_rows               # rows that are encoded in this tile
    uint32_t y0                      # rectangle in the tile: first row and pixel ...
    uint32_t x0
    uint32_t rows                    # ... how many are copied (after stepping; 0 rows: only into the slot) ...
    uint32_t n_cols
    uint32_t y_dst                   # ... and the rectangle's place in the plane of the output
    uint32_t x_dst
    uint32_t ready                   # 1: the slot already holds the decoded tile
    uint32_t decoded_rows            # of the tile, from its first on, that somebody looks at; 0: all

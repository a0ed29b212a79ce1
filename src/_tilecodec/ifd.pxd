# One record per IFD. bfio/tiff/ifd.py holds the numpy dtype of the same layout; the door compares both.

from libc.stdint cimport uint16_t, uint32_t, uint64_t

# Where the value of a tag stands: in the IFD entry itself if it fits there. Field type 0: no such tag.
cdef packed struct value_ref:
    uint64_t position
    uint64_t count
    uint16_t field_type

cdef packed struct ifd_record:
    # Structure: two planes have the same layout iff these bytes are equal.
    uint64_t width
    uint64_t length
    uint64_t n_offsets
    uint32_t tile_width
    uint32_t tile_length
    uint32_t rows_per_strip
    uint32_t image_depth
    uint32_t tile_depth
    uint32_t new_subfile_type
    uint32_t flags
    uint16_t bits_per_sample
    uint16_t samples_per_pixel
    uint16_t sample_format
    uint16_t compression
    uint16_t photometric
    uint16_t planar_configuration
    uint16_t predictor
    uint16_t fill_order
    uint16_t subsampling_h
    uint16_t subsampling_v
    uint16_t tiled
    # Position: different in every IFD.
    uint64_t offset
    uint64_t next_offset
    uint32_t n_entries
    value_ref offsets
    value_ref byte_counts
    value_ref sub_ifds
    value_ref jpeg_tables
    value_ref image_description

cdef enum ifd_flag:
    MIXED_BITS = 1           # BitsPerSample differs between the samples
    MIXED_FORMATS = 2        # SampleFormat differs between the samples
    STRANGE_TYPE = 4         # a tag that must be an integer has another field type, and was ignored
    UNSORTED = 8             # the tags do not ascend
    DUPLICATE = 16           # a tag stands twice; the first one counts
    TILES_AND_STRIPS = 32    # TileOffsets and StripOffsets
    BAD_VALUE = 64           # a value lies behind the end of the file; the field is 0
    OUT_OF_RANGE = 128       # a value is larger than its field, which holds the largest number instead

# Values of the Compression tag that the kernels know: TIFF 6.0, section 8, and registered extensions.

cdef enum compression_tag:
    NONE = 1
    LZW = 5
    ADOBE_DEFLATE = 8
    PACKBITS = 32773
    DEFLATE = 32946
    ZSTD_OLD = 34926      # used before 50000 was registered
    ZSTD = 50000

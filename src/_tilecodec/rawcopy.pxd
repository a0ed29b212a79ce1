# Uncompressed tiles, read straight into the output where they lie alike.

from _tilecodec.job cimport job
from _tilecodec.tiletask cimport tile_task


cdef int copy_raw(job* j, const tile_task* t) noexcept nogil

"""One numpy record per IFD; the same layout as ``ifd_record`` in ``src/_tilecodec/ifd.pxd``."""

from __future__ import annotations

from enum import IntFlag

import numpy as np

__all__ = ["RECORD", "STRUCTURE_NBYTES", "VALUE_REF", "IfdFlag", "structure"]


class IfdFlag(IntFlag):
    """What is odd about an IFD; the field ``flags`` of a record."""

    MIXED_BITS = 1
    """BitsPerSample differs between the samples; the record holds the first."""
    MIXED_FORMATS = 2
    """SampleFormat differs between the samples; the record holds the first."""
    STRANGE_TYPE = 4
    """A tag that must be an integer has another field type, and was ignored."""
    UNSORTED = 8
    DUPLICATE = 16
    """A tag stands twice; the first one counts."""
    TILES_AND_STRIPS = 32
    BAD_VALUE = 64
    """A value lies behind the end of the file; the field is 0."""
    OUT_OF_RANGE = 128
    """A value is larger than its field, which holds the largest number instead."""


# Where the value of a tag stands: in the IFD entry itself if it fits there. Field type 0: no such tag.
VALUE_REF = np.dtype([("position", "u8"), ("count", "u8"), ("field_type", "u2")], align=False)

_STRUCTURE = [
    ("width", "u8"),
    ("length", "u8"),
    ("n_offsets", "u8"),
    ("tile_width", "u4"),
    ("tile_length", "u4"),
    ("rows_per_strip", "u4"),
    ("image_depth", "u4"),
    ("tile_depth", "u4"),
    ("new_subfile_type", "u4"),
    ("flags", "u4"),
    ("bits_per_sample", "u2"),
    ("samples_per_pixel", "u2"),
    ("sample_format", "u2"),
    ("compression", "u2"),
    ("photometric", "u2"),
    ("planar_configuration", "u2"),
    ("predictor", "u2"),
    ("fill_order", "u2"),
    ("subsampling_h", "u2"),
    ("subsampling_v", "u2"),
    ("tiled", "u2"),
]
_POSITIONS = [
    ("offset", "u8"),
    ("next_offset", "u8"),
    ("n_entries", "u4"),
    ("offsets", VALUE_REF),
    ("byte_counts", VALUE_REF),
    ("sub_ifds", VALUE_REF),
    ("jpeg_tables", VALUE_REF),
    ("image_description", VALUE_REF),
]

RECORD = np.dtype(_STRUCTURE + _POSITIONS, align=False)
STRUCTURE_NBYTES = np.dtype(_STRUCTURE, align=False).itemsize


def structure(records: np.ndarray) -> np.ndarray:
    """View the structural part of records as one opaque item each.

    Two IFDs have the same layout iff their items are equal: compare them, or give them to `numpy.unique`.
    """
    view = np.ascontiguousarray(records).view(f"V{RECORD.itemsize}")
    layout = {"names": ["structure"], "formats": [f"V{STRUCTURE_NBYTES}"], "itemsize": RECORD.itemsize}
    opaque = np.dtype(layout)  # type: ignore[call-overload]
    parts: np.ndarray = view.view(opaque)["structure"]
    return parts

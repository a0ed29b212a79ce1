"""What must hold before tifffile parses a chain of IFDs: some broken ones would keep it busy for hours."""

from __future__ import annotations

import numpy as np

from bfio.errors import FormatError, LimitError
from bfio.tiff.file import OpenTiff
from bfio.tiff.ifd import structure

__all__ = ["check_chain"]

FEW_CHILDREN = 64
"""So few SubIFDs are never a burden, wherever they are."""
MOST_KINDS = 512
"""tifffile compares images of different kinds pair by pair."""
ENTRY_NBYTES = 12


def check_chain(file: OpenTiff) -> None:
    """Refuse SubIFDs that overlap, and very many kinds of images.

    Raises
    ------
    FormatError, LimitError
    """
    records = file.chain.all()
    n_kinds = len(np.unique(structure(records))) if len(records) > MOST_KINDS else 0
    if n_kinds > MOST_KINDS:
        raise LimitError(f"{file.path}: {n_kinds} kinds of images in one file, more than {MOST_KINDS}")
    n_children = int(np.minimum(records["sub_ifds"]["count"], np.uint64(1 << 32)).sum())
    if n_children > FEW_CHILDREN:
        _check_children(file, records, n_children)


def _check_children(file: OpenTiff, records: np.ndarray, n_children: int) -> None:
    """IFDs that do not overlap have fewer bytes together than the file."""
    size = file.source.size
    if n_children * 4 > size:
        raise FormatError(f"{file.path}: {n_children} SubIFDs are named in a file of {size} bytes")
    with_children = records[records["sub_ifds"]["count"] > 0]
    offsets = np.concatenate([file.chain.sub_ifds(record) for record in with_children])
    n_entries = int(records["n_entries"].sum())
    while len(offsets):
        found = file.chain.try_at(offsets)
        n_entries += int(found["n_entries"].sum())
        offsets = offsets[len(found) + 1 :]  # there is no IFD at the one after
        if n_entries * ENTRY_NBYTES > size:
            raise FormatError(f"{file.path}: SubIFDs are named several times, or overlap")

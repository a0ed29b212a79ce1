"""Whether a TIFF file is whole, for other readers of it: some give zeros for what is not there, or follow loops."""

from __future__ import annotations

import numpy as np

from bfio.byteio import Source
from bfio.errors import BfioError, FormatError, LimitError
from bfio.limits import Limits
from bfio.tiff import header as tiff_header
from bfio.tiff.ifd import IfdChain

__all__ = ["check_complete"]

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_CLASSIC_NBYTES = 1 << 32
"""Classic files beyond this size have offsets that are meant modulo 4 GiB (Hamamatsu's), and are not checked."""


def check_complete(source: Source, limits: Limits) -> None:
    """Refuse a TIFF file whose IFDs form a loop, or that ends before they or its tiles do; other formats pass.

    Only what is surely wrong is refused: tables that can not be understood are left to whoever reads the file.

    Raises
    ------
    FormatError
        The file was cut off, or its chain of IFDs comes back to itself.
    """
    head = source.pread(0, tiff_header.HEADER_NBYTES)
    if bytes(head[:4]) not in _MAGIC:
        return
    header = tiff_header.parse(head, source.size)
    if limits.allow_truncated or (source.size >= _CLASSIC_NBYTES and not header.bigtiff):
        return
    chain = IfdChain(source, header, limits)
    records = chain.all()
    chain.check()
    for index, record in enumerate(records):
        for part in (record, *_sub_records(chain, record)):
            end = _end_of_tiles(chain, part)
            if end > source.size:
                raise FormatError(
                    f"{source.path}: the file was cut off: plane {index} reaches to byte {end:,} of {source.size:,}"
                )


def _sub_records(chain: IfdChain, record: np.void) -> np.ndarray | tuple[()]:
    try:
        return chain.try_at(chain.sub_ifds(record))
    except BfioError:
        return ()


def _end_of_tiles(chain: IfdChain, record: np.void) -> int:
    """Position behind the last tile or strip; 0 where the tables do not tell."""
    try:
        offsets, byte_counts = chain.segment_table(record)
    except (FormatError, LimitError):
        return 0
    if byte_counts is None or len(byte_counts) != len(offsets) or not len(offsets):
        return 0
    last = int(np.argmax(offsets))
    return int(offsets[last]) + int(byte_counts[last]) if byte_counts[last] else 0

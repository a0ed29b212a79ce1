"""The first bytes of a TIFF file: byte order, classic or BigTIFF, and where the IFDs begin."""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from typing import Literal

from bfio.errors import FormatError, UnsupportedError

__all__ = ["HEADER_NBYTES", "UNFINISHED", "Header", "parse"]

HEADER_NBYTES = 16
UNFINISHED = b"bfioPART"
"""What follows the header in a file that bfio is writing, or did not finish."""

CLASSIC, BIG = 42, 43

# TIFF-like files that tifffile opens, at least in part.
RELATIVES = {
    0x4352: "a DNG camera profile",
    0x4E31: "a NIFF file",
    0x0055: "a Panasonic raw file",
    0x4F52: "an Olympus raw file",
    0x5352: "an Olympus raw file",
}


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a TIFF file says.

    Attributes
    ----------
    byte_order : '<' or '>'
    bigtiff : bool
    first_ifd_offset : int
    """

    byte_order: Literal["<", ">"]
    bigtiff: bool
    first_ifd_offset: int

    @property
    def swap(self) -> bool:
        """Whether the byte order of the file is not that of this machine."""
        return (self.byte_order == "<") != (sys.byteorder == "little")


def parse(head: bytes, file_nbytes: int) -> Header:
    """Read the header of a TIFF file (TIFF 6.0, section 2; BigTIFF).

    Parameters
    ----------
    head : bytes
        The first 16 bytes, or all of a shorter file.
    file_nbytes : int
        Size of the file.

    Raises
    ------
    FormatError
        It is not a TIFF file, or one without IFDs.
    UnsupportedError
        It is a relative of TIFF, which tifffile may know.
    """
    if not head:
        raise FormatError("not a TIFF file: it is empty")
    byte_order = _byte_order(head)
    version = _number(head, 2, byte_order + "H")
    if version in RELATIVES:
        raise UnsupportedError(f"not a plain TIFF file, but {RELATIVES[version]} (version 0x{version:04X})")
    if version == CLASSIC:
        offset = _number(head, 4, byte_order + "I")
    elif version == BIG:
        size, zero = _number(head, 4, byte_order + "H"), _number(head, 6, byte_order + "H")
        if (size, zero) != (8, 0):
            raise FormatError(f"not a BigTIFF file: offsets of {size} bytes, reserved word {zero}")
        offset = _number(head, 8, byte_order + "Q")
    else:
        raise FormatError(f"not a TIFF file: version {version} instead of 42 or 43")
    if offset < 8 or offset >= file_nbytes:
        raise FormatError(f"the first IFD is said to be at {offset} of {file_nbytes} bytes")
    return Header(byte_order, version == BIG, offset)


def _byte_order(head: bytes) -> Literal["<", ">"]:
    mark = head[:2]
    if mark in (b"II", b"EP"):
        return "<"
    if mark == b"MM":
        return ">"
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        raise FormatError(f"not a TIFF file: it is text that starts with {head.decode('ascii')!r}")
    raise FormatError(f"not a TIFF file: it starts with the bytes {head[:4].hex(' ')}")


def _number(head: bytes, position: int, form: str) -> int:
    stop = position + struct.calcsize(form)
    if len(head) < stop:
        raise FormatError(f"not a TIFF file: it ends after {len(head)} bytes, in the header")
    (value,) = struct.unpack(form, head[position:stop])
    return int(value)

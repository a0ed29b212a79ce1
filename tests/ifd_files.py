"""Hand-made TIFF structures, and readers of them that share no code with bfio."""

import io
import struct

from bfio.byteio import ObjectSource, Source

# field type -> struct code
CODES = {
    1: "B",
    2: "s",
    3: "H",
    4: "I",
    6: "b",
    7: "s",
    8: "h",
    9: "i",
    11: "f",
    12: "d",
    13: "I",
    16: "Q",
    17: "q",
    18: "Q",
}


def memory_source(data: bytes) -> Source:
    """A source without a descriptor, so that the kernels are handed windows."""
    return ObjectSource(io.BytesIO(data))


class TiffMaker:
    """Build TIFF structures byte by byte: ``ifd(...)`` appends an IFD and chains it to the last one."""

    def __init__(self, byte_order="<", bigtiff=False):
        self.byte_order, self.bigtiff = byte_order, bigtiff
        self.offset_code, self.inline_nbytes = ("Q", 8) if bigtiff else ("I", 4)
        mark = b"II" if byte_order == "<" else b"MM"
        if bigtiff:
            self.data = bytearray(mark + struct.pack(byte_order + "HHHQ", 43, 8, 0, 0))
        else:
            self.data = bytearray(mark + struct.pack(byte_order + "HI", 42, 0))
        self.link = len(self.data) - self.inline_nbytes

    def put(self, data):
        """Append bytes; returns their position."""
        self.data += data
        return len(self.data) - len(data)

    def set_link(self, offset):
        struct.pack_into(self.byte_order + self.offset_code, self.data, self.link, offset)

    def encode(self, field_type, values):
        if isinstance(values, bytes):
            return len(values), values
        return len(values), struct.pack(f"{self.byte_order}{len(values)}{CODES[field_type]}", *values)

    def ifd(self, entries, *, chain=True):
        """Append an IFD of (tag, field type, values or (count, raw inline bytes)) entries; returns its offset."""
        rows = []
        for tag, field_type, values in entries:
            if isinstance(values, tuple) and len(values) == 2 and isinstance(values[1], bytes):
                count, raw = values
            else:
                count, raw = self.encode(field_type, values)
                if len(raw) > self.inline_nbytes:
                    raw = struct.pack(self.byte_order + self.offset_code, self.put(raw))
            head = struct.pack(f"{self.byte_order}HH{self.offset_code}", tag, field_type, count)
            rows.append(head + raw.ljust(self.inline_nbytes, b"\0"))
        count_code = "Q" if self.bigtiff else "H"
        body = struct.pack(self.byte_order + count_code, len(rows)) + b"".join(rows)
        offset = self.put(body + bytes(self.inline_nbytes))
        if chain:
            self.set_link(offset)
            self.link = len(self.data) - self.inline_nbytes
        return offset


def plain(width=5, length=4, *more):
    """Entries of a small image of one strip."""
    entries = [
        (256, 4, [width]),
        (257, 4, [length]),
        (258, 3, [8]),
        (262, 3, [1]),
        (273, 4, [8]),
        (279, 4, [20]),
    ]
    return sorted([*entries, *more])

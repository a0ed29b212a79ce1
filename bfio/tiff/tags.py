"""The tags of one IFD, with values that are read when asked for."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

from bfio.byteio import Source
from bfio.enums import FieldType, Tag
from bfio.errors import FormatError, LimitError
from bfio.limits import Limits
from bfio.tiff.header import Header

__all__ = ["TagValue", "Value", "read_tags"]

Rational = tuple[int, int]
Value = int | float | complex | str | bytes | Rational | tuple[int | float | complex | Rational, ...]

MOST_ENTRIES = 4096  # more than this is no IFD; libtiff and tifffile draw the same line

# Field type -> numpy name of its numbers. Text, bytes and UNDEFINED have none.
NUMBERS: dict[int, str] = {
    FieldType.SHORT: "u2",
    FieldType.LONG: "u4",
    FieldType.RATIONAL: "u4",
    FieldType.SBYTE: "i1",
    FieldType.SSHORT: "i2",
    FieldType.SLONG: "i4",
    FieldType.SRATIONAL: "i4",
    FieldType.FLOAT: "f4",
    FieldType.DOUBLE: "f8",
    FieldType.IFD: "u4",
    FieldType.COMPLEX: "c8",
    FieldType.LONG8: "u8",
    FieldType.SLONG8: "i8",
    FieldType.IFD8: "u8",
}
RATIONALS = (FieldType.RATIONAL, FieldType.SRATIONAL)
ITEM_NBYTES: dict[int, int] = {
    **{kind: int(name[1:]) * (2 if kind in RATIONALS else 1) for kind, name in NUMBERS.items()},
    **dict.fromkeys((FieldType.BYTE, FieldType.ASCII, FieldType.UNDEFINED), 1),
    FieldType.UNICODE: 2,
}
KNOWN = frozenset(int(tag) for tag in Tag)


@dataclass(frozen=True, slots=True)
class TagValue:
    """One tag of an IFD; its value is read by :meth:`value`.

    Attributes
    ----------
    tag : int
        Number of the tag.
    field_type : int
        A :class:`bfio.enums.FieldType`, or a number that is none.
    count : int
        Number of values.
    position : int
        Of the value in the file; in the IFD itself when it is small.
    """

    tag: int
    field_type: int
    count: int
    position: int
    _byte_order: str = field(repr=False)
    _inline: bytes | None = field(repr=False)
    _source: Source = field(repr=False, compare=False)
    _limits: Limits = field(repr=False, compare=False)

    @property
    def nbytes(self) -> int:
        """Bytes of the value; 0 for an unknown field type."""
        return self.count * ITEM_NBYTES.get(self.field_type, 0)

    def raw(self) -> bytes:
        """Bytes of the value as they stand in the file.

        Raises
        ------
        FormatError
            The value is not wholly in the file.
        LimitError
            It is larger than ``Limits.tag_nbytes``.
        """
        if self._inline is not None:
            return self._inline[: self.nbytes]
        nbytes, size = self.nbytes, self._source.size
        if nbytes > size or self.position > size - nbytes:
            raise FormatError(f"{self._where()}: {nbytes} bytes at {self.position} of a file of {size} bytes")
        if nbytes > self._limits.tag_nbytes:
            raise LimitError(f"{self._where()}: {nbytes} bytes; the limit is {self._limits.tag_nbytes}")
        data = self._source.pread(self.position, nbytes)
        if len(data) != nbytes:
            raise FormatError(f"{self._where()}: only {len(data)} of {nbytes} bytes could be read")
        return data

    def value(self) -> Value:
        """Read and decode the value.

        Returns
        -------
        str
            Of ASCII (UTF-8, else Latin-1) and UNICODE, without zeros at the end.
        bytes
            Of UNDEFINED, of BYTE unless it is a single one, and of unknown field types.
        int, float, complex or tuple (numerator, denominator)
            Of a single number.
        tuple
            Of several numbers.
        """
        raw = self.raw()
        if self.field_type == FieldType.ASCII:
            return _text(raw)
        if self.field_type == FieldType.UNICODE:
            return raw.decode("utf-16-le" if self._byte_order == "<" else "utf-16-be", "replace").rstrip("\0")
        if self.field_type == FieldType.BYTE and self.count == 1:
            return raw[0]
        form = NUMBERS.get(self.field_type)
        if form is None:
            return raw
        items = np.frombuffer(raw, self._byte_order + form).tolist()
        if self.field_type in RATIONALS:
            items = list(zip(items[::2], items[1::2], strict=True))
        return items[0] if self.count == 1 else tuple(items)

    def _where(self) -> str:
        name = Tag(self.tag).name if self.tag in KNOWN else str(self.tag)
        return f"{self._source.path}: tag {name}"


def _text(raw: bytes) -> str:
    raw = raw.rstrip(b"\0")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def read_tags(source: Source, offset: int, header: Header, limits: Limits) -> dict[int, TagValue]:
    """Read the entries of the IFD at an offset (TIFF 6.0, section 2).

    Returns
    -------
    dict of int to TagValue
        In the order of the file. Of a tag that stands twice, the first one.

    Raises
    ------
    FormatError
        There is no IFD at that offset, or the file ends in it.
    """
    count_form, entry_form = ("Q", "HHQ8s") if header.bigtiff else ("H", "HHI4s")
    entry = struct.Struct(header.byte_order + entry_form)
    head_nbytes = struct.calcsize("<" + count_form)
    inline_nbytes = 8 if header.bigtiff else 4
    head = source.pread(offset, head_nbytes) if 8 <= offset < source.size else b""
    if len(head) < head_nbytes:
        raise FormatError(f"{source.path}: there is no IFD at {offset} of {source.size} bytes")
    (n_entries,) = struct.unpack(header.byte_order + count_form, head)
    if not 0 < n_entries <= MOST_ENTRIES:
        raise FormatError(f"{source.path}: there is no IFD at {offset} ({n_entries} entries)")
    body = source.pread(offset + head_nbytes, n_entries * entry.size)
    if len(body) < n_entries * entry.size:
        raise FormatError(f"{source.path}: the file ends in the IFD at {offset}")
    tags: dict[int, TagValue] = {}
    for k, (tag, field_type, count, inline) in enumerate(entry.iter_unpack(body)):
        is_inline = count * ITEM_NBYTES.get(field_type, 0) <= inline_nbytes
        position = offset + head_nbytes + (k + 1) * entry.size - inline_nbytes
        if not is_inline:
            position = int.from_bytes(inline, "little" if header.byte_order == "<" else "big")
        value = TagValue(
            tag, field_type, count, position, header.byte_order, inline if is_inline else None, source, limits
        )
        tags.setdefault(tag, value)
    return tags

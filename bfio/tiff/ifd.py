"""Chains of IFDs, walked by the kernel into records: no Python per IFD."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bfio import _kernels
from bfio._kernels import Status
from bfio._locks import ProcessLock
from bfio.byteio import Source
from bfio.enums import FieldType
from bfio.errors import BfioError, FormatError, LimitError
from bfio.limits import Limits
from bfio.tiff.header import Header
from bfio.tiff.record import RECORD, STRUCTURE_NBYTES, VALUE_REF, IfdFlag, structure
from bfio.tiff.tags import ITEM_NBYTES, TagValue, read_tags
from bfio.tiff.window import Windows

__all__ = ["RECORD", "STRUCTURE_NBYTES", "VALUE_REF", "IfdChain", "IfdFlag", "structure"]

Records = NDArray[np.void]
Offsets = NDArray[np.uint64]

FIRST_CAPACITY = 64
INTEGERS = frozenset(
    {
        FieldType.BYTE,
        FieldType.SHORT,
        FieldType.LONG,
        FieldType.SBYTE,
        FieldType.SSHORT,
        FieldType.SLONG,
        FieldType.IFD,
        FieldType.LONG8,
        FieldType.SLONG8,
        FieldType.IFD8,
    }
)


class IfdChain:
    """The main chain of IFDs of a TIFF file, walked as far as somebody asks.

    A chain that ends in a fault (it comes back to itself, or leaves the file) keeps the records before it;
    :attr:`fault` tells what happened. May be used from many threads at once.

    Parameters
    ----------
    source : Source
    header : Header
    limits : Limits
    """

    def __init__(self, source: Source, header: Header, limits: Limits | None = None) -> None:
        self._source = source
        self._header = header
        self._limits = limits or Limits()
        self._lock = ProcessLock()
        self._records: Records = np.empty(0, RECORD)
        self._next_offset = header.first_ifd_offset
        self._status = Status.OK
        self._windows = Windows(source)

    def __reduce__(self) -> tuple[type[IfdChain], tuple[Source, Header, Limits]]:
        return type(self), (self._source, self._header, self._limits)

    @property
    def complete(self) -> bool:
        """Whether the whole chain was walked, up to its end or to a fault."""
        return self._next_offset == 0 or self.broken

    @property
    def broken(self) -> bool:
        """Whether the walk ended in a fault."""
        return self._status != Status.OK

    @property
    def loops(self) -> bool:
        """Whether the chain comes back to itself: odd, but no IFD is missing."""
        return self._status == Status.LOOP

    @property
    def fault(self) -> str | None:
        """One sentence on the fault that ended the walk, if there was one."""
        return str(self._fault()) if self.broken else None

    @property
    def records(self) -> Records:
        """Records of the IFDs walked so far (a view; see :data:`RECORD`)."""
        return self._records

    def ensure(self, n: int) -> int:
        """Walk until `n` IFDs are known, or the chain ends; returns how many are known."""
        while len(self._records) < n and not self.complete:
            with self._lock:
                if len(self._records) < n and not self.complete:
                    self._grow(n)
        return len(self._records)

    def all(self) -> Records:
        """Walk to the end; returns the records of all IFDs, or of those before a fault."""
        while not self.complete:
            self.ensure(max(FIRST_CAPACITY, 4 * len(self._records)))
        return self._records

    def __len__(self) -> int:
        """Walk to the end, and count the IFDs."""
        return len(self.all())

    def check(self) -> None:
        """Raise the fault that ended the walk, if there was one.

        Raises
        ------
        FormatError
            The chain is broken.
        LimitError
            It is longer than ``Limits.ifd_count``.
        """
        if self.broken:
            raise self._fault()

    def record(self, i: int) -> np.void:
        """Record of one IFD; walks up to it.

        Raises
        ------
        FormatError
            The chain breaks before it.
        IndexError
            The chain ends before it.
        """
        if i < 0 or i >= self.ensure(i + 1):
            self.check()
            raise IndexError(f"IFD {i} of {len(self._records)}")
        record: np.void = self._records[i]
        return record

    def at(self, offsets: Offsets) -> Records:
        """Read the IFDs at some offsets, SubIFDs say, whatever follows them in their own chains.

        Raises
        ------
        FormatError
            There is no IFD at one of the offsets.
        """
        records, status = self._read(offsets)
        if status != Status.OK:
            raise _kernels.failure(status, f"{self._source.path}: IFD at offset {offsets[len(records)]}")
        return records

    def try_at(self, offsets: Offsets) -> Records:
        """As :meth:`at`, up to the first offset at which there is no IFD."""
        return self._read(offsets)[0]

    def _read(self, offsets: Offsets) -> tuple[Records, Status]:
        """Records of the IFDs before the first that fails, and how that fails."""
        offsets = np.ascontiguousarray(offsets, np.uint64)
        most = self._limits.ifd_count
        if len(offsets) > most:
            raise LimitError(f"{self._source.path}: {len(offsets)} IFDs; the limit is {most}")
        records: Records = np.empty(len(offsets), RECORD)
        windows = Windows(self._source)
        done, status = 0, int(Status.NEED_MORE)
        while status == Status.NEED_MORE:
            with self._descriptor() as fd:
                n, status, position, nbytes = _kernels.read_ifds(
                fd, windows.data, windows.pieces, self._source.size, offsets[done:],
                self._header.bigtiff, self._header.swap, records[done:].view(np.uint8),
            )  # fmt: skip
            done += n
            if status == Status.NEED_MORE and not windows.fetch(position, nbytes, keep_all=n == 0):
                status = Status.TRUNCATED
        return records[:done], Status(status)

    def tags(self, record: np.void) -> dict[int, TagValue]:
        """All tags of an IFD, read in Python; see :func:`bfio.tiff.tags.read_tags`."""
        return read_tags(self._source, int(record["offset"]), self._header, self._limits)

    def sub_ifds(self, record: np.void) -> Offsets:
        """Offsets of the SubIFDs of an IFD; empty if there are none."""
        offsets = self._array(record, "sub_ifds")
        return np.empty(0, np.uint64) if offsets is None else offsets

    def segment_table(self, record: np.void) -> tuple[Offsets, Offsets | None]:
        """Offsets and byte counts of the tiles or strips of an IFD, as they stand there.

        Returns
        -------
        offsets : uint64 (n,)
            Empty if the tag is missing.
        byte_counts : uint64 (m,) or None
            None if the tag is missing. In a broken file `m` is not `n`.

        Raises
        ------
        LimitError
            There are more entries than a file of this size can have, or than ``Limits.tag_nbytes`` allows.
        FormatError
            An array lies behind the end of the file, or does not hold integers.
        """
        offsets = self._array(record, "offsets")
        byte_counts = self._array(record, "byte_counts")
        return np.empty(0, np.uint64) if offsets is None else offsets, byte_counts

    def _array(self, record: np.void, name: str) -> Offsets | None:
        """Values of an integer array of an IFD, or None if there is no such tag."""
        position, count, field_type = (int(x) for x in record[name])
        where = f"{self._source.path}: {name.replace('_', ' ')} of the IFD at {record['offset']}"
        if field_type == 0:
            return None
        if field_type not in INTEGERS:
            raise FormatError(f"{where}: field type {field_type} is no integer")
        size, nbytes = self._source.size, count * ITEM_NBYTES[field_type]
        if nbytes > min(size, self._limits.tag_nbytes):
            raise LimitError(f"{where}: {count} values are more than the file or the limits allow")
        if count and (position < 8 or position > size - nbytes):
            raise FormatError(f"{where}: {nbytes} bytes at {position} of a file of {size} bytes")
        out = np.empty(count, np.uint64)
        with self._descriptor() as fd:
            data = None if fd >= 0 else self._source.pread(position, nbytes)
            status = _kernels.read_values(fd, data, position, field_type, self._header.swap, out)
        if status != Status.OK:
            raise _kernels.failure(status, where)
        return out

    def _descriptor(self) -> AbstractContextManager[int]:
        """Descriptor that the kernels read from, or -1 where they need the bytes."""
        return self._source.descriptor() if _kernels.CAN_READ else nullcontext(-1)

    def _fault(self) -> BfioError:
        n, path = len(self._records), self._source.path
        if self._status == Status.LIMIT:
            return LimitError(f"{path}: the file has more than {n} IFDs, or very many samples per pixel")
        if self._status == Status.LOOP:
            return FormatError(f"{path}: the chain of IFDs comes back to itself after IFD {n - 1}")
        if self._next_offset == 0:
            return FormatError(f"{path}: the file ends in IFD {n - 1}, before the offset of the next one")
        return _kernels.failure(self._status, f"{path}: IFD {n} at offset {self._next_offset}")

    def _grow(self, n: int) -> None:
        """Walk on until `n` records are there; they are published first, as others read without the lock."""
        known = len(self._records)
        capacity = min(max(n, FIRST_CAPACITY), self._limits.ifd_count)
        records: Records = np.empty(capacity, RECORD)
        records[:known] = self._records
        done, status, next_offset = self._walk(records[known:])
        known += done
        if status == Status.OK and next_offset and known == self._limits.ifd_count:
            status = Status.LIMIT
        unique = _before_repeat(records["offset"][:known])
        if unique < known:
            known, status = unique, Status.LOOP
        self._records = records[:known]
        self._status = status
        self._next_offset = next_offset

    def _walk(self, records: Records) -> tuple[int, Status, int]:
        """Fill records from the next offset on; from memory, the kernel asks for what it lacks."""
        done, offset = 0, self._next_offset
        while True:
            with self._descriptor() as fd:
                n, status, offset, position, nbytes = _kernels.walk_ifds(
                fd, self._windows.data, self._windows.pieces, self._source.size, offset,
                self._header.bigtiff, self._header.swap, records[done:].view(np.uint8),
            )  # fmt: skip
            done += n
            if status != Status.NEED_MORE:
                return done, Status(status), offset
            if not self._windows.fetch(position, nbytes, keep_all=n == 0):
                return done, Status.TRUNCATED, offset


def _before_repeat(offsets: NDArray[Any]) -> int:
    """Count the offsets before the first that was there already; the kernel sees only whole loops."""
    if len(offsets) < 2 or bool((offsets[1:] > offsets[:-1]).all()):
        return len(offsets)
    _, first = np.unique(offsets, return_index=True)
    repeated = np.ones(len(offsets), bool)
    repeated[first] = False
    return int(repeated.argmax()) if repeated.any() else len(offsets)

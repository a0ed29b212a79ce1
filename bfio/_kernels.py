"""The one door to the compiled kernels; turns their statuses into exceptions."""

from __future__ import annotations

from enum import IntEnum

from _tilecodec.ifd import RECORD_NBYTES, read_ifds
from _tilecodec.ifd import walk as walk_ifds
from _tilecodec.offsets import read_values
from _tilecodec.window import CAN_READ

from .errors import BfioError, FormatError, LimitError, UnsupportedError

__all__ = [
    "CAN_READ",
    "MEANING",
    "RECORD_NBYTES",
    "Status",
    "failure",
    "read_ifds",
    "read_values",
    "walk_ifds",
]


class Status(IntEnum):
    """What a kernel returns; the same list as ``src/_tilecodec/status.pxd``."""

    OK = 0
    TRUNCATED = 1
    CORRUPT = 2
    TOO_LONG = 3
    TOO_SHORT = 4
    READ_FAILED = 5
    OUT_OF_MEMORY = 6
    BAD_TASK = 7
    NO_CODEC = 8
    LOOP = 9
    PAST_END = 10
    BAD_HEADER = 11
    LIMIT = 12
    NEED_MORE = 13


MEANING: dict[Status, tuple[type[BfioError], str]] = {
    Status.TRUNCATED: (FormatError, "the data end too early"),
    Status.CORRUPT: (FormatError, "the data are corrupt"),
    Status.TOO_LONG: (FormatError, "there are more data than expected"),
    Status.TOO_SHORT: (FormatError, "there are fewer data than expected"),
    Status.READ_FAILED: (FormatError, "the file can not be read"),
    Status.OUT_OF_MEMORY: (LimitError, "there is not enough memory"),
    Status.BAD_TASK: (BfioError, "a kernel was given a wrong task, which is a bug of bfio"),
    Status.NO_CODEC: (UnsupportedError, "there is no codec for this compression"),
    Status.LOOP: (FormatError, "the chain of IFDs comes back to itself"),
    Status.PAST_END: (FormatError, "an offset points behind the end of the file"),
    Status.BAD_HEADER: (FormatError, "the header is not that of a TIFF file"),
    Status.LIMIT: (LimitError, "a limit was reached"),
    Status.NEED_MORE: (BfioError, "a kernel was not given the bytes it needs, which is a bug of bfio"),
}


def failure(status: int, where: str = "") -> BfioError:
    """Exception for a status other than OK; `where` names file and place, and comes first in the message."""
    kind, sentence = MEANING[Status(status)]
    return kind(f"{where}: {sentence}" if where else sentence)

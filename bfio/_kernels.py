"""The one door to the compiled kernels; turns their statuses into exceptions."""

from __future__ import annotations

import errno
from enum import IntEnum

import numpy as np

from _tilecodec import compress as _compress
from _tilecodec import convert as _convert
from _tilecodec import decode as _decode
from _tilecodec import decompress as _decompress
from _tilecodec import downsample as _downsample
from _tilecodec import encode as _encode
from _tilecodec.append import CAN_SHARE, N_END, SENT
from _tilecodec.append import append_bytes as _append_bytes
from _tilecodec.crc32c import crc32c
from _tilecodec.ifd import RECORD_NBYTES, read_ifds
from _tilecodec.ifd import walk as walk_ifds
from _tilecodec.offsets import read_values
from _tilecodec.plan import plan_plane
from _tilecodec.window import CAN_READ
from _tilecodec.zstd_decoder import stops_early as _zstd_stops_early
from bfio.enums import Compression
from bfio.errors import BfioError, FormatError, LimitError, UnsupportedError

__all__ = [
    "CAN_READ",
    "CAN_SHARE",
    "LONG_ROW",
    "MEANING",
    "N_END",
    "N_PROGRESS",
    "RECORD_NBYTES",
    "SENT",
    "Progress",
    "Status",
    "append_bytes",
    "build_info",
    "can_convert",
    "compress_bound",
    "compress_into",
    "convert",
    "crc32c",
    "decode_tiles",
    "decompress",
    "downsample",
    "encode_tiles",
    "failure",
    "has_compressor",
    "has_decompressor",
    "kinds",
    "plan_plane",
    "read_ifds",
    "read_values",
    "reason",
    "stops_early",
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
    WRITE_FAILED = 14


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
    Status.WRITE_FAILED: (BfioError, "the file can not be written"),
}


def failure(status: int, where: str = "") -> BfioError:
    """Exception for a status other than OK; `where` names file and place, and comes first in the message."""
    kind, sentence = MEANING[Status(status)]
    return kind(f"{where}: {sentence}" if where else sentence)


def reason(status: int) -> str:
    """The sentence for a status."""
    return MEANING[Status(status)][1]


def has_decompressor(compression: int) -> bool:
    """Whether the kernels of this build decompress a TIFF compression."""
    return bool(_decompress.has_decompressor(compression))


def has_compressor(compression: int) -> bool:
    """Whether the kernels of this build compress with a TIFF compression."""
    return bool(_compress.has_compressor(compression))


def decompress(compression: int, data: bytes, nbytes: int) -> tuple[int, bytes]:
    """Status, and the ``nbytes`` bytes of a tile that :func:`has_decompressor`, without the GIL."""
    status, pixels = _decompress.decompress(compression, data, nbytes)
    return int(status), pixels


def stops_early(compression: int, nbytes: int, wanted: int) -> bool:
    """Whether the first ``wanted`` bytes of a tile are decoded in clearly less time than all of its ``nbytes``."""
    return compression == Compression.ZSTD and bool(_zstd_stops_early(nbytes, wanted))


def compress_into(
    compression: int, level: int, src: bytes | memoryview | bytearray | np.ndarray, dst: bytearray | np.ndarray,
    row_nbytes: int = 0, checksum: bool = False,
) -> tuple[int, int]:  # fmt: skip
    """Status, and how many bytes were written into ``dst``, without the GIL; see ``_tilecodec/compress.pyx``."""
    status, nbytes = _compress.compress_into(compression, level, src, dst, row_nbytes, checksum)
    return int(status), int(nbytes)


def compress_bound(compression: int, nbytes: int) -> int:
    """Bytes that are always enough for ``nbytes`` compressed bytes."""
    return int(_compress.bound(compression, nbytes))


def build_info() -> dict[str, str | None]:
    """Versions of the C libraries that this build links; None where one is absent."""
    return dict(_compress.build_info())


SAME_BYTES = 255
"""Kind of data that are only ever copied, such as complex numbers."""
_KINDS = {np.dtype(code): number for number, code in enumerate(_convert.KINDS)} | {np.dtype(bool): 0}


def can_convert(src: np.dtype, dst: np.dtype) -> bool:
    """Whether the kernels convert one dtype (native byte order) into the other; equal ones are copied."""
    return src == dst or (src in _KINDS and dst in _KINDS and dst.kind != "b")


def kinds(src: np.dtype, dst: np.dtype) -> tuple[int, int]:
    """Kernel kinds of two dtypes between which :func:`can_convert`."""
    if src == dst and src not in _KINDS:
        return SAME_BYTES, SAME_BYTES
    return _KINDS[src], _KINDS[dst]


def convert(src: np.ndarray, dst: np.ndarray, rescale: tuple[float, float] | None = None) -> None:
    """Copy into ``dst``, with saturation where the dtypes differ, without the GIL.

    Parameters
    ----------
    src : ndarray, native byte order, broadcast to the shape of ``dst``
    dst : ndarray of up to three dimensions, writable
    rescale : (scale, offset), optional
        A value becomes ``value * scale + offset`` before it is converted.
    """
    if src.dtype == dst.dtype and rescale is None:
        np.copyto(dst, src)
        return
    src = np.broadcast_to(src, dst.shape)
    missing = (np.newaxis,) * (3 - dst.ndim)
    scale, offset = rescale or (1.0, 0.0)
    src_kind, dst_kind = kinds(src.dtype, dst.dtype)
    _convert.convert_array(src[missing], dst[missing], src_kind, dst_kind, rescale is not None, scale, offset)


def decode_tiles(
    form: np.ndarray,
    tasks: np.ndarray,
    fd: int,
    data: np.ndarray | bytes | None,
    out: np.ndarray,
    slab: np.ndarray | None,
    counter: np.ndarray,
    budget: int,
) -> tuple[int, int]:
    """Decode tasks into ``out`` without the GIL; see ``_tilecodec/decode.pyx``.

    ``form`` is one :data:`bfio.plan.FORMAT`, ``tasks`` an array of :data:`bfio.plan.TASK`.

    Returns
    -------
    (status, index)
        Index -1: nothing is left to do. -2: the budget is spent. Else: this task failed.
    """
    return _decode.decode_tiles(form.view(np.uint8), tasks.view(np.uint8), fd, data, out.view(), slab, counter, budget)


def downsample(src: np.ndarray, dst: np.ndarray, how: str, counter: np.ndarray, budget: int) -> bool:
    """Reduce 2 x 2 items of each plane to one, without the GIL; see ``_tilecodec/downsample.pyx``.

    Parameters
    ----------
    src, dst : ndarray of shape (T, C, Z, Y, X), any strides, native byte order
    how : {"mean", "nearest", "mode", "max"}
    counter : int64 array of length 1, shared by all threads
    budget : int
        Bytes of the source after which the call comes back.

    Returns
    -------
    bool
        Whether nothing is left to do.
    """
    kind = _KINDS.get(src.dtype, SAME_BYTES)
    return _downsample.downsample_planes(src.view(), dst.view(), _downsample.METHODS.index(how), kind, counter, budget)


class Progress(IntEnum):
    """Places in the array that the workers of one :func:`encode_tiles` share."""

    COMMITTED = _encode.COMMITTED
    STOP = _encode.STOP
    ERRNO = _encode.ERRNO


N_PROGRESS = _encode.N_PROGRESS
LONG_ROW = _encode.LONG_ROW
"""Bytes of a row of a tile, from which on it is written from where it lies in the image, if nothing is done to it."""


def encode_tiles(
    form: np.ndarray,
    tasks: np.ndarray,
    level: int,
    src: np.ndarray,
    arena: np.ndarray,
    n_slots: int,
    progress: np.ndarray,
    nbytes: np.ndarray,
    offsets: np.ndarray,
    fd: int,
    end: np.ndarray | None,
    shared: bool,
    offset_entries: np.ndarray | None,
    count_entries: np.ndarray | None,
    entry_nbytes: int,
    budget: int,
) -> tuple[int, int]:
    """Encode tasks and append them to a file without the GIL; see ``_tilecodec/encode.pyx``.

    ``form`` is one :data:`bfio.plan.FORMAT`, ``tasks`` an array of :data:`bfio.plan.TASK`.

    Returns
    -------
    (status, index)
        Index -1: nothing is left to do. -2: the budget is spent. Else: this task failed.
    """
    return _encode.encode_tiles(
        form.view(np.uint8), tasks.view(np.uint8), level, src.view(), arena, n_slots, progress, nbytes, offsets,
        fd, end, shared, offset_entries, count_entries, entry_nbytes, budget,
    )  # fmt: skip


def append_bytes(
    fd: int, end: np.ndarray, shared: bool, data: bytes | memoryview | np.ndarray, limit: int = 1 << 62
) -> tuple[int, int, int]:
    """Append to a file without the GIL, in step with :func:`encode_tiles`; see ``_tilecodec/append.pyx``.

    Returns
    -------
    (status, errno, offset)
    """
    while True:
        status, error, offset = _append_bytes(fd, end, shared, data, limit)
        if status or error != errno.EAGAIN:
            return status, error, offset

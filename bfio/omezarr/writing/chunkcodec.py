"""One chunk of an array: from pixels to the bytes that are stored, and back."""

from __future__ import annotations

import math

import numpy as np

from bfio import _kernels
from bfio.enums import Compression
from bfio.errors import FormatError, UnsupportedError, UsageError
from bfio.omezarr.arraymeta import ArrayMeta, Route
from bfio.omezarr.writing.compressors import DECODERS, ENCODERS, Bytes, kernel_level

__all__ = ["ChunkCodec"]

_PIECE = 1 << 16
"""Items that are compared with the fill value at a time."""


class ChunkCodec:
    """Encodes and decodes whole chunks; any number of threads may call it at once.

    Parameters
    ----------
    meta : ArrayMeta

    Raises
    ------
    UnsupportedError
        Only zarr-python knows the codecs.
    """

    def __init__(self, meta: ArrayMeta) -> None:
        if meta.route is Route.FOREIGN:
            raise UnsupportedError(f"array {meta.path!r}: chunks with the codecs {meta.chain.names} can not be written")
        self.meta = meta
        self.nbytes = meta.chunk_nbytes
        self._stored = meta.dtype.newbyteorder(">") if meta.big_endian else meta.dtype.newbyteorder("<")
        self._unit = np.dtype(f"u{math.gcd(meta.dtype.itemsize, 8)}")
        self._fill = np.array([meta.fill], meta.dtype).view(self._unit)
        self._kernel = meta.chain.compression
        if self._kernel is not None and self._kernel != Compression.NONE and not _kernels.has_compressor(self._kernel):
            self._kernel = None
        self._compresses = self._kernel is not None and self._kernel != Compression.NONE

    @property
    def room(self) -> int:
        """Bytes of the arena that :meth:`encode` needs; 0: none."""
        if not self._compresses:
            return 0
        assert self._kernel is not None
        return _kernels.compress_bound(self._kernel, self.nbytes)

    def check(self, chunk: np.ndarray) -> None:
        """Refuse what is not a whole chunk of the array's dtype."""
        if chunk.shape != self.meta.chunk or chunk.dtype != self.meta.dtype:
            raise UsageError(
                f"array {self.meta.path!r} has chunks of {self.meta.chunk} {self.meta.dtype}, "
                f"not {chunk.shape} {chunk.dtype}; pad the chunks at the borders with the fill value"
            )

    def is_fill(self, chunk: np.ndarray) -> bool:
        """Whether all items have the very bytes of the fill value."""
        flat = np.ascontiguousarray(chunk).reshape(-1).view(self._unit)
        units = flat.reshape(-1, len(self._fill))
        return all((units[at : at + _PIECE] == self._fill).all() for at in range(0, len(units), _PIECE))

    def encode(self, chunk: np.ndarray, arena: np.ndarray) -> memoryview:
        """Bytes of one chunk; they may lie in the arena or in the chunk itself.

        Parameters
        ----------
        chunk : ndarray
            Of the array's dtype, whole.
        arena : ndarray of uint8
            :attr:`room` bytes.
        """
        chain, items = self.meta.chain, self._items(chunk)
        if self._compresses:
            assert self._kernel is not None
            status, nbytes = _kernels.compress_into(
                self._kernel, kernel_level(chain.level), items, arena, items.nbytes // max(1, self._n_rows())
            )
            if status:
                raise _kernels.failure(status)
            return memoryview(arena)[:nbytes]
        data: Bytes = memoryview(items)
        for name, config in zip(chain.names, chain.config, strict=True):
            data = ENCODERS[name](data, config, self.meta.dtype.itemsize)
        return memoryview(data)

    def decode(self, data: bytes) -> np.ndarray:
        """Pixels of one chunk, from the bytes that :meth:`encode` makes.

        Raises
        ------
        FormatError
            They are not that.
        """
        items = np.frombuffer(self._decompressed(data), np.uint8)
        if items.nbytes != self.nbytes:
            raise FormatError(f"it has {items.nbytes} bytes where there should be {self.nbytes}")
        meta = self.meta
        order = meta.order or tuple(range(len(meta.chunk)))
        stored = items.view(self._stored).reshape([meta.chunk[axis] for axis in order])
        return np.array(stored.transpose(np.argsort(order)), meta.dtype, order="C")

    def _decompressed(self, data: bytes) -> Bytes:
        chain = self.meta.chain
        if self._kernel is not None and _kernels.has_decompressor(self._kernel):
            status, decoded = _kernels.decompress(self._kernel, data, self.nbytes)
            if status:
                raise _kernels.failure(status)
            return decoded
        left: Bytes = data
        for number in reversed(range(len(chain.names))):
            most = self.nbytes if number == 0 else max(len(data), 2 * self.nbytes + _PIECE)
            try:
                left = DECODERS[chain.names[number]](left, chain.config[number], most)
            except FormatError:
                raise
            except Exception as error:
                raise FormatError(f"{chain.names[number]}: {error}") from error
        return left

    def _items(self, chunk: np.ndarray) -> np.ndarray:
        """The items' bytes, in the order in which they are stored."""
        if self.meta.order is not None:
            chunk = chunk.transpose(self.meta.order)
        return np.ascontiguousarray(chunk, self._stored).reshape(-1).view(np.uint8)

    def _n_rows(self) -> int:
        shape, order = self.meta.chunk, self.meta.order
        last = (order[-1] if order else len(shape) - 1) if shape else 0
        return math.prod(size for axis, size in enumerate(shape) if axis != last)

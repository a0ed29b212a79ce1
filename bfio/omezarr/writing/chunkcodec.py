"""One chunk of an array: from pixels to the bytes that are stored, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bfio import _kernels
from bfio.enums import Compression, Predictor
from bfio.errors import UnsupportedError, UsageError
from bfio.omezarr.arraymeta import ArrayMeta, Route
from bfio.omezarr.bytecodecs import decoder_of
from bfio.omezarr.writing.compressors import ENCODERS, Bytes, gzip_member, kernel_level
from bfio.plan import FORMAT, NO_SLOT, TASK

__all__ = ["ChunkCodec"]

GROUP_NBYTES = 256 << 10
"""Bytes of small chunks that are compressed by one call."""
MOST_CHUNKS = 64
_PIECE = 1 << 16
"""Items that are compared with the fill value at a time."""


class ChunkCodec:
    """Encodes and decodes whole chunks; any number of threads may call it at once.

    Parameters
    ----------
    meta : ArrayMeta

    Attributes
    ----------
    group : int
        Most chunks of one :meth:`encode`: small ones are compressed several at a time.
    room : int
        Bytes of the arena that it needs.

    Raises
    ------
    UnsupportedError
        Only zarr-python knows the codecs.
    """

    def __init__(self, meta: ArrayMeta) -> None:
        if meta.route is Route.FOREIGN:
            raise UnsupportedError(f"array {meta.path!r}: chunks with the codecs {meta.chain.names} can not be written")
        self.meta, self.nbytes = meta, meta.chunk_nbytes
        self._order = meta.order or tuple(range(len(meta.chunk)))
        self._shape = tuple(meta.chunk[axis] for axis in self._order)
        self._stored = meta.dtype.newbyteorder(">" if meta.big_endian else "<")
        self._unit = np.dtype(f"u{math.gcd(meta.dtype.itemsize, 8)}")
        self._fill = np.array([meta.fill], self._stored).view(self._unit)
        self._is_gzip = meta.chain.names == ("gzip",)
        self._kernel = Compression.ADOBE_DEFLATE if self._is_gzip else meta.chain.compression
        if self._kernel != Compression.NONE and not (self._kernel and _kernels.has_compressor(self._kernel)):
            self._kernel = None
        self._compresses = self._kernel is not None and self._kernel != Compression.NONE
        self._has_checksum = _wants_checksum(meta)
        self.group = max(1, min(GROUP_NBYTES // max(1, self.nbytes), MOST_CHUNKS))
        self._slot = _kernels.compress_bound(self._kernel, self.nbytes) if self._kernel and self._compresses else 0
        self.room = self.group * (self._slot + self.nbytes)
        self._form, self._tasks = self._kernel_form()
        self._decode = decoder_of(meta.chain)

    def _kernel_form(self) -> tuple[np.ndarray, np.ndarray]:
        """A chunk as a tile of bytes; one task for each chunk of a group."""
        row = (self._shape[-1] if self._shape else 1) * self.meta.dtype.itemsize
        form, tasks = np.zeros(1, FORMAT), np.zeros(self.group, TASK)
        form["cols"], form["samples"], form["n_samples"], form["item_size"] = row, 1, 1, 1
        form["y_step"], form["x_step"] = 1, 1
        form["compression"], form["predictor"] = self._kernel or Compression.NONE, Predictor.NONE
        form["src_kind"], form["dst_kind"] = _kernels.kinds(np.dtype(np.uint8), np.dtype(np.uint8))
        tasks["tile_rows"] = tasks["rows"] = self.nbytes // max(1, row)
        tasks["n_cols"], tasks["slot"] = row, NO_SLOT
        return form, tasks

    def check(self, chunk: np.ndarray) -> None:
        """Refuse what is not a whole chunk of the array's dtype."""
        if chunk.shape != self.meta.chunk or chunk.dtype != self.meta.dtype:
            raise UsageError(
                f"array {self.meta.path!r} has chunks of {self.meta.chunk} {self.meta.dtype}, "
                f"not {chunk.shape} {chunk.dtype}; pad the chunks at the borders with the fill value"
            )

    def encode(self, chunks: Sequence[np.ndarray], arena: np.ndarray) -> list[memoryview | None]:
        """Bytes of a group of chunks; None for those that are nothing but the fill value.

        Parameters
        ----------
        chunks : sequence of ndarray
            Of the array's dtype, whole; at most :attr:`group`.
        arena : ndarray of uint8
            :attr:`room` bytes. What comes back may lie in it, or in the chunks.
        """
        slab = arena[self.group * self._slot :].reshape(self.group, self.nbytes)
        items = [self._items(chunk, slab[slot]) for slot, chunk in enumerate(chunks)]
        encoded: list[memoryview | None] = [None] * len(chunks)
        stored = [slot for slot, one in enumerate(items) if not self._is_fill(one)]
        if self._compresses and len(stored) > 1 and not self._has_checksum:
            for slot, data in zip(stored, self._compress(slab, items, stored, arena), strict=True):
                encoded[slot] = data
        else:
            for slot in stored:
                encoded[slot] = self._encode(items[slot], arena[slot * self._slot :][: self._slot])
        return encoded

    def _items(self, chunk: np.ndarray, slab: np.ndarray) -> np.ndarray:
        """The items' bytes in the order in which they are stored; where they lie, or gathered in the slab."""
        ordered = chunk.transpose(self._order)
        if not ordered.flags.c_contiguous or chunk.dtype != self._stored:
            ordered, gathered = slab.view(self._stored).reshape(self._shape), ordered
            np.copyto(ordered, gathered)
        return ordered.reshape(-1).view(np.uint8)

    def _is_fill(self, items: np.ndarray) -> bool:
        """Whether all items have the very bytes of the fill value."""
        units = items.view(self._unit).reshape(-1, len(self._fill))
        if not len(units) or (units[0] != self._fill).any():
            return not len(units)
        return all((units[at : at + _PIECE] == self._fill).all() for at in range(0, len(units), _PIECE))

    def _compress(
        self, slab: np.ndarray, items: list[np.ndarray], stored: list[int], arena: np.ndarray
    ) -> list[memoryview]:
        """Several chunks in one call of the kernels, which saves making a compressor for each."""
        for slot in stored:
            if not np.may_share_memory(items[slot], slab):
                slab[slot] = items[slot]
        n = len(stored)
        tasks = self._tasks[:n].copy()
        tasks["plane_dst"] = np.array(stored) * self.nbytes
        rows, row = int(tasks["rows"][0]), int(tasks["n_cols"][0])
        progress, (nbytes, offsets) = np.zeros(_kernels.N_PROGRESS, np.int64), np.zeros((2, n), np.int64)
        status, _ = _kernels.encode_tiles(
            self._form, tasks, kernel_level(self.meta.chain.level), slab.reshape(self.group, 1, 1, rows, row),
            arena[: n * self._slot], n, progress, nbytes, offsets, -1, None, False, None, None, 8, 1 << 40,
        )  # fmt: skip
        if status:
            raise _kernels.failure(status)
        view = memoryview(arena)
        found = [view[slot * self._slot :][:size] for slot, size in enumerate(nbytes.tolist())]
        if not self._is_gzip:
            return found
        return [memoryview(gzip_member(data, slab[slot])) for slot, data in zip(stored, found, strict=True)]

    def _encode(self, items: np.ndarray, room: np.ndarray) -> memoryview:
        chain = self.meta.chain
        if self._kernel is not None and self._compresses:
            level, row = kernel_level(chain.level), int(self._tasks["n_cols"][0])
            status, nbytes = _kernels.compress_into(self._kernel, level, items, room, row, self._has_checksum)
            if status:
                raise _kernels.failure(status)
            encoded = memoryview(room)[:nbytes]
            return memoryview(gzip_member(encoded, items)) if self._is_gzip else encoded
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
        if self._kernel is not None and not self._is_gzip and _kernels.has_decompressor(self._kernel):
            status, decoded = _kernels.decompress(self._kernel, data, self.nbytes)
            if status:
                raise _kernels.failure(status)
        else:
            decoded = self._decode(data, self.nbytes)
        stored = np.frombuffer(decoded, np.uint8).view(self._stored).reshape(self._shape)
        return np.array(stored.transpose(np.argsort(self._order)), self.meta.dtype, order="C")


def _wants_checksum(meta: ArrayMeta) -> bool:
    """Whether the array says that frames of zstd have checksums; only the kernels make those."""
    pairs = zip(meta.chain.names, meta.chain.config, strict=True)
    wanted = any(name == "zstd" and bool(config.get("checksum")) for name, config in pairs)
    if wanted and not _kernels.has_compressor(Compression.ZSTD):
        raise UnsupportedError(f"array {meta.path!r}: this build of bfio can not write zstd with checksums")
    return wanted

"""Arrays with codecs that bfio does not know, through zarr-python; and stores that are no local folders."""

from __future__ import annotations

import itertools
import math
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from bfio._kernels import can_convert, convert
from bfio._parallel import Workers
from bfio.byteio.names import is_url
from bfio.byteio.objects import Answer, Piece
from bfio.errors import (
    BackendMissingError,
    BfioError,
    ChunkDecodeError,
    FormatError,
    LimitError,
    UnsupportedError,
    UsageError,
)
from bfio.limits import Limits
from bfio.omezarr.arraymeta import ArrayMeta
from bfio.omezarr.nodes import Nodes
from bfio.omezarr.parts import Part, cut_into_parts
from bfio.omezarr.stores import ByteStore, MappingStore, UrlStore
from bfio.omezarr.zipstore import ZipStore
from bfio.selection import Box

__all__ = ["ForeignNodes", "ForeignReader", "folder_of", "is_store"]

Rescale = tuple[float, float] | None

PART_NBYTES = 8 << 20
"""Decoded bytes that one call to zarr-python reads, where chunks are small."""
AHEAD_NBYTES = 64 << 20
"""The same where a store is slow to answer."""
LARGEST, LEAST_NBYTES = 16, 16 << 20
"""Files larger than this many times what they hold, and than this many bytes, are refused."""
INSTALL = "pip install 'bfio[zarr]'"


def is_store(source: object) -> bool:
    """Whether `source` is a store of zarr-python, a group or array in one, or a mapping. Imports nothing."""
    if isinstance(source, Mapping):
        return True
    if isinstance(source, str | os.PathLike) or "zarr" not in sys.modules:
        return False
    return bool(_adapter().is_python_store(source))


def folder_of(source: object) -> str | None:
    """The folder that a store, group or array of zarr-python is in; None where it is elsewhere."""
    if isinstance(source, Mapping) or not is_store(source):
        return None
    found: str | None = _adapter().folder_of(source)
    return found


def _adapter() -> ModuleType:
    try:
        from bfio.omezarr import adapter
    except ImportError as error:
        raise BackendMissingError(
            f"this needs zarr-python from 3.0.8 on, which can not be imported ({error}): {INSTALL}"
        ) from error
    return adapter


class ForeignNodes:
    """A store that is no local folder, with the face of :class:`bfio.omezarr.nodes.Nodes`.

    Parameters
    ----------
    source : str, path, mapping, or store, group or array of zarr-python
        Text is a URL, or the path of a zip file. Zip files, URLs and mappings do not need zarr-python.
    storage_options : mapping, optional
        For fsspec.

    Raises
    ------
    BackendMissingError
        fsspec is missing, or the driver for this kind of URL.
    FormatError
        The file is no zip file.
    OSError
    """

    root: Path | None = None

    def __init__(self, source: Any, storage_options: Mapping[str, Any] | None = None) -> None:
        self.name = str(source)
        self._store: ByteStore
        if isinstance(source, str) and is_url(source):
            self._store = UrlStore(source, storage_options)
        elif isinstance(source, str | os.PathLike):
            self._store = ZipStore(os.fspath(source))
        elif isinstance(source, Mapping):
            self._store, self.name = MappingStore(source), "a mapping"
        elif _adapter().is_python_store(source):
            self._store = _adapter().PythonStore(source)
            self.name = str(self._store)
        else:
            raise UsageError(
                f"a {type(source).__name__} is no Zarr store; pass a path, a URL or a store of zarr-python"
            )

    @property
    def ahead(self) -> int:
        """Requests worth having in flight; 0 where :meth:`fetch` does not wait for a server."""
        return self._store.ahead

    def start(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Answer:
        """Begin to fetch, where `ahead` is not 0."""
        return self._store.start(key, start, stop, most)

    def fetch(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Piece | None:
        """Bytes of what is stored under a key; see :class:`bfio.byteio.objects.Objects`."""
        return self._store.fetch(key, start, stop, most)

    def get(self, key: str) -> bytes | None:
        """What is stored under a key; None where nothing is."""
        return self.get_range(key, 0, None)

    def get_range(self, key: str, start: int, stop: int | None) -> bytes | None:
        """Bytes ``start:stop`` of it, as a slice takes them."""
        if stop is not None and 0 <= stop <= start:
            return b""
        piece = self._store.fetch(key, start, stop)
        return None if piece is None else piece.cut(start, stop)

    def nbytes(self, key: str) -> int | None:
        """How many bytes are stored under a key; None where that is not known without reading them."""
        return self._store.nbytes(key)

    def names(self, key: str) -> list[str] | None:
        """Names directly below a key, sorted; None where the store can not tell."""
        return self._store.names(key)

    def close(self) -> None:
        """Release the file or connection; what belongs to the caller stays open."""
        self._store.close()


class ForeignReader:
    """Reads one array through zarr-python; any number of threads may call it at once.

    The face is that of :class:`bfio.omezarr.fastread.ArrayReader`. zarr is imported, and its event loop begun, by the
    first read.

    Parameters
    ----------
    nodes : Nodes
        The store.
    meta : ArrayMeta
        The array, whatever its codecs.
    workers : Workers
    limits : Limits
    cache_nbytes : int
        Not used: nothing is kept.

    Raises
    ------
    LimitError
        A chunk is larger than ``limits.tile_nbytes``.
    """

    def __init__(self, nodes: Nodes, meta: ArrayMeta, workers: Workers, limits: Limits, cache_nbytes: int) -> None:
        del cache_nbytes
        if meta.chunk_nbytes > limits.tile_nbytes:
            raise LimitError(
                f"{nodes.name}: chunks of array {meta.path!r} have {meta.chunk_nbytes} bytes; "
                f"Limits.tile_nbytes is {limits.tile_nbytes}"
            )
        self._nodes, self._meta, self._workers = nodes, meta, workers
        self._where = f"{nodes.name}: array {meta.path!r}"
        self._array: Any = None
        self._lock = threading.Lock()

    def read(self, axes: str, box: Box, out: np.ndarray, rescale: Rescale) -> None:
        """Fill `out`, shape ``box.shape`` (T, C, Z, Y, X), with the pixels of a box; see ``ArrayReader.read``.

        Raises
        ------
        ChunkDecodeError
            A chunk is there, but is damaged or can not be read.
        FormatError, UnsupportedError
            zarr-python does not take the array, or does not know its codecs.
        BackendMissingError
        UsageError
            The pixels can not become those of `out`.
        """
        if 0 in box.shape:
            return
        dtype = self._meta.dtype
        if not can_convert(dtype, out.dtype) or (rescale is not None and out.dtype.kind in "cb"):
            how = " by a scale" if rescale else ""
            raise UsageError(f"{self._nodes.name}: pixels of dtype {dtype} can not be read as {out.dtype}{how}")
        array = self._opened()
        parts = list(self._parts(axes, box, out.nbytes))
        queue, lock, stopped = iter(parts), threading.Lock(), threading.Event()

        def work() -> None:
            while not stopped.is_set():
                with lock:
                    part = next(queue, None)
                if part is None:
                    return
                _place(self._block(array, part), part, axes, out, rescale)

        self._workers.run(work, len(parts), stopped.set)

    def close(self) -> None:
        """Forget the array; the event loop of zarr-python is everybody's, and stays."""
        self._array = None

    def _parts(self, axes: str, box: Box, nbytes: int) -> Iterator[Part]:
        meta = self._meta
        target = min(PART_NBYTES, nbytes // (2 * self._workers.n))
        if getattr(self._nodes, "ahead", 0):  # zarr-python asks for the chunks of one call at the same time
            target = max(target, min(AHEAD_NBYTES, 16 * meta.chunk_nbytes))
        unit = meta.file_shape if math.prod(meta.file_shape) * meta.dtype.itemsize <= target else meta.chunk
        return cut_into_parts(axes, unit, box, meta.dtype.itemsize, target)

    def _opened(self) -> Any:
        with self._lock:
            if self._array is None:
                most = LARGEST * math.prod(self._meta.file_shape) * self._meta.dtype.itemsize
                self._array = self._open(_adapter().NodesStore(self._nodes, max(most, LEAST_NBYTES)))
            return self._array

    def _open(self, store: Any) -> Any:
        import zarr

        meta = self._meta
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of codecs that no specification has
                array = zarr.open_array(store, path=meta.path, mode="r", zarr_format=meta.zarr_format)
        except Exception as error:
            raise self._translated(error, FormatError(f"{self._where} can not be opened: {_said(error)}")) from error
        if array.shape != meta.shape or array.dtype.newbyteorder("=") != meta.dtype:
            raise FormatError(f"{self._where} has changed since its metadata were read")
        return array

    def _block(self, array: Any, part: Part) -> np.ndarray:
        """Pixels of a part, in the order of the array's axes."""
        try:
            return np.asarray(array[part.key])
        except Exception as error:  # noqa: BLE001 - zarr-python and codecs raise what they like
            index, reason = self._culprit(array, part.key, error)
            raise self._translated(reason, self._damage(index, _said(reason))) from reason

    def _culprit(self, array: Any, key: tuple[slice, ...], error: Exception) -> tuple[tuple[int, ...], Exception]:
        """Which of the chunks of a part can not be read, and why."""
        sizes = self._meta.chunk
        chunks = [range(k.start // size, -(-k.stop // size)) for k, size in zip(key, sizes, strict=True)]
        first = tuple(numbers[0] for numbers in chunks)
        if any(len(numbers) > 1 for numbers in chunks):
            for index in itertools.product(*chunks):
                try:
                    array[tuple(slice(i * size, (i + 1) * size) for i, size in zip(index, sizes, strict=True))]
                except Exception as reason:  # noqa: BLE001
                    return index, reason
        return first, error

    def _damage(self, index: tuple[int, ...], reason: str) -> ChunkDecodeError:
        meta = self._meta
        outer = tuple(number // n for number, n in zip(index, meta.per_shard, strict=True))
        number = int(np.ravel_multi_index(index, meta.grid)) if index else 0
        return ChunkDecodeError(f"{self._nodes.name}/{meta.store_key(outer)}", meta.path, index, number, 0, reason)

    def _translated(self, error: Exception, otherwise: BfioError) -> Exception:
        """The error to raise for one of zarr-python."""
        if isinstance(error, BfioError | MemoryError):
            return error
        if type(error).__name__ == "UnknownCodecError" or isinstance(error, ImportError):
            return UnsupportedError(f"{self._where} has a codec that zarr-python does not know here: {_said(error)}")
        return otherwise


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _place(block: np.ndarray, part: Part, axes: str, out: np.ndarray, rescale: Rescale) -> None:
    """Copy a part to where its pixels belong."""
    places: dict[str, Any] = dict.fromkeys("tczyx", slice(0, 1))
    for axis, (letter, piece) in enumerate(zip(axes, part.pieces, strict=True)):
        places[letter] = piece.place
        if not isinstance(piece.inside, slice):
            block = block.take(piece.inside, axis)
    order = [axes.index(letter) for letter in "tczyx" if letter in axes]
    block = block.transpose(order)[tuple(slice(None) if letter in axes else np.newaxis for letter in "tczyx")]
    block = block.astype(block.dtype.newbyteorder("="), copy=False)
    outer = [np.arange(n)[places[letter]].tolist() for letter, n in zip("tcz", out.shape, strict=False)]
    rows, cols = places["y"], places["x"]
    for i, t in enumerate(outer[0]):
        for j, c in enumerate(outer[1]):
            for k, z in enumerate(outer[2]):
                convert(block[i, j, k], out[t, c, z, rows, cols], rescale)

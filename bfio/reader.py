"""BioReader: any image file as one numpy-like array Y, X, Z, C, T."""

from __future__ import annotations

import copy
import operator
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from bfio import preview
from bfio.backends.detect import Source, detect
from bfio.errors import BackendMissingError, FormatError, UnsupportedError, UsageError
from bfio.handle import Handle, pick
from bfio.limits import Limits
from bfio.properties import ImageProperties
from bfio.result import result_dtype, scaling, target
from bfio.selection import Box, Selection, select_bounds, select_key
from bfio.tileiter import TileGrid, TileIterator, checked_pair

if TYPE_CHECKING:
    from ome_types import OME

    from bfio.backends.base import ReaderBackend
    from bfio.metadata import Level, Series

__all__ = ["BioReader"]

_CACHE_NBYTES = 128 << 20


class BioReader(ImageProperties):
    """Reader of one image: ``reader[y0:y1, x0:x1, z, c, t]`` gives a numpy array.

    Parameters
    ----------
    file_path : str, path or binary file object
        A file, the folder of a Zarr store, a URL that fsspec knows, an open seekable file, or a store of zarr-python.
    max_workers : int, optional
        Threads that decode. By default the CPUs that this process may use.
    backend : str, optional
        ``"python"`` (TIFF, and never Java), ``"zarr"``, or ``"bioformats"`` (anything that Bio-Formats reads). By
        default the content of the file decides: TIFF is read by the first, Zarr by the second, all else by the last.
    clean_metadata : bool
        Repair OME-XML that is not valid before :attr:`metadata` is built.
    level : int, optional
        Resolution to read: 0 (or None) is the full one, -1 the smallest. As in bfio 2, it counts the images of a file
        that is read through Bio-Formats if that has several and none has smaller resolutions: ``level=1`` is then
        the same as ``series=1``.
    series : int
        Image of the file to read.
    limits : Limits, optional
        What the file may ask for.
    cache_bytes : int
        Memory for decoded tiles that are kept for the next read; 0 for none.
    storage_options : dict, optional
        For fsspec, with URLs.

    Notes
    -----
    One reader may be used by many threads at once. It can be pickled and copied; the copy opens the file by itself.
    """

    def __init__(
        self,
        file_path: Source,
        max_workers: int | None = None,
        backend: str | None = None,
        clean_metadata: bool = True,
        level: int | None = None,
        *,
        series: int = 0,
        limits: Limits | None = None,
        cache_bytes: int = _CACHE_NBYTES,
        storage_options: dict[str, Any] | None = None,
    ) -> None:
        self._handle = Handle(
            file_path,
            backend,
            max_workers,
            limits=limits,
            cache_bytes=cache_bytes,
            storage_options=storage_options,
        )
        self.clean_metadata = clean_metadata
        self._asked = (series, level)
        self._prepare()
        self._handle.open(self._choose)

    @classmethod
    def _from_backend(cls, backend: ReaderBackend, series: int = 0, level: int | None = None) -> BioReader:
        """Reader of a backend that is open already."""
        self = cls.__new__(cls)
        self._handle = Handle(None, max_workers=1)
        self.clean_metadata = True
        self._asked = (series, level)
        self._prepare()
        self._handle.adopt(backend, self._choose)
        return self

    def _other(self, series: int) -> BioReader:
        """Reader of another image of the same open file, which only this one closes."""
        other = type(self).__new__(type(self))
        other._handle, other.clean_metadata, other._asked = self._handle.lend(), self.clean_metadata, (series, None)
        other._prepare()
        other._choose(other._handle.open())
        return other

    def _prepare(self) -> None:
        self._file_path = self._handle.source
        self._max_workers = self._handle.max_workers
        self._metadata: OME | None = None
        self._chosen: Series | None = None

    def _choose(self, backend: ReaderBackend) -> None:
        """Look up the series and level that were asked for."""
        self._series_index, self._level_index = pick(backend, *self._asked)
        self._chosen = backend.series[self._series_index]

    @property
    def _backend(self) -> ReaderBackend:
        return self._handle.open(self._choose)

    @property
    def _backend_name(self) -> str:
        return (self._handle.last or self._backend).name

    @property
    def _info(self) -> Series:
        if self._chosen is None:
            self._handle.open(self._choose)
        assert self._chosen is not None
        return self._chosen

    @property
    def level(self) -> int | None:
        """Level as it was asked for."""
        return self._asked[1]

    @property
    def levels(self) -> tuple[Level, ...]:
        """All resolutions of this image, the full one first."""
        return self._info.levels

    @property
    def series(self) -> tuple[Series, ...]:
        """All images of the file."""
        return tuple((self._handle.last or self._backend).series)

    @property
    def metadata(self) -> OME:
        """The OME metadata, as objects of ``ome_types``; made for files that have none. Always the same object."""
        if self._metadata is None:
            if self._handle.closed and self._file_path is not None:
                with copy.copy(self) as fresh:
                    self._metadata = fresh.metadata
            else:
                self._metadata = self._built_metadata(self._handle.last or self._backend)
        return self._metadata

    def _built_metadata(self, backend: ReaderBackend) -> OME:
        from bfio.omexml.model import model, synthesise

        xml = backend.ome_xml()
        if xml is None:
            ome = synthesise(backend.series, self._handle.name)
        else:
            ome = model(xml, self.clean_metadata, self._handle.limits)
        if self._level_index and self._series_index < len(ome.images):
            pixels = ome.images[self._series_index].pixels
            pixels.size_x, pixels.size_y = self.X, self.Y
            pixels.physical_size_x, pixels.physical_size_y = self.ps_x[0], self.ps_y[0]
        return ome

    def __getitem__(self, key: Any) -> np.ndarray:
        """Pixels by index, in the order Y, X, Z, C, T.

        As in numpy, save that an int keeps its axis with length 1, that lists select on each axis by itself, and that
        trailing axes of length 1 are then dropped down to two.
        """
        return self._filled(select_key(key, self._sizes))

    def read(
        self,
        X: Any = None,
        Y: Any = None,
        Z: Any = None,
        C: Any = None,
        T: Any = None,
        *,
        dtype: Any = None,
        out: np.ndarray | None = None,
        rescale: bool | tuple[float, float] | None = None,
    ) -> np.ndarray:
        """Pixels by bounds.

        Parameters
        ----------
        X, Y, Z : int, (start, stop), slice or range, optional
            All by default. Z also takes an integer array or a mask.
        C, T : int, list, tuple, array, slice or range, optional
        dtype : dtype, optional
            Type of the result; values that it can not hold saturate.
        out : numpy.ndarray, optional
            Array to fill, of the shape of the result (axes of length 1 at its end may be missing).
        rescale : (float, float) or True, optional
            Values that become the lowest and highest of the result's type (0 and 1 for floats); True stands for those
            of the file's type.

        Returns
        -------
        numpy.ndarray
            As :meth:`__getitem__` gives it; `out` where that was given.
        """
        bounds = {"X": X, "Y": Y, "Z": Z, "C": C, "T": T}
        return self._filled(select_bounds(bounds, self._sizes), dtype, out, rescale)

    def _filled(
        self, selection: Selection, dtype: Any = None, out: np.ndarray | None = None, rescale: Any = None
    ) -> np.ndarray:
        backend, info = self._backend, self._info
        kind = result_dtype(dtype, out, info.dtype)
        view, result = target(selection.box.shape, kind, out, interleaved=info.interleaved)
        if view.size:
            linear = scaling(rescale, info.dtype, result.dtype)
            backend.read(self._series_index, self._level_index, selection.box, selection.oriented(view), linear)
        return result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise UsageError("an image file can not become an array without a copy")
        pixels = self.read()
        return pixels if dtype is None else pixels.astype(dtype, copy=False)

    def __call__(
        self,
        tile_size: tuple[int, int],
        tile_stride: tuple[int, int] | None = None,
        batch_size: int | None = None,
        channels: Any = (0,),
        *,
        Z: Any = 0,
        T: Any = 0,
    ) -> TileIterator:
        """Iterate over equal tiles: ``for images, (X, Y, Z, C, T) in reader((256, 256), (200, 200))``.

        Parameters
        ----------
        tile_size, tile_stride : (int, int)
            Height and width, and distances of tiles (by default their size). Tiles that overlap are centred on their
            stride, and the image is mirrored at its edges; else it ends in zeros.
        batch_size : int, optional
            Tiles in one batch; by default 32, or :meth:`maximum_batch_size` where that is less.
        channels, Z, T : int, list, slice, optional
            Planes to read, as in :meth:`read`; None for all. The first ones by default.

        Returns
        -------
        TileIterator
            Yields images (tiles, height, width, channels) and where they lie.
        """
        size = checked_pair(tile_size, "tile_size")
        stride = size if tile_stride is None else checked_pair(tile_stride, "tile_stride")
        batch = min(32, self.maximum_batch_size(size, stride)) if batch_size is None else operator.index(batch_size)
        if batch < 1:
            raise UsageError(f"batch_size must be at least 1, not {batch_size}")
        box = select_bounds({"Z": Z, "C": channels, "T": T}, self._sizes).box

        def read(part: Box, out: np.ndarray) -> None:
            self._backend.read(self._series_index, self._level_index, part, out, None)

        return TileIterator(
            read,
            TileGrid((self.Y, self.X), size, stride),
            self.dtype,
            box.c,
            box.z,
            box.t,
            batch,
            self._max_workers,
        )

    def __iter__(self) -> NoReturn:
        raise UsageError(
            "a reader is iterated by tiles: call it first, as in 'for images, index in reader((256, 256))'"
        )

    def thumbnail(self, size: int = 256) -> np.ndarray:
        """Small picture of the middle plane: uint8 (Y, X), or (Y, X, 3) in the colours of the channels."""
        return preview.thumbnail(self._backend, self._info, operator.index(size))

    def __repr__(self) -> str:
        name = self._handle.name
        if self._chosen is None:
            return f"<BioReader {name!r}, not open yet>"
        sizes = " x ".join(f"{size} {axis}" for axis, size in zip(self.dims, self.shape, strict=True))
        place = f"series {self._series_index}, level {self._level_index}"
        return f"<BioReader {name!r}: {sizes}, {self.dtype}, {place}{', closed' if self._handle.closed else ''}>"

    def _repr_html_(self) -> str:
        return preview.card(self, self._handle.name, self.thumbnail)

    @classmethod
    def image_size(cls, filepath: Source) -> tuple[int, int]:
        """Width and height (X, Y) of the first image of a file; (-1, -1) for one that can not be read here.

        That is text, formats that nobody knows, and formats of Bio-Formats where it is not installed.
        """
        is_tiff = False
        try:
            is_tiff = detect(filepath) == "TIFF"
            with cls(filepath, max_workers=1, cache_bytes=0) as reader:
                return reader.X, reader.Y
        except (FormatError, UnsupportedError, BackendMissingError):
            if is_tiff or (isinstance(filepath, (str, os.PathLike)) and Path(filepath).is_dir()):
                raise
            return (-1, -1)

    def close(self) -> None:
        """Release the file; its properties stay known. Closing twice is allowed."""
        self._handle.close()

    def __enter__(self) -> BioReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        handle = self.__dict__.get("_handle")
        if handle is not None and not handle.closed and not is_finalizing():  # in the end modules are taken apart
            handle.close()

    def __getstate__(self) -> dict[str, Any]:
        return {
            "handle": copy.copy(self._handle),
            "clean_metadata": self.clean_metadata,
            "asked": self._asked,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._handle = state["handle"]
        self.clean_metadata, self._asked = state["clean_metadata"], state["asked"]
        self._prepare()

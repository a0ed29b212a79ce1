"""BioWriter: an image file written as one numpy-like array Y, X, Z, C, T, by any number of threads in any order."""

from __future__ import annotations

import logging
import math
import os
import warnings
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from bfio.assign import Assignment, as_pixels, assign_bounds, assign_key, whole_sizes
from bfio.axes import PUBLIC
from bfio.backends.registry import (
    append_writer,
    attach_writer,
    check_options,
    create_writer,
    resume_writer,
    writer_name,
)
from bfio.described import DescribedImage
from bfio.draft import Draft
from bfio.errors import UsageError
from bfio.lossless import check_values, converted, lossless_cast, passes, pieces
from bfio.options import parse_options
from bfio.progress import Progress, checked_report
from bfio.target import part_path, target_path
from bfio.tiling import Grid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ome_types import OME

    from bfio.backends.base import Key, WriterBackend
    from bfio.metadata import Series
    from bfio.options import WriteOptions
    from bfio.selection import Box

__all__ = ["BioWriter"]

logger = logging.getLogger(__name__)

_SMALL_NBYTES = 1 << 26
"""Arrays up to this size are converted at once, larger ones part by part."""


class BioWriter(DescribedImage):
    """Writer of one image: ``writer[y0:y1, x0:x1, z, c, t] = array``.

    Parameters
    ----------
    file_path : str or path
        ``.ome.tif``, ``.ome.tiff`` or any other name of a TIFF file, or ``.ome.zarr``. Until :meth:`close` it is
        ``<name>.part``; what has the name already stays until then.
    max_workers : int, optional
        Threads that encode. By default the CPUs that this process may use.
    backend : str, optional
        ``"python"`` (TIFF), ``"zarr"``, or ``"bioformats"`` (its own formats, such as ``.ome.xml``, ``.ics`` and
        ``.png``). By default the name decides.
    metadata : ome_types.OME or str, optional
        Metadata to begin with, as of ``reader.metadata``, or OME-XML; of several images the first one counts. Never
        changed.
    image : numpy.ndarray, optional
        Y, X, Z, C, T (or fewer): sets sizes and dtype, and is written at once.
    compression : str or None
        ``"deflate"`` (the default of TIFF), ``"zstd"`` (that of Zarr), ``"lzw"``, ``"packbits"``, ``"none"``,
        ``"jpeg"``, ``"jpeg2000"`` or ``"webp"``. Zarr has ``"zstd"``, ``"gzip"`` (which ``"deflate"`` means there),
        ``"blosc"`` (zstd of shuffled bytes) and ``"none"``.
    compression_level : int, optional
    predictor : str, bool or int, optional
        ``"none"``, ``"horizontal"`` or ``"float"``; by default bfio chooses.
    tile_size : int or (int, int)
        Rows and columns of tiles, or of the chunks of Zarr.
    levels : int or "auto"
        Resolutions, the full one counted.
    downsample : str
        How a level is made of the one before: ``"mean"``, ``"nearest"``, ``"mode"`` (for labels) or ``"max"``.
        `append` goes on as the store tells.
    bigtiff : bool, optional
        By default where the file could need it.
    resume : bool
        Go on with the ``.part`` that an earlier writer left; :attr:`missing` tells what it lacks.
    durable : bool
        Whether :meth:`close` waits until the file is on the disk, before it gets its name. Without, a power failure in
        the following seconds can leave a file that looks whole and is not; programs that end or crash do no harm.
    overwrite : bool, optional
        Whether what has the name may be replaced. By default files are, and Zarr stores are not. A folder that is no
        Zarr store is never touched.
    append : bool
        Write into the Zarr store of this name, where there is one: its sizes hold, and its pixels stay until others
        are written over them.
    chunks : int or sequence of int, optional
        What Zarr encodes as a whole: rows and columns, or lengths along the last of T, C, Z, Y, X; else planes of
        ``tile_size``. Many processes must write whole chunks.
    shards : int or sequence of int, optional
        What Zarr 3 puts into one file, a multiple of ``chunks``; by default each chunk has its own. Many processes must
        write whole shards.
    zarr_version : int or str, optional
        3 (OME-Zarr 0.5, the default), or 2 (OME-Zarr 0.4).
    series : int, optional
        Write the image of this number into a Zarr store of several, beside those that are there, as
        ``<file_path>/<series>``. `append`, `overwrite` and `resume` are then about this image alone, and until
        :meth:`close` it is ``<file_path>.<series>.part``. The first image begins the store; several processes may
        write an image each.
    progress : bool or callable, optional
        True for a bar of tqdm, or a function that gets the number of finished tiles and of all tiles.
    **kwargs
        Attributes to set, such as ``X``, ``dtype`` or ``ps_x``, in any order.

    Notes
    -----
    One writer may be used by many threads at once. Other processes join with :meth:`attach`.
    """

    def __init__(
        self,
        file_path: str | os.PathLike[str],
        max_workers: int | None = None,
        backend: str | None = None,
        metadata: OME | str | None = None,
        image: np.ndarray | None = None,
        *,
        compression: str | None = "default",
        compression_level: int | None = None,
        predictor: str | bool | int | None = None,
        tile_size: int | tuple[int, int] = 1024,
        levels: int | str = 1,
        downsample: str = "mean",
        bigtiff: bool | None = None,
        resume: bool = False,
        durable: bool = True,
        overwrite: bool | None = None,
        append: bool = False,
        chunks: int | Sequence[int] | None = None,
        shards: int | Sequence[int] | None = None,
        zarr_version: int | str | None = None,
        series: int | None = None,
        progress: Any = None,
        **kwargs: Any,
    ) -> None:
        options = parse_options(
            compression=compression, compression_level=compression_level, predictor=predictor, tile_size=tile_size,
            levels=levels, bigtiff=bigtiff, downsample=downsample, max_workers=max_workers, resume=resume,
            durable=durable, overwrite=overwrite, append=append, chunks=chunks, shards=shards,
            zarr_version=zarr_version, series=series,
        )  # fmt: skip
        path = target_path(file_path, overwrite=overwrite, enter=append, resume=resume, series=options.series)
        self._prepare(path, writer_name(path, backend), options, checked_report(progress))
        check_options(path, self._backend_name, options)
        if metadata is not None:
            self.metadata = metadata
        self._set_all(kwargs, BioWriter.__init__.__annotations__)
        if append and self._is_there():
            wanted = self._description
            self._adopt(*append_writer(path, self._backend_name, options))
            self._check_adopted(wanted)
        elif resume and not self._description.said and self._part.exists():
            self._adopt(*resume_writer(path, self._backend_name, options))
        if image is not None:
            self._write_image(image)

    @classmethod
    def attach(
        cls, file_path: str | os.PathLike[str], max_workers: int | None = None, *, series: int | None = None
    ) -> BioWriter:
        """Join the writing of a file that another process has started; that one must close last.

        The other writer must have written something, or called :meth:`flush`. Closing this one only ends its share.
        """
        self = cls.__new__(cls)
        options = parse_options(max_workers=max_workers, series=series)
        path = target_path(file_path, enter=True, series=options.series)
        self._prepare(path, writer_name(path), options, None)
        check_options(path, self._backend_name, options)
        self._adopt(*attach_writer(path, self._backend_name, options))
        return self

    def _prepare(self, path: Path, backend_name: str, options: WriteOptions, report: Any) -> None:
        super().__init__(path, options.tile_size)
        self._open: WriterBackend | None = None
        self._closed = False
        self._pid = os.getpid()
        self._progress: Progress | None = None
        self._report = report
        self._backend_name = backend_name
        self._max_workers = options.max_workers
        self._options = options

    def _adopt(self, backend: WriterBackend, series: Series) -> None:
        """Write into a file that has its description already."""
        self._description = Draft.of_series(series)
        self._keep(backend, series)

    def _check_adopted(self, wanted: Draft) -> None:
        """Refuse to write into an image that is not as it was described."""
        differ = [
            f"{axis} is {found}, not {size}"
            for axis, found, size in zip(PUBLIC, self._draft.sizes, wanted.sizes, strict=True)
            if axis in wanted.said and found != size
        ]
        if "dtype" in wanted.said and wanted.dtype != self._draft.dtype:
            differ.append(f"dtype is {self._draft.dtype}, not {wanted.dtype}")
        if differ:
            self._abandon()
            raise UsageError(f"{self._file_path.name}: {', '.join(differ)}; leave these out, or use overwrite=True")

    def _keep(self, backend: WriterBackend, series: Series) -> None:
        grid = Grid(series.size_y, series.size_x, *backend.tile_shape)
        n_planes = series.size_t * series.size_c * series.size_z
        self._progress = Progress(self._report, math.prod(series.shape), grid.n_tiles * n_planes)
        self._pid = os.getpid()
        self._open = backend

    @property
    def read_only(self) -> bool:
        """Whether the image can no longer be described: after the first write."""
        return self._open is not None or self._closed

    @property
    def tile_shape(self) -> tuple[int, int]:
        """Rows and columns of the tiles. Blocks of processes that write one file must be cut at their borders."""
        if self._open is not None:
            return self._open.tile_shape
        rows, cols = (self._options.shards or self._options.chunks or self._options.tile_size)[-2:]
        return rows, cols

    # -- writing ------------------------------------------------------------------------------------------------------

    def __setitem__(self, key: Any, value: Any) -> None:
        """Write pixels, by index in the order Y, X, Z, C, T.

        `value` has the shape that reading the region gives (axes of length 1 may be missing at its end), or any shape
        that numpy would broadcast. Its numbers must have an equal in the dtype of the image.
        """
        array = as_pixels(value)
        if not self.read_only:
            self._infer(value, whole_sizes(key, array.shape))
        self._write(assign_key(key, array, self._draft.sizes), weak=not hasattr(value, "dtype"))

    def write(self, image: Any, X: Any = None, Y: Any = None, Z: Any = None, C: Any = None, T: Any = None) -> None:
        """Write pixels, by where they begin.

        Parameters
        ----------
        image : numpy.ndarray
            Y, X, Z, C, T; axes of length 1 may be missing at the end.
        X, Y, Z, C, T : int, or a list of one, optional
            Index of the first pixel; 0 by default. Z, C and T also take as many indices as `image` has there.
        """
        array = as_pixels(image)
        bounds = {"X": X, "Y": Y, "Z": Z, "C": C, "T": T}
        if not self.read_only and all(bound is None for bound in bounds.values()):
            self._infer(image, whole_sizes(slice(None), array.shape))
        self._write(assign_bounds(array, bounds, self._draft.sizes), weak=not hasattr(image, "dtype"))

    def _write_image(self, image: Any) -> None:
        array = as_pixels(image)
        if array.ndim < 2:
            raise UsageError(f"image= must have at least the axes Y and X, not the shape {array.shape}")
        try:
            self.shape = array.shape
            self.dtype = array.dtype
            self[:] = array
        except BaseException:
            self._abandon()
            raise

    def _write(self, part: Assignment, *, weak: bool) -> None:
        if 0 in part.box.shape:
            return
        dtype = self._draft.dtype
        if not passes(part.value.dtype, dtype):
            if part.value.nbytes > _SMALL_NBYTES:
                self._write_pieces(part, dtype)
                return
            part = part.with_value(lossless_cast(part.value, dtype, weak=weak))
        self._store(part.box, part.block)

    def _write_pieces(self, part: Assignment, dtype: np.dtype) -> None:
        """Convert and write a large array part by part; it is checked as a whole before."""
        check_values(part.value, dtype)
        for box, block in pieces(part.box, part.block, self.tile_shape[0], interleaved=self._draft.samples > 1):
            self._store(box, converted(block, dtype))

    def _store(self, box: Box, block: np.ndarray) -> None:
        backend = self._started()
        backend.write(box, block)
        assert self._progress is not None
        self._progress.add(block.size)

    def _started(self) -> WriterBackend:
        """The backend; the first call makes the file, and from then on its description is fixed."""
        backend = self._open
        if backend is None or self._closed:
            with self._lock:
                if self._closed:
                    raise UsageError(f"{self._file_path.name} is closed; make a new writer to write it again")
                if self._open is None:
                    series = self._series()
                    xml = self._xml(series)
                    self._keep(create_writer(self._file_path, self._backend_name, series, xml, self._options), series)
                backend = self._open
                assert backend is not None
        if self._pid != os.getpid():
            raise UsageError(
                f"{self._file_path.name} is written by another process; use BioWriter.attach() in this one"
            )
        return backend

    def flush(self) -> None:
        """Make a checkpoint: ``<name>.part`` can then be read as it is, attached to, and resumed."""
        self._started().flush()

    @property
    def missing(self) -> list[Key]:
        """Keys of the regions that were not written yet: ``for key in writer.missing: writer[key] = ...``."""
        if self._open is None and not self._closed and not self._is_left_over():
            y, x, z, c, t = (slice(0, size) for size in self._draft.sizes)
            return [(y, x, z, c, t)]
        return self._started().missing

    def _is_left_over(self) -> bool:
        """Whether an earlier writer left a file to go on with."""
        return self._options.resume and self._part.exists()

    def _is_there(self) -> bool:
        """Whether there is a finished image."""
        series = self._options.series
        return (self._file_path if series is None else self._file_path / str(series)).exists()

    @property
    def _image_name(self) -> str:
        series = self._options.series
        return self._file_path.name if series is None else f"{self._file_path.name}/{series}"

    @property
    def _part(self) -> Path:
        """What the image is called while it is written."""
        return part_path(self._file_path, self._options.series)

    @property
    def _backend(self) -> _Backend:
        return _Backend(self)

    # -- the end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Finish the file and give it its name. Closing twice is allowed.

        What was never written reads as 0. A writer that was never written to makes no file, unless it resumes one.
        """
        if self._open is None and not self._closed and self._is_left_over():
            self._started()
        with self._lock:
            backend, is_closed, self._closed = self._open, self._closed, True
        if is_closed or self._pid != os.getpid():
            return
        if backend is None:
            logger.warning("%s: nothing was written, so no file was made", self._file_path)
            return
        try:
            backend.close()
        except BaseException:
            backend.abandon()
            logger.error("%s could not be finished; what there is was kept as %s", *self._names())
            raise
        finally:
            self._end_progress()

    def _abandon(self) -> None:
        """Release the file without giving it its name."""
        with self._lock:
            backend, is_closed, self._closed = self._open, self._closed, True
        if not is_closed and backend is not None and self._pid == os.getpid():
            backend.abandon()
            self._end_progress()
            logger.warning("%s was not finished; what was written is kept as %s", *self._names())

    def _end_progress(self) -> None:
        if self._progress is not None:
            self._progress.close()

    def _names(self) -> tuple[Path, str]:
        return self._file_path, self._part.name

    def __enter__(self) -> BioWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self.close()
        else:
            self._abandon()

    def __del__(self) -> None:
        state = self.__dict__
        if state.get("_open") is None or state["_closed"] or state["_pid"] != os.getpid():
            return
        path, part = self._names()
        warnings.warn(f"{path} was never closed; it is kept as {part}", ResourceWarning, source=self, stacklevel=2)
        self._abandon()

    def __reduce__(self) -> NoReturn:
        raise UsageError("a writer can not be pickled or copied; use BioWriter.attach(path) in the other process")

    def __repr__(self) -> str:
        sizes = " x ".join(f"{size} {axis}" for axis, size in zip(self.dims, self.shape, strict=True))
        state = "closed" if self._closed else "not begun" if self._open is None else "open"
        return f"<BioWriter {self._file_path.name!r}: {sizes}, {self.dtype}, {state}>"


class _Backend:
    """The backend of a writer as scripts reach for it: ``writer._backend._init_writer()`` makes the file."""

    def __init__(self, writer: BioWriter) -> None:
        self._writer = writer
        self.name = writer._backend_name

    def _init_writer(self) -> None:
        self._writer._started()

    def __getattr__(self, name: str) -> Any:
        if self._writer._open is None:
            raise AttributeError(f"the backend has no {name!r} before the first write")
        return getattr(self._writer._open, name)

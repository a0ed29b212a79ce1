"""``bfio.convert``: its arguments, and what is refused before anything is read."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bfio.backends.detect import Source, detect, local_path
from bfio.backends.registry import writer_name
from bfio.byteio import is_url
from bfio.conversion.collection import CollectionJob
from bfio.conversion.job import Job
from bfio.conversion.memory import parse_memory
from bfio.conversion.picture import Picture
from bfio.conversion.source_xml import SourceXml
from bfio.errors import UsageError
from bfio.limits import Limits
from bfio.metadata import Series
from bfio.options import WriteOptions, check_no_zarr, parse_options
from bfio.progress import Progress, checked_report
from bfio.reader import BioReader
from bfio.target import is_zarr_name, part_path, target_path

__all__ = ["Report", "convert"]


_KEPT_NBYTES = 128 << 20


@dataclass(frozen=True, slots=True)
class Report:
    """What a conversion did. It is also the path of the file, wherever one is asked for.

    Attributes
    ----------
    path : Path
    series : Series
        The image as it was written; of several, the first one.
    pixel_nbytes, file_nbytes : int
        Of the full resolution, and of the file with all levels.
    skipped_nbytes : int
        Bytes of pixels that were in the file that was resumed.
    seconds : float
    """

    path: Path
    series: Series
    pixel_nbytes: int
    file_nbytes: int
    skipped_nbytes: int
    seconds: float

    def __fspath__(self) -> str:
        return os.fspath(self.path)


def convert(
    src: Source | BioReader,
    dst: str | os.PathLike[str],
    *,
    series: int | str | None = None,
    channels: Any = None,
    z: Any = None,
    t: Any = None,
    crop: tuple[int, int, int, int] | None = None,
    dtype: Any = None,
    rescale: bool | tuple[float, float] | None = None,
    levels: int | str = "auto",
    tile_size: int | tuple[int, int] = 1024,
    compression: Any = "default",
    compression_level: int | None = None,
    predictor: Any = None,
    downsample: str = "mean",
    bigtiff: bool | None = None,
    chunks: int | Sequence[int] | None = None,
    shards: int | Sequence[int] | None = None,
    zarr_version: int | str | None = None,
    memory: int | str = "512MB",
    max_workers: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Any = None,
    limits: Limits | None = None,
    storage_options: dict[str, Any] | None = None,
) -> Report:
    """Convert an image, of any size, to a tiled OME-TIFF, or to OME-Zarr, with a pyramid.

    Parameters
    ----------
    src : str, path, binary file object or BioReader
        What :class:`BioReader` reads. A reader gives its series, level and backend, and stays open.
    dst : str or path
        The file to write; its name ends in ``.ome.tif`` or the like, or in ``.zarr``. Until it is complete it is
        called ``<dst>.part``.
    series : int or "all", optional
        Image of the source; the first one by default. ``"all"`` writes each image of the source into one OME-Zarr
        store of several (the layout of bioformats2raw), which gets its name when all are there; the other arguments
        hold for each of them.
    channels, z, t : int, slice, range or sequence of int, optional
        Planes to take, in this order, as in an index of a reader: `channels` counts the samples of RGB one by one.
        RGB stays RGB where whole pixels are taken; single samples become channels.
    crop : (int, int, int, int), optional
        Rectangle to take: x, y, width, height.
    dtype : dtype, optional
        Type of the pixels; values that it can not hold saturate.
    rescale : (float, float) or True, optional
        Values that become the lowest and highest of the type, as in :meth:`BioReader.read`.
    levels : int or "auto"
        Resolutions, the full one counted; ``"auto"``: until a plane fits into one tile, or chunk of Zarr.
    tile_size, compression, compression_level, predictor, downsample, bigtiff, chunks, shards, zarr_version
        As in :class:`BioWriter`; but levels of the labels of an OME-Zarr are made by ``"mode"`` instead of ``"mean"``.
    memory : int or str
        Bound for the memory of the whole process, as bytes or such as ``"512MB"``. Java's heap, where Bio-Formats
        reads the source, comes on top; ``BFIO_JAVA_MAX_HEAP`` bounds it.
    max_workers : int, optional
        Threads that decode, and threads that encode. By default the CPUs that this process may use.
    resume : bool
        Go on with the ``.part`` that an interrupted conversion with the same arguments left; begin where there is
        none.
    overwrite : bool
        Replace `dst` if it is there.
    progress : bool or callable, optional
        True for a bar of tqdm, or a function that gets the number of finished tiles and of all tiles.
    limits : Limits, optional
        What the source may ask for.
    storage_options : dict, optional
        For fsspec, where `src` is a URL.

    Returns
    -------
    Report
        Can be used as the path of the new file.

    Raises
    ------
    FileExistsError
        `dst` is there, and `overwrite` is not set.
    UsageError
        An argument does not fit the image, or nothing can be done in so little memory.
    TileDecodeError
        The source is broken; ``<dst>.part`` stays.
    """
    start = time.perf_counter()
    options = parse_options(
        compression=compression,
        compression_level=compression_level,
        predictor=predictor,
        tile_size=tile_size,
        levels=levels,
        bigtiff=bigtiff,
        downsample=downsample,
        max_workers=max_workers,
        resume=resume,
        overwrite=overwrite,
        chunks=chunks,
        shards=shards,
        zarr_version=zarr_version,
    )
    nbytes, report = parse_memory(memory), checked_report(progress)
    path, backend = _target(src, dst, options)
    kept = _kept(src, nbytes)
    more = {"limits": limits, "cache_bytes": kept, "storage_options": storage_options}
    every = _is_all(src, series, backend)
    with _opened(src, None if every else series, options.max_workers, **more) as reader:
        wanted = {"channels": channels, "z": z, "t": t, "crop": crop, "dtype": dtype, "rescale": rescale}
        pictures = _pictures(reader, wanted, every=every)
        job = (
            CollectionJob(pictures, path, backend, options, nbytes, kept)
            if every
            else Job(pictures[0], path, backend, options, nbytes, kept)
        )
        with closing(Progress(report, job.n_pixels, job.n_tiles)) as progress:
            skipped = job.run(progress)
    return Report(path, job.series, job.total, _nbytes(path), skipped, time.perf_counter() - start)


def _target(src: Source | BioReader, dst: str | os.PathLike[str], options: WriteOptions) -> tuple[Path, str]:
    """Path of the target, and the backend that writes it, if it may be written with these options."""
    path = target_path(dst, overwrite=True)
    backend = writer_name(path, "zarr" if is_zarr_name(path) else "python")  # Bio-Formats can neither go on nor halve
    if backend != "zarr":
        check_no_zarr(options)
    _refuse_source(src, path)
    target_path(dst, overwrite=options.overwrite)
    return path, backend


def _pictures(reader: BioReader, wanted: dict[str, Any], *, every: bool) -> list[Picture]:
    """What is taken of the image of a reader, or of each image of its file."""
    readers = [reader._other(number) for number in range(len(reader.series))] if every else [reader]
    told = SourceXml(reader, apart=every)
    return [Picture(one, told, **wanted) for one in readers]


def _is_all(src: Source | BioReader, series: Any, backend: str) -> bool:
    """Whether all images are wanted."""
    if not isinstance(series, str):
        return False
    if series != "all":
        raise UsageError(f"series={series!r} must be an int or 'all'")
    if backend != "zarr":
        raise UsageError("series='all' writes OME-Zarr only, as bfio's TIFF files hold one image; use a .zarr name")
    if isinstance(src, BioReader) and src._level_index:
        raise UsageError(f"series='all' takes full resolutions, but the reader is of level {src._level_index}")
    return True


def _nbytes(path: Path) -> int:
    """Size of a file, or of all files in a folder."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _refuse_source(src: Source | BioReader, path: Path) -> None:
    """The source, or a store that it stands in, is never written over."""
    source = src._file_path if isinstance(src, BioReader) else src
    if not isinstance(source, (str, os.PathLike)) or is_url(os.fspath(source)):
        return
    own = Path(source).expanduser().resolve()
    for taken in (path, part_path(path)):
        if taken.exists() and any(one.exists() and taken.samefile(one) for one in (own, *own.parents)):
            raise UsageError(f"{path}: the source itself can not be the target; write to another file")


def _kept(src: Source | BioReader, nbytes: int) -> int:
    """Memory for decoded tiles of the source.

    Blocks are laid out so that none is needed for TIFF. But of many formats Bio-Formats decodes whole planes whatever
    is asked for (PNG, JPEG 2000), and says so nowhere; what it decodes is best kept.
    """
    if isinstance(src, BioReader) or local_path(src) is None or detect(src) == "TIFF":
        return 0
    return _KEPT_NBYTES if nbytes >= 3 * _KEPT_NBYTES else 0


def _opened(
    src: Source | BioReader, series: Any, max_workers: int, **options: Any
) -> AbstractContextManager[BioReader]:
    """The reader of the source; one that was given is not closed."""
    if not isinstance(src, BioReader):
        return BioReader(src, max_workers, series=series or 0, **options)
    if series is not None and series != src._series_index:
        raise UsageError(f"series={series}, but the reader is of series {src._series_index}; pass the path instead")
    return nullcontext(src)

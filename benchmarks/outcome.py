"""What a race comes to: the best rival, ratios, and whether the target is reached."""

import datetime
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import BFIO
from race import Result
from rows import LIMIT, Row

ROOM = 1.05  # a file may be this many times as large as that of the best rival


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

    def ratio_to(self, label: str) -> float | None:
        """Fastest round of a contender, whether it counts or not, over the fastest of bfio."""
        result = self.results.get(label)
        if self.bfio is None or result is None or result.error is not None:
            return None
        return result.best / self.bfio.best

    def cpu_ratio_to(self, label: str) -> float | None:
        """The same with CPU time."""
        result = self.results.get(label)
        if self.bfio is None or result is None or result.error is not None:
            return None
        return min(result.cpu) / min(self.bfio.cpu)

    @property
    def cpu_ratio(self) -> float | None:
        """The same with CPU time, which other work on the machine disturbs less; with workers, they all add up."""
        if self.bfio is None or not self.rivals:
            return None
        return min(min(rival.cpu) for rival in self.rivals.values()) / min(self.bfio.cpu)

    @property
    def size_ratio(self) -> float | None:
        """Size of the file of bfio over that of the best rival."""
        if self.bfio is None or self.best_rival is None or not self.bfio.nbytes:
            return None
        return self.bfio.nbytes / (self.rivals[self.best_rival].nbytes or self.bfio.nbytes)

    @property
    def codec_share(self) -> float | None:
        """Time of libdeflate alone over that of bfio."""
        limit = self.results.get(LIMIT)
        if self.bfio is None or limit is None or limit.error is not None:
            return None
        return limit.best / self.bfio.best

    @property
    def reached(self) -> bool | None:
        """Whether the targets are reached, with a file that is not too large."""
        if self.ratio is None or self.row.target is None:
            return None
        also = all((self.ratio_to(label) or 0) >= target for label, target in self.row.also.items())
        return also and self.ratio >= self.row.target and (self.size_ratio or 0) <= ROOM

    def record(self) -> dict[str, Any]:
        """All of it for JSON."""
        results = {label: _record(result) for label, result in self.results.items()}
        known: dict[str, Any] = {"ratio": self.ratio, "median_ratio": self.median_ratio}
        known |= {"cpu_ratio": self.cpu_ratio, "codec_share": self.codec_share, "size_ratio": self.size_ratio}
        row = self.row
        if row.also:
            known |= {"also": {label: [self.ratio_to(label), target] for label, target in row.also.items()}}
        return {"key": row.key, "title": row.title, "target": row.target, **known, "results": results}


def _record(result: Result) -> dict[str, Any]:
    if result.error:
        return {"error": result.error}
    size = {} if result.nbytes is None else {"nbytes": result.nbytes}
    times = {"seconds": result.seconds, "cpu": result.cpu}
    return size | {name: [round(value, 6) for value in values] for name, values in times.items()}


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
        "load": round(os.getloadavg()[1], 1) if hasattr(os, "getloadavg") else None,  # the bench alone makes 1 to 2
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }

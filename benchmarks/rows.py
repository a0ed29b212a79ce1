"""What a row of the tables is; the rows stand in ``rows_read.py`` and its like."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

IMAGE, LABELS = "microscopy", "labels"
LIMIT = "libdeflate alone"


@dataclass(frozen=True)
class Entry:
    """One contender in one row; ``counts`` tells whether it is a rival or shown for information."""

    label: str
    contender: str
    task: str
    options: dict[str, Any] | None = None
    counts: bool = True


@dataclass(frozen=True)
class Row:
    """One line of a table; without a target it has nothing to reach. ``also``: ratios to reach against one rival."""

    key: str
    title: str
    target: float | None
    entries: tuple[Entry, ...]
    also: Mapping[str, float] = field(default_factory=dict, kw_only=True)

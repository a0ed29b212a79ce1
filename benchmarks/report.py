"""Writes what was measured: a table, all of it as JSON, and a plot."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from figure import Figure
from outcome import Outcome, machine
from race import Result

METHOD = """Each contender has a process of its own; those of a row take turns, round after round (who is three times
slower than the fastest leaves after three rounds); files are in the page cache; 2 threads each, if not
said otherwise. Ratio = fastest round
of the best rival / fastest round of bfio."""


@dataclass(frozen=True)
class Kind:
    """Reading or writing: its head in the report, the rest of its method, its table, and how a cell shows a result."""

    title: str
    method: str
    head: Sequence[str]
    line: Callable[[Outcome], list[str]]
    cell_head: str
    cell: Callable[[Result], str]
    plot_title: str


def number(value: float | None, form: str = ".2f") -> str:
    """A number, or a dash."""
    return "-" if value is None else format(value, form)


def reached(value: bool | None) -> str:
    """Yes, no, or nothing to reach."""
    return {True: "yes", False: "no", None: ""}[value]


def milliseconds(result: Result | None) -> str:
    """Fastest round, or a dash."""
    return "-" if result is None or result.error is not None else f"{result.best * 1e3:.1f}"


def _grid(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    rows = [list(head), ["---"] * len(head), *[list(line) for line in lines]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _figure_table(figures: Sequence[Figure]) -> str:
    lines = []
    for figure in figures:
        bound = "" if figure.bound is None else f"{figure.bound:.2f}"
        value = f"{figure.value:.2f} {figure.unit}".strip()
        lines.append([figure.title, value, bound, reached(figure.reached), figure.note])
    return _grid(["figure", "value", "bound", "under it", "note"], lines)


def _all_times(kind: Kind, outcomes: Sequence[Outcome]) -> str:
    """Every contender of every row, and why some have no time."""
    labels = list(dict.fromkeys(label for outcome in outcomes for label in outcome.results))
    lines = []
    for outcome in outcomes:
        cells = [kind.cell(outcome.results.get(label, Result(error=""))) for label in labels]
        rounds = max(len(result.seconds) for result in outcome.results.values())
        lines.append([outcome.row.title, *cells, str(rounds)])
    text = _grid([kind.cell_head, *labels, "rounds"], lines)
    failures: dict[str, list[str]] = {}
    for outcome in outcomes:
        for label, result in outcome.results.items():
            if result.error:
                failures.setdefault(f"{label}: {result.error}", []).append(outcome.row.key)
    lines_of_failures = [f"- {failure} ({', '.join(keys)})\n" for failure, keys in failures.items()]
    return text + ("\nWithout a time:\n" + "".join(lines_of_failures) if failures else "")


def _draw(path: Path, kind: Kind, outcomes: Sequence[Outcome]) -> None:
    try:
        import plot
    except ImportError:
        print("no matplotlib, no plot", file=sys.stderr)
    else:
        plot.draw(path, kind.plot_title, outcomes)


def write(
    stem: Path, kind: Kind, outcomes: Sequence[Outcome], figures: Sequence[Figure], versions: Mapping[str, str]
) -> str:
    """Write ``<stem>.md``, ``<stem>.json`` and ``<stem>.png``; returns the text of the table."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    where = machine()
    known = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    place = f"{where['date']}; {where['cpu']}, {where['cores']} cores, {where['machine']}, {where['system']}"
    python = f"load {where['load']}; Python {where['python']}"
    text = f"# {kind.title}\n\n{place}, {python}; {known}.\n\n{METHOD} {kind.method}\n\n"
    if outcomes:
        text += _grid(kind.head, [kind.line(outcome) for outcome in outcomes]) + "\n"
    if figures:
        text += _figure_table(figures) + "\n"
    if outcomes:
        text += "## All times\n\n" + _all_times(kind, outcomes)
    stem.with_suffix(".md").write_text(text)
    rows = [outcome.record() for outcome in outcomes]
    record = {"machine": where, "versions": dict(versions), "rows": rows, "figures": [asdict(each) for each in figures]}
    stem.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    _draw(stem.with_suffix(".png"), kind, outcomes)
    return text

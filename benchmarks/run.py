"""Run the benchmarks and write ``results/``. See README.md."""

import argparse
import fnmatch
import sys
import time
from pathlib import Path
from typing import Any

import report
import single
from harness import Field, compete
from images import Cache
from rows import ROWS, Row

RESULTS = Path(__file__).parent / "results"
SINGLE = ("import", "memory", "gil")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", nargs="*", default=["*"], help="keys or patterns; see --list")
    parser.add_argument("--rounds", type=int, default=15, help="rounds a row (default 15)")
    parser.add_argument("--budget", type=float, default=18.0, help="seconds a row after which no round begins")
    parser.add_argument("--quick", action="store_true", help="3 rounds: to see that all works, not to measure")
    parser.add_argument("--list", action="store_true", help="print the keys of the rows")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


def _race(field: Field, cache: Cache, row: Row, rounds: int, budget: float) -> report.Outcome:
    path, truth = row.prepare(cache)
    entries: dict[str, dict[str, Any]] = {}
    for entry in row.entries:
        request = {"task": entry.task, "path": str(path), "options": entry.options or {}}
        entries[entry.label] = {"contender": entry.contender, "request": request}
    outcome = report.Outcome(row, compete(field, entries, truth, rounds, budget))
    times = {label: result.error or f"{result.best * 1e3:.1f}" for label, result in outcome.results.items()}
    ratio = "" if outcome.ratio is None else f"  ratio {outcome.ratio:.2f}, to reach {row.target}"
    print(f"{row.title}: {times}{ratio}", flush=True)
    return outcome


def _figures(wanted: set[str], field: Field, cache: Cache, rounds: int) -> list[single.Figure]:
    figures = single.imports(rounds) if "import" in wanted else []
    if "memory" in wanted:
        figures += single.memory(field, cache)
    if "gil" in wanted:
        figures += single.gil(field, cache)
    return figures


def main() -> int:
    """Run what was asked for."""
    arguments = _arguments()
    keys = [*(row.key for row in ROWS), *SINGLE]
    if arguments.list:
        print("\n".join(keys))
        return 0
    wanted = {key for key in keys if any(fnmatch.fnmatch(key, pattern) for pattern in arguments.rows)}
    rounds = 3 if arguments.quick else arguments.rounds
    start = time.monotonic()
    cache, field = Cache(), Field()
    try:
        chosen = [row for row in ROWS if row.key in wanted]
        for row in chosen:
            row.prepare(cache)  # all files first, so that writing one disturbs no race
        outcomes = [_race(field, cache, row, rounds, arguments.budget) for row in chosen]
        figures = _figures(wanted, field, cache, 3 if arguments.quick else 20)
    finally:
        field.close()
    text = report.write(arguments.out, outcomes, figures, field.versions)
    try:
        import plot
    except ImportError:
        print("no matplotlib, no plot", file=sys.stderr)
    else:
        plot.draw(arguments.out / "ratios.png", outcomes)
    print(f"\n{text}\n{time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

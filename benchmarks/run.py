"""Run the benchmarks and write ``results/``. See README.md."""

import argparse
import fnmatch
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import report
import single_read
import single_write
from figure import Figure
from harness import Field
from images import Cache
from kinds import JAVA, READING, WRITING, ZARR
from outcome import Outcome
from race import compete
from rows_java import JAVA_ROWS, JavaRow
from rows_read import READ_ROWS, ReadRow
from rows_write import WRITE_ROWS, WriteRow
from rows_zarr import ZARR_ROWS, StoreReadRow, StoreWriteRow

RESULTS = Path(__file__).parent / "results"
IMPORT_ROUNDS = 20
AnyRow = ReadRow | WriteRow | JavaRow | StoreReadRow | StoreWriteRow


@dataclass(frozen=True)
class Bench:
    """Rows and figures that share a report."""

    kind: report.Kind
    rows: Sequence[AnyRow]
    figures: dict[str, Callable[[Field, Cache], list[Figure]]]
    budget: float = 18.0

    @property
    def keys(self) -> list[str]:
        """Names of all that can be chosen."""
        return [*(row.key for row in self.rows), *self.figures]


BENCHES = {
    "read": Bench(
        READING,
        READ_ROWS,
        {
            "import": lambda field, cache: single_read.imports(IMPORT_ROUNDS),
            "memory": single_read.memory,
            "gil": single_read.gil,
        },
    ),
    "write": Bench(WRITING, WRITE_ROWS, {"bands": single_write.bands}),
    "java": Bench(JAVA, JAVA_ROWS, {}, budget=5.0),
    "zarr": Bench(ZARR, ZARR_ROWS, {}, budget=14.0),
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench", nargs="*", default=[*BENCHES], metavar="read|write|java|zarr", help="default: all")
    parser.add_argument("--rows", nargs="*", default=["*"], help="keys or patterns; see --list")
    parser.add_argument("--rounds", type=int, default=15, help="rounds a row (default 15)")
    parser.add_argument("--budget", type=float, help="seconds a row after which no round begins")
    parser.add_argument("--quick", action="store_true", help="3 rounds: to see that all works, not to measure")
    parser.add_argument("--list", action="store_true", help="print the keys of the rows")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    if unknown := set(arguments.bench) - set(BENCHES):
        parser.error(f"there is no bench {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    return arguments


def _race(field: Field, cache: Cache, row: AnyRow, rounds: int, budget: float) -> Outcome:
    outcome = Outcome(row, compete(row.race(field, cache), rounds, budget))
    times = {label: result.error or f"{result.best * 1e3:.1f}" for label, result in outcome.results.items()}
    ratio = "" if outcome.ratio is None else f"  ratio {outcome.ratio:.2f}, to reach {row.target}"
    print(f"{row.title}: {times}{ratio}", flush=True)
    return outcome


def _run(bench: Bench, stem: Path, arguments: argparse.Namespace) -> str:
    """Run what was chosen of a bench."""
    wanted = {key for key in bench.keys if any(fnmatch.fnmatch(key, pattern) for pattern in arguments.rows)}
    if not wanted:
        return ""
    rounds = 3 if arguments.quick else arguments.rounds
    cache, field = Cache(), Field()
    try:
        chosen = [row for row in bench.rows if row.key in wanted]
        for row in chosen:
            row.race(field, cache)  # all files first, so that writing one disturbs no race
        outcomes = [_race(field, cache, row, rounds, arguments.budget or bench.budget) for row in chosen]
        measures = [measure for key, measure in bench.figures.items() if key in wanted]
        figures = [figure for measure in measures for figure in measure(field, cache)]
    finally:
        field.close()
    return report.write(stem, bench.kind, outcomes, figures, field.versions)


def main() -> int:
    """Run what was asked for."""
    arguments = _arguments()
    if arguments.list:
        print("\n".join(key for name in arguments.bench for key in BENCHES[name].keys))
        return 0
    start = time.monotonic()
    for name in arguments.bench:
        print(f"\n{_run(BENCHES[name], arguments.out / name, arguments)}\n{time.monotonic() - start:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

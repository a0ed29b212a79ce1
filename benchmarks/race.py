"""Races: contenders do the same work in turns, so that noise of the machine hits all alike."""

import shutil
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import BFIO, Field
from rows import Entry

TRIAL_ROUNDS = 3
HOPELESS = 3.0


@dataclass
class Result:
    """What one contender did in one row: wall and CPU time of each round, size of its file, or why it has none."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    nbytes: int | None = None
    error: str | None = None

    @property
    def best(self) -> float:
        """The fastest round."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The middle round."""
        return statistics.median(self.seconds)


class Race(ABC):
    """One work and who does it; ``rounds`` where a round takes so long that few must do."""

    rounds: int | None = None

    def __init__(self, field_: Field, entries: Sequence[Entry]) -> None:
        self._field = field_
        self.entries = {entry.label: entry for entry in entries}

    def _ask(self, label: str, path: Path, **request: Any) -> dict[str, Any]:
        entry = self.entries[label]
        request |= {"task": entry.task, "path": str(path), "options": entry.options or {}}
        return self._field.ask(entry.contender, request)

    @abstractmethod
    def turn(self, label: str, verify: bool) -> dict[str, Any]:
        """Let one contender work; an answer with ``seconds``, or with ``error``."""


class Reading(Race):
    """All read the same file; the first turn is compared with the checksum of the image, or of the first contender."""

    def __init__(
        self, field_: Field, entries: Sequence[Entry], path: Path, truth: int | None, rounds: int | None = None
    ) -> None:
        super().__init__(field_, entries)
        self.rounds = rounds
        self._path = path
        self._truth = truth

    def turn(self, label: str, verify: bool) -> dict[str, Any]:
        answer = self._ask(label, self._path, verify=verify)
        if self._truth is None:
            self._truth = answer.get("crc")
        wrong = answer.get("crc", self._truth) != self._truth
        return {"error": "wrong pixels"} if wrong else answer


class Writing(Race):
    """Each turn makes a new file, removed outside the clock; that of the first turn is read back.

    Parameters
    ----------
    field_, entries
        As everywhere.
    folder
        Where the files come to stand.
    check
        Returns what is wrong with a file, or None.
    """

    suffix = ".ome.tif"

    def __init__(
        self, field_: Field, entries: Sequence[Entry], folder: Path, check: Callable[[Path], str | None]
    ) -> None:
        super().__init__(field_, entries)
        self._folder = folder
        self._check = check
        self._n_turns = 0

    def turn(self, label: str, verify: bool) -> dict[str, Any]:
        self._n_turns += 1
        path = self._folder / f"{label.replace(' ', '-')}-{self._n_turns}{self.suffix}"
        try:
            answer = self._ask(label, path)
            if "error" in answer:
                return answer
            error = self._check(path) if verify else None
            return {"error": error} if error else {**answer, "nbytes": self._nbytes(path)}
        finally:
            self._remove(path)

    def _nbytes(self, path: Path) -> int:
        return path.stat().st_size

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        path.with_name(path.name + ".part").unlink(missing_ok=True)


class WritingStores(Writing):
    """The same with folders of files."""

    suffix = ".ome.zarr"

    def _nbytes(self, path: Path) -> int:
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())

    def _remove(self, path: Path) -> None:
        for left in path.parent.glob(f"{path.name}*"):
            shutil.rmtree(left, ignore_errors=True)


def _still_running(results: Mapping[str, Result], turn: int) -> list[str]:
    """Who runs in this round: after the first few, no longer those who are many times slower than the fastest."""
    alive = [label for label, result in results.items() if result.error is None]
    if turn < TRIAL_ROUNDS:
        return alive
    bound = HOPELESS * min((results[label].best for label in alive), default=0)
    return [label for label in alive if label == BFIO or results[label].best <= bound]


def compete(race: Race, rounds: int, budget: float) -> dict[str, Result]:
    """Run a race.

    Parameters
    ----------
    race
        The work.
    rounds
        Rounds to run, after a first one that is checked and not counted.
    budget
        Seconds after which no further round begins, once the first few are done.
    """
    results = {label: Result() for label in race.entries}
    for label, result in results.items():
        result.error = race.turn(label, verify=True).get("error")
    start = time.monotonic()
    for turn in range(min(rounds, race.rounds or rounds)):
        if turn >= TRIAL_ROUNDS and time.monotonic() - start > budget:
            break
        for label in _still_running(results, turn):
            answer = race.turn(label, verify=False)
            if "error" in answer:
                results[label].error = answer["error"]
            else:
                results[label].seconds.append(answer["seconds"])
                results[label].cpu.append(answer["cpu"])
                results[label].nbytes = answer.get("nbytes")
    return results

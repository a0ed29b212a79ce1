"""Runs contenders side by side: each in a process of its own, all of one row interleaved, round after round."""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
TIMEOUT = 120.0
BFIO = "bfio"


def python_of(venv: str) -> str:
    """The interpreter of a venv: of the folder in ``BFIO_BENCH_<VENV>``, or this one, or ``.venv-old``."""
    chosen = os.environ.get(f"BFIO_BENCH_{venv.upper()}")
    if chosen is None and venv == "bench":
        return sys.executable
    return str(Path(chosen or ROOT / f".venv-{venv}") / "bin" / "python")


@dataclass(frozen=True)
class Contender:
    """One library: its name in the table, its script, and the venv that it runs in."""

    name: str
    script: str
    venv: str = "bench"


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(BFIO, "with_bfio.py"),
        Contender("tifffile", "with_tifffile.py"),
        Contender("rasterio", "with_gdal.py"),
        Contender("pyvips", "with_vips.py"),
        Contender("old bfio", "with_old_bfio.py", "old"),
        Contender("libdeflate alone", "codec_limit.py"),
    )
}


class Worker:
    """A contender in its own long-lived process."""

    def __init__(self, contender: Contender) -> None:
        command = [python_of(contender.venv), "-W", "ignore", str(HERE / "contenders" / contender.script)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        )
        self._messages = ""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.versions: dict[str, str] = self._receive().get("versions", {})

    def _listen(self) -> None:
        """Keep the last words of the process."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._messages = (self._messages + line)[-2000:]

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        watchdog = threading.Timer(TIMEOUT, self._process.kill)
        watchdog.start()
        line = self._process.stdout.readline()
        watchdog.cancel()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self._process.wait()
        self._listener.join(5)
        last_words = self._messages.strip().splitlines()[-1:] or ["no answer"]
        raise RuntimeError(f"process ended ({self._process.returncode}): {last_words[0]}")

    def call(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request, one answer."""
        assert self._process.stdin is not None
        if self._process.poll() is not None:
            raise RuntimeError("process has ended")
        self._process.stdin.write(json.dumps(request) + "\n")
        return self._receive()

    def close(self) -> None:
        """End the process."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait(10)
        self._listener.join(5)
        if self._process.stderr is not None:
            self._process.stderr.close()


TRIAL_ROUNDS = 3
HOPELESS = 3.0


@dataclass
class Result:
    """What one contender did in one row: seconds of each round, or why it has none."""

    seconds: list[float] = field(default_factory=list)
    error: str | None = None

    @property
    def best(self) -> float:
        """The fastest round."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The middle round."""
        return statistics.median(self.seconds)


class Field:
    """All contenders, each started when it is first needed."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}
        self._absent: dict[str, str] = {}
        self.versions: dict[str, str] = {}

    def ask(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request to a contender; an answer with ``error`` if it is absent, fails or dies."""
        if name in self._absent:
            return {"error": self._absent[name]}
        try:
            if name not in self._workers:
                self._workers[name] = worker = Worker(CONTENDERS[name])
                self._note_versions(name, worker.versions)
            return self._workers[name].call(request)
        except (OSError, RuntimeError) as error:
            self._absent[name] = str(error)
            return {"error": str(error)}

    def _note_versions(self, name: str, versions: dict[str, str]) -> None:
        for package, version in versions.items():
            key = name if package == "bfio" else package
            self.versions[key] = version

    def restart(self, name: str) -> None:
        """End the process of a contender; the next request starts another."""
        worker = self._workers.pop(name, None)
        if worker is not None:
            worker.close()

    def close(self) -> None:
        """End all processes."""
        for name in list(self._workers):
            self.restart(name)


def _still_running(results: dict[str, Result], labels: list[str], turn: int) -> list[str]:
    """Who runs in this round: after the first few, no longer those who are many times slower than the fastest."""
    alive = [label for label in labels if results[label].error is None]
    if turn < TRIAL_ROUNDS:
        return alive
    bound = HOPELESS * min(results[label].best for label in alive)
    return [label for label in alive if label == BFIO or results[label].best <= bound]


def compete(
    field_: Field, entries: dict[str, dict[str, Any]], truth: int, rounds: int, budget: float
) -> dict[str, Result]:
    """Let contenders do one work in turns.

    Parameters
    ----------
    field_
        The processes.
    entries
        Label in the table -> request, with ``contender`` naming the process.
    truth
        Checksum that each must return; checked in a first round, which is not counted.
    rounds
        Rounds to run.
    budget
        Seconds after which no further round begins, once the first few are done.
    """
    results = {label: Result() for label in entries}
    for label, entry in entries.items():
        answer = field_.ask(entry["contender"], {**entry["request"], "verify": True})
        results[label].error = answer.get("error")
        if answer.get("crc", truth) != truth:
            results[label].error = "wrong pixels"
    running = list(entries)
    start = time.monotonic()
    for turn in range(rounds):
        if turn >= TRIAL_ROUNDS and time.monotonic() - start > budget:
            break
        for label in _still_running(results, running, turn):
            answer = field_.ask(entries[label]["contender"], entries[label]["request"])
            if "error" in answer:
                results[label].error = answer["error"]
            else:
                results[label].seconds.append(answer["seconds"])
    return results

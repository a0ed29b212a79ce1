"""Reads of bad files, each in a child of its own: a crash, a hang or a memory bomb is seen, and named.

A warm process (`python guarded.py`) takes paths from stdin, forks for each, and writes one line of JSON. So a file
costs milliseconds, its peak of memory is its own, and what kills the child kills nothing else.
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SECONDS = 5
MEGABYTES = 400
"""Less than the 512 that a process of its own may take: a child shares the libraries with the warm one."""
_SPOKEN_IN_C = re.compile("Unrecognized WMPTag|PNG warning")
"""What a C library prints by itself, past all that Python could do."""


@dataclass(frozen=True)
class Outcome:
    """What became of one file: `faults` is empty if it gave answers or sentences only."""

    path: str
    answers: dict[str, str]
    seconds: float
    megabytes: int
    faults: list[str]


def survey(
    paths: Iterable[os.PathLike | str],
    seconds: float = SECONDS,
    megabytes: int = MEGABYTES,
    show: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Exercise each file in a child, and judge what it cost."""
    lines = [f"{os.fspath(path)}\n" for path in paths]
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        threading.Thread(target=_feed, args=(process.stdin, lines), daemon=True).start()
        outcomes = []
        for line in process.stdout:
            outcomes.append(judge(json.loads(line), seconds, megabytes))
            if show is not None:
                show(outcomes[-1])
    assert process.returncode == 0 and len(outcomes) == len(lines), f"{len(outcomes)} of {len(lines)} files"
    return outcomes


def _feed(stream: IO[str], lines: list[str]) -> None:
    with stream:
        stream.writelines(lines)


def judge(report: dict, seconds: float, megabytes: int) -> Outcome:
    answers = report["answers"] or {}
    faults = [f"{step}: {answer}" for step, answer in answers.items() if answer.startswith("RAISED")]
    if report["signal"]:
        faults.append(f"killed by signal {report['signal']} after {report['seconds']:.1f} s of work")
    elif report["seconds"] > seconds:
        faults.append(f"took {report['seconds']:.1f} s")
    if report["megabytes"] > megabytes:
        faults.append(f"took {report['megabytes']} MB")
    if report["noise"] and not _SPOKEN_IN_C.match(report["noise"]):
        faults.append(f"wrote to stderr: {report['noise'][:300]!r}")
    return Outcome(report["path"], answers, report["seconds"], report["megabytes"], faults)


def exercise(path: str) -> dict[str, str]:
    """All that a user does with a file; step -> answer, sentence, or RAISED."""
    from bfio import BioReader

    answers: dict[str, str] = {}

    def step(name, work):
        answers[name] = describe(work, path)
        return not answers[name].startswith(("RAISED", "refused"))

    def look(**options):
        with BioReader(path, max_workers=2, **options) as reader:
            sizes = f"{reader.shape} {reader.dtype}"
            step("pixels", lambda: summary(reader[:]))
            step("corner", lambda: summary(reader[:17, :19, 0, :, 0]))
            step("metadata", lambda: len(reader.metadata.images))
            step("thumbnail", lambda: summary(reader.thumbnail()))
            step("card", lambda: len(reader._repr_html_()))
            for number, series in enumerate(reader.series[:4]):
                for level in range(len(series.levels))[:3]:
                    if (number, level) != (0, 0):
                        step(f"series {number} level {level}", lambda n=number, k=level: part(n, k))
        return sizes

    def part(series, level):
        with BioReader(path, max_workers=1, series=series, level=level) as reader:
            return summary(reader[:300, :300])

    step("open", look)
    return answers


def summary(pixels) -> str:
    return f"{pixels.shape} {pixels.dtype} {float(abs(pixels[::97, ::89]).astype('f8').sum()):.6g}"


def describe(work, path: str) -> str:
    from bfio import BfioError

    try:
        return str(work())
    except BfioError as error:
        sentence = str(error)
        if "\n" in sentence or not sentence.strip() or len(sentence) > 2000:
            return f"RAISED a {type(error).__name__} that is no sentence: {sentence[:300]!r}"
        return f"refused: {type(error).__name__}: {sentence}"
    except FileNotFoundError as error:
        return f"{'RAISED ' if os.path.exists(error.filename or path) else 'refused: '}FileNotFoundError: {error}"
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is reported
        import traceback

        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"RAISED {type(error).__name__}: {str(error)[:300]} ({Path(last.filename).name}:{last.lineno})"


def child(path: str, pipe: int, noise: int) -> None:
    """Exercise one file, write the answers into the pipe, and end without clean-up."""
    import signal
    import warnings

    warnings.simplefilter("error")
    os.dup2(noise, 2)
    patience = float(os.environ.get("GUARDED_SECONDS", 4 * SECONDS))
    signal.setitimer(signal.ITIMER_REAL, patience)  # its default action ends the process
    answers = exercise(path)
    signal.setitimer(signal.ITIMER_REAL, 0)
    with os.fdopen(pipe, "w") as stream:
        json.dump(answers, stream)
    os._exit(0)


def fork_one(path: str) -> dict:
    import tempfile

    with tempfile.TemporaryFile() as noise, tempfile.TemporaryFile("w+") as result:
        pid = os.fork()
        if pid == 0:
            try:
                child(path, os.dup(result.fileno()), noise.fileno())
            finally:
                os._exit(1)
        _, status, usage = os.wait4(pid, 0)
        result.seek(0)
        text = result.read()
        noise.seek(0)
        return {
            "path": path,
            "answers": json.loads(text) if text else None,
            "seconds": usage.ru_utime + usage.ru_stime,  # not by the clock: the machine may be busy with other things
            "megabytes": usage.ru_maxrss // 1024,
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else (0 if status == 0 else -1),
            "noise": noise.read().decode("utf-8", "replace"),
        }


def main() -> None:
    import imagecodecs  # noqa: F401 - warm
    import ome_types.model  # noqa: F401
    import tifffile  # noqa: F401

    import bfio.backends.ometiff
    import bfio.omexml.model  # noqa: F401

    for line in sys.stdin:
        print(json.dumps(fork_one(line.rstrip("\n"))), flush=True)


if __name__ == "__main__":
    main()

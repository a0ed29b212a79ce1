"""What every contender speaks: one JSON request per line on stdin, one JSON answer per line on stdout.

A request is ``{"task", "path", "options", "verify", "memory"}``; the answer holds ``seconds``, ``cpu`` (seconds of all
threads, Java's own among them) and, on request, ``crc`` (of the pixels, their dtype and squeezed shape) and ``peak``
(bytes above the memory before the task), or ``error``. Where the options hold ``reader``, these are for what opens the
file before the clock runs, and the task gets an open reader instead of a path. ``warm`` rounds more are run, and not
timed, when pixels are verified.
This file needs the standard library and numpy alone: it runs in venvs of different packages.
"""

import inspect
import json
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

WORKERS = 2
Opener = Callable[..., AbstractContextManager[Any]]


def crc(arrays: Iterable[np.ndarray]) -> int:
    """CRC-32 over dtype, squeezed shape and pixels of each array."""
    value = 0
    for array in arrays:
        pixels = np.ascontiguousarray(np.squeeze(array))
        value = zlib.crc32(f"{pixels.dtype.newbyteorder('=').name}{pixels.shape}".encode(), value)
        value = zlib.crc32(pixels.reshape(-1).view(np.uint8), value)
    return value


def versions(*packages: str) -> dict[str, str]:
    """Installed versions of packages."""
    return {package: metadata.version(package) for package in packages}


def memory(field: str) -> int:
    """A field of /proc/self/status in bytes."""
    with Path("/proc/self/status").open() as lines:
        for line in lines:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")


def _reset_peak() -> int:
    """Set the peak of resident memory to its present value, and return that."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def _drain(result: Iterator[np.ndarray], verify: bool) -> int | None:
    """Take regions one after the other, each dropped before the next is asked for."""
    if verify:
        return crc(result)
    for _ in result:
        pass
    return None


def _answer(task: Callable[..., Any], source: Any, options: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """Run one task on a path or an open reader, and time it."""
    verify = request.get("verify", False)
    baseline = _reset_peak() if request.get("memory") else 0
    cpu, start = time.process_time(), time.perf_counter()
    result = task(source, **options)
    checksum = _drain(result, verify) if inspect.isgenerator(result) else None
    answer: dict[str, Any] = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    if request.get("memory"):
        answer["peak"] = memory("VmHWM") - baseline
    if isinstance(result, dict):
        answer.update(result)
    elif verify:
        answer["crc"] = crc([result]) if checksum is None else checksum
    return answer


def _attend(tasks: dict[str, Callable[..., Any]], opener: Opener | None, request: dict[str, Any]) -> dict[str, Any]:
    """Do what a request asks for."""
    task = tasks.get(request["task"])
    options = dict(request.get("options", {}))
    how = options.pop("reader", None)
    warm = options.pop("warm", 0)
    if task is None or (how is not None and opener is None):
        return {"error": "cannot do this"}
    answer: dict[str, Any] = {}
    for turn in range(warm + 1 if request.get("verify") else 1):
        asked = request | {"verify": request.get("verify", False) and turn == 0}
        path = request["path"]
        with nullcontext(path) if how is None or opener is None else opener(path, **how) as source:
            answer |= _answer(task, source, options, asked)
    return answer


def serve(tasks: dict[str, Callable[..., Any]], known: dict[str, str], opener: Opener | None = None) -> None:
    """Answer requests until stdin ends. What a library prints goes to stderr."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    print(json.dumps({"versions": known}), file=channel)
    for line in sys.stdin:
        try:
            answer = _attend(tasks, opener, json.loads(line))
        except Exception as error:  # noqa: BLE001 - the table says who failed and why
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), file=channel)

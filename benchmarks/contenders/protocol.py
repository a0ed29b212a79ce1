"""What every contender speaks: one JSON request per line on stdin, one JSON answer per line on stdout.

A request is ``{"task", "path", "options", "verify", "memory"}``; the answer holds ``seconds`` and, on request, ``crc``
(of the pixels, their dtype and squeezed shape) and ``peak`` (bytes above the memory before the task), or ``error``.
This file needs the standard library and numpy alone: it runs in venvs of different packages.
"""

import inspect
import json
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

WORKERS = 2


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


def _answer(tasks: dict[str, Callable[..., Any]], request: dict[str, Any]) -> dict[str, Any]:
    """Run one task and time it."""
    task = tasks.get(request["task"])
    if task is None:
        return {"error": "cannot do this"}
    verify = request.get("verify", False)
    baseline = _reset_peak() if request.get("memory") else 0
    start = time.perf_counter()
    result = task(request["path"], **request.get("options", {}))
    checksum = _drain(result, verify) if inspect.isgenerator(result) else None
    answer: dict[str, Any] = {"seconds": time.perf_counter() - start}
    if request.get("memory"):
        answer["peak"] = memory("VmHWM") - baseline
    if isinstance(result, dict):
        answer.update(result)
    elif verify:
        answer["crc"] = crc([result]) if checksum is None else checksum
    return answer


def serve(tasks: dict[str, Callable[..., Any]], known: dict[str, str]) -> None:
    """Answer requests until stdin ends. What a library prints goes to stderr."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    print(json.dumps({"versions": known}), file=channel)
    for line in sys.stdin:
        try:
            answer = _answer(tasks, json.loads(line))
        except Exception as error:  # noqa: BLE001 - the table says who failed and why
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), file=channel)

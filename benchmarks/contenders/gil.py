"""How long bfio holds the GIL per tile of a large read, measured as an upper bound.

The kernel works without the GIL and is called a few times per read, so all that can hold the GIL is the Python around
it. The kernel is put out of work: a stand-in takes the same tasks in the same portions (it honours ``budget``, so
Python is re-entered as often), and decodes nothing. The processor time that the whole process then spends on a read,
all threads, planning, allocation and the stand-in included, is an upper bound of what holds the GIL in a real one.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from protocol import WORKERS

import _tilecodec.decode
from bfio import BioReader

READS = 20


@contextmanager
def _idle_kernel(n_tiles: int, tile_nbytes: int) -> Iterator[list[int]]:
    """Replace the kernel wherever bfio refers to it; yields a list that grows with each call of the stand-in."""
    kernel = _tilecodec.decode.decode_tiles
    calls: list[int] = []

    def stand_in(format: Any, tasks: Any, fd: Any, data: Any, out: Any, slab: Any, counter: Any, budget: int) -> Any:
        calls.append(1)
        counter[0] += max(1, budget // tile_nbytes)
        return 0, -2 if counter[0] < n_tiles else -1

    modules = [_tilecodec.decode, *(module for name, module in sys.modules.items() if name.split(".")[0] == "bfio")]
    places = [(module, name) for module in modules for name, value in vars(module).items() if value is kernel]
    for module, name in places:
        setattr(module, name, stand_in)
    try:
        yield calls
    finally:
        for module, name in places:
            setattr(module, name, kernel)


def _least(clock: Callable[[], float], work: Callable[[], Any], times: int) -> float:
    """The shortest of some runs."""
    best = float("inf")
    for _ in range(times):
        start = clock()
        work()
        best = min(best, clock() - start)
    return best


def held(path: str, n_tiles: int) -> dict[str, Any]:
    """Seconds of Python per tile, and seconds that one thread needs to decode a tile."""
    with BioReader(path, max_workers=1) as reader:
        tile = _least(time.perf_counter, lambda: reader[:], 3) / n_tiles
        tile_nbytes = reader.X * reader.Y * reader.dtype.itemsize // n_tiles
    with BioReader(path, max_workers=WORKERS) as reader:
        reader[:1, :1]
        with _idle_kernel(n_tiles, tile_nbytes) as calls:
            python = _least(time.process_time, lambda: reader[:], READS) / n_tiles
    if not calls:
        raise RuntimeError("the stand-in was not called: this figure would mean nothing")
    return {"held": python, "tile": tile, "kernel_calls": len(calls) / READS}

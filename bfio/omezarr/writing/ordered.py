"""Encode in several threads, and write in the order of the jobs: so files are the same whatever the threads do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bfio._parallel import Workers
from bfio.omezarr.writing.arenas import Arenas

__all__ = ["encode_in_order"]

Encoded = list[memoryview | None]
Encode = Callable[[int, np.ndarray], Encoded]
Reserve = Callable[[int, int], int]
Write = Callable[[int, Encoded, int], None]


class _Done(NamedTuple):
    data: Encoded
    arena: np.ndarray


def encode_in_order(
    workers: Workers, n_threads: int, n: int, arenas: Arenas, encode: Encode, reserve: Reserve, write: Write
) -> None:
    """Run `n` jobs.

    Parameters
    ----------
    workers : Workers
    n_threads : int
        Most threads that this is worth.
    n : int
    arenas : Arenas
    encode : callable (job, arena) -> list of memoryview or None
        In any thread and any order.
    reserve : callable (job, nbytes) -> int
        In the order of the jobs, one at a time; must be cheap.
    write : callable (job, data, what was reserved)
        In any thread and any order.
    """
    run = _Run(n, arenas, encode, reserve, write, 2 * workers.n + 2)
    workers.run(run.work, n_threads, run.cancel)


class _Run:
    """What the threads of one call share. A job has a slot before it has a number, so the lowest can always go on."""

    def __init__(self, n: int, arenas: Arenas, encode: Encode, reserve: Reserve, write: Write, n_slots: int) -> None:
        self._n, self._arenas, self._n_slots = n, arenas, n_slots
        self._encode, self._reserve, self._write = encode, reserve, write
        self._slots = threading.Semaphore(n_slots)
        self._lock = threading.Lock()
        self._stopped = False
        self._n_begun = self._n_reserved = 0
        self._waiting: dict[int, _Done] = {}

    def work(self) -> None:
        """Take jobs until none is left."""
        while (job := self._next()) is not None:
            arena = self._arenas.take()
            for ready, done, place in self._finished(job, _Done(self._encode(job, arena), arena)):
                self._write(ready, done.data, place)
                self._arenas.give(done.arena)
                self._slots.release()

    def cancel(self) -> None:
        """Let all threads end; those that wait for a slot, too."""
        self._stopped = True
        self._slots.release(self._n_slots)

    def _next(self) -> int | None:
        self._slots.acquire()
        with self._lock:
            if self._n_begun < self._n and not self._stopped:
                self._n_begun += 1
                return self._n_begun - 1
        self._slots.release()
        return None

    def _finished(self, job: int, done: _Done) -> list[tuple[int, _Done, int]]:
        """Jobs that have their place now."""
        ready = []
        with self._lock:
            self._waiting[job] = done
            while (done_next := self._waiting.pop(self._n_reserved, None)) is not None:
                place = self._reserve(self._n_reserved, sum(map(len, filter(None, done_next.data))))
                ready.append((self._n_reserved, done_next, place))
                self._n_reserved += 1
        return ready

"""A lock that a fork can not leave locked."""

import os
import threading

__all__ = ["ProcessLock"]


class ProcessLock:
    """A re-entrant lock with one state per process.

    A fork copies a lock as it is, also one that a thread holds which does not exist in the child. There this lock is
    free. What it guards must therefore be right, or at least harmless, after each single assignment.
    """

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        self._locks: dict[int, threading.RLock] = {}  # by process; made without a lock

    def __enter__(self) -> None:
        self._locks.setdefault(os.getpid(), threading.RLock()).acquire()

    def __exit__(self, *error: object) -> None:
        self._locks[os.getpid()].release()

"""Many may write at once; a checkpoint or the end wants to be alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Gate"]


class Gate:
    """A lock that many threads share, or one has alone. Who waits to be alone goes before those who come later.

    Attributes
    ----------
    n_inside : int
        Threads that share it at the moment.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.n_inside = 0
        self._alone = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Enter beside others."""
        with self._changed:
            while self._alone:
                self._changed.wait()
            self.n_inside += 1
        try:
            yield
        finally:
            with self._changed:
                self.n_inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Enter when all others have left, and keep new ones out."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._alone = True
        try:
            with self._changed:
                self._changed.wait_for(lambda: not self.n_inside)
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()

"""Who writes a chunk has it alone: others that want it wait."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager

__all__ = ["Holding"]


class Holding:
    """Keys that threads hold.

    All keys of one call are taken at once, and who holds some only asks for keys of lower levels: nobody waits in a
    circle.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: set[Hashable] = set()

    @contextmanager
    def hold(self, keys: Iterable[Hashable]) -> Iterator[None]:
        """Wait until nobody else holds one of the keys, then hold them all."""
        wanted = set(keys)
        with self._changed:
            self._changed.wait_for(lambda: self._held.isdisjoint(wanted))
            self._held |= wanted
        try:
            yield
        finally:
            with self._changed:
                self._held -= wanted
                self._changed.notify_all()

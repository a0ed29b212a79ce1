"""The order in which Java gets the bands of an image, whatever the order in which threads bring them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import Enum, auto

from bfio._coverage import Coverage
from bfio.errors import UsageError

__all__ = ["Band", "BandQueue"]


class State(Enum):
    """Of a band that something is known of."""

    OPEN = auto()
    """Parts of it are in the store."""
    READY = auto()
    """All of it is in the store."""
    CLAIMED = auto()
    """A thread has all of it, and waits for its turn."""
    GOING = auto()
    """Java is getting it."""


@dataclass
class Band:
    """One band that Java does not have yet; `busy` counts the threads that are storing parts of it."""

    coverage: Coverage
    slot: int = -1
    state: State = State.OPEN
    busy: int = 0


@dataclass
class BandQueue:
    """Bands by number, from the first that Java does not have.

    Parameters
    ----------
    n_bands : int
    most_waiting : int
        Complete bands that may wait in the store for nothing but Java, before who brings more has to wait as well.

    Notes
    -----
    All but `wait_turn` and `wait_room` is called with `changed` held. Nobody waits for a band that somebody has yet
    to bring, so that no order of writes can end in a deadlock.
    """

    n_bands: int
    most_waiting: int
    changed: threading.Condition = field(default_factory=threading.Condition)
    bands: dict[int, Band] = field(default_factory=dict)
    next: int = 0
    """The band that Java gets next, or is getting."""
    front: int = 0
    """The first band that is not complete: those before will go without anybody's help."""
    draining: bool = False
    """Whether a thread is handing bands over."""
    failure: BaseException | None = None

    def check(self, name: str) -> None:
        """Refuse to go on after an error."""
        if self.failure is not None:
            raise UsageError(f"{name}: an earlier write failed ({self.failure}); write the file anew") from self.failure

    def fail(self, error: BaseException) -> None:
        """Let all threads know that the file is lost."""
        if self.failure is None:
            self.failure = error
        self.draining = False
        self.changed.notify_all()

    def is_gone(self, number: int) -> bool:
        """Whether Java has a band, or is about to: it can not be changed."""
        band = self.bands.get(number)
        return number < self.next or (band is not None and band.state in (State.CLAIMED, State.GOING))

    def claim(self, number: int, band: Band) -> bool:
        """Announce a whole band that a thread holds, if its turn comes without anybody's help."""
        if number != self.front or number in self.bands:
            return False
        band.state = State.CLAIMED
        self.bands[number] = band
        self._advance_front()
        return True

    def complete(self, number: int) -> None:
        """Note that the store has all of a band."""
        self.bands[number].state = State.READY
        self._advance_front()

    def _advance_front(self) -> None:
        while self.front in self.bands and self.bands[self.front].state is not State.OPEN:
            self.front += 1

    def start(self) -> int | None:
        """The stored band whose turn it is, if nobody else is handing over; the caller now is."""
        band = self.bands.get(self.next)
        if self.draining or self.failure is not None or band is None or band.state is not State.READY or band.busy:
            return None
        self.draining = True
        band.state = State.GOING
        return self.next

    def done(self) -> Band:
        """Note that Java has the band that it was getting."""
        band = self.bands.pop(self.next)
        self.next += 1
        self.draining = False
        self.changed.notify_all()
        return band

    def wait_turn(self, number: int, name: str) -> None:
        """Return when it is the turn of a claimed band, which is then going."""
        self.changed.wait_for(lambda: self.failure is not None or (self.next == number and not self.draining))
        self.check(name)
        self.draining = True
        self.bands[number].state = State.GOING

    def wait_room(self, number: int, name: str) -> None:
        """Return when Java has caught up."""
        self.changed.wait_for(
            lambda: self.failure is not None or number >= self.front or number < self.next + self.most_waiting
        )
        self.check(name)

"""What one read fetches from a store: many requests in flight, and few threads that take the answers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from bfio.byteio.objects import Answer, Piece
from bfio.errors import UsageError

if TYPE_CHECKING:
    from bfio.omezarr.slots import Hand

__all__ = ["Errand", "Feed", "Fetches", "Request"]

WAITING_NBYTES = 128 << 20
"""Bytes that are on their way or wait for a thread, by estimate."""


class Request(NamedTuple):
    """Bytes ``start:stop`` of what is stored under a key; see :class:`bfio.byteio.objects.Objects`."""

    key: str
    start: int = 0
    stop: int | None = None
    most: int | None = None


class Errand(Protocol):
    """One thing to fetch, and what is done with it.

    Attributes
    ----------
    request : Request or None
        None where nothing must be fetched.
    nbytes : int
        Estimate of the memory that the answer takes.
    """

    @property
    def request(self) -> Request | None: ...

    @property
    def nbytes(self) -> int: ...

    def take(self, piece: Piece | None, hand: Hand) -> Iterable[Errand]:
        """Work on the answer, in a thread with ``hand``; what is to be fetched next because of it."""
        ...

    def failed(self, error: Exception) -> Exception:
        """The error to raise for one of the store."""
        ...


class Fetches(Protocol):
    """Where the answers come from: `ahead` requests at a time, or one by each thread where that is 0."""

    ahead: int

    def start(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Answer:
        """Begin a request."""
        ...

    def fetch(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Piece | None:
        """Do a request."""
        ...


class Feed:
    """Errands of one read, for any number of threads that call :meth:`work`.

    Parameters
    ----------
    errands : iterator of Errand
        Advanced under a lock, so that each step should be short.
    store : Fetches
    """

    def __init__(self, errands: Iterator[Errand], store: Fetches) -> None:
        self._errands, self._store = errands, store
        self._next: deque[Errand] = deque()
        self._flying: dict[Errand, Answer] = {}
        self._ready: deque[tuple[Errand, Answer | None]] = deque()
        self._n_busy = self._nbytes = 0
        self._stopped = False
        self._changed = threading.Condition(threading.RLock())  # a future may be done before it is looked at

    def work(self, hand: Hand) -> None:
        """Take answers as they come, until all are taken or somebody stops."""
        try:
            while (found := self._taken()) is not None:
                errand, answer = found
                more = list(errand.take(self._piece(errand, answer), hand))
                del found, answer
                with self._changed:
                    self._next.extendleft(reversed(more))
                    self._nbytes -= errand.nbytes
                    self._n_busy -= 1
                    self._changed.notify_all()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Give up: requests in flight are cancelled, and threads that wait go home."""
        with self._changed:
            self._stopped = True
            flying = list(self._flying.values())
            self._flying.clear()
            self._changed.notify_all()
        for future in flying:
            future.cancel()

    def _taken(self) -> tuple[Errand, Answer | None] | None:
        """The next errand whose answer is there; None when there is nothing left."""
        with self._changed:
            while not self._stopped:
                self._top_up()
                if self._ready:
                    self._n_busy += 1
                    return self._ready.popleft()
                if not self._flying and not self._n_busy:
                    self._changed.notify_all()
                    return None
                self._changed.wait(1.0)  # in pieces of time, so that Ctrl-C works everywhere
        return None

    def _top_up(self) -> None:
        """Send out as many as may be on their way; one always may."""
        ahead = self._store.ahead
        while len(self._flying) < ahead or not (ahead or self._ready):
            if len(self._ready) > 2 * ahead:
                return
            if self._nbytes >= WAITING_NBYTES and (self._flying or self._ready or self._n_busy):
                return
            errand = self._next.popleft() if self._next else next(self._errands, None)
            if errand is None:
                return
            self._nbytes += errand.nbytes
            if errand.request is None or not ahead:
                self._ready.append((errand, None))
            else:
                self._send(errand, errand.request)

    def _send(self, errand: Errand, request: Request) -> None:
        self._flying[errand] = future = self._store.start(*request)
        future.add_done_callback(lambda done: self._arrived(errand, done))

    def _arrived(self, errand: Errand, future: Answer) -> None:
        with self._changed:
            if self._flying.pop(errand, None) is not None:
                self._ready.append((errand, future))
                self._changed.notify()

    def _piece(self, errand: Errand, answer: Answer | None) -> Piece | None:
        try:
            if answer is not None:
                if answer.cancelled():
                    raise UsageError("the Zarr store is closed")
                return answer.result()
            return None if errand.request is None else self._store.fetch(*errand.request)
        except UsageError:
            raise
        except Exception as error:
            raise errand.failed(error) from error

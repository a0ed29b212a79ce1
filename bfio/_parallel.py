"""Worker threads of one reader or writer: run one function in many threads, map a function ahead of its consumer.

Two rules keep this free of deadlocks: a caller always does the work itself, helpers only join in; and nobody waits
for a helper that has not started.
"""

import os
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Generic, TypeVar

from bfio._cpus import available_cpus
from bfio._pool import Call, Pool
from bfio.errors import UsageError

__all__ = ["Workers", "available_cpus"]

T = TypeVar("T")
R = TypeVar("R")


class Workers:
    """The threads of one reader or writer; any number of callers may use them at once.

    Parameters
    ----------
    n : int, optional
        Threads that work on one call, the caller's own included. Default: the CPUs that this process may use.

    Notes
    -----
    A forked child starts threads of its own, a pickled copy too. Nothing needs closing; :meth:`close` ends the
    threads at once and deterministically.
    """

    def __init__(self, n: int | None = None) -> None:
        if n is None:
            n = available_cpus()
        if n < 1:
            raise UsageError(f"at least one worker is needed, not {n}")
        self.n = n
        self._closed = False
        self._pools: dict[int, Pool] = {}  # by process

    def run(
        self,
        function: Callable[[], object],
        n_jobs: int | None = None,
        cancel: Callable[[], object] | None = None,
    ) -> None:
        """Run `function` in this thread and, at the same time, in helpers; return when all are done.

        Helpers come as they are free, perhaps none: `function` shares its work through a counter of its own and
        returns when nothing is left.

        Parameters
        ----------
        function : callable
        n_jobs : int, optional
            Most threads to use; more than there are tasks make no sense.
        cancel : callable, optional
            Called as soon as one thread fails, from that thread, so that the others can stop early. More than one
            call must do no harm.

        Raises
        ------
        BaseException
            The first error of any thread; but an interrupt of the calling thread goes first.
        """
        n_helpers = (self.n if n_jobs is None else min(n_jobs, self.n)) - 1
        if n_helpers < 1 or self._closed:
            function()
            return
        pool, call = self._pool(), Call(function, cancel, n_helpers)
        try:
            try:
                pool.offer(call)
                function()
            except BaseException as error:
                call.fail(error)
                if not isinstance(error, Exception):
                    raise
            finally:
                pool.settle(call)
            if call.error is not None:
                raise call.error
        finally:
            call.error = None  # else error -> traceback -> frame -> call -> error

    def map(
        self, function: Callable[[T], R], items: Iterable[T], window: int | None = None
    ) -> Generator[R, None, None]:
        """Results of `function` in the order of `items`, computed ahead of the consumer.

        Parameters
        ----------
        function : callable
            May itself use these workers.
        items : iterable
            Taken as needed, by the consumer's thread.
        window : int, optional
            Most items that are in work or waiting for the consumer. Default: the number of workers.

        Yields
        ------
        object
            An error of `function` is raised in its place, and ends the iteration. Closing the generator early drops
            what has not started; what has started ends by itself, its result is forgotten.
        """
        window = self.n if window is None else window
        if window < 1:
            raise UsageError(f"the window must be at least 1, not {window}")
        if self.n == 1 or self._closed:
            return (function(item) for item in items)
        return self._map(function, items, window)

    def _map(self, function: Callable[[T], R], items: Iterable[T], window: int) -> Generator[R, None, None]:
        stop = _Flag()
        pending: deque[_Item[T, R]] = deque()
        ready: list[R] = []
        try:
            for item in items:
                if len(pending) == window:
                    ready.append(pending.popleft().result())
                pending.append(_Item(function, item, stop, self._pool()))  # a fork may come between two steps
                if ready:
                    yield ready.pop()  # no reference stays here while the consumer works
            while pending:
                yield pending.popleft().result()
        finally:
            # May run in the garbage collector, in any thread: no lock, no waiting.
            stop.is_set = True

    def close(self) -> None:
        """End the helper threads; :meth:`run` and :meth:`map` then work in the calling thread alone."""
        self._closed = True
        pool = self._pools.pop(os.getpid(), None)
        if pool is not None:
            pool.stop()
            pool.join()

    def _pool(self) -> Pool:
        """The pool of this process. Made without a lock, which a fork could copy in its locked state."""
        pools, pid = self._pools, os.getpid()
        pool = pools.get(pid)
        if pool is None:
            fresh = Pool(self.n - 1)
            pool = pools.setdefault(pid, fresh)
            if pool is fresh:
                weakref.finalize(self, pool.stop_from_gc).atexit = False
        return pool

    def __reduce__(self) -> tuple[type["Workers"], tuple[int]]:
        return type(self), (self.n,)


def _nothing() -> None:
    pass


class _Flag:
    is_set = False


class _Item(Generic[T, R]):
    """One item of a map: computed by a helper, or by the consumer if no helper has begun."""

    def __init__(self, function: Callable[[T], R], item: T, stop: _Flag, pool: Pool) -> None:
        self._function, self._item, self._stop, self._pool = function, item, stop, pool
        self._result: list[R] = []
        self._call = Call(self._compute, None, 1)
        pool.offer(self._call)

    def _compute(self) -> None:
        if not self._stop.is_set:
            self._result.append(self._function(self._item))

    def result(self) -> R:
        """The result; a forked child, which has no helpers at work, computes what is not there."""
        if self._pool.pid == os.getpid():
            self._pool.settle(self._call)
        try:
            if self._call.error is not None:
                raise self._call.error
            if not self._result:
                self._compute()
            return self._result.pop()
        finally:
            self._call.error = None
            self._call.function = _nothing  # else item -> call -> function -> item, until garbage is collected

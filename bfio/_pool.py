"""Helper threads that join the calls of others, for `_parallel`."""

import os
import threading
from collections.abc import Callable

_IDLE_SECONDS = 5.0  # after that long without work a helper thread ends


class Call:
    """A function that helpers may join. The pool's lock guards `wanted`, `running` and `done`."""

    __slots__ = ("cancel", "done", "error", "function", "running", "wanted")

    def __init__(self, function: Callable[[], object], cancel: Callable[[], object] | None, wanted: int) -> None:
        self.function, self.cancel, self.wanted = function, cancel, wanted
        self.running = 0
        self.done: threading.Event | None = None
        self.error: BaseException | None = None

    def work(self) -> None:
        """Run in a helper: an error is kept for the caller and stops the others."""
        try:
            self.function()
        except BaseException as error:  # noqa: BLE001 - it reaches the caller
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Note the first error and tell all threads of the call to stop."""
        if self.error is None:
            self.error = error
        self.stop()

    def stop(self) -> None:
        """Tell all threads of the call to stop."""
        if self.cancel is not None:
            self.cancel()


class Pool:
    """Daemon threads that join calls; started when wanted, ended when idle.

    They are daemons so that nothing is joined when the interpreter ends: every call waits for its own helpers.
    """

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self.pid = os.getpid()
        self._changed = threading.Condition(threading.Lock())
        self._calls: dict[Call, None] = {}
        self._threads: set[threading.Thread] = set()
        self._n_free = 0  # threads without a call, those just started too
        self._stopping = False

    def offer(self, call: Call) -> None:
        """Let up to ``call.wanted`` helpers join."""
        with self._changed:
            if self._stopping:
                return
            self._calls[call] = None
            n_wanted = sum(waiting.wanted for waiting in self._calls)
            while self._n_free < n_wanted and len(self._threads) < self.n_threads and self._start_thread():
                pass
            self._changed.notify(2)  # each of them wakes two more: cheap for the caller

    def withdraw(self, call: Call) -> bool:
        """No more helpers for this call; True if none is at work on it."""
        with self._changed:
            self._calls.pop(call, None)
            call.wanted = 0
            if call.running and call.done is None:
                call.done = threading.Event()
            return not call.running

    def settle(self, call: Call) -> None:
        """Withdraw, then wait for the helpers at work. An interrupt cancels them; a second one gives up waiting."""
        if self.withdraw(call):
            return
        assert call.done is not None
        try:
            call.done.wait()
        except BaseException:
            call.stop()
            call.done.wait()
            raise

    def stop(self) -> None:
        """End the threads, those at work when they are done."""
        with self._changed:
            self._stopping = True
            self._calls.clear()
            self._changed.notify_all()

    def stop_from_gc(self) -> None:
        """:meth:`stop` that never blocks: garbage may be collected by a thread that holds the lock."""
        self._stopping = True
        if self.pid == os.getpid() and self._changed.acquire(blocking=False):
            try:
                self._changed.notify_all()
            finally:
                self._changed.release()

    def join(self) -> None:
        """Wait for the threads to end, save one that calls this itself."""
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join()

    def _start_thread(self) -> bool:
        thread = threading.Thread(target=self._serve, name="bfio-worker", daemon=True)
        self._threads.add(thread)
        self._n_free += 1
        try:
            thread.start()
        except BaseException as error:
            if thread.ident is None:
                self._threads.discard(thread)
                self._n_free -= 1
            if not isinstance(error, RuntimeError):
                raise
            return False  # no more threads to be had: fewer helpers do
        return True

    def _serve(self) -> None:
        while (call := self._next_call()) is not None:
            call.work()
            self._finished(call)
            del call  # an idle thread must not keep the arrays of its last call alive

    def _next_call(self) -> Call | None:
        with self._changed:
            while not self._calls:
                if self._stopping or (not self._changed.wait(_IDLE_SECONDS) and not self._calls):
                    self._threads.discard(threading.current_thread())
                    self._n_free -= 1
                    return None
            call = next(iter(self._calls))
            call.wanted -= 1
            if call.wanted == 0:
                del self._calls[call]
            if self._calls:
                self._changed.notify(2)
            call.running += 1
            self._n_free -= 1
            return call

    def _finished(self, call: Call) -> None:
        with self._changed:
            self._n_free += 1
            call.running -= 1
            if call.running == 0 and call.done is not None:
                call.done.set()

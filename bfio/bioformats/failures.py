"""Java's exceptions as errors of bfio.

What is thrown while a file is parsed or decoded blames the file, whatever its Java class; what the disk says stays an
OSError, as everywhere in bfio; what a Java runtime or a jar lacks is a BackendMissingError.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bfio.bioformats import jvm, logs
from bfio.bioformats.heap import HEAP_VARIABLE
from bfio.bioformats.locate import INSTALL
from bfio.errors import BackendMissingError, FormatError, LimitError, UnsupportedError, UsageError

__all__ = ["java_errors"]

_LONGEST = 300
_UNSUPPORTED = (
    "loci.formats.UnknownFormatException",
    "loci.formats.UnsupportedCompressionException",
    "loci.formats.MissingLibraryException",
    "java.lang.UnsupportedOperationException",
    "loci.common.enumeration.EnumException",  # a number, such as that of a compression, that stands in no table
)
_NOT_YET = re.compile(
    r"unsupported|not (yet |currently )?(supported|implemented)|unable to find \S+ with code", re.IGNORECASE
)
"""Words of the exceptions that are called a FormatException, for files that are sound."""
_INCOMPLETE = ("java.lang.LinkageError", "java.lang.ClassNotFoundException")
_ABSENT = ("java.io.FileNotFoundException", "java.nio.file.NoSuchFileException")
_BY_SYSTEM = {
    os.strerror(number): number
    for number in (
        errno.EACCES, errno.EPERM, errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE,
        errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.ESTALE, errno.EFBIG, errno.ENOENT,
    )
}  # fmt: skip
"""Errors that the system reports in these words, also through Java."""


@contextmanager
def java_errors(path: str, doing: str) -> Iterator[None]:
    """Turn what Java throws into an error of ours that names the file and what was being done.

    Java's exception stays the ``__cause__``. At the end Java's log is handed on.
    """
    try:
        yield
    except Exception as error:
        if _is(error, "JVMNotRunning"):
            raise UsageError(f"{path}: {doing}: Java was shut down in this process, and can not start again") from error
        if not _is(error, "java.lang.Throwable"):
            raise
        raise _translated(error, path, doing) from error
    finally:
        logs.forward()


def _translated(error: Any, path: str, doing: str) -> Exception:
    chain = list(_causes(error))
    said = _message(chain).removesuffix(path).rstrip(": ")  # the file is named in front
    about = f"{path}: {doing}: {said}"
    if any(_is(thrown, "java.lang.OutOfMemoryError") for thrown in chain):
        return LimitError(f"{path}: {doing}: Java's heap of {_heap()} is too small; set {HEAP_VARIABLE} to more")
    if any(_is(thrown, *_UNSUPPORTED) for thrown in chain):
        return UnsupportedError(about)  # before the next: a missing library may come from a missing class
    if any(_is(thrown, *_INCOMPLETE) for thrown in chain):
        return BackendMissingError(f"{about}: incomplete Java or Bio-Formats jar; {INSTALL} brings whole ones")
    if _NOT_YET.search(said):
        return UnsupportedError(about)
    if _is(error, "java.io.IOException"):
        return _of_the_disk(error, path) or FormatError(about)
    return FormatError(about)


def _of_the_disk(error: Any, path: str) -> OSError | None:
    """What the system said, if it said it."""
    text = str(error.getMessage() or "")
    for words, number in _BY_SYSTEM.items():
        if text == words or text.endswith((f"({words})", f": {words}")):
            return OSError(number, words, path)
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) if _is(error, *_ABSENT) else None


def _causes(error: Any) -> Iterator[Any]:
    """An exception of Java, and what it was made from."""
    for _ in range(8):
        yield error
        error = error.getCause()
        if error is None:
            return


def _is(error: Any, *names: str) -> bool:
    return any(kind.__name__ in names for kind in type(error).__mro__)


def _message(chain: list[Any]) -> str:
    """First line of what the first of them says, or its class."""
    for thrown in chain:
        text = str(thrown.getMessage() or "").strip()
        if text:
            line = " ".join(text.splitlines()[0].split())
            return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
    return type(chain[0]).__name__


def _heap() -> str:
    found = jvm.running()
    return f"{found.max_heap >> 20} MB" if found else "unknown size"

"""What all commands share: usage errors, error messages, warnings, and an output that takes any text."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from bfio.errors import BfioError

__all__ = ["Parser", "console", "explain", "fail", "file_name", "printable"]


class Parser(argparse.ArgumentParser):
    """Parser whose usage errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        fail(f"{message}; see '{self.prog} --help'")
        raise SystemExit(2)


def fail(message: str) -> None:
    """One sentence on the standard error; what was printed before comes first."""
    _flush()
    if sys.stderr is not None:
        print(f"bfio: {printable(message)}", file=sys.stderr, flush=True)


def file_name(text: str) -> str:
    """Argument type of a file to read: paths mean the current folder where they are empty, people do not."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty")
    return text


def _flush() -> None:
    if sys.stdout is not None:  # None where the caller closed it
        sys.stdout.flush()


def explain(name: str, error: Exception) -> str:
    """What went wrong with a file, as one sentence that names it."""
    if isinstance(error, OSError) and not isinstance(error, BfioError) and error.strerror:
        text = error.strerror[:1].lower() + error.strerror[1:]
    elif isinstance(error, (BfioError, OSError)):
        text = str(error) or type(error).__name__
    elif isinstance(error, MemoryError):
        text = "not enough memory"
    else:
        text = f"unexpected {type(error).__name__}: {error}"
    text = " ".join(text.split())
    return text if name in text else f"{name}: {text}"


def printable(text: str) -> str:
    """The text with control characters escaped: what a file says must not steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


@contextmanager
def console() -> Iterator[None]:
    """Warnings of the package on the standard error, those of tifffile nowhere; any text may be printed."""
    package, foreign = logging.getLogger("bfio"), logging.getLogger("tifffile")
    spoken, silent = logging.StreamHandler(sys.stderr), logging.NullHandler()
    spoken.setFormatter(_OneLine())
    package.addHandler(spoken)
    foreign.addHandler(silent)
    try:
        with _lenient_output():
            yield
            _flush()
    except BrokenPipeError:
        _drop_output()
        raise
    finally:
        package.removeHandler(spoken)
        foreign.removeHandler(silent)


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"bfio: {record.levelname.lower()}: {printable(record.getMessage())}"


@contextmanager
def _lenient_output() -> Iterator[None]:
    """Escape what the encoding of the standard output lacks, such as µ in ASCII."""
    stream = sys.stdout
    if not isinstance(stream, io.TextIOWrapper):
        yield
        return
    errors = stream.errors or "strict"
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        if not stream.closed:
            _restore(stream, errors)


def _restore(stream: io.TextIOWrapper, errors: str) -> None:
    try:
        stream.reconfigure(errors=errors)  # flushes
    except OSError:
        _drop_output()
        raise


def _drop_output() -> None:
    """Send what is still in the buffer to nowhere, so that the interpreter does not complain when it ends."""
    try:
        number = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)

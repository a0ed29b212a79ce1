"""Java's exceptions as errors of bfio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bfio.errors import FormatError

__all__ = ["java_errors"]


@contextmanager
def java_errors(path: str, doing: str) -> Iterator[None]:
    """Turn what Java raises into an error of ours that names the file and what was being done."""
    import jpype

    try:
        yield
    except jpype.JException as error:
        raise FormatError(f"{path}: {doing}: {error}") from error

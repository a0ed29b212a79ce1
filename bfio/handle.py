"""How a file was asked for, and its backend once it is open: opened lazily in copies, closed once."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bfio._locks import ProcessLock
from bfio._parallel import available_cpus
from bfio.backends.base import ReaderBackend
from bfio.backends.detect import Source, is_zarr_object
from bfio.backends.opening import open_reader
from bfio.backends.registry import checked_name
from bfio.byteio import is_url
from bfio.errors import UsageError
from bfio.limits import Limits

__all__ = ["Handle", "choice", "pick"]


class Handle:
    """One file that a reader works on.

    A pickled or copied handle holds the arguments only, and opens the file by itself when it is first needed.

    Parameters
    ----------
    source : str, path or binary file object
    backend : str, optional
        Name of the backend asked for; by default the content of the file decides.
    max_workers : int, optional
        By default the CPUs that this process may use.
    options : dict
        Passed on to the backend.
    """

    def __init__(
        self,
        source: Source | None,
        backend: str | None = None,
        max_workers: int | None = None,
        **options: Any,
    ) -> None:
        self.source = _absolute(source)
        self._asked_name = checked_name(backend)
        self._asked_workers = max_workers
        self.max_workers = _workers(max_workers)
        self._options = options
        self._prepare()

    def _prepare(self) -> None:
        self._opening = ProcessLock()
        self._backend: ReaderBackend | None = None
        self._is_lent = False
        self.closed = False

    @property
    def name(self) -> str:
        """File name for messages."""
        if isinstance(self.source, (str, os.PathLike)):
            return os.fspath(self.source).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
        return str(getattr(self.source, "name", "image"))

    @property
    def limits(self) -> Limits:
        """What the file may ask for."""
        limits: Limits | None = self._options.get("limits")
        return limits or Limits()

    def open(self, check: Callable[[ReaderBackend], None] | None = None) -> ReaderBackend:
        """The open backend; opens the file where that was not done yet. `check` sees a new one before it is kept."""
        if self.closed:
            raise UsageError(f"{self.name} is closed")
        if self._backend is None:
            with self._opening:
                if self._backend is None:
                    self.adopt(self._opened(), check)
        assert self._backend is not None
        return self._backend

    def _opened(self) -> ReaderBackend:
        assert self.source is not None
        options = {**self._options, "limits": self.limits, "max_workers": self.max_workers}
        return open_reader(self.source, backend=self._asked_name, **options)

    def adopt(self, backend: ReaderBackend, check: Callable[[ReaderBackend], None] | None = None) -> None:
        """Keep a backend, or close it where `check` raises."""
        try:
            if check is not None:
                check(backend)
        except BaseException:
            backend.close()
            raise
        self._backend = backend

    @property
    def last(self) -> ReaderBackend | None:
        """The backend, open or closed; None where the file was not opened yet."""
        return self._backend

    def close(self) -> None:
        """Close the backend. Closing twice is allowed."""
        self.closed = True
        if self._backend is not None and not self._is_lent:
            self._backend.close()

    def lend(self) -> Handle:
        """The same open file, for another reader that ends before this one."""
        lent = Handle(self.source, self._asked_name, self._asked_workers, **self._options)
        lent._backend, lent._is_lent = self.open(), True
        return lent

    def __getstate__(self) -> dict[str, Any]:
        if not isinstance(self.source, (str, os.PathLike)) and not is_zarr_object(self.source):
            raise UsageError("a reader of a file object can not be pickled or copied; open the file by its path")
        return {
            "source": self.source,
            "backend": self._asked_name,
            "max_workers": self._asked_workers,
            "options": self._options,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["source"], state["backend"], state["max_workers"], **state["options"])  # type: ignore[misc]


def choice(number: Any, length: int, noun: str) -> int:
    """Index of a series or level; negative ones count from the end."""
    try:
        index = operator.index(number)
    except TypeError:
        raise UsageError(f"{noun}={number!r} must be an int") from None
    if not -length <= index < length:
        raise UsageError(f"{noun}={index} does not exist; the image has {noun} 0 to {length - 1}")
    return index % length


def pick(backend: ReaderBackend, series: Any, level: Any) -> tuple[int, int]:
    """Indices of the series and of the level that were asked for."""
    if level is None:
        level = 0
    elif series == 0 and _counts_series(backend, level):
        series, level = level, 0
    index = choice(series, len(backend.series), "series")
    return index, choice(level, len(backend.series[index].levels), "level")


def _counts_series(backend: ReaderBackend, level: Any) -> bool:
    """Whether ``level=`` names an image, as in scripts for bfio 2 that go through all images of a plate or slide."""
    if backend.name != "bioformats" or any(len(series.levels) > 1 for series in backend.series):
        return False
    return hasattr(level, "__index__") and 0 < level < len(backend.series)


def _absolute(source: Source | None) -> Source | None:
    """Paths made absolute, so that a copy in another folder finds the file. URLs and file objects stay."""
    if isinstance(source, str) and is_url(source):
        return source
    if isinstance(source, (str, os.PathLike)):
        return Path(source).expanduser().resolve()
    if source is None or is_zarr_object(source) or (hasattr(source, "read") and hasattr(source, "seek")):
        return source
    kind = type(source).__name__
    raise UsageError(f"file_path must be a path, a URL, a binary file object or a store of zarr, not a {kind}")


def _workers(max_workers: int | None) -> int:
    if max_workers is None:
        return available_cpus()
    try:
        return max(1, operator.index(max_workers))
    except TypeError:
        raise UsageError(f"max_workers={max_workers!r} must be an int") from None

"""The Java readers of one file: opened as they are needed, each used by one thread at a time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bfio.bioformats.failures import java_errors
from bfio.bioformats.jvm import attached, is_running, java, start
from bfio.bioformats.transfer import Landing
from bfio.errors import UsageError

__all__ = ["Desk", "ReaderPool"]


class Desk:
    """One open Java reader, what it stands at, and the memory it reads into."""

    def __init__(self, reader: Any) -> None:
        self.reader = reader
        self.landing = Landing()
        self._place = (-1, -1)

    def go_to(self, series: int, resolution: int) -> None:
        """Make a series and a resolution of it the current one."""
        if self._place != (series, resolution):
            self._place = (-1, -1)
            self.reader.setSeries(series)
            self.reader.setResolution(resolution)
            self._place = (series, resolution)


class ReaderPool:
    """Up to `n` open readers of one file.

    Parameters
    ----------
    path : str
        Absolute.
    n : int
        Most readers; further threads wait for one.
    """

    def __init__(self, path: str, n: int) -> None:
        self.path = path
        self.n = n
        self._pid = os.getpid()
        self._changed = threading.Condition(threading.Lock())
        self._idle: list[Desk] = []
        self._n_open = 1
        self._closed = False
        self._seconds_reading = 0.0
        start()
        began = time.perf_counter()
        with attached(), java_errors(path, "can not be opened"):
            first = _open_first(path)
            self._kind = java("java.lang.Object").getClass(first.getReader())
        self._seconds_opening = time.perf_counter() - began
        self._idle.append(Desk(first))

    @property
    def first(self) -> Any:
        """A reader that no thread uses yet, for looking at the structure of the file."""
        return self._idle[0].reader

    def n_worth(self, nbytes: int) -> int:
        """Readers that a read is worth.

        Another one is opened when this much and all that was read before took as long as opening did, so that what is
        slow to open is not opened twice to read one plane.
        """
        per_byte = 1e-8  # 100 MB/s, as measured for deflate
        if self._seconds_reading + nbytes * per_byte >= self._seconds_opening:
            return self.n
        return self._n_open

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        """A reader for this thread alone; waits until there is one."""
        desk = self._take()
        began = time.perf_counter()
        try:
            yield desk
        finally:
            self._give_back(desk, time.perf_counter() - began)

    def _take(self) -> Desk:
        with self._changed:
            while not self._idle and self._n_open >= self.n and not self._closed:
                self._changed.wait()
            if self._closed:
                raise UsageError(f"{self.path} is closed")
            if self._idle:
                return self._idle.pop()
            self._n_open += 1
        try:
            with java_errors(self.path, "can not be opened once more"):
                return Desk(self._open_another())
        except BaseException:
            with self._changed:
                self._n_open -= 1
                self._changed.notify()
            raise

    def _open_another(self) -> Any:
        """A reader of the class that was found to fit: no need to try all formats again."""
        reader = self._kind.getDeclaredConstructor().newInstance()
        try:
            reader.setFlattenedResolutions(False)
            reader.setId(self.path)
        except BaseException:
            reader.close()
            raise
        return reader

    def _give_back(self, desk: Desk, seconds: float) -> None:
        with self._changed:
            self._seconds_reading += seconds
            if not self._closed:
                self._idle.append(desk)
                self._changed.notify()
                return
        _close(desk)

    def close(self) -> None:
        """Close the readers, those in use as soon as their read ends."""
        if self._pid != os.getpid() or not is_running():
            return
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        if idle:
            with attached():
                for desk in idle:
                    _close(desk)


def _open_first(path: str) -> Any:
    """Reader of a file that gathers all its metadata."""
    service = java("loci.common.services.ServiceFactory")().getInstance(java("loci.formats.services.OMEXMLService"))
    reader = java("loci.formats.ImageReader")()
    try:
        reader.setFlattenedResolutions(False)
        reader.setMetadataStore(service.createOMEXMLMetadata())
        reader.setId(path)
    except BaseException:
        reader.close()
        raise
    return reader


def _close(desk: Desk) -> None:
    with java_errors("", "can not be closed"):
        desk.reader.close()

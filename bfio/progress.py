"""How far a write has come, told to a function of the user or to a bar of tqdm."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from bfio.errors import UsageError

__all__ = ["Progress", "checked_report"]

logger = logging.getLogger(__name__)

Report = Callable[[int, int], object]


class Progress:
    """Counts pixels, tells tiles: calls ``report(tiles done, tiles in all)`` whenever the first number grows.

    Parameters
    ----------
    report : callable, bool or None
        True stands for a bar of tqdm, if that is installed.
    n_pixels, n_tiles : int
    """

    def __init__(self, report: Any, n_pixels: int, n_tiles: int) -> None:
        self._report, self._finish = _reporter(report, n_tiles)
        self._n_pixels, self._n_tiles = max(1, n_pixels), n_tiles
        self._pixels = self._told = 0
        self._lock = threading.Lock()

    def add(self, n_pixels: int) -> None:
        """Count pixels; from any thread. Pixels that are written twice count twice, but never beyond the whole."""
        if self._report is None:
            return
        with self._lock:
            self._pixels += n_pixels
            done = min(self._n_tiles, self._pixels * self._n_tiles // self._n_pixels)
            if done > self._told:
                self._told = done
                self._report(done, self._n_tiles)

    def close(self) -> None:
        """Take the bar down."""
        self._finish()


def checked_report(report: Any) -> Any:
    """The argument ``progress=``, or UsageError."""
    if report is None or isinstance(report, bool) or callable(report):
        return report
    raise UsageError(f"progress={report!r} must be True, or a function of two ints: tiles done, and tiles in all")


def _reporter(report: Any, n_tiles: int) -> tuple[Report | None, Callable[[], object]]:
    if callable(report):
        return report, lambda: None
    if not report:
        return None, lambda: None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        logger.warning("progress=True needs tqdm; run 'pip install tqdm'")
        return None, lambda: None
    bar = tqdm(total=n_tiles, unit="tile")
    return lambda done, _: bar.update(done - bar.n), bar.close

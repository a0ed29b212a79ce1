"""A bar on the standard error that tells how far a conversion is; nothing where that is no terminal."""

from __future__ import annotations

import shutil
import sys
import time

__all__ = ["ProgressBar", "size_text"]

_INTERVAL = 0.1
_WIDTH = 30


class ProgressBar:
    """Callable with the number of tiles that are done and of all; drawn ten times a second, erased at the end."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._stream = sys.stderr
        self._shown = not quiet and self._stream is not None and self._stream.isatty()
        self._first: tuple[float, int] | None = None
        self._drawn = 0.0

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *error: object) -> None:
        if self._shown and self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._shown or (done < total and now - self._drawn < _INTERVAL):
            return
        self._drawn = now
        if self._first is None:
            self._first = (now, done)
        line = self._line(done, total, now - self._first[0])
        self._stream.write(f"\r{line[: shutil.get_terminal_size().columns - 1]}\x1b[K")
        self._stream.flush()

    def _line(self, done: int, total: int, seconds: float) -> str:
        part = done / max(total, 1)
        full = int(part * _WIDTH)
        line = f"[{'#' * full}{'.' * (_WIDTH - full)}] {part:4.0%} of {total} tiles"
        assert self._first is not None
        moved = done - self._first[1]
        if not moved or seconds < _INTERVAL:
            return line
        minutes, rest = divmod(int((total - done) * seconds / moved + 0.5), 60)
        return f"{line}, {moved / seconds:.0f}/s, {minutes}:{rest:02d} left"


def size_text(nbytes: float) -> str:
    """A number of bytes for people, such as ``"12.5 MB"``."""
    unit = "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if nbytes < 1000:
            break
        nbytes, unit = nbytes / 1000, larger
    return f"{nbytes:.0f} {unit}" if unit == "bytes" else f"{nbytes:.1f} {unit}"

"""Fragile decoders in processes of their own: what kills one of them there is an error here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import IO, Any

import numpy as np

from bfio.errors import FormatError, UnsupportedError

__all__ = ["Quarantine", "serve"]

SECONDS = 30
"""A child that takes longer for one tile is ended (not on Windows)."""
_MAIN = "import sys; sys.path[:] = sys.argv[2:]; from bfio.tiff.quarantine import serve; serve(sys.argv[1])"


class Quarantine:
    """A decoder of imagecodecs called in child processes, one for each thread that calls at the same time.

    A child is started by the first tile, which takes some tenths of a second, and serves until `close` or the first
    stream that it refuses. It needs a Python interpreter that can be started: in a program frozen into one file there
    is none, and tiles are refused. What a damaged stream does to a child without a crash is not seen: it may decode
    to wrong pixels, as damage always may.

    Parameters
    ----------
    function : str
        Name of a function of imagecodecs that makes an array of bytes.
    """

    def __init__(self, function: str) -> None:
        self._function = function
        self._idle: dict[int, list[_Child]] = {}  # by process: a fork must not talk to the children of its parent

    def decode(self, data: bytes) -> np.ndarray:
        """Pixels of a stream.

        Raises
        ------
        FormatError
            The decoder refuses the stream, or dies of it.
        UnsupportedError
            No child can be started.
        """
        try:
            found = self._ask(self._children().pop(), data)
        except IndexError:  # all are at work
            found = None
        if found is None:  # or this one crashed, perhaps of what an earlier stream left in its memory
            found = self._ask(_Child(self._function), data)
        if found is None:
            raise FormatError("the stream is damaged: its decoder crashed")
        if isinstance(found, str):
            raise FormatError(found)
        return found

    def _ask(self, child: _Child, data: bytes) -> np.ndarray | str | None:
        """What a child answers; it goes on only after a stream that was in order."""
        found = None
        try:
            found = child.ask(data)
        finally:
            if isinstance(found, np.ndarray):
                self._children().append(child)
            else:
                child.end()
        return found

    def _children(self) -> list[_Child]:
        return self._idle.setdefault(os.getpid(), [])

    def close(self) -> None:
        """End all children."""
        for child in self._idle.pop(os.getpid(), []):
            child.end()


class _Child:
    def __init__(self, function: str) -> None:
        if getattr(sys, "frozen", False) or not sys.executable:
            raise UnsupportedError(f"{function} runs in a Python interpreter of its own, and there is none")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _MAIN, function, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise UnsupportedError(f"the process for {function} does not start: {error}") from error

    def ask(self, data: bytes) -> np.ndarray | str | None:
        """Pixels, or what the decoder says against the stream; None from one that crashed."""
        request, answer = self._process.stdin, self._process.stdout
        assert request is not None and answer is not None
        try:
            request.write(len(data).to_bytes(8, "little") + data)
            request.flush()
            head = json.loads(answer.readline())
            if isinstance(head, str):
                return head
            pixels = np.empty(head["shape"], head["dtype"])
            view = memoryview(pixels.reshape(-1).view(np.uint8))
            if answer.readinto(view) == len(view):  # type: ignore[attr-defined]
                return pixels
        except (OSError, ValueError):
            pass
        return None

    def end(self) -> None:
        """Kill the process; it has nothing to lose."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # what was not written yet
                pass
        self._process.wait()


def serve(function: str) -> None:
    """Decode streams from stdin to stdout until stdin ends: what a child does."""
    import imagecodecs

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes of a terminal; the parent decides
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what C libraries print
    while head := sys.stdin.buffer.read(8):
        data = sys.stdin.buffer.read(int.from_bytes(head, "little"))
        _alarm(SECONDS)
        _reply(replies, getattr(imagecodecs, function), data)
        _alarm(0)


def _alarm(seconds: int) -> None:
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)  # its default action ends the process


def _reply(replies: IO[bytes], decode: Any, data: bytes) -> None:
    """One line that tells shape and dtype, and the pixels; or one line with the error."""
    try:
        pixels = np.ascontiguousarray(decode(data))
    except Exception as error:  # noqa: BLE001 - the parent raises it
        text = " ".join(str(error).split()) or type(error).__name__
        replies.write(json.dumps(text).encode() + b"\n")
    else:
        replies.write(json.dumps({"shape": pixels.shape, "dtype": pixels.dtype.str}).encode() + b"\n")
        replies.write(memoryview(pixels.reshape(-1).view(np.uint8)))
    replies.flush()

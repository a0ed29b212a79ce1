"""What every kind of byte source has in common."""

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from bfio.byteio.coalesce import FetchPlan, plan_fetch
from bfio.errors import LimitError, UsageError


class Source(ABC):
    """Bytes at positions, with no position of its own: any number of threads may read at once.

    A source can be pickled (the copy opens by path when first used) and goes on working in a forked process. A
    reading thread that is overtaken by :meth:`close` gets either its bytes or a `UsageError`, never foreign bytes.

    Attributes
    ----------
    path : str
        The name for messages: path or URL.
    requests : int
        Reads that went to the file or the server so far, roughly (counted without a lock).
    """

    path: str
    requests: int = 0
    _closed: bool = False

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of bytes."""

    @abstractmethod
    def pread(self, offset: int, nbytes: int) -> bytes:
        """Bytes from `offset` on: `nbytes` of them, fewer only at the end of the file.

        Raises
        ------
        UsageError
            The source is closed, or an argument is negative.
        OSError
            The system or the server fails.
        """

    @abstractmethod
    def sibling(self, name: str) -> str:
        """Path or URL of the file `name` in the same folder, as a multi-file OME-TIFF names it.

        Raises
        ------
        FormatError
            `name` is absolute or leads out of the folder.
        """

    @abstractmethod
    def _fill(self, arena: npt.NDArray[np.uint8], plan: FetchPlan) -> None:
        """Read the requests of `plan` into `arena`."""

    def fileno(self) -> int:
        """Descriptor for positional reads by the kernels; -1 where they need the bytes handed to them."""
        return -1

    @contextmanager
    def descriptor(self) -> Iterator[int]:
        """:meth:`fileno` that stays open and the same file inside the ``with``, even if another thread closes."""
        yield self.fileno()

    def fetch(
        self, offsets: npt.ArrayLike, nbytes: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint64]]:
        """Read many ranges at once, close ones together.

        Parameters
        ----------
        offsets, nbytes : array_like of uint64, shape (n,)
            The ranges, in any order; they may overlap.

        Returns
        -------
        arena : ndarray of uint8
            The bytes, in file order. Not larger than the file.
        positions : ndarray of uint64, shape (n,)
            Where each range starts in `arena`. A range that the file cuts short is cut short by the end of `arena`
            (``positions[i] + nbytes[i] > arena.size``, for such ranges only).

        Raises
        ------
        LimitError
            There is no memory for the arena.
        """
        self._check_open()
        plan = plan_fetch(offsets, nbytes, self.size)
        try:
            arena = np.empty(plan.arena_nbytes, np.uint8)
        except MemoryError:
            raise LimitError(f"{self.path}: no memory for {plan.arena_nbytes} bytes of tiles") from None
        self._fill(arena, plan)
        return arena, plan.positions

    def close(self) -> None:
        """Let go of the file. Closing twice is fine; reading afterwards is a `UsageError`."""
        self._closed = True

    @property
    def closed(self) -> bool:
        """True after :meth:`close`."""
        return self._closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}{' (closed)' if self._closed else ''}>"

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError(f"{self.path} is closed")


def checked_range(offset: int, nbytes: int) -> tuple[int, int]:
    """`offset` and `nbytes` as Python integers (numpy's unsigned ones do not mix), neither negative."""
    offset, nbytes = operator.index(offset), operator.index(nbytes)
    if offset < 0 or nbytes < 0:
        raise UsageError(f"offset {offset} and nbytes {nbytes} must not be negative")
    return offset, nbytes

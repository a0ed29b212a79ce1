"""What the writers of all formats have in common: a session that does the work, behind the writer protocol."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import numpy as np

from bfio.backends.base import Key
from bfio.selection import Box

__all__ = ["Session", "SessionWriter"]


class Session(Protocol):
    """One file or store from its beginning to its final name."""

    def write(self, box: Box, block: np.ndarray) -> None:
        """Store the pixels of a box."""
        ...

    def flush(self) -> None:
        """Make a checkpoint."""
        ...

    @property
    def missing(self) -> list[Key]:
        """Regions that were not written yet."""
        ...

    def close(self) -> None:
        """Finish."""
        ...

    def abandon(self) -> None:
        """Release."""
        ...


S = TypeVar("S", bound=Session)


class SessionWriter(Generic[S]):
    """A session behind the protocol of :class:`bfio.backends.base.WriterBackend`.

    Parameters
    ----------
    session : Session
    tile_shape : (int, int)
        Rows and columns at which processes that write together must cut their blocks.
    """

    def __init__(self, session: S, tile_shape: tuple[int, int]) -> None:
        self._session = session
        self.tile_shape = tile_shape

    def write(self, box: Box, block: np.ndarray) -> None:
        """Store the pixels of a box."""
        self._session.write(box, block)

    def flush(self) -> None:
        """Make a checkpoint."""
        self._session.flush()

    @property
    def missing(self) -> list[Key]:
        """Regions that were not written yet."""
        return self._session.missing

    def close(self) -> None:
        """Finish, or, where another process began it, end this one's share."""
        self._session.close()

    def abandon(self) -> None:
        """Release what is there as it is."""
        self._session.abandon()

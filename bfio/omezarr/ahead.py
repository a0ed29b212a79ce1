"""Documents of a store that is slow to answer, asked for before they are needed, many at a time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bfio.byteio.objects import Answer, waited
from bfio.omezarr.nodes import Nodes

if TYPE_CHECKING:
    from bfio.omezarr.feed import Fetches

__all__ = ["Ahead", "ahead_of"]

KEPT_NBYTES = 64 << 20
"""Bytes of documents that are kept while a store is opened: some are read twice."""
MOST_KEPT = 1 << 16
FIRST = ("zarr.json", "OME/METADATA.ome.xml")
"""What is read of every store."""


class Ahead:
    """A store whose documents can be asked for before they are read; each is fetched once.

    Attributes
    ----------
    refused : PermissionError or None
        Some servers say so of what is not there, if nobody may list it. Of the root, it counts as not there, for one
        of its documents is enough.
    """

    root: Path | None = None

    def __init__(self, nodes: Nodes, most: int) -> None:
        self.name = nodes.name
        self._nodes, self._most = nodes, most
        self._store = cast("Fetches", nodes)
        self._answers: dict[str, Answer] = {}
        self._read: set[str] = set()
        self._kept_nbytes = 0
        self.refused: PermissionError | None = None
        self.ask(FIRST)

    def ask(self, keys: Iterable[str]) -> None:
        """Begin to fetch documents, which are there when they are read."""
        for key in keys:
            if key not in self._answers and len(self._answers) < MOST_KEPT:
                self._answers[key] = self._store.start(key, most=self._most)

    def get(self, key: str) -> bytes | None:
        """A document, or what else is stored under a key."""
        answer = self._answers.get(key) or self._store.start(key, most=self._most)
        try:
            piece = waited(answer)
        except PermissionError as error:
            if "/" in key:
                raise
            self.refused = self.refused or error
            return None
        if piece is None:
            return None
        self._keep(key, answer, len(piece.data))
        return piece.data

    def names(self, key: str) -> list[str] | None:
        """Names of what stands directly below a key."""
        return self._nodes.names(key)

    def _keep(self, key: str, answer: Answer, nbytes: int) -> None:
        """Keep what was read for the next time, within bounds."""
        self._answers.pop(key, None)
        if key not in self._read:
            self._read.add(key)
            self._kept_nbytes += nbytes
        if self._kept_nbytes <= KEPT_NBYTES and len(self._answers) < MOST_KEPT:
            self._answers[key] = answer

    def end(self) -> None:
        """Nothing more is needed."""
        for answer in self._answers.values():
            answer.cancel()
        self._answers.clear()


def ahead_of(nodes: Nodes, most: int) -> Ahead | None:
    """The same store for asking ahead, its documents of `most` bytes at most; None where that saves no time."""
    return Ahead(nodes, most) if getattr(nodes, "ahead", 0) else None

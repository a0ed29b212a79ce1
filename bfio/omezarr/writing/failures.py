"""The error of a chunk that could not be written: it names array, chunk and reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bfio.errors import BfioError, TileWriteError
from bfio.omezarr.arraymeta import ArrayMeta

__all__ = ["ChunkWriteError", "Index", "write_errors"]

Index = tuple[int, ...]


class ChunkWriteError(TileWriteError):
    """One chunk could not be written.

    Attributes
    ----------
    path : str
        The file: the chunk's own, or its shard.
    array : str
        Key of the array in the store.
    chunk : tuple of int
    tile : int
        The chunk counted in C order; ``plane`` is 0.
    """

    def __init__(
        self, path: str, array: str, chunk: Index, tile: int, offset: int, reason: str, errno: int | None = None
    ) -> None:
        super().__init__(path, 0, tile, offset, reason, errno)
        self.array, self.chunk = array, chunk

    def __reduce__(self) -> tuple[type[ChunkWriteError], tuple[object, ...]]:
        return type(self), (self.path, self.array, self.chunk, self.tile, self.offset, self.reason, self.errno)

    def __str__(self) -> str:
        return f"{self.path}: chunk {self.chunk} of array {self.array!r}: {self.reason}"


@contextmanager
def write_errors(meta: ArrayMeta, path: str | Path, index: Index, offset: int = 0) -> Iterator[None]:
    """Let what goes wrong name the chunk."""
    try:
        yield
    except (ChunkWriteError, ImportError):
        raise
    except (OSError, MemoryError, ValueError, BfioError) as error:
        tile = int(np.ravel_multi_index(index, meta.grid)) if index else 0
        errno = getattr(error, "errno", None)
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ChunkWriteError(str(path), meta.path, index, tile, offset, reason, errno) from error

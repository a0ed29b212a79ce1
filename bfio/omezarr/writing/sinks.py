"""Where the whole chunks of an array go: files of their own, or shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from bfio._parallel import Workers
from bfio.omezarr.arraymeta import ArrayMeta
from bfio.omezarr.writing.chunkwriter import ChunkFiles
from bfio.omezarr.writing.shardwriter import ShardFiles

__all__ = ["ChunkSink", "open_sink"]

Index = tuple[int, ...]


class ChunkSink(Protocol):
    """Stores whole chunks of one array. Any number of threads may call it at once.

    The bytes of the files do not depend on the number of threads or on the order of the calls. Chunks of nothing but
    the fill value are not stored, and count as written.
    """

    meta: ArrayMeta

    def put(self, indices: Sequence[Index], chunks: Sequence[np.ndarray]) -> None:
        """Encode and store whole chunks, in place of those of the same index.

        Parameters
        ----------
        indices : sequence of tuple of int
        chunks : sequence of ndarray
            Of the array's dtype (native byte order) and whole chunk shape; at the borders of the array padded with
            the fill value. Not changed; C order is fastest.

        Raises
        ------
        TileWriteError
            Names the first chunk that could not be stored; others may be stored or not, which :meth:`written` tells.
        """

    def get(self, index: Index) -> np.ndarray | None:
        """A copy of the pixels of a chunk that was put or is on the disk; None: it was never written.

        Raises
        ------
        TileDecodeError
            It is there, and can not be read.
        """

    def mark(self, indices: Sequence[Index]) -> None:
        """Count chunks as written that a former session stored as nothing but the fill value."""

    def written(self) -> np.ndarray:
        """Map (bool, one per chunk, of the grid's shape) of the chunks that were written; a copy."""

    def adopt(self, noted: np.ndarray, found: np.ndarray) -> None:
        """Go on beside or after others.

        Parameters
        ----------
        noted, found : ndarray of bool
            Chunks that others have written, of the grid's shape: those of which notes tell, and those that the next
            :meth:`flush` must bring to the disk.
        """

    def flush(self) -> None:
        """Make what was put so far survive a killed process (and, if durable, a crash of the machine).

        Raises
        ------
        TileWriteError
            The disk could not take a chunk; it counts as not written.
        """

    def finish(self) -> None:
        """Give all files their final names. Chunks may be put afterwards, then this must be called again."""

    def abandon(self) -> None:
        """Close all files; what was flushed stays for a session that resumes."""


def open_sink(
    folder: Path, meta: ArrayMeta, workers: Workers, *, durable: bool, resume: bool, in_place: bool = False
) -> ChunkSink:
    """The sink of one array.

    Parameters
    ----------
    folder : Path
        Root of the store; the array's chunks are below ``folder / meta.path``. Folders are made when needed.
    meta : ArrayMeta
    workers : Workers
        Their threads encode.
    durable : bool
        Whether files are on the disk after :meth:`~ChunkSink.flush`, and whether what is there by then is only replaced
        by files that are on the disk, too.
    resume : bool
        Whether chunks that are on the disk count as written, and unfinished shards are taken over. Of several
        processes that write to one array, only the first may say so. They must not write to the same shard.
    in_place : bool
        Whether the array is finished, and no file may get a name in it before it is on the disk.

    Raises
    ------
    UnsupportedError
        Only zarr-python knows the array's codecs.
    """
    kind = ChunkFiles if meta.shard is None else ShardFiles
    return kind(folder, meta, workers, durable=durable, resume=resume, in_place=in_place)

"""Which requests serve many byte ranges: neighbours together, large ones in pieces. Pure arithmetic."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

GAP_NBYTES = 64 << 10
"""Ranges closer than this are read together: shorter to transfer than to ask again."""

REQUEST_NBYTES = 8 << 20
"""Longest request: several in flight beat one long one."""


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """Requests ``starts[i], lengths[i]`` into an arena at ``targets[i]``; the asked ranges are at `positions`."""

    starts: npt.NDArray[np.uint64]
    lengths: npt.NDArray[np.uint64]
    targets: npt.NDArray[np.uint64]
    positions: npt.NDArray[np.uint64]
    arena_nbytes: int

    def requests(self, arena: npt.NDArray[np.uint8]) -> Iterator[tuple[int, memoryview]]:
        """Each request as the offset in the file and the part of `arena` to fill."""
        view = arena.data
        columns = (self.starts.tolist(), self.lengths.tolist(), self.targets.tolist())
        for start, length, target in zip(*columns, strict=True):
            yield start, view[target : target + length]


def plan_fetch(
    offsets: npt.ArrayLike,
    nbytes: npt.ArrayLike,
    size: int,
    gap: int = GAP_NBYTES,
    longest: int = REQUEST_NBYTES,
) -> FetchPlan:
    """Plan the reading of byte ranges of a file of `size` bytes.

    Ranges are cut at the end of the file. Since the arena has file order, such a cut range ends where the arena ends.
    """
    start = np.minimum(np.asarray(offsets, np.uint64), np.uint64(size))
    length = np.minimum(np.asarray(nbytes, np.uint64), np.uint64(size) - start)
    positions = np.empty(start.shape, np.uint64)
    order = np.flatnonzero(length)
    order = order[np.argsort(start[order], kind="stable")]
    member, block_start, block_length = _blocks(start[order], length[order], gap)
    block_target = np.cumsum(block_length, dtype=np.uint64) - block_length
    arena_nbytes = int(block_length.sum())
    positions.fill(arena_nbytes)
    positions[order] = block_target[member] + (start[order] - block_start[member])
    block, skipped = _pieces(block_length, longest)
    lengths = np.minimum(block_length[block] - skipped, np.uint64(longest))
    return FetchPlan(block_start[block] + skipped, lengths, block_target[block] + skipped, positions, arena_nbytes)


def _blocks(
    start: npt.NDArray[np.uint64], length: npt.NDArray[np.uint64], gap: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Merge sorted ranges: the block of each range, start and length of each block."""
    reach = np.maximum.accumulate(start + length)
    is_first = np.ones(start.shape, bool)
    is_first[1:] = start[1:] > reach[:-1] + np.uint64(gap)
    is_last = np.ones(start.shape, bool)
    is_last[:-1] = is_first[1:]
    block_start = start[is_first]
    return np.cumsum(is_first) - 1, block_start, reach[is_last] - block_start


def _pieces(block_length: npt.NDArray[np.uint64], longest: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.uint64]]:
    """Cut blocks: for each piece its block, and how many bytes of the block come before it."""
    n_pieces = (-(-block_length.astype(np.int64) // longest)).astype(np.intp)
    block = np.repeat(np.arange(n_pieces.size), n_pieces)
    number = np.arange(block.size) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    return block, number.astype(np.uint64) * np.uint64(longest)

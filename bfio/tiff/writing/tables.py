"""Where the tiles of a file stand: offsets and byte counts of all planes and levels, in memory and in the file."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bfio.tiff.writing.front import Front
from bfio.tiff.writing.partfile import PartFile
from bfio.tiff.writing.recipe import Recipe
from bfio.tiff.writing.state import Field, read_field, write_field

__all__ = ["Key", "Tables"]

Key = tuple[int, int, int]
"""One tile: level, plane, index in the plane."""


class Tables:
    """Offset and byte count of each tile; 0 and 0 for one that was not written.

    Attributes
    ----------
    offsets, byte_counts : list of uint64 array (n_planes, n_tiles)
        One per level.
    """

    def __init__(self, recipe: Recipe, front: Front) -> None:
        self._front = front
        shapes = [(recipe.n_planes, recipe.tiles(level).n_tiles) for level in range(recipe.n_levels)]
        self.offsets = [np.zeros(shape, np.uint64) for shape in shapes]
        self.byte_counts = [np.zeros(shape, np.uint64) for shape in shapes]

    def positions(self, level: int, planes: np.ndarray, tiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions in the file of the entries (offset, byte count) of tiles, each uint64 of their shape."""
        step = tiles.astype(np.uint64) * np.uint64(self._front.entry_nbytes)
        return self._front.offset_entries[level][planes] + step, self._front.count_entries[level][planes] + step

    def note(self, level: int, planes: np.ndarray, tiles: np.ndarray, offsets: np.ndarray, nbytes: np.ndarray) -> None:
        """Remember where tiles are that the kernels wrote and patched."""
        self.offsets[level][planes, tiles] = offsets
        self.byte_counts[level][planes, tiles] = nbytes

    def get(self, key: Key) -> tuple[int, int]:
        """Offset and byte count of one tile."""
        level, plane, tile = key
        return int(self.offsets[level][plane, tile]), int(self.byte_counts[level][plane, tile])

    def set(self, part: PartFile, key: Key, offset: int, nbytes: int) -> None:
        """Patch the entries of one tile. In between, a reader sees a tile that is not there."""
        level, plane, tile = key
        at_offset, at_count = self._at(key)
        size = self._front.entry_nbytes
        if self.byte_counts[level][plane, tile]:
            part.pwrite(bytes(size), at_offset)
        part.pwrite(_entry(nbytes, size), at_count)
        part.pwrite(_entry(offset, size), at_offset)
        self.offsets[level][plane, tile], self.byte_counts[level][plane, tile] = offset, nbytes

    def protect(self, part: PartFile, key: Key) -> None:
        """Note the entries of a tile, so that a crash amid their change does not lose the tile; see :meth:`repair`."""
        (at_offset, at_count), (offset, nbytes) = self._at(key), self.get(key)
        write_field(part.fd, Field.OLD_COUNT, at_count, nbytes)
        write_field(part.fd, Field.OLD_OFFSET, at_offset, offset)

    def repair(self, part: PartFile) -> None:
        """Undo a change of entries that was broken off: the offset is zero, the byte count is not."""
        at_offset, offset = read_field(part.fd, Field.OLD_OFFSET, str(part.path))
        at_count, nbytes = read_field(part.fd, Field.OLD_COUNT, str(part.path))
        nothing = bytes(self._front.entry_nbytes)
        if offset and part.pread(len(nothing), at_offset) == nothing != part.pread(len(nothing), at_count):
            part.pwrite(_entry(nbytes, len(nothing)), at_count)
            part.pwrite(_entry(offset, len(nothing)), at_offset)

    def drop(self, part: PartFile, keys: Iterable[Key]) -> None:
        """Make tiles missing."""
        for key in keys:
            if self.get(key) != (0, 0):
                self.set(part, key, 0, 0)

    def _at(self, key: Key) -> tuple[int, int]:
        level, plane, tile = key
        step = tile * self._front.entry_nbytes
        return (
            int(self._front.offset_entries[level][plane]) + step,
            int(self._front.count_entries[level][plane]) + step,
        )

    def missing(self, level: int) -> np.ndarray:
        """Bool array (n_planes, n_tiles): True where no tile is."""
        missing: np.ndarray = self.byte_counts[level] == 0
        return missing

    def load(self, part: PartFile) -> None:
        """Read all entries from the file; a tile of which only one entry is set was being written, and is missing."""
        front = np.frombuffer(part.pread(len(self._front.data), 0), np.uint8)
        for level, (offsets, byte_counts) in enumerate(zip(self.offsets, self.byte_counts, strict=True)):
            self._gather(front, self._front.offset_entries[level], offsets)
            self._gather(front, self._front.count_entries[level], byte_counts)
            torn = (offsets == 0) | (byte_counts == 0)
            offsets[torn] = byte_counts[torn] = 0

    def store(self, part: PartFile) -> None:
        """Write all entries into the file."""
        front = np.frombuffer(bytearray(part.pread(len(self._front.data), 0)), np.uint8)
        for level, (offsets, byte_counts) in enumerate(zip(self.offsets, self.byte_counts, strict=True)):
            self._scatter(front, self._front.offset_entries[level], offsets)
            self._scatter(front, self._front.count_entries[level], byte_counts)
        start = min(int(positions.min()) for positions in (*self._front.offset_entries, *self._front.count_entries))
        part.pwrite(memoryview(front)[start:], start)

    def forget(self, extent: tuple[int, int]) -> int:
        """Make all tiles missing in memory that stand at one place; how many."""
        n_found = 0
        for offsets, byte_counts in zip(self.offsets, self.byte_counts, strict=True):
            there = (offsets == extent[0]) & (byte_counts == extent[1])
            offsets[there] = byte_counts[there] = 0
            n_found += int(there.sum())
        return n_found

    def within(self, stop: int) -> list[tuple[int, int]]:
        """Offsets and byte counts of the tiles that begin before ``stop``, in the order of the file."""
        found: list[tuple[int, int]] = []
        for offsets, byte_counts in zip(self.offsets, self.byte_counts, strict=True):
            there = (byte_counts > 0) & (offsets < stop)
            found += zip(offsets[there].tolist(), byte_counts[there].tolist(), strict=True)
        return sorted(found)

    def refresh(self, part: PartFile, level: int, plane: int, tiles: np.ndarray) -> None:
        """Read the entries of tiles of a plane again, which another process may have written."""
        size, first, stop = self._front.entry_nbytes, int(tiles.min()), int(tiles.max()) + 1
        for positions, table in (
            (self._front.offset_entries, self.offsets),
            (self._front.count_entries, self.byte_counts),
        ):
            data = part.pread((stop - first) * size, int(positions[level][plane]) + first * size)
            table[level][plane, tiles] = np.frombuffer(data, f"u{size}")[tiles - first]

    def _gather(self, front: np.ndarray, starts: np.ndarray, table: np.ndarray) -> None:
        size = self._front.entry_nbytes
        for rows in _slabs(len(starts), table.shape[1] * size):
            places = starts[rows].astype(np.intp)[:, None] + np.arange(table.shape[1] * size)
            table[rows] = front[places].view(f"u{size}")

    def _scatter(self, front: np.ndarray, starts: np.ndarray, table: np.ndarray) -> None:
        size = self._front.entry_nbytes
        for rows in _slabs(len(starts), table.shape[1] * size):
            places = starts[rows].astype(np.intp)[:, None] + np.arange(table.shape[1] * size)
            front[places] = table[rows].astype(f"u{size}").view(np.uint8)


def _slabs(n_rows: int, row_nbytes: int) -> list[slice]:
    """Runs of rows small enough that an index for each byte is affordable."""
    step = max(1, (1 << 22) // row_nbytes)
    return [slice(start, start + step) for start in range(0, n_rows, step)]


def _entry(value: int, size: int) -> bytes:
    return np.array(value, f"u{size}").tobytes()

"""The front of a file: header, room for the writer's state, all IFDs with zeroed tile tables, and the OME-XML.

TIFF 6.0, section 2, its supplement 1 (SubIFDs), and BigTIFF. Whatever differs between planes is an offset, so each kind
of IFD is made once and repeated. The main IFDs lie side by side: a reader walks the chain through one block.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from bfio.enums import Tag
from bfio.errors import UsageError
from bfio.tiff.writing.entries import FORMS, Entry, Form, entries_of, level_entries
from bfio.tiff.writing.recipe import Recipe
from bfio.tiff.writing.state import STATE_POSITION, new_state, state_nbytes

__all__ = ["ALIGNMENT", "Front", "build_front", "front_nbytes"]

ALIGNMENT = 16
"""Of the end of the front, and so of the first tile."""


@dataclass(frozen=True, slots=True)
class Front:
    """Bytes to write at position 0, and where the tables in them are.

    Attributes
    ----------
    data : bytes
        Tile data may begin at its end.
    state_position : int
    offset_entries : list of uint64 ndarray, shape (n_planes,)
        Per level: position of the offset of tile 0; that of tile k is ``k * entry_nbytes`` further.
    count_entries : list of uint64 ndarray, shape (n_planes,)
        The same for the byte counts.
    entry_nbytes : int
    xml_position : int
    """

    data: bytes
    state_position: int
    offset_entries: list[np.ndarray]
    count_entries: list[np.ndarray]
    entry_nbytes: int
    xml_position: int


@dataclass(frozen=True, slots=True)
class _Kind:
    """IFDs that differ in offsets only: entries, and where the IFD of each plane is (one number per plane)."""

    entries: tuple[Entry, ...]
    positions: np.ndarray
    level: int

    def field(self, form: Form, tag: Tag) -> np.ndarray:
        """Position of the value field of a tag in each IFD."""
        index = next(k for k, entry in enumerate(self.entries) if entry.tag == tag)
        return self.positions + np.uint64(form.value_position(index))


class _Map:
    """Where everything stands: one pass over the sizes, before any byte is made."""

    def __init__(self, recipe: Recipe) -> None:
        form = self.form = FORMS[recipe.big]
        self.recipe = recipe
        self.xml = recipe.xml.encode("utf-8") + b"\0" if recipe.xml else b""
        self.end = STATE_POSITION + state_nbytes(recipe)
        firsts, mains = entries_of(recipe, len(self.xml), first=True), entries_of(recipe, 0, first=False)
        self.shared: dict[bytes, int] = {}
        for entry in firsts:
            if entry.raw and len(entry.raw) > form.offset_nbytes:
                self.shared.setdefault(entry.raw, self._room(len(entry.raw)))
        first = self._repeat(1, form.ifd_nbytes(len(firsts)))
        rest = self._repeat(recipe.n_planes - 1, form.ifd_nbytes(len(mains)))
        self.mains = np.concatenate((first, rest))
        self.kinds = [_Kind(firsts, first, 0), _Kind(mains, rest, 0)]
        for level in range(1, recipe.n_levels):
            entries = level_entries(recipe, level)
            self.kinds.append(_Kind(entries, self._repeat(recipe.n_planes, form.ifd_nbytes(len(entries))), level))
        self.n_lower = recipe.n_levels - 1
        many = self.n_lower > 1
        self.sub_tables = self._repeat(recipe.n_planes * many, self.n_lower * form.offset_nbytes)
        self.tables = [self._tables(level) for level in range(recipe.n_levels)]
        self.xml_position = self._room(len(self.xml))
        self.end = -(-self.end // ALIGNMENT) * ALIGNMENT

    def _room(self, nbytes: int) -> int:
        """Reserve bytes; positions are multiples of 8."""
        position = self.end
        self.end += -(-nbytes // 8) * 8
        return position

    def _repeat(self, n: int, nbytes: int) -> np.ndarray:
        """Reserve `n` times as many bytes."""
        position = self._room(n * nbytes)
        return np.uint64(position) + np.arange(n, dtype=np.uint64) * np.uint64(nbytes)

    def _tables(self, level: int) -> np.ndarray | None:
        """Offsets, then byte counts, of each plane's tiles; None where the only tile's stand in the IFD."""
        n_tiles = self.recipe.tiles(level).n_tiles
        if n_tiles == 1:
            return None
        return self._repeat(self.recipe.n_planes, 2 * n_tiles * self.form.offset_nbytes)

    def entry_positions(self, level: int, tag: Tag) -> np.ndarray:
        """Position of the first entry of a tile table, for each plane."""
        table = self.tables[level]
        if table is None:
            return np.concatenate([kind.field(self.form, tag) for kind in self.kinds if kind.level == level])
        counts = self.recipe.tiles(level).n_tiles * self.form.offset_nbytes if tag == Tag.TILE_BYTE_COUNTS else 0
        return table + np.uint64(counts)


def front_nbytes(recipe: Recipe) -> int:
    """Size of the front."""
    return _Map(recipe).end


def build_front(recipe: Recipe) -> Front:
    """Make the front of a file.

    Raises
    ------
    UsageError
        The front alone is larger than a classic TIFF file can be.
    """
    where = _Map(recipe)
    form = where.form
    if not recipe.big and where.end >> 32:
        raise UsageError("so many planes and tiles need BigTIFF: pass bigtiff=True, or None")
    out = np.zeros(where.end, np.uint8)
    _put(out, 0, form.header(int(where.mains[0])))
    _put(out, STATE_POSITION, new_state(recipe, where.xml_position, where.xml))
    for raw, position in where.shared.items():
        _put(out, position, raw)
    _put(out, where.xml_position, where.xml)
    if where.n_lower > 1:
        table = np.stack([kind.positions for kind in where.kinds if kind.level], axis=1)
        _put(out, int(where.sub_tables[0]), table.astype(form.offset).tobytes())
    links = np.append(where.mains[1:], np.uint64(0))
    _put_ifds(out, where, where.kinds[0], links[:1])
    _put_ifds(out, where, where.kinds[1], links[1:])
    for kind in where.kinds[2:]:
        _put_ifds(out, where, kind, np.zeros(len(kind.positions), np.uint64))
    levels = range(recipe.n_levels)
    return Front(
        data=out.tobytes(),
        state_position=STATE_POSITION,
        offset_entries=[where.entry_positions(level, Tag.TILE_OFFSETS) for level in levels],
        count_entries=[where.entry_positions(level, Tag.TILE_BYTE_COUNTS) for level in levels],
        entry_nbytes=form.offset_nbytes,
        xml_position=where.xml_position,
    )


def _put(out: np.ndarray, position: int, raw: bytes) -> None:
    out[position : position + len(raw)] = np.frombuffer(raw, np.uint8)


def _put_ifds(out: np.ndarray, where: _Map, kind: _Kind, links: np.ndarray) -> None:
    """Write the IFDs of one kind: a template for all, then the offsets that differ."""
    if not len(kind.positions):
        return
    form, n = where.form, len(kind.entries)
    dtype = form.ifd(n)
    start = int(kind.positions[0])
    ifds = out[start : start + len(kind.positions) * dtype.itemsize].view(dtype)
    template = np.zeros(1, dtype)
    template["n_entries"] = n
    for k, entry in enumerate(kind.entries):
        template["entries"][0, k] = (entry.tag, entry.field_type, entry.n_values, _inline(where, entry))
    ifds.view(np.uint8).reshape(len(ifds), -1)[:] = template.view(np.uint8)
    ifds["link"] = links
    first = 0 if kind is where.kinds[0] or kind.level else 1
    for k, entry in enumerate(kind.entries):
        values = _varying(where, kind.level, Tag(entry.tag))
        if values is not None:
            ifds["entries"]["value"][:, k] = values[first : first + len(ifds)]


def _inline(where: _Map, entry: Entry) -> int:
    """Value field of an entry: its value where it fits, else where that is; an integer in native byte order."""
    if entry.tag == Tag.IMAGE_DESCRIPTION:
        return where.xml_position
    size = where.form.offset_nbytes
    if len(entry.raw) > size:
        return where.shared[entry.raw]
    return int.from_bytes(entry.raw.ljust(size, b"\0"), sys.byteorder)


def _varying(where: _Map, level: int, tag: Tag) -> np.ndarray | None:
    """Value fields of a tag that are offsets of their own in each plane; None for all other tags."""
    if tag in (Tag.TILE_OFFSETS, Tag.TILE_BYTE_COUNTS) and where.tables[level] is not None:
        return where.entry_positions(level, tag)
    if tag == Tag.SUB_IFDS:
        return where.sub_tables if where.n_lower > 1 else where.kinds[2].positions
    return None

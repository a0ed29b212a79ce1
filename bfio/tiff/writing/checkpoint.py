"""Checkpoints: from then on a crash loses nothing that was written before."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bfio.errors import BfioError, FormatError
from bfio.tiff.writing.extents import Extent, Extents
from bfio.tiff.writing.partfile import PartFile
from bfio.tiff.writing.pieces import over
from bfio.tiff.writing.state import Field, mark_unfinished, read_field, write_field
from bfio.tiff.writing.store import TileStore
from bfio.tiff.writing.tables import Key
from bfio.tiff.writing.writer import TiffWriter

__all__ = ["boot_mark", "make_checkpoint", "restore", "take_back"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_mark() -> int:
    """A number for this run of the machine, 0 where it is not known.

    What a killed process has written is still in the memory of the machine; after a new start, or on another machine,
    only what was synchronised is certain.
    """
    try:
        return zlib.crc32(_BOOT_ID.read_bytes())
    except OSError:
        return 0


def make_checkpoint(writer: TiffWriter) -> None:
    """Put everything on the disk, parts of tiles too. No other thread may write meanwhile.

    The order matters: first the pixels, then the note of which tiles are not whole and where they are, then the entries
    of these tiles. A crash in between leaves the former checkpoint or this one, never a mixture.
    """
    store, part = writer.store, writer.store.part
    rest = writer.settle()
    places = {key: _append_snapshot(writer, key) for key in rest}
    with part.exclusive():
        end = part.size()  # what other processes append while this one synchronises lies behind it
    part.sync()
    _release_former(store, places)
    blob = _packed(writer, places, store.extents.holes_after_checkpoint())
    at = part.append(blob)
    part.sync()
    write_field(part.fd, Field.BLOB, at, len(blob))
    part.sync()
    for key, place in places.items():
        store.tables.set(part, key, *place)
    writer.snapshots.update(places)
    write_field(part.fd, Field.CHECKPOINT, end, boot_mark())
    part.sync()
    store.extents.made_checkpoint(end)


def _append_snapshot(writer: TiffWriter, key: Key) -> Extent:
    """Write a tile as it is at the moment, zeros where nothing is yet, and not yet its entries."""
    writer.seal(key)
    try:
        writer.clear_rest(key)
        data = writer.store.encoded(writer.partials.slab, key, writer.partials[key])
    finally:
        writer.partials.unseal([key])
    return writer.store.append(key, data)


def _release_former(store: TileStore, keys: Iterable[Key]) -> None:
    """Let go of what the former checkpoint wrote for itself; it is listed as free in the note of the next one."""
    former = read_field(store.part.fd, Field.BLOB, str(store.part.path))
    for extent in (former, *(store.tables.get(key) for key in keys)):
        if extent[1]:
            store.extents.release(extent)


def _packed(writer: TiffWriter, places: dict[Key, Extent], holes: Sequence[Extent]) -> bytes:
    tiles = [
        {"key": key, "place": place, "covered": [coverage.covered() for coverage in writer.partials[key].covered]}
        for key, place in places.items()
    ]
    return json.dumps({"tiles": tiles, "holes": holes}, separators=(",", ":")).encode()


def take_back(part: PartFile) -> None:
    """Open a complete file again that did not get its name. After a loss of power it is as any unfinished file."""
    _, boot = read_field(part.fd, Field.CHECKPOINT, str(part.path))
    if _is_certain(boot):
        part.sync()  # a checkpoint: no tile is partial any more, whatever the note of the last one says
        write_field(part.fd, Field.BLOB, 0, 0)
        write_field(part.fd, Field.CHECKPOINT, part.size(), boot)
    mark_unfinished(part.fd)


def _is_certain(boot: int) -> bool:
    """Whether all that was written under a boot mark can be read now."""
    return bool(boot) and boot == boot_mark()


def restore(writer: TiffWriter) -> None:
    """Go on from what is in an unfinished file: tables, parts of tiles, holes; doubtful tiles become missing.

    Raises
    ------
    FormatError
        The note of the last checkpoint is damaged.
    """
    store, part = writer.store, writer.store.part
    checkpoint, boot = read_field(part.fd, Field.CHECKPOINT, str(part.path))
    is_doubtful = not _is_certain(boot)
    if is_doubtful and not checkpoint:  # nothing of it is certain
        store.begin()
        return
    store.load()
    offset, nbytes = read_field(part.fd, Field.BLOB, str(part.path))
    blob = _unpacked(part, offset, nbytes)
    holes = [(int(start), int(size)) for start, size in blob["holes"]]
    store.extents = Extents(checkpoint, holes)
    tiles = [(_key(tile["key"]), tile["place"], tile["covered"]) for tile in blob["tiles"]]
    for key, place, _ in tiles:
        if store.tables.get(key) != tuple(place):
            store.tables.set(part, key, *place)
    if is_doubtful:
        _drop_doubtful(store, {key for key, _, _ in tiles})
    store.extents.occupy(store.tables.within(checkpoint))
    for key, _, covered in tiles:
        _restore_partial(writer, key, covered)


def _key(values: Sequence[int]) -> Key:
    level, plane, tile = values
    return level, plane, tile


def _unpacked(part: PartFile, offset: int, nbytes: int) -> dict[str, Any]:
    if not nbytes:
        return {"tiles": [], "holes": []}
    try:
        blob: dict[str, Any] = json.loads(part.pread(min(nbytes, part.size()), offset))
        return {"tiles": blob["tiles"], "holes": blob["holes"]}
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{part.path}: the note of the last checkpoint is damaged: begin the file anew") from error


def _drop_doubtful(store: TileStore, sure: set[Key]) -> None:
    """Make tiles missing that may not be what was written, once only what was synchronised is certain.

    Those are tiles that are younger than the checkpoint, unless a checksum says that they are right; those that can
    not be decoded, since of their two entries one may be older than the other; and in the lower levels all of which
    a source is not as it was at the checkpoint.
    """
    reader = store.reader()
    changed = np.zeros_like(store.tables.missing(0))
    try:
        for level in range(store.recipe.n_levels):
            outdated = over(changed, store.recipe.tiles(level - 1)) if level else changed
            changed = outdated | store.tables.missing(level)
            for plane, tile in np.argwhere(~store.tables.missing(level)).tolist():
                key = (level, plane, tile)
                fresh = store.extents.is_fresh(store.tables.get(key))
                changed[plane, tile] |= fresh or key in sure
                believed = store.verifiable or not fresh
                if key not in sure and (outdated[plane, tile] or not believed or not _decodes(store, reader, key)):
                    store.tables.drop(store.part, [key])
                    changed[plane, tile] = True
    finally:
        reader.close()


def _decodes(store: TileStore, reader: Any, key: Key) -> bool:
    level, plane, tile = key
    grid = store.recipe.tiles(level)
    row, col = divmod(tile, grid.tiles_across)
    top, left = row * grid.tile_rows, col * grid.tile_cols
    try:
        store.read(reader, level, plane, (top, min(top + grid.tile_rows, grid.size_y),
                                          left, min(left + grid.tile_cols, grid.size_x)))  # fmt: skip
    except BfioError:
        return False
    return True


def _restore_partial(writer: TiffWriter, key: Key, covered: Sequence[Sequence[Sequence[int]]]) -> None:
    """Have a tile again that a checkpoint wrote before it was whole."""
    pixels = writer.stored(key)
    _, _, rows, cols = writer.place_of(key)
    for sample, rects in enumerate(covered):
        for y0, y1, x0, x1 in rects:
            part = pixels[y0:y1, x0:x1, sample : sample + 1]
            writer.partials.add(key, (rows, cols), (y0, y1, x0, x1), [sample], part)
    writer.snapshots.add(key)

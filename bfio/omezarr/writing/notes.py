"""Which chunks a process has stored, and the parts of chunks that a checkpoint keeps: written, and read again."""

from __future__ import annotations

import json
import os
import secrets
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bfio.errors import FormatError
from bfio.omezarr.writing.assembling import Assembler
from bfio.omezarr.writing.cutting import Index, Part
from bfio.omezarr.writing.folder import write_file
from bfio.omezarr.writing.state import BOOT, NOTES, boot_mark, packed_flags, read_flags, read_json
from bfio.omezarr.writing.unsynced import sync_folder

__all__ = ["WRITER", "guest_notes", "heed_notes", "keep_notes", "new_token", "restore", "take_over"]

WRITER = "writer"
_FLAGS, _PARTS = "stored-", "parts.npy"


def new_token() -> str:
    """A name for the notes of a guest."""
    return f"{os.getpid()}-{secrets.token_hex(4)}"


def keep_notes(
    folder: Path, assembler: Assembler, token: str = WRITER, shown: Iterable[Index] = (), *, durable: bool
) -> None:
    """Write down what this process has stored; the writer, no guest, also keeps parts of chunks.

    Parameters
    ----------
    folder : Path
    assembler : Assembler
        Its sinks were flushed.
    token : str
    shown : iterable of tuple of int
        Chunks that have files, and are not to be believed.
    durable : bool
    """
    values: dict[str, Any] = {"boot": boot_mark(), "durable": durable, "flags": packed_flags(assembler.written[0])}
    if token == WRITER:
        values |= _keep_parts(folder, assembler, durable=durable)
        values["shown"] = packed_flags(_mask(shown, assembler.written[0].shape))
    write_file(_path(folder, token), json.dumps(values).encode(), durable=durable)
    if durable:
        sync_folder(folder / NOTES)
    if token == WRITER:
        for former in (folder / NOTES).glob(f"*{_PARTS}"):
            if former.name != values["pixels"]:
                former.unlink()


def _mask(indices: Iterable[Index], shape: Index) -> np.ndarray:
    mask = np.zeros(shape, bool)
    for index in indices:
        mask[index] = True
    return mask


def _indices(mask: np.ndarray) -> set[Index]:
    return set(map(tuple, np.argwhere(mask).tolist()))


def _path(folder: Path, token: str) -> Path:
    return folder / NOTES / f"{_FLAGS}{token}.json"


def _keep_parts(folder: Path, assembler: Assembler, *, durable: bool) -> dict[str, Any]:
    """Pixels of partial chunks in a file with a name of its own, so that the note and it always agree."""
    partials = assembler.partials[0]
    name = f"{secrets.token_hex(4)}-{_PARTS}"
    parts, check = [], 0
    if not len(partials):
        return {"parts": [], "pixels": None, "check": 0}
    with open(folder / NOTES / name, "wb") as file:
        for index, chunk in partials.items():
            data = partials.peek(index).tobytes()
            check = zlib.crc32(data, check)
            file.write(data)
            parts.append({"index": index, "covered": [coverage.covered() for coverage in chunk.covered]})
        file.flush()
        if durable:
            os.fsync(file.fileno())
    if durable:
        sync_folder(folder / NOTES)  # before a note tells of it
    return {"parts": parts, "pixels": name, "check": check}


def guest_notes(folder: Path, assembler: Assembler, there: np.ndarray, shown: Iterable[Index] = ()) -> None:
    """Learn what other processes have stored: from their notes, and from the chunks that are there.

    They write whole chunks only, so parts of these count no more.

    Parameters
    ----------
    folder : Path
    assembler : Assembler
    there : ndarray of bool
        Chunks that have files.
    shown : iterable of tuple of int
        Those of them that are not to be believed.
    """
    written = assembler.written[0]
    noted, found = written.copy(), there & ~_mask(shown, written.shape)
    for path in _guests(folder):
        values = read_json(path)
        flags = read_flags(values.get("flags"), written.shape)
        if values.get("durable"):
            noted |= flags
        elif values.get("boot") == boot_mark():
            found |= flags
    fresh = (noted | found) & ~written
    assembler.sinks[0].adopt(noted, found & ~noted)
    for index in assembler.partials[0].indices():
        if fresh[index]:
            assembler.partials[0].forget(index)
    written |= fresh


def heed_notes(folder: Path, assembler: Assembler) -> None:
    """Replace nothing that a note counts on, before what replaces it is on the disk."""
    noted = np.zeros_like(assembler.written[0])
    for path in (folder / NOTES).glob(f"{_FLAGS}*.json"):
        noted |= _flags(read_json(path), "flags", noted.shape)
    assembler.sinks[0].adopt(noted, np.zeros_like(noted))


def _guests(folder: Path) -> list[Path]:
    """The notes of guests."""
    return sorted(path for path in (folder / NOTES).glob(f"{_FLAGS}*.json") if path != _path(folder, WRITER))


def take_over(folder: Path, assembler: Assembler, shown: Iterable[Index], *, durable: bool) -> None:
    """Make the notes of guests that are gone the writer's own."""
    guests = _guests(folder)
    assembler.sinks[0].flush()
    keep_notes(folder, assembler, WRITER, shown, durable=durable)
    for path in guests:
        path.unlink()


def restore(folder: Path, assembler: Assembler) -> set[Index]:
    """Go on from the notes: chunks that are stored, and the parts of others.

    After a new start of the machine (or on another one) notes alone count: what was not synced may be torn.

    Returns
    -------
    set of tuple of int
        Chunks that have files, and are not to be believed.

    Raises
    ------
    FormatError
        The notes are damaged.
    """
    written, notes = assembler.written[0], _path(folder, WRITER)
    values = read_json(notes) if notes.exists() else {"flags": None, "parts": [], "pixels": None}
    flags, shown = _flags(values, "flags", written.shape), _indices(_flags(values, "shown", written.shape))
    began = read_json(folder / NOTES / BOOT).get("boot")
    shown.update(_restore_parts(folder, assembler, values))
    there = np.zeros_like(written)
    if began and began == boot_mark():
        there = assembler.sinks[0].written()
    elif assembler.metas[0].shard is None:  # finished shards are never torn
        shown |= _indices(assembler.sinks[0].written() & ~flags)
    written |= flags
    assembler.sinks[0].adopt(flags, flags & (not values.get("durable")))
    guest_notes(folder, assembler, there, shown)
    return shown


def _flags(values: Any, name: str, shape: Index) -> np.ndarray:
    """Flags of a note, none where it has none."""
    return np.zeros(shape, bool) if values.get(name) is None else read_flags(values[name], shape)


def _restore_parts(folder: Path, assembler: Assembler, values: Any) -> list[Index]:
    """Have the partial chunks again that a checkpoint kept; their positions."""
    if not values.get("parts"):
        return []
    meta = assembler.metas[0]
    try:
        raw = (folder / NOTES / Path(values["pixels"]).name).read_bytes()
        if zlib.crc32(raw) != values["check"]:
            raise ValueError("their checksum is wrong")
        chunks = np.frombuffer(raw, meta.dtype).reshape(len(values["parts"]), *meta.chunk)
        found = []
        for pixels, part in zip(chunks, values["parts"], strict=True):
            index = tuple(part["index"])
            _restore_part(assembler, index, pixels, part["covered"])
            found.append(index)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{folder}: the parts that a checkpoint kept are damaged ({error}): begin it anew") from None
    return found


def _restore_part(assembler: Assembler, index: Index, pixels: np.ndarray, covered: Any) -> None:
    extent = assembler.extent(0, index)
    for plane, rects in zip(np.ndindex(*extent[:3]), covered, strict=True):
        for y0, y1, x0, x1 in rects:
            inside = (*(slice(number, number + 1) for number in plane), slice(y0, y1), slice(x0, x1))
            assembler.partials[0].add(index, extent, [Part(inside, pixels[inside])])

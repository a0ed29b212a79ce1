"""How the writing of a store begins: anew, in a finished store, after a crash, or beside another process."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from bfio._parallel import Workers
from bfio.enums import Downsample
from bfio.omezarr.writing.destination import Destination
from bfio.omezarr.writing.folder import (
    Lock,
    claim,
    create_folder,
    open_folder,
    remove_notes,
    remove_partials,
    sync_beginning,
    write_file,
)
from bfio.omezarr.writing.notes import heed_notes
from bfio.omezarr.writing.session import GUESTS, ZarrSession
from bfio.omezarr.writing.state import BOOT, NOTES, STATE, State, boot_mark, is_unfinished, read_state
from bfio.omezarr.writing.stored import read_image
from bfio.omezarr.writing.unsynced import sync_folder

__all__ = ["append", "attach", "create", "resume"]


def create(
    target: Destination, state: State, documents: Mapping[str, bytes], workers: Workers, *,
    durable: bool, overwrite: bool,
) -> ZarrSession:  # fmt: skip
    """Begin an image.

    Parameters
    ----------
    target : Destination
    state : State
    documents : mapping
        Metadata, by their keys below the image.
    workers : Workers
    durable : bool
    overwrite : bool
        Whether an image that has the name may be replaced at the end.
    """
    folder = target.part
    notes = {f"{NOTES}/{BOOT}": _boot_note(), f"{NOTES}/{STATE}": state.to_bytes()}
    lock = create_folder(folder, STATE, {**documents, **notes}, durable=durable)
    try:
        session = ZarrSession(target, folder, state, workers, lock, coordinator=True, durable=durable, resumed=False)
    except BaseException:
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)  # nothing was in it yet
        raise
    session.overwrite = overwrite
    return session


def append(target: Destination, workers: Workers, *, durable: bool, downsample: Downsample) -> ZarrSession:
    """Write into a finished image, in place; `downsample` counts where it does not tell how its levels were made.

    Raises
    ------
    FormatError, UnsupportedError
        It is not one that bfio can write into.
    UsageError
        Another process is writing it.
    """
    folder = target.path
    image = read_image(folder, downsample)
    state = State(image.recipe, image.series, in_place=True)
    is_left_over = is_unfinished(folder)
    if is_left_over and not read_state(folder).in_place:
        remove_notes(folder)  # of a writer that was killed when it had finished
        is_left_over = False
    os.makedirs(folder / NOTES, exist_ok=True)
    lock = claim(folder)
    try:
        _remove_leftovers(folder)
        _write_state(folder, state, durable=durable)
        session = ZarrSession(target, folder, state, workers, lock, coordinator=True, durable=durable, resumed=True)
    except BaseException:
        if not is_left_over:
            remove_notes(folder)
        lock.close()
        raise
    for written in session.assembler.written:
        written[:] = True  # what has no file is of the fill value
    session.anew = is_left_over
    session.assembler.feeding = not is_left_over
    return session


def _write_state(folder: Path, state: State, *, durable: bool) -> None:
    _note_boot(folder, durable=durable)
    write_file(folder / NOTES / STATE, state.to_bytes(), durable=durable)
    if durable:
        sync_folder(folder / NOTES)
        sync_folder(folder)


def _note_boot(folder: Path, *, durable: bool) -> None:
    """Keep in mind since which start of the machine the store is written: what was not synced may be gone after one."""
    write_file(folder / NOTES / BOOT, _boot_note(), durable=durable)


def _boot_note() -> bytes:
    return json.dumps({"boot": boot_mark()}).encode()


def resume(target: Destination, workers: Workers, *, durable: bool, overwrite: bool) -> ZarrSession:
    """Go on with a store that an earlier writer left.

    Raises
    ------
    FileNotFoundError
    UsageError
        Another process is writing it.
    FormatError
        Its notes are damaged.
    """
    folder = open_folder(target.part, target.path)
    lock = claim(folder)
    try:
        state = read_state(folder)
        if durable:
            sync_beginning(folder)  # the former writer may not have waited for it
        session = ZarrSession(target, folder, state, workers, lock, coordinator=True, durable=durable, resumed=True)
        alone = _remove_leftovers(folder)
        session.restore(alone=alone)
        if alone:  # now the notes tell what is not to be believed
            _note_boot(folder, durable=durable)
    except BaseException:
        lock.close()
        raise
    session.anew, session.overwrite = True, overwrite
    session.assembler.feeding = False
    return session


def _remove_leftovers(folder: Path) -> bool:
    """Remove what killed writers had begun; whether guests are gone, whose marks are then removed."""
    for group in (folder, folder / "OME"):
        remove_partials(group)
    guests = Lock(folder, GUESTS)
    try:
        are_gone = guests.take()
        if are_gone:
            (folder / NOTES / GUESTS).unlink(missing_ok=True)
        return are_gone
    finally:
        guests.close()


def attach(target: Destination, workers: Workers, *, durable: bool = True) -> ZarrSession:
    """Write to a store that another process has begun and will finish.

    Raises
    ------
    FileNotFoundError
        No process has begun it.
    """
    try:
        folder = open_folder(target.part, target.path)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{target.part} is not there: one process must begin the store with BioWriter(path, ...) "
            "and write or flush once, before others attach"
        ) from None
    state = read_state(folder)
    lock = Lock(folder, GUESTS)
    try:
        lock.take(shared=True)
        (folder / NOTES / GUESTS).touch()
        session = ZarrSession(target, folder, state, workers, lock, coordinator=False, durable=durable, resumed=False)
        heed_notes(folder, session.assembler)
        return session
    except BaseException:
        lock.close()
        raise

"""How the writing of a store begins: anew, in a finished store, after a crash, or beside another process."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from bfio._parallel import Workers
from bfio.omezarr.writing.folder import (
    Lock,
    claim,
    create_folder,
    open_folder,
    remove_notes,
    sync_beginning,
    write_file,
)
from bfio.omezarr.writing.notes import heed_notes
from bfio.omezarr.writing.session import GUESTS, ZarrSession
from bfio.omezarr.writing.state import NOTES, STATE, State, boot_mark, is_unfinished, read_state
from bfio.omezarr.writing.stored import read_image
from bfio.omezarr.writing.unsynced import sync_folder
from bfio.target import part_path

__all__ = ["append", "attach", "create", "resume"]


def create(
    target: Path, state: State, documents: Mapping[str, bytes], workers: Workers, *, durable: bool, overwrite: bool
) -> ZarrSession:
    """Begin a store.

    Parameters
    ----------
    target : Path
    state : State
    documents : mapping
        Metadata, by their keys below the store.
    workers : Workers
    durable : bool
    overwrite : bool
        Whether a store that has the name may be replaced at the end.
    """
    folder, lock = create_folder(target)
    try:
        _write_state(folder, state, durable=False)
        for key, data in documents.items():
            write_file(folder / key, data, durable=False)
        if durable:
            sync_beginning(folder)
        session = ZarrSession(target, folder, state, workers, lock, coordinator=True, durable=durable, resumed=False)
    except BaseException:
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)  # nothing was in it yet
        raise
    session.overwrite = overwrite
    return session


def append(target: Path, workers: Workers, *, durable: bool) -> ZarrSession:
    """Write into a finished store, in place.

    Raises
    ------
    FormatError, UnsupportedError
        It is not one that bfio can write into.
    UsageError
        Another process is writing it.
    """
    image = read_image(target)
    state = State(image.recipe, image.series, in_place=True)
    is_left_over = is_unfinished(target)
    if is_left_over and not read_state(target).in_place:
        remove_notes(target)  # of a writer that was killed when it had finished
        is_left_over = False
    os.makedirs(target / NOTES, exist_ok=True)
    lock = claim(target)
    try:
        _remove_leftovers(target)
        _write_state(target, state, durable=durable)
        session = ZarrSession(target, target, state, workers, lock, coordinator=True, durable=durable, resumed=True)
    except BaseException:
        if not is_left_over:
            remove_notes(target)
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
    write_file(folder / NOTES / "boot.json", json.dumps({"boot": boot_mark()}).encode(), durable=durable)


def resume(target: Path, workers: Workers, *, durable: bool, overwrite: bool) -> ZarrSession:
    """Go on with a store that an earlier writer left.

    Raises
    ------
    FileNotFoundError
    UsageError
        Another process is writing it.
    FormatError
        Its notes are damaged.
    """
    folder = open_folder(target)
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
    """Whether guests are gone; then their marks are removed."""
    guests = Lock(folder, GUESTS)
    try:
        are_gone = guests.take()
        if are_gone:
            (folder / NOTES / GUESTS).unlink(missing_ok=True)
        return are_gone
    finally:
        guests.close()


def attach(target: Path, workers: Workers, *, durable: bool = True) -> ZarrSession:
    """Write to a store that another process has begun and will finish.

    Raises
    ------
    FileNotFoundError
        No process has begun it.
    """
    try:
        folder = open_folder(target)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{part_path(target)} is not there: one process must begin the store with BioWriter(path, ...) "
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

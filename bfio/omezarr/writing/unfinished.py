"""A store of several images that is called ``<name>.part`` until all of them are there."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bfio.errors import UsageError
from bfio.omezarr.writing.collection import describe, empty_collection, has_image
from bfio.omezarr.writing.destination import Destination
from bfio.omezarr.writing.folder import Lock, claim, create_folder, remove_leftover, remove_notes
from bfio.omezarr.writing.state import NOTES, SEVERAL, STATE, is_unfinished, read_json
from bfio.target import part_path

__all__ = ["UnfinishedCollection"]


class UnfinishedCollection:
    """Keeps others from writing it; the images are written with its :attr:`path` as their store.

    Parameters
    ----------
    target : Path
        The final name.
    signature : dict
        What it is going to be, as plain data.
    version : str
        Of OME-Zarr.
    resume : bool
        Whether one that an earlier process left is gone on with; else it is removed.

    Raises
    ------
    UsageError
        Another process is writing it, something else has its unfinished name, or `signature` is another one.
    """

    def __init__(self, target: Path, signature: dict[str, Any], version: str, *, resume: bool) -> None:
        self._version = version
        self._target, self.path = target, part_path(target)
        self._lock = self._opened(signature, resume=resume)

    def _opened(self, signature: dict[str, Any], *, resume: bool) -> Lock:
        mark = self.path / NOTES / SEVERAL
        if resume and mark.is_file():
            lock = claim(self.path)
            try:
                self._check(read_json(mark), signature)
            except BaseException:
                lock.close()
                raise
        else:
            if os.path.lexists(self.path):
                remove_leftover(self.path, SEVERAL)
            if not resume:
                self._remove_images()
            mark_of_it = {f"{NOTES}/{SEVERAL}": json.dumps(signature, sort_keys=True).encode()}
            lock = create_folder(self.path, SEVERAL, empty_collection(self._version) | mark_of_it, durable=True)
        return lock

    def _check(self, found: Any, wanted: dict[str, Any]) -> None:
        if found != wanted:
            raise UsageError(
                f"{self.path} was begun with other arguments, or from a source with other images; resume with those, "
                "or without resume=True"
            )

    def _remove_images(self) -> None:
        """Remove the unfinished images that an earlier process left."""
        for part in self._parts():
            remove_leftover(part, STATE)

    def _parts(self) -> Iterator[Path]:
        for entry in self.path.parent.glob(f"{glob.escape(self.path.name)}.*"):
            number = entry.suffixes[-2:][0].removeprefix(".")
            if number.isdecimal() and entry == part_path(self.path, int(number)) and is_unfinished(entry):
                yield entry

    def has(self, series: int) -> bool:
        """Whether an image is complete; then nothing of its writer is left in it."""
        is_there = has_image(self.path, str(series))
        if is_there:
            remove_notes(self.path / str(series))  # its writer may have been killed before it did so
        return is_there

    def finish(self, *, overwrite: bool) -> None:
        """List and describe the images, and give the store its name.

        Raises
        ------
        FileExistsError, UsageError
            What has the name meanwhile is not to be replaced.
        """
        describe(self.path, {}, durable=True)
        Destination(self._target).publish(self.path, self._version, overwrite=overwrite, durable=True)
        remove_notes(self._target)

    def close(self) -> None:
        """Let go; what is not finished stays."""
        self._lock.close()

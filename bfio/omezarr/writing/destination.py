"""Where a finished image gets its name: as a store of its own, or as one of several in a store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bfio.omezarr.writing.collection import joined
from bfio.omezarr.writing.folder import publish
from bfio.target import check_store, part_path

__all__ = ["Destination"]


@dataclass(frozen=True, slots=True)
class Destination:
    """The name of an image.

    Attributes
    ----------
    store : Path
        What a user calls the file.
    series : int or None
        Number of the image in a store of several; None where the store is the image.
    """

    store: Path
    series: int | None = None

    @property
    def path(self) -> Path:
        """The folder that is the image once it is finished."""
        return self.store if self.series is None else self.store / str(self.series)

    @property
    def part(self) -> Path:
        """The folder in which it is written, beside the store."""
        return part_path(self.store, self.series)

    @property
    def name(self) -> str:
        """For messages."""
        return self.store.name if self.series is None else f"{self.store.name}/{self.series}"

    def publish(self, folder: Path, version: str, *, overwrite: bool, durable: bool) -> None:
        """Give a finished image its name.

        Parameters
        ----------
        folder : Path
            Where it is.
        version : str
            Of OME-Zarr.
        overwrite : bool
            Whether an image of that name may be replaced.
        durable : bool

        Raises
        ------
        FileExistsError, UsageError
            What has the name meanwhile is not to be replaced.
        """
        if self.series is None:
            self._check(overwrite=overwrite)
            publish(folder, self.path, durable=durable)
            return
        with joined(self.store, str(self.series), folder, version, durable=durable):
            self._check(overwrite=overwrite)
            publish(folder, self.path, durable=durable)

    def _check(self, *, overwrite: bool) -> None:
        if os.path.lexists(self.path):
            check_store(self.store, self.series, overwrite=overwrite)

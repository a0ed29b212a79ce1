"""All images of a source, one after the other, into one store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bfio.backends.registry import begin_collection
from bfio.conversion.job import Job
from bfio.conversion.picture import Picture
from bfio.metadata import Series
from bfio.options import WriteOptions
from bfio.progress import Progress
from bfio.target import part_path

__all__ = ["CollectionJob"]

_OF_THE_RUN = ("max_workers", "resume", "durable", "overwrite")
"""Options that may change when a conversion is resumed."""


class CollectionJob:
    """A conversion of each picture.

    Parameters
    ----------
    pictures : sequence of Picture
        They become the images 0, 1, 2 and so on.
    path, backend, options, memory, kept
        As of :class:`bfio.conversion.job.Job`.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        path: Path,
        backend: str,
        options: WriteOptions,
        memory: int,
        kept: int = 0,
    ) -> None:
        self._path, self._backend, self._options = path, backend, options
        part = part_path(path)
        self._jobs = [
            Job(picture, part, backend, replace(options, series=number, overwrite=False), memory, kept)
            for number, picture in enumerate(pictures)
        ]
        self._signature = _signature(pictures, options)

    @property
    def series(self) -> Series:
        """The first image."""
        return self._jobs[0].series

    @property
    def total(self) -> int:
        """Bytes of all pixels."""
        return sum(job.total for job in self._jobs)

    @property
    def n_pixels(self) -> int:
        """Pixels of all images."""
        return sum(job.n_pixels for job in self._jobs)

    @property
    def n_tiles(self) -> int:
        """Tiles of full resolution of all images."""
        return sum(job.n_tiles for job in self._jobs)

    def run(self, progress: Progress) -> int:
        """Write the store. Returns the bytes of pixels that were there before."""
        skipped = 0
        begun = begin_collection(self._path, self._backend, self._signature, self._options)
        with closing(begun):
            try:
                for number, job in enumerate(self._jobs):
                    if begun.has(number):
                        skipped += job.total
                        progress.add(job.n_pixels)
                    else:
                        skipped += job.run(progress)
                begun.finish(overwrite=bool(self._options.overwrite))
            except BaseException as error:
                if os.path.lexists(begun.path):
                    error.add_note(f"images that are complete are in {begun.path}; resume=True goes on with the others")
                raise
        return skipped


def _signature(pictures: Sequence[Picture], options: WriteOptions) -> dict[str, Any]:
    """What must be the same where a conversion is resumed, as plain data."""
    told = {name: str(value) for name, value in asdict(options).items() if name not in _OF_THE_RUN}
    images = [[*one.series.shape, one.series.dtype.name, one.choice] for one in pictures]
    return {"options": told, "images": images}

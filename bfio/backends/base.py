"""What the face asks of a format family. Backends get values, never the reader object."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from bfio.metadata import Description, Series
from bfio.selection import Box

__all__ = ["Collection", "Key", "ReaderBackend", "WriterBackend"]

Key = tuple[slice, slice, slice, slice, slice]
"""Key of a region, in the order Y, X, Z, C, T."""


@runtime_checkable
class ReaderBackend(Protocol):
    """One open image file. `read` may be called from many threads at once."""

    name: str

    @property
    def series(self) -> Sequence[Series]:
        """The images of the file, in its order."""
        ...

    def read(self, series: int, level: int, box: Box, out: np.ndarray, rescale: tuple[float, float] | None) -> None:
        """Fill `out` with the pixels of `box`.

        Parameters
        ----------
        series, level : int
            Which image, and which of its resolutions.
        box : Box
            Not empty, and within the level. C counts samples: channel ``c`` of RGB planes is sample ``c % 3`` of
            plane ``c // 3``.
        out : numpy.ndarray
            Shape ``box.shape``, any strides (negative ones too), any numeric dtype in native byte order. Values that
            it can not hold saturate.
        rescale : tuple of float or None
            Scale and offset: ``value * scale + offset`` is stored.
        """
        ...

    def describe(self) -> Description:
        """Format, byte order, size, and how each series is stored; for people, so it may cost a little."""
        ...

    def ome_xml(self) -> str | None:
        """The OME-XML of the file as it stands there, or None."""
        ...

    def close(self) -> None:
        """Release the file; closing twice is allowed."""
        ...


@runtime_checkable
class WriterBackend(Protocol):
    """One image file that is being written. `write` may be called from many threads at once.

    The file gets its name when it is closed; until then it is ``<name>.part``.
    """

    name: str
    tile_shape: tuple[int, int]

    def write(self, box: Box, block: np.ndarray) -> None:
        """Store the pixels of `box`; what was there before is replaced.

        Parameters
        ----------
        box : Box
            Not empty, and within the image; steps on Y and X are 1. C counts samples, as in `ReaderBackend.read`.
        block : numpy.ndarray
            Shape ``box.shape``, any strides (negative ones and 0 too), native byte order, and the dtype of the image
            or one that converts to it without loss. Not used after the call.
        """
        ...

    def flush(self) -> None:
        """Make a checkpoint: what was written so far can be read in ``<name>.part``, and resumed."""
        ...

    @property
    def missing(self) -> list[Key]:
        """Regions that were not written yet."""
        ...

    def close(self) -> None:
        """Finish the file and give it its name; closing twice is allowed."""
        ...

    def abandon(self) -> None:
        """Release the file as it is: ``<name>.part`` stays, and nothing gets the final name."""
        ...


class Collection(Protocol):
    """A store of several images that is being written, each by a writer with ``series=`` of its own."""

    path: Path
    """Its unfinished name, which is that of the store to those writers."""

    def has(self, series: int) -> bool:
        """Whether an image is complete."""
        ...

    def finish(self, *, overwrite: bool) -> None:
        """Give the store its name."""
        ...

    def close(self) -> None:
        """Release it; what is not finished stays."""
        ...

"""What the face asks of a format family. Backends get values, never the reader object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from bfio.metadata import Description, Series
from bfio.selection import Box

__all__ = ["ReaderBackend"]


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

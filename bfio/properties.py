"""What a reader tells of its image, under the long and the short names that scripts use."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from bfio.axes import PUBLIC, trimmed
from bfio.errors import ReadOnlyError

if TYPE_CHECKING:
    from ome_types.model import UnitsLength

    from bfio.metadata import Length, Level, Series

__all__ = ["ImageProperties"]


class ImageProperties:
    """Read-only properties of one series at one level. Other attributes may be set freely."""

    _TILE_SIZE = 1024
    _CHUNK_SIZE: int | None = None

    _level_index: int

    @property
    def _info(self) -> Series:
        raise NotImplementedError

    @property
    def _level(self) -> Level:
        return self._info.levels[self._level_index]

    @property
    def _sizes(self) -> tuple[int, int, int, int, int]:
        """Lengths of Y, X, Z, C, T."""
        info, level = self._info, self._level
        return (level.size_y, level.size_x, info.size_z, info.size_c * info.samples, info.size_t)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(getattr(type(self), name, None), property):
            raise ReadOnlyError(f"{name} is read-only.")
        super().__setattr__(name, value)

    @property
    def read_only(self) -> bool:
        """True: an image that is read can not be changed."""
        return True

    @property
    def Y(self) -> int:
        """Rows of the image."""
        return self._sizes[0]

    @property
    def X(self) -> int:
        """Columns of the image."""
        return self._sizes[1]

    @property
    def Z(self) -> int:
        """Planes along the optical axis."""
        return self._sizes[2]

    @property
    def C(self) -> int:
        """Channels; each sample of an RGB pixel counts as one."""
        return self._sizes[3]

    @property
    def T(self) -> int:
        """Points in time."""
        return self._sizes[4]

    y, x, z, c, t = Y, X, Z, C, T

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of ``reader[:]``: Y, X, Z, C, T without trailing axes of length 1; Y and X always stay."""
        return trimmed(self._sizes)

    @functools.cached_property
    def ndim(self) -> int:
        """Number of axes in :attr:`shape`."""
        return len(self.shape)

    @property
    def dims(self) -> str:
        """Names of the axes in :attr:`shape`, such as ``"YXZ"``."""
        return PUBLIC[: len(self.shape)]

    @property
    def dtype(self) -> np.dtype:
        """Type of the pixels, in native byte order."""
        return self._info.dtype

    @property
    def bytes_per_pixel(self) -> int:
        """Bytes of one sample."""
        return self.dtype.itemsize

    bpp = bytes_per_pixel

    @property
    def samples_per_pixel(self) -> int:
        """Samples of a pixel in one plane: 3 for RGB, else 1."""
        return self._info.samples

    spp = samples_per_pixel

    @property
    def channel_names(self) -> list[str | None]:
        """Name of each channel, None where it has none. The samples of RGB share one channel."""
        names = [channel.name for channel in self._info.channels]
        return names or [None] * self._info.size_c

    cnames = channel_names

    @property
    def physical_size_x(self) -> tuple[float | None, UnitsLength]:
        """Width of a pixel (of this level) and its unit; the value is None where the file does not tell."""
        return _quantity(self._info.physical_size_x, self._info.size_x / max(1, self._level.size_x))

    @property
    def physical_size_y(self) -> tuple[float | None, UnitsLength]:
        """Height of a pixel (of this level) and its unit."""
        return _quantity(self._info.physical_size_y, self._info.size_y / max(1, self._level.size_y))

    @property
    def physical_size_z(self) -> tuple[float | None, UnitsLength]:
        """Distance of planes and its unit."""
        return _quantity(self._info.physical_size_z, 1.0)

    ps_x, ps_y, ps_z = physical_size_x, physical_size_y, physical_size_z

    def maximum_batch_size(self, tile_size: tuple[int, int], tile_stride: tuple[int, int] | None = None) -> int:
        """Tiles in the columns that lie within 1024 pixels: most that a batch of tiles holds by default."""
        stride = tile_size if tile_stride is None else tile_stride
        n_columns = int((self._TILE_SIZE - (tile_size[1] - stride[1]) / 2) // stride[1])
        return -(-self.Y // stride[0]) * max(1, n_columns)


def _quantity(length: Length, factor: float) -> tuple[float | None, UnitsLength]:
    from bfio.omexml.model import unit

    value, symbol = length
    return (None if value is None else value * factor), unit(symbol)

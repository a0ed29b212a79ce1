"""What a writer tells of its image, and takes until the first write, under the long and the short names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bfio.axes import PUBLIC, trimmed
from bfio.errors import ReadOnlyError

if TYPE_CHECKING:
    from ome_types.model import UnitsLength

    from bfio.draft import Draft

__all__ = ["SettableProperties"]


class SettableProperties:
    """Properties of the image that is written, in any order before the first write; others may be set freely."""

    _TILE_SIZE = 1024
    _CHUNK_SIZE: int | None = None

    @property
    def _draft(self) -> Draft:
        """The description as it is now."""
        raise NotImplementedError

    def _change(self, name: str, value: Any) -> None:
        """Set a part of the description, or say that it is too late."""
        raise NotImplementedError

    def __setattr__(self, name: str, value: Any) -> None:
        found = getattr(type(self), name, None)
        if isinstance(found, property) and found.fset is None:
            raise ReadOnlyError(f"{name} can not be set.")
        super().__setattr__(name, value)

    @property
    def Y(self) -> int:
        """Rows of the image."""
        return self._draft.sizes[0]

    @Y.setter
    def Y(self, value: int) -> None:
        self._change("Y", value)

    @property
    def X(self) -> int:
        """Columns of the image."""
        return self._draft.sizes[1]

    @X.setter
    def X(self, value: int) -> None:
        self._change("X", value)

    @property
    def Z(self) -> int:
        """Planes along the optical axis."""
        return self._draft.sizes[2]

    @Z.setter
    def Z(self, value: int) -> None:
        self._change("Z", value)

    @property
    def C(self) -> int:
        """Channels; each sample of an RGB pixel counts as one. New channels have no name."""
        return self._draft.sizes[3]

    @C.setter
    def C(self, value: int) -> None:
        self._change("C", value)

    @property
    def T(self) -> int:
        """Points in time."""
        return self._draft.sizes[4]

    @T.setter
    def T(self, value: int) -> None:
        self._change("T", value)

    y, x, z, c, t = Y, X, Z, C, T

    @property
    def shape(self) -> tuple[int, ...]:
        """Y, X, Z, C, T without trailing axes of length 1; Y and X always stay. What is left out when set becomes 1."""
        return trimmed(self._draft.sizes)

    @shape.setter
    def shape(self, value: tuple[int, ...]) -> None:
        self._change("shape", value)

    @property
    def ndim(self) -> int:
        """Number of axes in :attr:`shape`."""
        return len(self.shape)

    @property
    def dims(self) -> str:
        """Names of the axes in :attr:`shape`, such as ``"YXZ"``."""
        return PUBLIC[: len(self.shape)]

    @property
    def dtype(self) -> np.dtype:
        """Type of the pixels, in native byte order. Takes what numpy takes for a dtype."""
        return self._draft.dtype

    @dtype.setter
    def dtype(self, value: Any) -> None:
        self._change("dtype", value)

    @property
    def bytes_per_pixel(self) -> int:
        """Bytes of one sample."""
        return self.dtype.itemsize

    bpp = bytes_per_pixel

    @property
    def samples_per_pixel(self) -> int:
        """Samples of a pixel in one plane: 3 for RGB, else 1."""
        return self._draft.samples

    @samples_per_pixel.setter
    def samples_per_pixel(self, value: int) -> None:
        self._change("samples_per_pixel", value)

    spp = samples_per_pixel

    @property
    def channel_names(self) -> list[str | None]:
        """Name of each channel, None where it has none. The samples of RGB share one channel."""
        return self._draft.names

    @channel_names.setter
    def channel_names(self, value: list[str | None]) -> None:
        self._change("channel_names", value)

    cnames = channel_names

    @property
    def physical_size_x(self) -> tuple[float | None, UnitsLength]:
        """Width of a pixel and its unit. Takes ``(0.5, "µm")``, or a number of micrometres, or None."""
        return self._quantity("X")

    @physical_size_x.setter
    def physical_size_x(self, value: Any) -> None:
        self._change("physical_size_x", value)

    @property
    def physical_size_y(self) -> tuple[float | None, UnitsLength]:
        """Height of a pixel and its unit."""
        return self._quantity("Y")

    @physical_size_y.setter
    def physical_size_y(self, value: Any) -> None:
        self._change("physical_size_y", value)

    @property
    def physical_size_z(self) -> tuple[float | None, UnitsLength]:
        """Distance of planes and its unit."""
        return self._quantity("Z")

    @physical_size_z.setter
    def physical_size_z(self, value: Any) -> None:
        self._change("physical_size_z", value)

    ps_x, ps_y, ps_z = physical_size_x, physical_size_y, physical_size_z

    def _quantity(self, axis: str) -> tuple[float | None, UnitsLength]:
        from bfio.omexml.model import unit

        value, symbol = self._draft.physical(axis)
        return value, unit(symbol)

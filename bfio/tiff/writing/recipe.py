"""All that fixes the front of a file that is being written: equal recipes give equal bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from bfio._version import __version__
from bfio.enums import Compression, Downsample, Photometric, Predictor
from bfio.errors import FormatError
from bfio.tiff.writing.rules import check_codec, check_predictor, check_resolution, check_sizes
from bfio.tiling import Grid

__all__ = ["SOFTWARE", "Recipe"]

SOFTWARE = f"bfio {__version__}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Sizes, pixel type, tiling, codec and metadata of one image of a TIFF file, checked when it is made.

    Parameters
    ----------
    size_t, size_c, size_z, size_y, size_x : int
        ``size_c`` counts planes along C; a plane has ``samples`` samples per pixel.
    samples : int
    dtype : dtype
        Native byte order, as the file is written.
    tile_rows, tile_cols : int
        Multiples of 16.
    n_levels : int
        Resolutions, the full one counted.
    compression : Compression
    compression_level : int or None
        None: the default of the codec.
    predictor : Predictor
    big : bool
        BigTIFF.
    downsample : Downsample
        How the lower levels are made.
    resolution : (float, float) or None
        Pixels per centimetre along X and Y.
    xml : str
        OME-XML.
    software : str

    Raises
    ------
    UsageError
        Something of it does not fit TIFF or the rest; the sentence says what would.
    """

    size_t: int
    size_c: int
    size_z: int
    size_y: int
    size_x: int
    samples: int
    dtype: np.dtype
    tile_rows: int
    tile_cols: int
    n_levels: int = 1
    compression: Compression = Compression.NONE
    compression_level: int | None = None
    predictor: Predictor = Predictor.NONE
    big: bool = True
    downsample: Downsample = Downsample.MEAN
    resolution: tuple[float, float] | None = None
    xml: str = ""
    software: str = SOFTWARE

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", np.dtype(self.dtype).newbyteorder("="))
        object.__setattr__(self, "compression", Compression(self.compression))
        object.__setattr__(self, "predictor", Predictor(self.predictor))
        object.__setattr__(self, "downsample", Downsample(self.downsample))
        if self.resolution is not None:
            x, y = self.resolution
            object.__setattr__(self, "resolution", (float(x), float(y)))
        check_sizes(self)
        check_codec(self)
        check_predictor(self)
        check_resolution(self)

    # -- what follows from it -----------------------------------------------------------------------------------------

    @property
    def n_planes(self) -> int:
        """Planes of the file: Z fastest, then C, then T."""
        return self.size_t * self.size_c * self.size_z

    @property
    def tile_shape(self) -> tuple[int, int, int]:
        """Rows, columns and samples of every encoded tile."""
        return self.tile_rows, self.tile_cols, self.samples

    @property
    def tile_nbytes(self) -> int:
        """Bytes of one tile before the codec; booleans still have a byte each."""
        return self.tile_rows * self.tile_cols * self.samples * self.dtype.itemsize

    @property
    def photometric(self) -> Photometric:
        """Colour space of the file: that of the stream where JPEG makes YCbCr of RGB."""
        if self.samples not in (3, 4):
            return Photometric.MIN_IS_BLACK
        return Photometric.YCBCR if self.compression == Compression.JPEG else Photometric.RGB

    def level_size(self, level: int) -> tuple[int, int]:
        """Rows and columns of a plane at a level; each is half of the one before, rounded up."""
        return -(-self.size_y >> level), -(-self.size_x >> level)

    def tiles(self, level: int) -> Grid:
        """Tiles of one plane at a level."""
        return Grid(*self.level_size(level), self.tile_rows, self.tile_cols)

    # -- as text ------------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """All but the XML; the same text for equal recipes."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "xml"}
        return json.dumps(values | {"dtype": self.dtype.name}, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, xml: str = "") -> Recipe:
        """Undo :meth:`to_json`.

        Raises
        ------
        FormatError
            It is no such text.
        """
        try:
            values: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FormatError(f"a recipe is no JSON: {error}") from None
        names = {field.name for field in fields(cls)} - {"xml"}
        if not isinstance(values, Mapping) or set(values) != names:
            raise FormatError(
                "a recipe lacks fields, or has some that bfio does not know; finish it by its own version"
            )
        try:
            return cls(**values, xml=xml)
        except (TypeError, ValueError, OverflowError, SyntaxError) as error:
            raise FormatError(f"a recipe that can not be: {error}") from None

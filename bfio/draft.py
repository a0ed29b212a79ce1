"""The image that is going to be written, as long as it can still be described: sizes, dtype, names in any order."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bfio.axes import PUBLIC, padded
from bfio.errors import UsageError
from bfio.metadata import Channel, Length, Level, Series
from bfio.omexml import channel_planes, dtype_of, ome_type_of, parse
from bfio.units import METRES, UNITLESS, normalise

__all__ = ["ALIASES", "SETTABLE", "Draft", "checked_pixel_dtype"]

_DTYPES = frozenset(
    np.dtype(code) for code in ("?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "c8", "c16")
)
_UNKNOWN: Length = (None, "µm")

SETTABLE = (
    "shape", "samples_per_pixel", *PUBLIC, "dtype", "physical_size_x", "physical_size_y", "physical_size_z",
    "channel_names",
)  # fmt: skip
"""What can be set, in an order in which nothing depends on what comes after it."""

ALIASES: dict[str, str] = {
    **{axis.lower(): axis for axis in PUBLIC},
    **{f"ps_{axis}": f"physical_size_{axis}" for axis in "xyz"},
    "cnames": "channel_names",
    "spp": "samples_per_pixel",
}
"""Short names of these."""


class Draft:
    """Description of one image that is not written yet.

    Attributes
    ----------
    base : str or None
        OME-XML that it began with.
    said : set of str
        What was set: axes, ``"dtype"``, ``"samples"``; ``"metadata"``.
    """

    def __init__(self) -> None:
        self.base: str | None = None
        self.said: set[str] = set()
        self.dtype = np.dtype(np.uint8)
        self._lengths = dict.fromkeys(PUBLIC, 1)
        self._samples = 1
        self._names: list[str | None] = []
        self._colors: list[int | None] = []  # as the metadata tell them
        self._physical = dict.fromkeys("XYZ", _UNKNOWN)

    def load(self, xml: str) -> int:
        """Take everything over from OME-XML; the number of images in it, of which the first one counts."""
        images = parse(xml).images
        if not images:
            raise UsageError("the metadata describe no image; leave metadata= out, or pass those of an image")
        pixels = images[0].pixels
        self.base = xml
        self.dtype = dtype_of(pixels.type)
        self._lengths = {axis: getattr(pixels, f"size_{axis.lower()}") for axis in PUBLIC}
        self._samples = max(1, pixels.size_c // max(1, channel_planes(pixels)))
        self._names = [channel.name for channel in pixels.channels]
        self._colors = [channel.color for channel in pixels.channels]
        self._physical = {axis: getattr(pixels, f"physical_size_{axis.lower()}") for axis in "XYZ"}
        self.said |= {"metadata", *PUBLIC, "dtype"}
        return len(images)

    def reload(self, xml: str) -> None:
        """Take changes over from OME-XML that was made of this description."""
        before = Draft()
        before.__dict__.update(self.__dict__)
        self.load(xml)
        self.said = before.said | {axis for axis in PUBLIC if self._lengths[axis] != before._lengths[axis]}
        if ome_type_of(self.dtype) == ome_type_of(before.dtype):
            self.dtype = before.dtype  # OME-XML has fewer types than TIFF
        else:
            self.said.add("dtype")
        if "samples" in before.said and self._lengths["C"] % before._samples == 0:
            self._samples = before._samples

    @property
    def sizes(self) -> tuple[int, int, int, int, int]:
        """Lengths of Y, X, Z, C, T; C counts samples."""
        y, x, z, c, t = (self._lengths[axis] for axis in PUBLIC)
        return (y, x, z, c, t)

    @property
    def samples(self) -> int:
        """Samples per pixel."""
        fits = self._lengths["C"] % self._samples == 0
        return self._samples if fits or "samples" in self.said else 1

    @property
    def n_channels(self) -> int:
        """Planes along C."""
        return max(1, self._lengths["C"] // self.samples)

    @property
    def names(self) -> list[str | None]:
        """One name, or None, for each channel."""
        return [*self._names, *[None] * self.n_channels][: self.n_channels]

    def physical(self, axis: str) -> Length:
        """Size of a pixel along X, Y or Z."""
        return self._physical[axis]

    def set_size(self, axis: str, value: Any) -> None:
        """Set the length of one axis."""
        self._lengths[axis] = _count(axis, value)
        self.said.add(axis)

    def set_shape(self, shape: Any) -> None:
        """Set the lengths of Y, X, Z, C, T; those that are missing at the end are 1."""
        try:
            lengths = tuple(shape)
        except TypeError:
            raise UsageError(
                f"shape={shape!r} must be a tuple of up to five lengths in the order Y, X, Z, C, T"
            ) from None
        if not 2 <= len(lengths) <= len(PUBLIC):
            raise UsageError(f"shape={lengths} must have two to five lengths, in the order Y, X, Z, C, T")
        for axis, length in zip(PUBLIC, padded(lengths), strict=True):
            self.set_size(axis, length)

    def set_dtype(self, value: Any) -> None:
        """Set the type of the pixels, from whatever numpy takes for one."""
        self.dtype = checked_pixel_dtype(value)
        self.said.add("dtype")

    def set_samples(self, value: Any) -> None:
        """Set the samples per pixel; C follows where nobody has set it."""
        before = self.n_channels
        self._samples = _count("samples_per_pixel", value)
        self.said.add("samples")
        if "C" not in self.said:
            self._lengths["C"] = before * self._samples

    def set_names(self, value: Any) -> None:
        """Set the names of the channels; they also tell how many there are where nobody has said so."""
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise UsageError(f"channel_names={value!r} must be a list with one name for each channel")
        names = list(value)
        for name in names:
            if name is not None and not isinstance(name, str):
                raise UsageError(f"channel_names: {name!r} is no text; a name is a str, or None")
        if names and "C" not in self.said:
            self._lengths["C"] = len(names) * self._samples
        if len(names) != self.n_channels:
            whole = f"C={self._lengths['C']}"
            whole += f" with samples_per_pixel={self.samples}" if self.samples > 1 else ""
            raise UsageError(f"{len(names)} channel names for {self.n_channels} channels ({whole}); set C first")
        self._names = [None if name is None else str(name) for name in names]

    def set_physical(self, axis: str, value: Any) -> None:
        """Set the size of a pixel: a number (of micrometres), or a number and a unit."""
        self._physical[axis] = _length(f"physical_size_{axis.lower()}", value)

    def change(self, name: str, value: Any) -> None:
        """Set what a user calls `name`, which is one of `SETTABLE`."""
        if name in PUBLIC:
            self.set_size(name, value)
        elif name.startswith("physical_size_"):
            self.set_physical(name[-1].upper(), value)
        else:
            setters = {
                "shape": self.set_shape,
                "dtype": self.set_dtype,
                "samples_per_pixel": self.set_samples,
                "channel_names": self.set_names,
            }
            setters[name](value)

    def infer(self, lengths: Sequence[int]) -> None:
        """Take the sizes of an array where nothing was said of them."""
        if not self.said & {*PUBLIC, "samples"}:
            self._lengths = dict(zip(PUBLIC, lengths, strict=True))

    def series(self, name: str, tile_shape: tuple[int, int] = (0, 0)) -> Series:
        """The image as it will be in the file; its lower levels are not known here.

        Raises
        ------
        UsageError
            C does not agree with the samples per pixel.
        """
        size_y, size_x, size_z, size_c, size_t = self.sizes
        if size_c % self.samples:
            raise UsageError(f"C={size_c} must be a multiple of samples_per_pixel={self.samples}")
        return Series(
            index=0, name=name, dtype=self.dtype,
            size_t=size_t, size_c=self.n_channels, size_z=size_z, size_y=size_y, size_x=size_x,
            samples=self.samples, channels=self._channels(),
            physical_size_x=self._physical["X"],
            physical_size_y=self._physical["Y"],
            physical_size_z=self._physical["Z"],
            levels=(Level(size_y, size_x, tile_shape),),
            big_endian=sys.byteorder == "big",
            interleaved=self.samples > 1,
        )  # fmt: skip

    def _channels(self) -> tuple[Channel, ...]:
        colors = [*self._colors, *[None] * self.n_channels]
        return tuple(Channel(name, self.samples, color) for name, color in zip(self.names, colors, strict=False))

    @classmethod
    def of_series(cls, series: Series) -> Draft:
        """Description of an image that is being written already."""
        self = cls()
        self.dtype = series.dtype
        t, c, z, y, x = series.shape
        self._lengths = {"Y": y, "X": x, "Z": z, "C": c, "T": t}
        self._samples = series.samples
        self._names = [channel.name for channel in series.channels]
        self._physical = {"X": series.physical_size_x, "Y": series.physical_size_y, "Z": series.physical_size_z}
        self.said |= {*PUBLIC, "dtype", "samples"}
        return self


def checked_pixel_dtype(value: Any) -> np.dtype:
    """Native dtype that pixels can have."""
    try:
        found: np.dtype = np.dtype(value)
    except (TypeError, ValueError):
        raise UsageError(f"dtype={value!r} is not a dtype") from None
    if value is None or found.newbyteorder("=") not in _DTYPES:
        raise UsageError(
            f"dtype={value!r} can not be written; use bool, an integer of 8 to 64 bits, a float of 16 to 64 bits, "
            "complex64 or complex128"
        )
    return found.newbyteorder("=")


def _count(name: str, value: Any) -> int:
    """A length of at least 1. Whole floats pass, since scripts compute sizes with numpy.ceil and the like."""
    try:
        whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
        count = int(value) if whole else operator.index(value)
    except TypeError:
        raise UsageError(f"{name}={value!r} must be an int") from None
    if not 1 <= count < 1 << 31:
        raise UsageError(
            f"{name}={count} must be 1 or more" if count < 1 else f"{name}={count} is too large for OME-TIFF"
        )
    return count


def _length(name: str, value: Any) -> Length:
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, None)
    if len(pair) != 2:
        raise UsageError(f"{name}={value!r} must be a number, or a pair of a number and a unit such as (0.5, 'µm')")
    number, unit = pair
    symbol = _unit(name, unit)
    if number is None:
        return (None, symbol)
    try:
        size = float(number)
    except (TypeError, ValueError):
        raise UsageError(f"{name}={value!r}: {number!r} is not a number") from None
    if not 0 < size < math.inf:
        raise UsageError(f"{name}={value!r} must be greater than 0 and finite, or None where it is unknown")
    return (size, symbol)


def _unit(name: str, unit: Any) -> str:
    text = getattr(unit, "value", unit)
    if text is None:
        return "µm"
    if not isinstance(text, str):
        raise UsageError(f"{name}: the unit {unit!r} must be a str such as 'µm'")
    symbol = normalise(text)
    if symbol == "reference frame" and "frame" not in text.lower():
        raise UsageError(f"{name}: the unit {text!r} is unknown; use one of {', '.join((*METRES, *UNITLESS))}")
    return symbol

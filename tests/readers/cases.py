"""Kinds of files that bfio writes: pixel types x compressions x predictors x levels x planes x samples x sizes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bfio.pyramid import halve, level_sizes

OME_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
OTHER_TYPES = ("bool", "float16", "uint64", "int64", "complex64", "complex128")
PREDICTED = ("deflate", "zstd", "lzw")
CHANNELS = ("DAPI", "α-Tubulin", "a <b> & c")
PIXEL_SIZES = (0.325, 0.5, 1.5)
"""Micrometres along X, Y, Z."""


_PREDICTOR_WORDS = {None: "default predictor", 2: "predictor 2", 3: "predictor 3"}


@dataclass(frozen=True)
class Case:
    """One file.

    ``planes`` are the sizes T, C, Z; C counts planes, each of ``samples`` samples. Predictor None: bfio chooses.
    """

    dtype: str = "uint16"
    compression: str = "deflate"
    predictor: int | None = 1
    samples: int = 1
    planes: tuple[int, int, int] = (1, 2, 2)
    size: tuple[int, int] = (53, 70)
    levels: int = 2
    bigtiff: bool | None = None
    tile: tuple[int, int] = (32, 48)

    def __str__(self):
        parts = [self.dtype, self.compression, _PREDICTOR_WORDS.get(self.predictor, "")]
        parts += ["", "", "", "RGB", "RGBA"][self.samples : self.samples + 1]
        parts.append("x".join(map(str, (*self.planes, *self.size))))
        parts += [f"{self.levels} levels", "BigTIFF" if self.bigtiff else ""]
        return ", ".join(filter(None, parts))

    @property
    def lossy(self):
        return self.compression == "jpeg"

    @cached_property
    def pixels(self):
        """Full resolution: (T, C, Z, Y, X, S); smooth with noise, over the whole range of integers."""
        t, c, z, (rows, cols) = *self.planes, self.size
        rng = np.random.default_rng(7)
        wave = np.sin(np.arange(rows) / 9)[:, None] * np.cos(np.arange(cols) / 13) * 0.4 + 0.5
        number = np.arange(t * c * z).reshape(t, c, z, 1, 1, 1)
        shape = (t, c, z, rows, cols, self.samples)
        image = wave[..., None] + 0.05 * rng.random(shape) + number / 512 + np.arange(self.samples) / 64
        return _scaled(image, np.dtype(self.dtype))

    @property
    def expected(self):
        """All levels as `picture.Picture` has them: (planes, rows, columns, samples)."""
        found = [self.pixels]
        while len(found) < self.levels:
            found.append(np.moveaxis(halve_planes(np.moveaxis(found[-1], -1, 0)), 0, -1))
        t, c, z = self.planes
        return [level.reshape(t * c * z, *level.shape[3:]) for level in found]

    @property
    def facts(self):
        """What readers may tell of the file beside its pixels."""
        t, c, z = self.planes
        x, y, _ = PIXEL_SIZES
        return {
            "format": "OME-TIFF",
            "order": "XYZCT",
            "sizes": (t, c * self.samples, z, *self.size),
            "pixel_sizes": PIXEL_SIZES,
            "channels": CHANNELS[:c],
            "density": (1e4 / x, 1e4 / y),
        }


def halve_planes(array):
    """`halve` for any number of leading axes."""
    flat = array.reshape(-1, *array.shape[-2:])
    half = halve(flat)
    return half.reshape(*array.shape[:-2], *half.shape[-2:])


def _scaled(image, dtype):
    """Numbers around 0 to 1 as pixels of a type."""
    if dtype.kind == "b":
        return image > 0.5
    if dtype.kind in "iu":
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        pixels = (np.clip(image, 0, 0.99) * (high - low) + low).astype(dtype)
        pixels.flat[0], pixels.flat[-1] = low, high
        return pixels
    pixels = (image * 1000 - 300).astype(dtype)
    if dtype.kind == "f":
        pixels.flat[0], pixels.flat[-1] = np.nan, -np.inf
    return pixels if dtype.kind == "f" else pixels * dtype.type(1 + 0.5j)


def cases():
    """All files of the matrix."""
    found = [Case(dtype, predictor=None) for dtype in OME_TYPES]
    found += [Case(dtype, compression) for dtype in OME_TYPES for compression in ("none", "packbits", *PREDICTED)]
    found += [
        Case(dtype, compression, 3 if dtype.startswith("f") else 2) for dtype in OME_TYPES for compression in PREDICTED
    ]
    for samples in (3, 4):
        found += [Case(dtype, "deflate", 1, samples) for dtype in ("uint8", "uint16", "float32")]
        found += [Case(dtype, "deflate", 2, samples) for dtype in ("uint8", "uint16")]
        found += [Case("uint8", compression, 1, samples) for compression in ("none", "packbits", "webp", "jpeg2000")]
        found += [Case("uint8", compression, 2, samples) for compression in ("lzw", "zstd")]
    found += [Case("uint8", "jpeg"), Case("uint8", "jpeg", 1, 3), Case("uint16", "jpeg2000", 1, 3)]
    found += [Case(dtype, "jpeg2000") for dtype in ("uint8", "int8", "uint16", "int16")]
    found += [Case(dtype, "deflate") for dtype in OTHER_TYPES] + [Case("bool", "deflate", size=(53, 72), levels=1)]
    found += _sizes()
    return list(dict.fromkeys(found))


def _sizes():
    """Sizes against tiles of 32 x 48, numbers of planes and levels, and BigTIFF."""
    sizes = [(1, 1), (1, 131), (131, 1), (16, 16), (32, 48), (33, 49), (64, 96), (200, 301)]
    found = []
    for size in sizes:
        levels = len(level_sizes(*size, min(4, max(size).bit_length())))
        found.append(Case("uint16", "deflate", 2, size=size, levels=levels))
    found += [Case(levels=1, planes=(1, 1, 1)), Case(levels=3, planes=(2, 3, 4)), Case(levels=3, planes=(1, 1, 7))]
    found += [Case(levels=2, planes=(5, 1, 1)), Case(levels=2, planes=(1, 3, 1))]
    found += [Case(levels=3, predictor=2, bigtiff=True), Case(samples=3, dtype="uint8", levels=1, bigtiff=True)]
    return found

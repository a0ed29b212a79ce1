"""What a store is going to be: decided before its first pixel, and never changed afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import prod
from typing import Any

import numpy as np

from bfio.enums import Downsample
from bfio.errors import FormatError
from bfio.omezarr.arraymeta import ArrayMeta, Chain, Route

__all__ = ["AXES", "Recipe", "array_metas"]

AXES = "tczyx"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image of a store; shapes are in the order T, C, Z, Y, X.

    Attributes
    ----------
    version : str
        Of OME-Zarr: ``"0.4"`` (Zarr v2) or ``"0.5"`` (Zarr v3).
    shape : tuple of int
        Of the full resolution.
    dtype : numpy.dtype
    chunk : tuple of int
        What is encoded as a whole.
    shard : tuple of int or None
        What becomes one file, a multiple of ``chunk``; None: each chunk.
    n_levels : int
    codec : str
        ``"zstd"``, ``"zlib"``, ``"gzip"``, ``"blosc"`` or ``"none"``.
    codec_level : int or None
    downsample : Downsample
    """

    version: str
    shape: tuple[int, ...]
    dtype: np.dtype
    chunk: tuple[int, ...]
    shard: tuple[int, ...] | None = None
    n_levels: int = 1
    codec: str = "zstd"
    codec_level: int | None = 1
    downsample: Downsample = Downsample.MEAN

    def level_shape(self, level: int) -> tuple[int, ...]:
        """Shape of a level: Y and X are half of the ones before, rounded up."""
        *planes, size_y, size_x = self.shape
        return (*planes, -(-size_y >> level), -(-size_x >> level))

    def level_chunk(self, level: int) -> tuple[int, ...]:
        """Chunks of a level, no larger than itself."""
        return tuple(min(pair) for pair in zip(self.chunk, self.level_shape(level), strict=True))

    def level_shard(self, level: int) -> tuple[int, ...] | None:
        """Shards of a level: as many chunks as at full resolution, if there are as many."""
        if self.shard is None:
            return None
        sizes = zip(self.shard, self.chunk, self.level_chunk(level), self.level_shape(level), strict=True)
        return tuple(chunk * min(outer // inner, -(-size // chunk)) for outer, inner, chunk, size in sizes)

    @property
    def unit(self) -> tuple[int, ...]:
        """What only one process may write: a shard, or a chunk."""
        return self.level_shard(0) or self.level_chunk(0)

    @property
    def chunk_nbytes(self) -> int:
        """Bytes of a chunk before it is encoded."""
        return prod(self.level_chunk(0)) * self.dtype.itemsize

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self) | {"dtype": self.dtype.name}

    @classmethod
    def from_json(cls, values: Any) -> Recipe:
        """Undo :meth:`to_json`.

        Raises
        ------
        FormatError
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, Mapping) or set(values) != names:
            raise FormatError("the notes lack fields, or have some that this version does not know")
        try:
            plain = dict(values)
            for name in ("shape", "chunk", "shard"):
                plain[name] = None if plain[name] is None else tuple(int(size) for size in plain[name])
            recipe = cls(**plain | {"dtype": np.dtype(plain["dtype"]), "downsample": Downsample(plain["downsample"])})
            json.dumps(recipe.to_json())
            array_metas(recipe)
        except (TypeError, ValueError, ZeroDivisionError, KeyError) as error:
            raise FormatError(f"the notes describe no image: {error}") from None
        return recipe


_CHAINS: Mapping[str, tuple[int | None, str | None]] = {
    "none": (1, None),
    "zlib": (8, "zlib"),
    "zstd": (50000, "zstd"),
    "gzip": (None, "gzip"),
    "blosc": (None, "blosc"),
}
"""Number of a codec in the kernels, and its name."""


def array_metas(recipe: Recipe) -> tuple[ArrayMeta, ...]:
    """The arrays of a store, one for each level, named by their number."""
    return tuple(_array_meta(recipe, level) for level in range(recipe.n_levels))


def _array_meta(recipe: Recipe, level: int) -> ArrayMeta:
    is_new = recipe.version == "0.5"
    return ArrayMeta(
        path=str(level),
        zarr_format=3 if is_new else 2,
        shape=recipe.level_shape(level),
        chunk=recipe.level_chunk(level),
        shard=recipe.level_shard(level),
        dtype=recipe.dtype,
        big_endian=False,
        fill=recipe.dtype.type(0),
        chain=_chain(recipe, is_new),
        separator="/",
        prefix="c/" if is_new else "",
        dimension_names=tuple(AXES) if is_new else None,
        route=Route.BYTES if recipe.codec in ("gzip", "blosc") else Route.KERNEL,
    )


def _chain(recipe: Recipe, is_new: bool) -> Chain:
    number, name = _CHAINS[recipe.codec]
    if name is None:
        return Chain(number)
    config: dict[str, Any] = {"level": recipe.codec_level}
    if name == "blosc":
        config = {"cname": "zstd", "clevel": recipe.codec_level, "shuffle": "shuffle" if is_new else 1, "blocksize": 0}
        if is_new:
            config["typesize"] = recipe.dtype.itemsize
    if name == "zstd" and is_new:
        config["checksum"] = False
    return Chain(number, (name,), (config,), recipe.codec_level)

"""What the JSON document of a Zarr array says, as plain data: shape, chunks, shards, dtype, codecs, keys of chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import prod
from typing import Any

import numpy as np

from bfio.errors import FormatError

__all__ = ["ArrayMeta", "Chain", "Route", "parse_array"]


class Route(Enum):
    """How the chunks of an array are decoded."""

    KERNEL = "kernel"
    """By the kernels."""
    BYTES = "bytes"
    """Decompressed by a library, cut and converted by the kernels."""
    FOREIGN = "foreign"
    """By zarr-python."""


@dataclass(frozen=True, slots=True)
class Chain:
    """What happens to the bytes of one chunk, after its items became bytes.

    Parameters
    ----------
    compression : int or None
        The kernels' number for it (that of TIFF); None where they do not know the codecs.
    names : tuple of str
        Codecs in the order of writing, such as ``("zstd", "crc32c")``.
    config : tuple of mapping
        Their configurations.
    level : int or None
        Of the first codec that has one.
    """

    compression: int | None
    names: tuple[str, ...] = ()
    config: tuple[Mapping[str, Any], ...] = ()
    level: int | None = None


@dataclass(frozen=True, slots=True)
class ArrayMeta:
    """One Zarr array.

    Parameters
    ----------
    path : str
        Key of its node in the store: ``""`` for the root, ``"0"``, ``"A/1/0/0"``.
    zarr_format : int
        2 or 3.
    shape, chunk : tuple of int
        ``chunk`` is what is encoded as a whole; where there are shards, their inner chunk.
    shard : tuple of int or None
        Items of a shard, a multiple of ``chunk``.
    dtype : numpy.dtype
        Native byte order.
    big_endian : bool
        Of the items in the chunks.
    fill : numpy.generic
        Value of what was never written.
    chain : Chain
    index_at_end, index_crc : bool
        Of shards: where the index stands, and whether a CRC32C follows it.
    separator, prefix : str
        The key of a chunk is ``prefix + separator.join(index)``.
    dimension_names : tuple or None
    route : Route
    order : tuple of int or None
        Axes in the order in which they vary in the bytes of a chunk, the slowest first; None: as in ``shape``.
    """

    path: str
    zarr_format: int
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    shard: tuple[int, ...] | None
    dtype: np.dtype
    big_endian: bool
    fill: np.generic
    chain: Chain
    index_at_end: bool = True
    index_crc: bool = True
    separator: str = "/"
    prefix: str = "c/"
    dimension_names: tuple[str | None, ...] | None = None
    route: Route = Route.KERNEL
    order: tuple[int, ...] | None = field(default=None)

    @property
    def chunk_nbytes(self) -> int:
        """Decoded bytes of a chunk."""
        return prod(self.chunk) * self.dtype.itemsize

    @property
    def file_shape(self) -> tuple[int, ...]:
        """Items of one file: of a shard, or of a chunk where there are none."""
        return self.shard or self.chunk

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of chunks along each axis."""
        return tuple(-(-size // chunk) for size, chunk in zip(self.shape, self.chunk, strict=True))

    @property
    def per_shard(self) -> tuple[int, ...]:
        """Number of chunks along each axis of a shard; of a file without shards, 1."""
        return tuple(outer // chunk for outer, chunk in zip(self.file_shape, self.chunk, strict=True))

    def key(self, index: Sequence[int]) -> str:
        """Key of a file, below the array's node: ``index`` counts shards, or chunks where there are none."""
        if not len(index):
            return self.prefix.rstrip("./") or "0"
        return self.prefix + self.separator.join(map(str, index))

    def store_key(self, index: Sequence[int]) -> str:
        """The same key below the root of the store."""
        return f"{self.path}/{self.key(index)}" if self.path else self.key(index)


def parse_array(document: Mapping[str, Any], path: str) -> ArrayMeta:
    """The array that a parsed ``zarr.json`` or ``.zarray`` describes.

    Raises
    ------
    FormatError
        The document is not that of an array, or contradicts itself.
    UnsupportedError
        Its items are not numbers, or it asks for an extension.
    """
    from bfio.omezarr import arrayv2, arrayv3

    if not isinstance(document, Mapping):
        raise FormatError(f"array {path!r}: its metadata are not a JSON object")
    version = document.get("zarr_format")
    if type(version) is int and version == 2:
        return arrayv2.parse(document, path)
    if type(version) is int and version == 3:
        return arrayv3.parse(document, path)
    raise FormatError(f"array {path!r}: zarr_format is {version!r}; 2 and 3 are known")

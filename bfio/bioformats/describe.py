"""What a file read by Bio-Formats is, in words for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bfio.bioformats.structure import JavaSeries
from bfio.metadata import Description, SeriesStorage, Storage

__all__ = ["describe"]


def describe(java_reader: Any, series: Sequence[JavaSeries]) -> Description:
    """Description of an open file.

    Parameters
    ----------
    java_reader : loci.formats.IFormatReader
    series : sequence of JavaSeries
        All that :func:`bfio.bioformats.structure.read_structure` gave.

    Raises
    ------
    jpype.JException
        As the reader raises it.
    """
    orders = {one.info.big_endian for one in series}
    return Description(
        format=str(java_reader.getFormat()),
        byte_order=None if len(orders) > 1 else "big" if True in orders else "little",
        nbytes=_nbytes(java_reader),
        series=tuple(_storage(one) for one in series),
    )


def _storage(one: JavaSeries) -> SeriesStorage:
    """Bio-Formats does not tell how pixels are stored, only what is good to read at once."""
    levels = tuple(Storage("unknown", "unknown", level.tile_shape, strips=None) for level in one.info.levels)
    return SeriesStorage(levels, None, one.dimension_order, one.thumbnail)


def _nbytes(java_reader: Any) -> int | None:
    """Size of all files that belong to the one that is open; None where one is not on disk."""
    paths = [Path(str(name)) for name in java_reader.getUsedFiles() or () if name is not None]
    try:
        return sum(path.stat().st_size for path in paths) if paths else None
    except OSError:
        return None

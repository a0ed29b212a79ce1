"""Bounds on what a file may ask for, so that a hostile one costs little time and memory."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds checked before anything is allocated; beyond one a :class:`bfio.errors.LimitError` is raised.

    Parameters
    ----------
    tile_nbytes : int
        Decoded bytes of one tile or strip.
    ifd_count : int
        IFDs followed in one chain.
    tag_nbytes : int
        Bytes of the value of one tag.
    xml_nbytes : int
        Bytes of an OME-XML document.
    sparse_nbytes : int
        Bytes of one read that have no data in the file: sparse tiles, missing planes, and what so few encoded bytes
        can not hold. A file may always have 64 times its own size of them.
    allow_truncated : bool
        Whether a file whose chain of IFDs breaks off is read up to there, instead of refused.
    """

    tile_nbytes: int = 1 << 30
    ifd_count: int = 4_000_000
    tag_nbytes: int = 1 << 28
    xml_nbytes: int = 1 << 28
    sparse_nbytes: int = 1 << 27
    allow_truncated: bool = False

    @classmethod
    def unlimited(cls) -> Limits:
        """No bounds, for files that are trusted."""
        huge = 1 << 62
        return cls(tile_nbytes=huge, ifd_count=huge, tag_nbytes=huge, xml_nbytes=huge, sparse_nbytes=huge)

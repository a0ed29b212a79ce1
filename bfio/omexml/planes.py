"""Which IFD of which file holds the plane (t, c, z): the TiffData rules of the OME-TIFF specification."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bfio.errors import FormatError, LimitError
from bfio.limits import Limits
from bfio.omexml.attributes import MAX_COUNT
from bfio.omexml.document import FileRef, OmePixels, TiffDataBlock

__all__ = ["PlaneMap", "channel_planes", "plane_map"]

# Blocks may overlap (the later one wins), but files that do so on every plane, again and again, are attacks.
_MAX_OVERLAP = 64


@dataclass(frozen=True, slots=True, eq=False)
class PlaneMap:
    """Location of every plane of an image.

    Attributes
    ----------
    files : tuple of FileRef or None
        The files; None, always the first, is the file (or companion) that the OME-XML came from.
    file, ifd : numpy.ndarray
        int32, shape (T, C, Z), C counting planes: index into `files`, and index of the IFD in the main chain
        of that file. Both are -1 where the image has no such plane.
    """

    files: tuple[FileRef | None, ...]
    file: np.ndarray
    ifd: np.ndarray


def channel_planes(pixels: OmePixels, samples: int | None = None) -> int:
    """Number of planes along C.

    Parameters
    ----------
    pixels : OmePixels
    samples : int, optional
        Samples per pixel of the TIFF pages, which count more than what the channels say. By default as the
        channels say.

    Notes
    -----
    By the schema SizeC is the sum of the channels' SamplesPerPixel. Files that leave SamplesPerPixel out and
    yet have RGB pages come in two kinds: SizeC counts samples (it is then a multiple of `samples`), or
    planes.
    """
    declared = [channel.samples for channel in pixels.channels]
    first = declared[0] if declared else 1
    if samples is None:
        samples = first
    if samples == first and sum(declared) == pixels.size_c:
        return len(declared)
    return pixels.size_c if pixels.size_c % samples else pixels.size_c // samples


def plane_map(
    pixels: OmePixels,
    n_ifds: int,
    *,
    samples: int | None = None,
    own: FileRef | None = None,
    others: Mapping[FileRef, int] | None = None,
    first_ifd: int = 0,
    limits: Limits | None = None,
) -> PlaneMap:
    """Locate every plane of an image.

    Parameters
    ----------
    pixels : OmePixels
    n_ifds : int
        IFDs in the main chain of the file that holds the OME-XML; 0 for a companion file.
    samples : int, optional
        Samples per pixel of the TIFF pages; see :func:`channel_planes`.
    own : FileRef, optional
        UUID of the document and name (without folder) of the file: a TiffData that names either means this
        file.
    others : mapping of FileRef to int, optional
        IFDs of the other files where known. A block without PlaneCount in a file not given here ends where
        the next begins.
    first_ifd : int
        Where an image without any TiffData starts.
    limits : Limits, optional
        ``ifd_count`` bounds the planes.

    Notes
    -----
    A block covers, from its FirstZ, FirstC, FirstT (0 where absent) on and in DimensionOrder, PlaneCount IFDs
    from IFD (0 where absent) on. Without PlaneCount it is 1 IFD if IFD is given, else all of the file. Blocks
    and IFDs that lie outside are ignored, and later blocks win, as in tifffile. Indices from 1 are recognised
    where they would not fit from 0.
    """
    size = {"T": pixels.size_t, "C": channel_planes(pixels, samples), "Z": pixels.size_z}
    n_planes = size["T"] * size["C"] * size["Z"]
    if n_planes > (limits or Limits()).ifd_count:
        raise LimitError(f"OME-XML describes an image of {n_planes} planes; the limit ifd_count is lower")
    blocks = pixels.tiff_data or (TiffDataBlock(ifd=first_ifd, plane_count=n_planes),)
    other_files, file_of_block = _files(blocks, own or FileRef())
    n_ifds_of_file = np.array([n_ifds, *((others or {}).get(ref, -1) for ref in other_files)], dtype=np.int64)
    slow_to_fast = pixels.dimension_order[:1:-1]
    start, inside = _starts(blocks, size, slow_to_fast, pixels.size_c)
    task = np.flatnonzero(inside)
    ifd = _column(block.ifd for block in blocks)[task]
    n_covered = _counts([blocks[i] for i in task], ifd, start[task], n_planes, n_ifds_of_file[file_of_block[task]])
    flat_file, flat_ifd = _paint(start[task], n_covered, ifd, file_of_block[task], n_planes)
    shape = tuple(size[axis] for axis in slow_to_fast)
    axes = tuple(slow_to_fast.index(axis) for axis in "TCZ")
    return PlaneMap(
        (None, *other_files),
        flat_file.reshape(shape).transpose(axes),
        flat_ifd.reshape(shape).transpose(axes),
    )


def _files(blocks: Sequence[TiffDataBlock], own: FileRef) -> tuple[list[FileRef], np.ndarray]:
    """Distinct files other than the own one (which is number 0), and the index of the file of each block."""
    refs = [FileRef(block.uuid, block.file_name) for block in blocks]
    # A file renamed since still has the document's UUID. Files that were all given one UUID differ in their names.
    same_uuid = {ref.file_name for ref in refs if own.uuid is not None and ref.uuid == own.uuid}
    uuid_decides = len(same_uuid) <= 1
    name = (own.file_name or "").lower()
    others: dict[FileRef, int] = {}
    place: dict[FileRef, int] = {}
    for ref in dict.fromkeys(refs):
        by_uuid = own.uuid is not None and ref.uuid == own.uuid and (uuid_decides or ref.file_name is None)
        by_name = bool(name) and (ref.file_name or "").lower() == name
        is_own = by_uuid or by_name or ref == FileRef()
        place[ref] = 0 if is_own else others.setdefault(ref, len(others) + 1)
    return list(others), np.array([place[ref] for ref in refs], dtype=np.int64)


def _column(values: Iterable[int | None]) -> np.ndarray:
    return np.array([value or 0 for value in values], dtype=np.int64)


def _starts(
    blocks: Sequence[TiffDataBlock], size: Mapping[str, int], slow_to_fast: str, size_c: int
) -> tuple[np.ndarray, np.ndarray]:
    """Index of the first plane of each block, counted in DimensionOrder, and whether it is inside."""
    first = {
        "Z": _column(block.first_z for block in blocks),
        "C": _column(block.first_c for block in blocks),
        "T": _column(block.first_t for block in blocks),
    }
    c, samples = first["C"], max(size_c // size["C"], 1)
    if samples > 1 and size["C"] <= c.max() < size_c and not (c % samples).any():
        first["C"] = c // samples  # FirstC counted in samples
    start = np.zeros(len(blocks), dtype=np.int64)
    inside = np.ones(len(blocks), dtype=bool)
    for axis in slow_to_fast:
        at = first[axis]
        if at.max() == size[axis] and at.min() >= 1:
            at = at - 1
        inside &= at < size[axis]
        start = start * size[axis] + np.minimum(at, size[axis] - 1)
    return start, inside


def _counts(
    blocks: Sequence[TiffDataBlock], ifd: np.ndarray, start: np.ndarray, n_planes: int, n_ifds: np.ndarray
) -> np.ndarray:
    """Planes that each block covers, cut at the end of the image and of the file (-1 where unknown)."""
    # PlaneCount="0" is written for "all" by some, as NumPlanes="0" was.
    given = np.array([b.plane_count or (1 if b.plane_count is None and b.ifd is not None else -1) for b in blocks])
    borders = np.append(np.unique(start), n_planes)
    until_next = borders[np.searchsorted(borders[:-1], start, side="right")] - start
    all_of_file = np.where(n_ifds < 0, until_next, n_ifds)
    in_file = np.where(n_ifds < 0, MAX_COUNT - ifd, np.maximum(n_ifds - ifd, 0))
    counts: np.ndarray = np.minimum.reduce([np.where(given < 0, all_of_file, given), n_planes - start, in_file])
    return counts.astype(np.int64)


def _paint(
    start: np.ndarray, n_covered: np.ndarray, ifd: np.ndarray, file: np.ndarray, n_planes: int
) -> tuple[np.ndarray, np.ndarray]:
    """File and IFD of each plane in DimensionOrder, -1 where no block covers it."""
    total = int(n_covered.sum())
    if total > _MAX_OVERLAP * n_planes:
        raise FormatError("OME-XML: TiffData elements cover the planes of an image too many times")
    flat_file = np.full(n_planes, -1, dtype=np.int32)
    flat_ifd = np.full(n_planes, -1, dtype=np.int32)
    block = np.repeat(np.arange(len(start)), n_covered)
    within = np.arange(total) - np.repeat(np.cumsum(n_covered) - n_covered, n_covered)
    # Where an index occurs twice NumPy keeps the last value, so later blocks win.
    flat_file[start[block] + within] = file[block]
    flat_ifd[start[block] + within] = ifd[block] + within
    return flat_file, flat_ifd

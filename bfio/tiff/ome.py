"""OME-TIFF: the OME-XML says which IFD of which file holds each plane."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from bfio import omexml
from bfio._locks import ProcessLock
from bfio.errors import BfioError, FormatError, UnsupportedError
from bfio.metadata import Channel, Series
from bfio.omexml import FileRef, OmeDocument, OmeImage, PlaneMap
from bfio.tiff.file import OpenTiff
from bfio.tiff.image import TiffImage, with_pixels_of
from bfio.tiff.plane import Plane

__all__ = ["FileSet", "ome_images"]

logger = logging.getLogger("bfio")


MOST_LEVELS = 64
"""Resolutions of one image: half the size each, there are never more than 32."""


MOST_TRIES = 1000
"""Files of a set that are looked for, until one is there."""


class FileSet:
    """The files of a multi-file OME-TIFF, opened when first needed."""

    def __init__(self, own: OpenTiff | None, reopen: Callable[[FileRef], OpenTiff]) -> None:
        self._own = own
        self._reopen = reopen
        self._open: dict[FileRef, OpenTiff] = {}
        self._lock = ProcessLock()

    def file(self, ref: FileRef | None) -> OpenTiff:
        """The file that a reference means; None is the one that holds the OME-XML."""
        if ref is None and self._own is not None:
            return self._own
        if ref is None:
            raise FormatError("a plane is in the file of the metadata, which is no TIFF file")
        with self._lock:
            if ref not in self._open:
                try:
                    self._open[ref] = self._reopen(ref)
                except FileNotFoundError:
                    raise
                except OSError as error:
                    name = (ref.file_name or "?")[:200]
                    raise FormatError(f"a plane is in {name!r}, which can not be read: {error}") from error
            return self._open[ref]

    def check_complete(self) -> None:
        """Raise where a plane may be missing because the file with the OME-XML was cut off."""
        if self._own is not None and not self._own.chain.loops:
            self._own.chain.check()

    def close(self) -> None:
        """Close the other files."""
        with self._lock:
            for file in self._open.values():
                file.close()
            self._open.clear()


class OmePlanes:
    """Planes of one level: level n > 0 is the n-th SubIFD of each plane's IFD."""

    def __init__(self, files: FileSet, planes: PlaneMap, level: int) -> None:
        self._files = files
        self._planes = planes
        self._level = level

    def plane(self, t: int, c: int, z: int) -> Plane | None:
        """The plane at a position; None where no TiffData names it."""
        number, index = int(self._planes.file[t, c, z]), int(self._planes.ifd[t, c, z])
        if number < 0 or index < 0:
            self._files.check_complete()
            return None
        ref = self._planes.files[number]
        try:
            file = self._files.file(ref)
            return file.plane(index) if self._level == 0 else file.sub_plane(index, self._level)
        except IndexError as error:
            raise FormatError(f"OME-XML names IFD {index}, which is not there: {error}") from error


def ome_images(document: OmeDocument, files: FileSet, own: FileRef, n_own: int) -> list[TiffImage]:
    """All images of a document that have planes in files that are there.

    Parameters
    ----------
    document : OmeDocument
    files : FileSet
    own : FileRef
        UUID and name of the file that holds the document.
    n_own : int
        IFDs of that file; 0 for a companion file.
    """
    images: list[TiffImage] = []
    first_ifd = 0
    for entry in document.images:
        image, n_planes = _image(entry, files, own, n_own, first_ifd, len(images))
        first_ifd += n_planes
        if image is not None:
            images.append(image)
    if not images:
        raise FormatError("none of the images that the OME-XML describes is in the file")
    return images


def _image(
    entry: OmeImage, files: FileSet, own: FileRef, n_own: int, first_ifd: int, index: int
) -> tuple[TiffImage | None, int]:
    pixels = entry.pixels
    planes = omexml.plane_map(pixels, n_own, own=own, first_ifd=first_ifd)
    found = _first_ifd(files, planes)
    if found is None:
        return None, planes.ifd.size
    file, ifd = found
    first = file.plane(ifd)
    if omexml.channel_planes(pixels, first.layout.samples) != planes.ifd.shape[1]:
        planes = omexml.plane_map(pixels, n_own, samples=first.layout.samples, own=own, first_ifd=first_ifd)
    n_absent = int((planes.ifd < 0).sum())
    if n_absent:
        logger.warning("%s: %d of %d planes are not there, and read as 0", file.path, n_absent, planes.ifd.size)
    size_t, size_c, size_z = planes.ifd.shape
    info = Series(
        index=index,
        name=entry.name,
        dtype=first.layout.dtype,
        size_t=size_t,
        size_c=size_c,
        size_z=size_z,
        size_y=0,
        size_x=0,
        channels=_channels(pixels.channels, size_c, first.layout.samples),
        physical_size_x=pixels.physical_size_x,
        physical_size_y=pixels.physical_size_y,
        physical_size_z=pixels.physical_size_z,
        big_endian=file.header.byte_order == ">",
    )
    firsts = [first, *_smaller(file, ifd, first)]
    tables = [OmePlanes(files, planes, level) for level in range(len(firsts))]
    described = TiffImage(with_pixels_of(info, firsts), tables, "OME", pixels.dimension_order)
    return described, planes.ifd.size


def _first_ifd(files: FileSet, planes: PlaneMap) -> tuple[OpenTiff, int] | None:
    """An IFD that can be read now: of the own file if possible, else of the first other file that is there."""
    for number, ref in enumerate(planes.files[:MOST_TRIES]):
        places = np.argwhere(planes.file == number)
        if len(places):
            try:
                file, ifd = files.file(ref), int(planes.ifd[tuple(places[0])])
                file.chain.record(ifd)
            except (FileNotFoundError, FormatError, UnsupportedError, IndexError):
                continue
            return file, ifd
    return None


def _smaller(file: OpenTiff, ifd: int, first: Plane) -> list[Plane]:
    """Planes of the SubIFDs of an IFD, as long as they are smaller and smaller images of the same kind."""
    planes: list[Plane] = []
    n_children = len(file.chain.sub_ifds(file.chain.record(ifd)))
    for level in range(1, 1 + min(n_children, MOST_LEVELS)):
        try:
            plane = file.sub_plane(ifd, level)
        except BfioError:
            break
        last, layout = (planes[-1] if planes else first).layout, plane.layout
        if (layout.dtype, layout.samples) != (last.dtype, last.samples):
            break
        if layout.grid.size_x > last.grid.size_x or layout.grid.size_y > last.grid.size_y:
            break
        planes.append(plane)
    return planes


def _channels(declared: tuple[Channel, ...], size_c: int, samples: int) -> tuple[Channel, ...]:
    """One entry per plane along C; the samples are those of the pages."""
    known = [Channel(channel.name, samples, channel.color) for channel in declared[:size_c]]
    return (*known, *[Channel(None, samples)] * (size_c - len(known)))

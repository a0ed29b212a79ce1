"""The TIFF reader: finds the images of a file, and reads any box of them into an array."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bfio import omexml
from bfio._kernels import can_convert
from bfio._parallel import Workers
from bfio.byteio import Source, open_source
from bfio.enums import Tag
from bfio.errors import FormatError, UnsupportedError, UsageError
from bfio.limits import Limits
from bfio.metadata import Description
from bfio.omexml import FileRef, OmeDocument
from bfio.selection import Box, sample_runs
from bfio.tiff.backing import Ledger
from bfio.tiff.batch import Place, Rescale, batches
from bfio.tiff.decode import TileReader
from bfio.tiff.describe import describe
from bfio.tiff.dialects import dialect_images
from bfio.tiff.file import OpenTiff
from bfio.tiff.image import TiffImage
from bfio.tiff.ome import FileSet, ome_images
from bfio.tiff.plain import is_plain, plain_image, text_of
from bfio.tiff.plane import Plane
from bfio.tiff.tags import TagValue

__all__ = ["TiffReader"]

logger = logging.getLogger("bfio")

PART = ".part"
"""End of the name of a file that is being written."""
WHOLE_CHAINS = (None, "OME", "ImageJ", "tifffile")
"""Dialects whose IFDs form one whole chain; vendors' files may wrap offsets or end in garbage, as tifffile knows."""


class TiffReader:
    """Any TIFF that tifffile understands, as a list of images.

    Parameters
    ----------
    source : Source
        Owned from now on.
    max_workers : int
        Threads of one read.
    limits : Limits
    cache_bytes : int
        Bound of the cache of decoded tiles.
    storage_options : mapping, optional
        For the other files of a multi-file OME-TIFF at a URL.
    """

    def __init__(
        self,
        source: Source,
        *,
        max_workers: int,
        limits: Limits,
        cache_bytes: int,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = source.path
        self._limits = limits
        self._storage_options = storage_options
        self._files: FileSet | None = None
        self._xml: str | None = None
        self._source = source
        self._own = FileRef(None, self.path.replace("\\", "/").rpartition("/")[2])
        self._file = OpenTiff(source, limits)
        self._workers = Workers(max_workers)
        self._tiles = TileReader(self.path, self._workers, limits, cache_bytes)
        self.images = self._open()

    # -- opening ----------------------------------------------------------------------------------------------------

    def _open(self) -> list[TiffImage]:
        file = self._file
        if file.unfinished and not self.path.endswith(PART):
            logger.warning("%s was not finished by its writer; what is not there yet reads as 0", self.path)
        tags = file.tags()
        images = self._ome_images(tags)
        if images is None:
            images = [plain_image(tags, file)] if is_plain(tags, file) else dialect_images(file)
        if images[0].dialect in WHOLE_CHAINS:
            self._check_chain()
        return images

    def _check_chain(self) -> None:
        """Refuse a file that was cut off, rather than give fewer planes than were written."""
        chain = self._file.chain
        if not chain.broken:
            return
        if not (chain.loops or self._limits.allow_truncated):
            try:
                chain.check()
            except FormatError as error:
                how = "pass limits=Limits(allow_truncated=True) to read the planes before that"
                raise FormatError(f"{error}; {how}") from error
        logger.warning("%s; the planes before it are read", chain.fault)

    def _ome_images(self, tags: Mapping[int, TagValue]) -> list[TiffImage] | None:
        """Images by OME-XML; None where there is none, or none that can be used."""
        text = text_of(tags, Tag.IMAGE_DESCRIPTION)
        if not text.rstrip("\0 \r\n\t").endswith("OME>"):
            return None
        self._xml = text
        try:
            document = omexml.parse(text, self._limits)
            self._own = FileRef(document.uuid, self._own.file_name)
            if document.binary_only is not None:
                document = self._companion(document)
                files = self._files = FileSet(None, self._sibling)
                return ome_images(document, files, FileRef(document.uuid), 0)
            files = self._files = FileSet(self._file, self._sibling)
            return ome_images(document, files, self._own, len(self._file.chain))
        except OSError as error:
            logger.warning("%s: the metadata file can not be read (%s); only this file is", self.path, error)
        except (FormatError, UnsupportedError) as error:
            logger.warning("%s: the OME-XML can not be used (%s); the planes are read without it", self.path, error)
        self._xml = None  # what does not describe these pixels would only mislead
        return None

    def _companion(self, document: OmeDocument) -> OmeDocument:
        """The document in the companion file that a BinaryOnly element names."""
        name = document.binary_only[0] if document.binary_only else None
        if not name:
            raise FormatError(f"{self.path}: the OME-XML names no metadata file")
        with open_source(self._source.sibling(name), self._storage_options) as companion:
            if companion.size > self._limits.xml_nbytes:
                raise FormatError(f"{companion.path}: the metadata file is larger than Limits.xml_nbytes")
            data = companion.pread(0, companion.size)
        self._xml = data.decode("utf-8", "replace")
        return omexml.parse(data, self._limits)

    def _sibling(self, ref: FileRef) -> OpenTiff:
        """Another file of the set; this very file, known by its name or its UUID, is not opened twice."""
        if ref.file_name == self._own.file_name or (ref.uuid and ref.uuid == self._own.uuid):
            return self._file
        if ref.file_name is None:
            raise FormatError(f"{self.path}: a plane is in a file without a name (UUID {ref.uuid})")
        source = open_source(self._source.sibling(ref.file_name), self._storage_options)
        try:
            return OpenTiff(source, self._limits)
        except BaseException as error:
            source.close()
            if isinstance(error, FormatError) and source.path not in str(error):
                raise FormatError(f"{source.path}: {error}") from error
            raise

    # -- reading ----------------------------------------------------------------------------------------------------

    def read(self, series: int, level: int, box: Box, out: np.ndarray, rescale: Rescale) -> None:
        """Fill ``out``, shape ``box.shape`` (T, C with samples, Z, Y, X), with the pixels of a box.

        Raises
        ------
        TileDecodeError
            A tile is broken.
        FormatError
            A plane is, or its size or dtype differs from that of the level.
        UsageError
            The pixels can not become those of ``out``.
        """
        if 0 in box.shape:
            return
        dtype = self.images[series].info.dtype
        if not can_convert(dtype, out.dtype) or (rescale is not None and out.dtype.kind in "cb"):
            how = " by a scale" if rescale else ""
            raise UsageError(f"{self.path}: pixels of dtype {dtype} can not be read as {out.dtype}{how}")
        ledger = Ledger(self.path, self._source.size, self._limits)
        for batch in batches(self._planes(series, level, box, out, ledger), box.y, box.x, out, rescale):
            ledger.add_batch(batch)
            self._tiles.run(batch)

    def _planes(
        self, series: int, level: int, box: Box, out: np.ndarray, ledger: Ledger
    ) -> Iterator[tuple[Plane, Place]]:
        """Planes of a box with their places; what the file does not store is set to 0 here."""
        image = self.images[series]
        samples = image.info.samples
        planar: bool | None = None
        for t_index, t in enumerate(box.t):
            for z_index, z in enumerate(box.z):
                for c_index, c, first, count in sample_runs(box.c, samples):
                    plane = image.levels[level].plane(t, c, z)
                    if plane is None:
                        ledger.add_missing(count * len(box.y) * len(box.x) * out.itemsize)
                        out[t_index, c_index : c_index + count, z_index] = 0
                        continue
                    self._check(plane, image, level, (t, c, z))
                    planar = plane.layout.planar
                    if not planar:
                        yield plane, Place(t_index, c_index, z_index, first, count)
                        continue
                    for sample in range(count):
                        yield plane, Place(t_index, c_index + sample, z_index, first + sample, 1)

    def _check(self, plane: Plane, image: TiffImage, level: int, position: tuple[int, int, int]) -> None:
        """All planes of a level must be alike, whatever the file says."""
        layout, expected = plane.layout, image.info.levels[level]
        found = (layout.grid.size_y, layout.grid.size_x, layout.samples, layout.dtype)
        wanted = (expected.size_y, expected.size_x, image.info.samples, image.info.dtype)
        if found != wanted:
            raise FormatError(
                f"{plane.source.path}: plane {position} (t, c, z) has (Y, X, samples, dtype) {found}, "
                f"but the level has {wanted}"
            )

    def describe(self) -> Description:
        """What the file is, and how its images are stored."""
        return describe(self._file, self.images)

    def ome_xml(self) -> str | None:
        """The OME-XML of the file or its companion, as it stands there; None where it is of no use."""
        return self._xml

    def close(self) -> None:
        """Close all files; twice is once."""
        self._tiles.close()
        self._workers.close()
        if self._files is not None:
            self._files.close()
        self._file.close()

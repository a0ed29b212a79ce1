"""One open TIFF file: header, IFD chain, and the planes its IFDs describe."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import numpy as np

from bfio.byteio import Source
from bfio.errors import FormatError
from bfio.limits import Limits
from bfio.tiff import header as tiff_header
from bfio.tiff.ifd import STRUCTURE_NBYTES, IfdChain
from bfio.tiff.layout import Layout, Route, layout_of_page, layout_of_record
from bfio.tiff.pages import PageFile, TileDecoder, foreign_errors
from bfio.tiff.plane import Plane, PlaneMemo, fit_segments, merge_raw_strips
from bfio.tiff.tags import TagValue, read_tags

__all__ = ["OpenTiff"]


class OpenTiff:
    """A TIFF file: structure by the IFD kernel, and tifffile (``pages``) for what that can not tell.

    Parameters
    ----------
    source : Source
        Owned from now on: closed with the file.
    limits : Limits
    """

    def __init__(self, source: Source, limits: Limits) -> None:
        self.source = source
        self.limits = limits
        self.path = source.path
        head = source.pread(0, tiff_header.HEADER_NBYTES + len(tiff_header.UNFINISHED))
        self.header = tiff_header.parse(head[: tiff_header.HEADER_NBYTES], source.size)
        self.unfinished = head.endswith(tiff_header.UNFINISHED)
        self.chain = IfdChain(source, self.header, limits)
        self.pages = PageFile(source, self._broken_link)
        self._layouts: dict[Hashable, Layout | None] = {}
        self._interned: dict[Layout, Layout] = {}
        self._planes = PlaneMemo()

    def _broken_link(self) -> range:
        """Bytes of the offset with which the chain of IFDs leaves the file or comes back to itself.

        For tifffile they are zeros: the chain ends there, where it might follow it for ever. Large classic files are
        left alone, as Hamamatsu's have offsets that the kernel does not know.
        """
        records = self.chain.all()
        if not self.chain.broken or not len(records) or (self.source.size >> 32 and not self.header.bigtiff):
            return range(0)
        head, entry, link = (8, 20, 8) if self.header.bigtiff else (2, 12, 4)
        start = int(records[-1]["offset"]) + head + entry * int(records[-1]["n_entries"])
        return range(start, start + link)

    def tags(self, offset: int | None = None) -> dict[int, TagValue]:
        """All tags of the IFD at an offset; by default the first one."""
        if offset is None:
            offset = self.header.first_ifd_offset
        return read_tags(self.source, offset, self.header, self.limits)

    def plane(self, index: int) -> Plane:
        """The plane of the IFD at a position of the main chain; the last few are kept."""
        return self._planes.get(index, lambda: self.plane_of(self.chain.record(index), index))

    def sub_plane(self, index: int, level: int) -> Plane:
        """The plane of a SubIFD: ``level`` counts from 1 for the first child of the IFD at ``index``."""
        offsets = self.chain.sub_ifds(self.chain.record(index))
        if level > len(offsets):
            raise FormatError(f"{self.path}: plane {index} has no resolution level {level}")
        return self.plane_of(self.chain.at(offsets[level - 1 : level])[0], index)

    def layout(self, record: np.void) -> Layout | None:
        """Layout of a record where the kernels can tell it, else None; remembered."""
        key = record.tobytes()[:STRUCTURE_NBYTES]
        try:
            return self._layouts[key]
        except KeyError:
            layout = layout_of_record(record, self.header.byte_order)
            if layout is not None:
                layout.check(self.path, self.limits, self.source.size)
            self._layouts[key] = layout
            return layout

    def plane_of(self, record: np.void, index: int) -> Plane:
        """The plane that an IFD record describes."""
        layout = self.layout(record)
        offset = int(record["offset"])
        if layout is None:
            return self.plane_of_page(self.pages.page(offset, index), index)
        offsets, byte_counts = self.chain.segment_table(record)
        if byte_counts is None and layout.compression != 1:
            return self.plane_of_page(self.pages.page(offset, index), index)
        return self._plane(layout, index, offsets, byte_counts, offset)

    def plane_of_page(self, page: object, index: int) -> Plane:
        """The plane that a page of tifffile describes."""
        with foreign_errors(self.path, "can not use the tags"):  # tifffile takes values as they come
            layout = layout_of_page(page.keyframe, self.path)  # type: ignore[attr-defined]
            layout.check(self.path, self.limits, self.source.size)
            layout = self._interned.setdefault(layout, layout)
            offsets = np.asarray(page.dataoffsets, np.uint64)  # type: ignore[attr-defined]
            byte_counts = np.asarray(page.databytecounts, np.uint64)  # type: ignore[attr-defined]
        return self._plane(layout, index, offsets, byte_counts, page)

    def plane_at(self, offset: int, page: object, index: int) -> Plane:
        """A plane without an IFD: uncompressed pixels at an offset, laid out as those of a page of tifffile."""
        layout = layout_of_page(page.keyframe, self.path)  # type: ignore[attr-defined]
        whole = replace(layout.grid, tile_rows=layout.grid.size_y, tile_cols=layout.grid.size_x, strips=True)
        layout = replace(layout, grid=whole)
        layout.check(self.path, self.limits, self.source.size)
        samples = np.arange(layout.n_segments, dtype=np.uint64) * np.uint64(layout.tile_nbytes)
        return self._plane(layout, index, np.uint64(offset) + samples, None, page)

    def _plane(
        self, layout: Layout, index: int, offsets: np.ndarray, byte_counts: np.ndarray | None, page: object
    ) -> Plane:
        offsets, byte_counts = fit_segments(self.path, self.source.size, index, layout, offsets, byte_counts)
        stored = layout
        if layout.route is not Route.PAGE:
            layout, offsets, byte_counts = merge_raw_strips(layout, offsets, byte_counts)
            layout.check(self.path, self.limits)
            layout = self._interned.setdefault(layout, layout)

        def decoder() -> TileDecoder:
            if layout.grid != stored.grid:
                raise FormatError("the uncompressed pixels reach past the end of the file")
            found = self.pages.page(page, index) if isinstance(page, int) else page
            return self.pages.decoder(found)

        return Plane(self.source, layout, index, offsets, byte_counts, decoder, stored)

    def close(self) -> None:
        """Close the file; twice is once."""
        self.pages.close()
        self.source.close()

"""Vendor dialects: tifffile tells series and levels, the planes are then read like all others."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bfio.enums import Compression, Predictor
from bfio.errors import FormatError, LimitError
from bfio.metadata import Channel, Length, Series
from bfio.tiff.backing import check_backed
from bfio.tiff.file import OpenTiff
from bfio.tiff.image import PlaneTable, TiffImage, with_pixels_of
from bfio.tiff.layout import Layout, Route, layout_of_page
from bfio.tiff.plane import Plane, PlaneMemo
from bfio.tiff.resolution import pixel_size
from bfio.tiff.sanity import check_chain
from bfio.tiling import Grid

__all__ = ["dialect_images"]

logger = logging.getLogger("bfio")

PAGE_AXES = ("YX", "YXS", "SYX")
"""How one page may end the axes of a series."""

_DIALECTS = {"generic": None, "uniform": None, "imagej": "ImageJ", "shaped": "tifffile"}
"""Names of tifffile's kinds of series, where people say otherwise; None for no dialect."""


def dialect_images(file: OpenTiff) -> list[TiffImage]:
    """All series of a file as tifffile sees them."""
    check_chain(file)
    series = _series(file)
    images: list[TiffImage] = []
    for entry in series:
        with file.pages.parsing():
            image = _image(file, entry, len(images))
        if image is not None:
            images.append(image)
    if not images:
        raise FormatError(f"{file.path}: there is no image in the file")
    return images


def _series(file: OpenTiff) -> list[Any]:
    """Tifffile's series; those of a plain file where what the vendor says breaks its parser."""
    try:
        return _parsed(file)
    except FormatError as error:
        logger.warning("%s; its pages are read without their dialect", error)
    file.pages.forget_dialects()
    return _parsed(file)


def _parsed(file: OpenTiff) -> list[Any]:
    with file.pages.parsing() as parsed:
        series = parsed.series
        if callable(series):  # from tifffile 2026.11 on; uncalled, it hides the axes of length 1
            series = series(squeeze=False)
        return list(series)


def _image(file: OpenTiff, series: Any, index: int) -> TiffImage | None:
    tables = [_table(file, level) for level in series.levels]
    firsts = [table.first() for table in tables]
    info = tables[0].info(index)
    return TiffImage(with_pixels_of(info, firsts), tables, _DIALECTS.get(series.kind, series.kind.upper()))


def _full(level: Any) -> tuple[str, tuple[int, ...]]:
    """Axes and shape with the axes of length 1; older tifffiles show a series without them unless asked."""
    if hasattr(level, "get_axes"):
        return level.get_axes(False), tuple(level.get_shape(False))
    return level.axes, tuple(level.shape)


def _table(file: OpenTiff, level: Any) -> SeriesPlanes:
    """Planes of one level: its pages where they are planes, else the pixels of the level in memory."""
    axes, shape = _full(level)
    page_axes, page_shape = level.keyframe.axes, tuple(level.keyframe.shape)
    if page_axes == "YX" and axes.endswith("YXS") and shape[-1] == 1:
        axes, shape = axes[:-1], shape[:-1]  # tifffile names the single sample of grey pages
    n_lead = len(axes) - len(page_axes)
    n_planes = math.prod(shape[:n_lead])
    fits = (
        page_axes in PAGE_AXES
        and axes.endswith(page_axes)
        and tuple(shape[n_lead:]) == page_shape
        and level.transform is None
    )
    if fits and n_planes == len(level):
        return PageTable(file, level, axes[:n_lead], shape[:n_lead])
    if fits and level.dataoffset is not None and _is_run(file, level, n_planes):
        return RunTable(file, level, axes[:n_lead], shape[:n_lead])
    return ArrayTable(file, level)


def _is_run(file: OpenTiff, level: Any, n_planes: int) -> bool:
    """Whether all planes of a level lie in the file one behind the other, as ImageJ stores more than 4 GB."""
    layout = layout_of_page(level.keyframe, file.path)
    stored = n_planes * level.keyframe.nbytes
    return (
        layout.compression == Compression.NONE
        and layout.route is Route.KERNEL
        and (stored <= file.source.size - level.dataoffset)
    )


def _check_count(file: OpenTiff, shape: Sequence[int]) -> None:
    """Refuse more planes than the file has bytes, or the limits allow, before a table of them is made."""
    n_planes = math.prod(shape)
    if min(shape, default=1) < 1:
        raise FormatError(f"{file.path}: the metadata describe an image of the shape {tuple(shape)}")
    if n_planes > file.source.size:
        raise FormatError(f"{file.path}: the metadata describe {n_planes} planes, more than the file has bytes")
    if n_planes > file.limits.ifd_count:
        raise LimitError(f"{file.path}: {n_planes} planes; Limits.ifd_count is {file.limits.ifd_count}")


def _lead_order(axes: str, shape: Sequence[int]) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Index of the page at each (t, c, z). Axes that bfio has no name for count as time."""
    numbers = np.arange(math.prod(shape), dtype=np.int64).reshape(tuple(shape))
    place = {"Z": 2, "C": 1, "S": 1}
    order = sorted(range(len(axes)), key=lambda i: place.get(axes[i], 0))
    sizes = [1, 1, 1]
    for axis, size in zip(axes, shape, strict=True):
        sizes[place.get(axis, 0)] *= size
    table = numbers.transpose(order).reshape(sizes)
    return table, (sizes[0], sizes[1], sizes[2])


class SeriesPlanes(PlaneTable):
    """Planes of one level of a tifffile series."""

    def __init__(self, file: OpenTiff, level: Any, sizes: tuple[int, int, int]) -> None:
        self._file = file
        self._level = level
        self._sizes = sizes

    def first(self) -> Plane:
        """A plane that tells the layout of all."""
        found = self.plane(0, 0, 0)
        return found if found is not None else self._file.plane_of_page(self._level.keyframe, 0)

    def info(self, index: int) -> Series:
        """What the dialect says of the series, without sizes along Y and X."""
        size_t, size_c, size_z = self._sizes
        size_x, size_y, depth = _physical_sizes(self._file, self._level)
        names = _channel_names(self._level, size_c)
        samples = self.first().layout.samples
        return Series(
            index=index,
            name=self._level.name or None,
            dtype=np.dtype(self._level.dtype),
            size_t=size_t,
            size_c=size_c,
            size_z=size_z,
            size_y=0,
            size_x=0,
            channels=tuple(Channel(name, samples) for name in names),
            physical_size_x=size_x,
            physical_size_y=size_y,
            physical_size_z=depth,
            big_endian=self._file.header.byte_order == ">",
        )


class PageTable(SeriesPlanes):
    """A level whose pages are planes."""

    def __init__(self, file: OpenTiff, level: Any, axes: str, shape: Sequence[int]) -> None:
        _check_count(file, shape)
        self._order, sizes = _lead_order(axes, shape)
        self._planes = PlaneMemo()
        super().__init__(file, level, sizes)

    def plane(self, t: int, c: int, z: int) -> Plane | None:
        """The plane of the page at a position; None where the series lacks it."""
        number = int(self._order[t, c, z])
        with self._file.pages.parsing():
            page = self._level[number]
            if page is None or len(page.dataoffsets) == 0:
                return None
            return self._planes.get(number, lambda: self._file.plane_of_page(page, number))


class RunTable(SeriesPlanes):
    """A level whose planes lie one behind the other, uncompressed; only the first has an IFD."""

    def __init__(self, file: OpenTiff, level: Any, axes: str, shape: Sequence[int]) -> None:
        self._order, sizes = _lead_order(axes, shape)
        super().__init__(file, level, sizes)

    def plane(self, t: int, c: int, z: int) -> Plane:
        """The plane at a position."""
        number, page = int(self._order[t, c, z]), self._level.keyframe
        return self._file.plane_at(self._level.dataoffset + number * page.nbytes, page, number)


class ArrayTable(SeriesPlanes):
    """A level whose pages are no planes (volumes, pages of several axes): read at once, kept in memory."""

    def __init__(self, file: OpenTiff, level: Any) -> None:
        axes, shape = _full(level)
        self._samples_last = "S" in axes
        lead = [i for i, axis in enumerate(axes) if axis not in "YXS"]
        if "Y" not in axes or "X" not in axes:
            raise FormatError(f"{file.path}: a series of axes {axes} has no planes")
        self._axes = [axes.index(axis) for axis in ("YXS" if self._samples_last else "YX")]
        _check_count(file, [shape[i] for i in lead])
        nbytes = math.prod(shape) * np.dtype(level.dtype).itemsize
        if nbytes > file.limits.tile_nbytes:
            raise LimitError(
                f"{file.path}: a volume of {nbytes} bytes can only be read at once, "
                f"but Limits.tile_nbytes is {file.limits.tile_nbytes}"
            )
        check_backed(file.path, nbytes, file.source.size, file.limits)
        self._order, sizes = _lead_order("".join(axes[i] for i in lead), [shape[i] for i in lead])
        self._transposed = (*lead, *self._axes)
        self._pixels: np.ndarray | None = None
        super().__init__(file, level, sizes)

    def _planes(self) -> np.ndarray:
        """Pixels of all planes, shape (planes, Y, X, S)."""
        with self._file.pages.parsing():
            if self._pixels is None:
                self._file.pages.guard(page for page in self._level if page is not None)
                pixels = self._level.asarray(squeeze=False).transpose(self._transposed)
                if not self._samples_last:
                    pixels = pixels[..., None]
                self._pixels = pixels.reshape(-1, *pixels.shape[-3:])
            return self._pixels

    def plane(self, t: int, c: int, z: int) -> Plane:
        """A plane whose only tile comes out of memory."""
        _, shape = _full(self._level)
        size_y, size_x = shape[self._axes[0]], shape[self._axes[1]]
        samples = shape[self._axes[2]] if self._samples_last else 1
        number = int(self._order[t, c, z])
        layout = Layout(
            Grid(size_y, size_x, size_y, size_x),
            samples,
            False,
            np.dtype(self._level.dtype).newbyteorder("="),
            int(Compression.NONE),
            int(Predictor.NONE),
            1,
            Route.PAGE,
        )
        layout.check(self._file.path, self._file.limits)

        def decoder() -> Callable[[bytes, int], np.ndarray]:
            planes = self._planes()
            return lambda _data, _tile: planes[number]

        one = np.ones(1, np.uint64)
        page = self._level.keyframe
        stored = replace(layout, compression=int(page.compression), predictor=int(page.predictor))
        return Plane(self._file.source, layout, number, one, one, decoder, stored)


def _physical_sizes(file: OpenTiff, level: Any) -> tuple[Length, Length, Length]:
    """Pixel size along X, Y and Z: ImageJ's unit and spacing, the scanner's microns per pixel, or the TIFF tags."""
    tags = file.tags(level.keyframe.offset)
    size_x, size_y = pixel_size(tags)
    size_z: Length = (None, "µm")
    imagej = getattr(level.keyframe.parent, "imagej_metadata", None) if level.kind == "imagej" else None
    if imagej:
        unit = _imagej_unit(imagej.get("unit"))
        if unit:
            size_x = _imagej_length(level.keyframe, 282, unit) or size_x
            size_y = _imagej_length(level.keyframe, 283, unit) or size_y
            spacing = imagej.get("spacing")
            size_z = (float(spacing), unit) if isinstance(spacing, (int, float)) else size_z
    if level.kind == "svs":
        microns = _svs_microns(level.keyframe.description)
        size_x, size_y = ((microns, "µm"), (microns, "µm")) if microns else (size_x, size_y)
    return size_x, size_y, size_z


def _imagej_unit(unit: Any) -> str | None:
    if not isinstance(unit, str):
        return None
    unit = unit.replace("\\u00B5", "µ").strip()
    known = {"micron": "µm", "microns": "µm", "um": "µm", "μm": "µm", "µm": "µm", "pixel": "pixel"}
    return known.get(unit, unit if unit in ("nm", "mm", "cm", "m") else None)


def _imagej_length(page: Any, tag: int, unit: str) -> Length | None:
    value = page.tags.valueof(tag)
    if not isinstance(value, tuple) or len(value) != 2 or not value[0]:
        return None
    return (value[1] / value[0], unit)


def _svs_microns(description: str) -> float | None:
    for entry in description.split("|"):
        name, _, value = entry.partition("=")
        if name.strip() == "MPP":
            try:
                return float(value)
            except ValueError:
                return None
    return None


def _channel_names(level: Any, size_c: int) -> list[str | None]:
    labels: Any = None
    if level.kind == "imagej":
        labels = (level.keyframe.parent.imagej_metadata or {}).get("Labels")
    if isinstance(labels, (list, tuple)) and len(labels) == size_c:
        return [str(label) for label in labels]
    return [None] * size_c

"""The images of a store as :class:`bfio.metadata.Series`, and the arrays of their levels."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass

from bfio.errors import BfioError, FormatError, LimitError, UnsupportedError
from bfio.limits import Limits
from bfio.metadata import Channel, Length, Level, Series
from bfio.omexml.document import OmeDocument, OmeImage
from bfio.omezarr.ahead import ahead_of
from bfio.omezarr.arraymeta import ArrayMeta
from bfio.omezarr.axes import letters_of_names
from bfio.omezarr.consolidated import consolidated
from bfio.omezarr.document import Documents, Group
from bfio.omezarr.images import Multiscale, multiscales_of
from bfio.omezarr.merge import merged, ome_document, ome_xml_of
from bfio.omezarr.nodes import Nodes, child
from bfio.omezarr.omero import Shown, Window
from bfio.omezarr.transforms import Placement
from bfio.omezarr.tree import BATCH, Place, ask_levels, places
from bfio.units import normalise

__all__ = ["ZarrSeries", "ome_xml_of", "read_series"]

logger = logging.getLogger("bfio.omezarr")

_TCZYX = "tczyx"
_UNKNOWN: Length = (None, "µm")


@dataclass(frozen=True, slots=True)
class ZarrSeries:
    """One image of a store.

    Attributes
    ----------
    info : Series
        ``tile_shape`` of its levels are the rows and columns of a chunk.
    axes : str
        The axes of the arrays in their order, of ``tczyx``.
    arrays : tuple of ArrayMeta
        One for each level.
    version : str or None
        Of OME-Zarr; None for an array without its metadata.
    kind : str
        ``"image"``, ``"label"``, ``"field"`` of a plate, or ``"array"``.
    windows : tuple of Window
        How the channels are shown.
    placements : tuple of Placement
        Scale and translation of each level, in the order of `axes`.
    downsample : str or None
        How a level was made of the one before, as it is told.
    """

    info: Series
    axes: str
    arrays: tuple[ArrayMeta, ...]
    version: str | None
    kind: str
    windows: tuple[Window, ...] = ()
    placements: tuple[Placement, ...] = ()
    downsample: str | None = None


def read_series(nodes: Nodes, limits: Limits) -> tuple[ZarrSeries, ...]:
    """All images of a store.

    Of several images, those that can not be read are left out with a word in the log.

    Raises
    ------
    FormatError, UnsupportedError, LimitError
        None of the images can be read; the message names the document.
    """
    ahead = ahead_of(nodes, limits.xml_nbytes)
    try:
        return _read_series(ahead or nodes, limits)
    except FormatError:
        if ahead is not None and ahead.refused is not None:
            raise ahead.refused from None
        raise
    finally:
        if ahead is not None:
            ahead.end()


def _read_series(nodes: Nodes, limits: Limits) -> tuple[ZarrSeries, ...]:
    documents = Documents(consolidated(nodes, limits), limits)
    found: list[ZarrSeries] = []
    refused: Exception | None = None
    every = places(documents)
    told = ome_document(nodes, limits)
    for number, place in enumerate(every):
        if number % BATCH == 0:
            _ask(documents, every[number : number + BATCH])
        try:
            found.append(_series(documents, place, len(found), told))
        except (FormatError, UnsupportedError, LimitError) as error:
            if len(every) > 1:
                logger.warning("%s: the image %r is left out: %s", nodes.name, place.key, error)
            refused = refused or error
    if found:
        return tuple(found)
    raise refused or FormatError(f"{nodes.name}: the store has no image")


def _ask(documents: Documents, some: list[Place]) -> None:
    """Ask for what the images of these places are described by, and then for their arrays."""
    if not documents.is_slow:
        return
    for place in some:
        documents.ask_nodes([place.key], place.zarr_format)
    for place in some:
        with suppress(BfioError, OSError):  # told when it is their turn
            node = documents.node(place.key, place.zarr_format)
            if isinstance(node, Group):
                ask_levels(documents, node)


def _series(documents: Documents, place: Place, index: int, told: OmeDocument | None) -> ZarrSeries:
    node = documents.node(place.key, place.zarr_format)
    where = documents.where(place.key)
    if node is None:
        raise FormatError(f"{where}: there is no image; its zarr.json, .zattrs or .zarray is missing")
    if isinstance(node, ArrayMeta):
        axes = letters_of_names(_dimension_names(documents, node), len(node.shape)) or _last_axes(node, where)
        return _made(place, index, axes, [(node, Placement())], None, _image(told, place))
    multiscales = multiscales_of(node)
    if place.number >= len(multiscales):
        raise FormatError(f"{node.where}: the group has no multiscales, so it is no image")
    multiscale = multiscales[place.number]
    levels = _levels(documents, node, multiscale)
    first = levels[0][0]
    axes = multiscale.axes or letters_of_names(first.dimension_names, len(first.shape)) or _last_axes(first, where)
    if len(axes) != len(first.shape):
        raise FormatError(f"{node.where}: the image has {len(axes)} axes, but its array has {len(first.shape)}")
    return _made(place, index, axes, _alike(levels, axes, node.where), multiscale, _image(told, place))


def _image(told: OmeDocument | None, place: Place) -> OmeImage | None:
    if told is None or place.image is None or place.image >= len(told.images):
        return None
    return told.images[place.image]


def _dimension_names(documents: Documents, meta: ArrayMeta) -> tuple[str | None, ...] | None:
    """Names of the dimensions of an array; in Zarr v2 those by which xarray does it."""
    if meta.dimension_names is not None or meta.zarr_format == 3:
        return meta.dimension_names
    names = documents.attributes(meta.path).get("_ARRAY_DIMENSIONS")
    return tuple(name if isinstance(name, str) else None for name in names) if isinstance(names, list) else None


def _last_axes(meta: ArrayMeta, where: str) -> str:
    rank = len(meta.shape)
    if not 2 <= rank <= 5:
        raise UnsupportedError(f"{where}: an array with {rank} dimensions is no image; 2 to 5 can be read")
    return _TCZYX[5 - rank :]


def _levels(documents: Documents, group: Group, multiscale: Multiscale) -> list[tuple[ArrayMeta, Placement]]:
    """Arrays of all levels that are there; the first one must be."""
    found: list[tuple[ArrayMeta, Placement]] = []
    for path, placement in zip(multiscale.paths, multiscale.placements, strict=True):
        node = documents.node(child(group.key, path), group.zarr_format)
        if isinstance(node, ArrayMeta):
            if not found and 0 in node.shape:
                raise FormatError(f"array {node.path!r}: its shape {node.shape} has no pixels")
            found.append((node, placement))
        elif not found:
            raise FormatError(f"{group.where}: the array {path[:80]!r}, which is its image, is missing")
        else:
            logger.warning("%s: the level %r is left out, for its array is missing", group.where, path[:80])
    return found


def _alike(levels: list[tuple[ArrayMeta, Placement]], axes: str, where: str) -> list[tuple[ArrayMeta, Placement]]:
    """Levels that are the full image in small, the largest first."""
    ordered = sorted(levels, key=lambda level: -_area(level[0], axes))
    full = ordered[0][0]
    if full is not levels[0][0]:
        logger.warning("%s: the levels do not stand in the order of their sizes; they are sorted", where)
    kept = [ordered[0]]
    for meta, placement in ordered[1:]:
        if _same_image(meta, full, axes) and _fits(meta, kept[-1][0], axes):
            kept.append((meta, placement))
        else:
            logger.warning("%s: the level %r is left out, for it is not the same image in small", where, meta.path)
    return kept


def _area(meta: ArrayMeta, axes: str) -> int:
    return meta.shape[axes.index("y")] * meta.shape[axes.index("x")] if len(meta.shape) == len(axes) else 0


def _same_image(meta: ArrayMeta, full: ArrayMeta, axes: str) -> bool:
    if len(meta.shape) != len(full.shape) or meta.dtype != full.dtype:
        return False
    return all(a == b for a, b, axis in zip(meta.shape, full.shape, axes, strict=True) if axis in "tcz")


def _fits(meta: ArrayMeta, larger: ArrayMeta, axes: str) -> bool:
    return all(0 < meta.shape[axes.index(axis)] <= larger.shape[axes.index(axis)] for axis in "yx")


def _made(
    place: Place,
    index: int,
    axes: str,
    levels: list[tuple[ArrayMeta, Placement]],
    multiscale: Multiscale | None,
    image: OmeImage | None,
) -> ZarrSeries:
    full, placement = levels[0]
    sizes = {axis: full.shape[axes.index(axis)] if axis in axes else 1 for axis in _TCZYX}
    if min(sizes.values()) < 1:
        raise FormatError(f"array {full.path!r}: its shape {full.shape} has no pixels")
    shown = multiscale.shown if multiscale and place.kind != "label" else Shown()
    physical = {axis: _physical(axis, axes, placement, multiscale) for axis in "xyz"}
    info = Series(
        index=index,
        name=place.name or (multiscale.name if multiscale else None),
        dtype=full.dtype,
        size_t=sizes["t"],
        size_c=sizes["c"],
        size_z=sizes["z"],
        size_y=sizes["y"],
        size_x=sizes["x"],
        channels=(*shown.channels, *[Channel()] * (sizes["c"] - len(shown.channels)))[: sizes["c"]],
        physical_size_x=physical["x"],
        physical_size_y=physical["y"],
        physical_size_z=physical["z"],
        levels=tuple(_level(meta, axes) for meta, _ in levels),
        big_endian=full.big_endian,
    )
    version = multiscale.version if multiscale else None
    metas, placements = zip(*levels, strict=True)
    how = multiscale.downsample if multiscale else None
    return ZarrSeries(merged(info, image), axes, metas, version, place.kind, shown.windows, placements, how)


def _level(meta: ArrayMeta, axes: str) -> Level:
    y, x = axes.index("y"), axes.index("x")
    return Level(meta.shape[y], meta.shape[x], (meta.chunk[y], meta.chunk[x]))


def _physical(axis: str, axes: str, placement: Placement, multiscale: Multiscale | None) -> Length:
    """Size of a pixel. Without a unit 1 means unknown, as writers that know no size put it there."""
    if multiscale is None or placement.scale is None or axis not in axes or len(placement.scale) != len(axes):
        return _UNKNOWN
    place = axes.index(axis)
    value, unit = placement.scale[place], multiscale.units[place] if multiscale.units else None
    if value <= 0 or (unit is None and value == 1):
        return _UNKNOWN
    return (value, normalise(unit, "reference frame"))

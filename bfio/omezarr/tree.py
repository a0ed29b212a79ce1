"""Where the images of a store are: one, several, those of a plate, labels, or arrays of which nothing is told."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from bfio.errors import FormatError, LimitError, UnsupportedError
from bfio.omezarr.arraymeta import ArrayMeta
from bfio.omezarr.document import ARRAY_NAMES, Documents, Group, kind_of
from bfio.omezarr.images import multiscales_of, ome_attributes
from bfio.omezarr.nodes import child, relative

__all__ = ["BATCH", "LAYOUT", "Place", "ask_levels", "image_keys", "places"]

logger = logging.getLogger("bfio.omezarr")

BATCH = 256
"""Nodes that are asked for at once, where a store is slow to answer."""
_MAX_DEPTH = 4
_MAX_ENTRIES = 100_000
LAYOUT = "bioformats2raw.layout"
"""Attribute of the root of a store of several images."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one image is.

    Attributes
    ----------
    kind : str
        ``"image"``, ``"label"``, ``"field"`` of a plate, ``"array"`` without metadata.
    key : str
        Of its group or array.
    name : str or None
        None where the image has a name of its own, or none.
    zarr_format : int
        Version to look for first.
    number : int
        Which of the group's multiscales.
    image : int or None
        Number of the Image in ``OME/METADATA.ome.xml``.
    """

    kind: str
    key: str
    name: str | None = None
    zarr_format: int = 3
    number: int = 0
    image: int | None = None


def places(documents: Documents) -> list[Place]:
    """All images of a store, labels last.

    Raises
    ------
    FormatError
        There is none, or a document is broken.
    UnsupportedError, LimitError
    """
    root = documents.node("")
    name = documents.nodes.name
    if root is None and not documents.nodes.names(""):
        raise FormatError(f"{name}: there is no Zarr store; zarr.json, .zgroup and .zarray are all missing")
    if isinstance(root, ArrayMeta):
        return [Place("array", "", None, root.zarr_format)]
    found = _bounded(documents, _of_group(documents, root) if root else _unlisted(documents, "", 3, 0))
    if not found:
        raise FormatError(f"{name}: the store has no image and no array")
    return [*found, *_bounded(documents, _labels_of_all(documents, found))]


def _bounded(documents: Documents, found: Iterator[Place]) -> list[Place]:
    kept: list[Place] = []
    for place in found:
        if len(kept) >= documents.limits.ifd_count:
            raise LimitError(f"{documents.nodes.name}: more images than the limit ifd_count, which is {len(kept):,}")
        kept.append(place)
    return kept


def _of_group(documents: Documents, group: Group) -> Iterator[Place]:
    """Images of the root group, by the first of its roles that is known."""
    ome = ome_attributes(group)
    version = group.zarr_format
    if "plate" in ome:
        yield from _plate(documents, group, ome["plate"])
    elif "well" in ome:
        yield from _well(documents, group, "")
    elif "multiscales" in ome:
        kind = "label" if "image-label" in ome else "image"
        ask_levels(documents, group)
        for number in range(len(multiscales_of(group))):
            yield Place(kind, group.key, None, version, number, number)
    elif LAYOUT in ome or LAYOUT in group.attributes:
        yield from _several(documents, group)
    elif "labels" in ome:
        yield from _labels(documents, group, "")
    else:
        yield from _unlisted(documents, group.key, version, 0)


def ask_levels(documents: Documents, group: Group) -> None:
    """Ask for the arrays of an image."""
    if documents.is_slow:
        paths = [child(group.key, path) for image in multiscales_of(group) for path in image.paths]
        documents.ask_nodes(paths, group.zarr_format, ARRAY_NAMES)


def _asked(documents: Documents, keys: list[str], zarr_format: int) -> Iterator[str]:
    """Keys of nodes one by one, asked for some at a time."""
    for number, key in enumerate(keys):
        if number % BATCH == 0:
            documents.ask_nodes(keys[number : number + BATCH], zarr_format)
        yield key


def _several(documents: Documents, group: Group) -> Iterator[Place]:
    """Layout of bioformats2raw."""
    for number, key in enumerate(image_keys(documents, group)):
        yield Place("image", key, None, group.zarr_format, 0, number)


def image_keys(documents: Documents, group: Group) -> list[str]:
    """Keys of the images of a store of several: those that ``OME`` lists, else 0, 1, 2 and so on."""
    listed = _listed_series(documents, group)
    if listed is None:
        listed = []
        for number in count():
            if number % 8 == 0:
                documents.ask_nodes(map(str, range(number, number + 8)), group.zarr_format)
            if number >= _MAX_ENTRIES or not documents.has(str(number), group.zarr_format):
                break
            listed.append(str(number))
    return listed


def _listed_series(documents: Documents, group: Group) -> list[str] | None:
    """Keys of the images that the group ``OME`` lists, if it does."""
    documents.ask_nodes(["OME"], group.zarr_format)
    inner = documents.node_like("OME", group.zarr_format)
    listed = ome_attributes(inner).get("series") if isinstance(inner, Group) else None
    if not isinstance(inner, Group) or listed is None:
        return None
    if not isinstance(listed, list):
        raise FormatError(f"{inner.where}: series must be a list of paths, but is {kind_of(listed)}")
    return list(dict.fromkeys(relative(path, inner.where) for path in _bounded_list(listed, inner.where))) or None


def _plate(documents: Documents, group: Group, plate: Any) -> Iterator[Place]:
    """Fields of all wells; the groups of the images themselves are not looked at."""
    wells = plate.get("wells") if isinstance(plate, Mapping) else None
    if not isinstance(wells, list):
        raise FormatError(f"{group.where}: plate must be an object with a list of wells")
    order = {key: number for number, key in enumerate(_listed_series(documents, group) or ())}
    n_found, refused = 0, None
    for key in _asked(documents, _paths(wells, "wells", group.where), group.zarr_format):
        try:
            for place in _well(documents, _group(documents, key, group.zarr_format), key):
                n_found += 1
                yield Place(place.kind, place.key, place.key, place.zarr_format, 0, order.get(place.key))
        except (FormatError, UnsupportedError) as error:
            logger.warning("%s: the well %s is left out: %s", documents.nodes.name, key, error)
            refused = refused or error
    if refused is not None and not n_found:
        raise refused


def _group(documents: Documents, key: str, zarr_format: int) -> Group:
    node = documents.node(key, zarr_format)
    if not isinstance(node, Group):
        raise FormatError(f"{documents.where(key)}: there is no group; its zarr.json or .zgroup is missing")
    return node


def _well(documents: Documents, group: Group, prefix: str) -> Iterator[Place]:
    well = ome_attributes(group).get("well")
    images = well.get("images") if isinstance(well, Mapping) else None
    if not isinstance(images, list):
        raise FormatError(f"{group.where}: well must be an object with a list of images")
    for name in _paths(images, "images", group.where):
        yield Place("field", child(prefix, name), name, group.zarr_format)


def _paths(entries: list[Any], what: str, where: str) -> list[str]:
    """Paths of a list of objects, each once."""
    found: dict[str, None] = {}
    for entry in _bounded_list(entries, where):
        if not isinstance(entry, Mapping) or "path" not in entry:
            raise FormatError(f"{where}: an entry of {what} must be an object with a path")
        found[relative(entry["path"], where)] = None
    return list(found)


def _bounded_list(entries: list[Any], where: str) -> list[Any]:
    if len(entries) > _MAX_ENTRIES:
        raise LimitError(f"{where}: a list of {len(entries):,} images; {_MAX_ENTRIES:,} are the most")
    return entries


def _labels_of_all(documents: Documents, found: list[Place]) -> Iterator[Place]:
    """Labels of all images. Where their list is broken, the images are still there."""
    with_labels = [place for place in found if place.kind in ("image", "field") and place.number == 0]
    for number, place in enumerate(with_labels):
        key = child(place.key, "labels")
        if number % BATCH == 0:
            for other in with_labels[number : number + BATCH]:
                documents.ask_nodes([child(other.key, "labels"), other.key], other.zarr_format)
        try:
            group = documents.node_like(key, place.zarr_format)
            if isinstance(group, Group) and "labels" in ome_attributes(group):
                yield from _labels(documents, group, key)
        except (FormatError, UnsupportedError, PermissionError) as error:
            logger.warning("%s: labels are left out: %s", documents.nodes.name, error)


def _labels(documents: Documents, group: Group, key: str) -> Iterator[Place]:
    listed = ome_attributes(group)["labels"]
    if not isinstance(listed, list):
        raise FormatError(f"{group.where}: labels must be a list of paths, but is {kind_of(listed)}")
    for path in dict.fromkeys(relative(path, group.where) for path in _bounded_list(listed, group.where)):
        name = child(key, path)
        yield Place("label", name, name, group.zarr_format)


def _unlisted(documents: Documents, key: str, zarr_format: int, depth: int) -> Iterator[Place]:
    """Images and arrays below a group that says nothing of them, by name."""
    names = documents.nodes.names(key)
    names = [str(number) for number in range(64)] if names is None else sorted(names, key=_natural)
    below_all = [child(key, name) for name in names[:_MAX_ENTRIES] if not _is_other(name)]
    for below in _asked(documents, below_all, zarr_format):
        try:
            node = documents.node(below, zarr_format)
            is_image = isinstance(node, Group) and "multiscales" in ome_attributes(node)
        except (FormatError, UnsupportedError):
            yield Place("array", below, below, zarr_format)  # for whoever reads it to say why it can not be read
            continue
        if isinstance(node, ArrayMeta):
            yield Place("array", below, below, node.zarr_format)
        elif is_image:
            yield Place("image", below, below, zarr_format)
        elif node is not None and depth < _MAX_DEPTH:
            yield from _unlisted(documents, below, node.zarr_format, depth + 1)


def _is_other(name: str) -> bool:
    """Whether what has this name is no image that nobody tells of."""
    return name.startswith(".") or name in ("zarr.json", "OME", "labels")


def _natural(name: str) -> tuple[Any, ...]:
    """Sorts 10 behind 9."""
    return tuple(int(part) if number % 2 else part for number, part in enumerate(re.split(r"([0-9]{1,18})", name)))

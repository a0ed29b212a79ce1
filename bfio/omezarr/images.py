"""``multiscales``, the description of an image: OME-Zarr 0.1 to 0.5, and what is alike in 0.6."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bfio.errors import FormatError, UnsupportedError
from bfio.omezarr.axes import Axis, letters, read_axes
from bfio.omezarr.document import Group, kind_of
from bfio.omezarr.nodes import relative
from bfio.omezarr.omero import Shown, clean_text, read_omero
from bfio.omezarr.transforms import Placement, read_transforms

__all__ = ["Multiscale", "multiscales_of", "ome_attributes"]

_KNOWN = re.compile(r"0\.[1-6](?![0-9])")
_MAX_LEVELS = 64
_MAX_IMAGES = 64


@dataclass(frozen=True, slots=True)
class Multiscale:
    """One image of a group, as it is told.

    Attributes
    ----------
    name, version : str or None
    axes : str or None
        Letters; None where no axes are told (0.1, 0.2): the axes are ``tczyx``.
    units : tuple of str or None
        Names of units, one for each axis; empty where no axes are told.
    paths : tuple of str
        Of the arrays, below the group.
    placements : tuple of Placement
        Of the arrays.
    shown : Shown
        Channels and their windows.
    downsample : str or None
        How a level was made of the one before.
    """

    name: str | None
    version: str | None
    axes: str | None
    units: tuple[str | None, ...]
    paths: tuple[str, ...]
    placements: tuple[Placement, ...]
    shown: Shown
    downsample: str | None = None


def ome_attributes(group: Group) -> Mapping[str, Any]:
    """The attributes of a group that concern OME-Zarr: those below ``ome`` (0.5), or all of them."""
    ome = group.attributes.get("ome")
    if ome is None:
        return group.attributes
    if not isinstance(ome, dict):
        raise FormatError(f"{group.where}: ome must be an object, but is {kind_of(ome)}")
    return ome


def multiscales_of(group: Group) -> tuple[Multiscale, ...]:
    """Images of a group; none where it does not say that it has some.

    Raises
    ------
    FormatError
        What is needed to read pixels is missing or broken. Broken names, colours and sizes are merely unknown.
    UnsupportedError
        A version or axes that can not be read.
    """
    ome = ome_attributes(group)
    if "multiscales" not in ome:
        return ()
    entries = ome["multiscales"]
    if not isinstance(entries, list) or not entries:
        raise FormatError(f"{group.where}: multiscales must be a list with an image, but is {_told(entries)}")
    if len(entries) > _MAX_IMAGES:
        raise FormatError(f"{group.where}: multiscales has {len(entries)} images; {_MAX_IMAGES} are the most")
    shown = read_omero(ome.get("omero"), group.where)
    return tuple(_multiscale(entry, ome, shown, group.where) for entry in entries)


def _told(value: Any) -> str:
    return "empty" if value == [] else kind_of(value)


def _multiscale(entry: Any, ome: Mapping[str, Any], shown: Shown, where: str) -> Multiscale:
    if not isinstance(entry, Mapping):
        raise FormatError(f"{where}: an entry of multiscales must be an object, but is {kind_of(entry)}")
    version = _version(entry, ome, where)
    datasets = entry.get("datasets")
    if not isinstance(datasets, list) or not datasets:
        raise FormatError(f"{where}: datasets must be a list of the levels, but is {_told(datasets)}")
    if len(datasets) > _MAX_LEVELS:
        raise FormatError(f"{where}: datasets has {len(datasets)} levels; {_MAX_LEVELS} are the most")
    axes = _axes(entry, datasets, where)
    after = read_transforms(entry.get("coordinateTransformations"), len(axes), where) if axes else Placement()
    return Multiscale(
        clean_text(entry.get("name")),
        version,
        letters(axes, where) if axes else None,
        tuple(axis.unit for axis in axes or ()),
        tuple(_path(dataset, where) for dataset in datasets),
        tuple(_placement(dataset, axes, where).then(after) for dataset in datasets),
        shown,
        clean_text(entry.get("type")),
    )


def _version(entry: Mapping[str, Any], ome: Mapping[str, Any], where: str) -> str | None:
    """Version of OME-Zarr; one that is not known is refused, for its meaning may be another."""
    version = ome.get("version", entry.get("version"))
    if isinstance(version, int | float) and not isinstance(version, bool):
        version = str(version)
    if version is None:
        return None
    if not isinstance(version, str):
        raise FormatError(f"{where}: version must be text, but is {kind_of(version)}")
    if not _KNOWN.match(version):
        raise UnsupportedError(f"{where}: OME-Zarr {version[:20]!r} is not known; bfio reads 0.1 to 0.5")
    return version


def _axes(entry: Mapping[str, Any], datasets: list[Any], where: str) -> tuple[Axis, ...] | None:
    if entry.get("axes") is not None:
        return read_axes(entry["axes"], where)
    systems = entry.get("coordinateSystems")
    if systems is None:
        return None
    return _axes_of_systems(systems, datasets, where)


def _axes_of_systems(systems: Any, datasets: list[Any], where: str) -> tuple[Axis, ...]:
    """Axes by 0.6, where the levels lie in one of several coordinate systems: the one that all of them lead to."""
    names: dict[str, Any] = {}
    for system in systems if isinstance(systems, list) else []:
        if isinstance(system, Mapping) and isinstance(system.get("name"), str):
            names[system["name"]] = system.get("axes")
    if not names:
        raise FormatError(f"{where}: coordinateSystems must be a list of objects with name and axes")
    if len(names) == 1:
        return read_axes(next(iter(names.values())), where)
    outputs = {_output(dataset) for dataset in datasets if isinstance(dataset, Mapping)}
    if len(outputs) != 1 or not outputs <= names.keys():
        raise UnsupportedError(f"{where}: the levels lie in different coordinate systems, which bfio can not read")
    return read_axes(names[outputs.pop() or ""], where)


def _output(dataset: Mapping[str, Any]) -> str | None:
    transforms = dataset.get("coordinateTransformations")
    last = transforms[-1] if isinstance(transforms, list) and transforms else None
    output = last.get("output") if isinstance(last, Mapping) else None
    if isinstance(output, Mapping):
        output = output.get("name")
    return output if isinstance(output, str) else None


def _path(dataset: Any, where: str) -> str:
    if not isinstance(dataset, Mapping) or "path" not in dataset:
        raise FormatError(f"{where}: an entry of datasets must be an object with a path")
    return relative(dataset["path"], where)


def _placement(dataset: Mapping[str, Any], axes: tuple[Axis, ...] | None, where: str) -> Placement:
    return read_transforms(dataset.get("coordinateTransformations"), len(axes), where) if axes else Placement()

"""Identifiers of OME-XML: every ID has the form ``Kind:something``, and references follow."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from bfio.omexml.tree import local_name, own_elements

__all__ = ["fix", "kind_of", "new_id", "reference_kind"]

_LIGHT_SOURCES = ("Laser", "Arc", "Filament", "LightEmittingDiode", "GenericExcitationSource")
_SHAPES = ("Ellipse", "Label", "Line", "Mask", "Point", "Polygon", "Polyline", "Rectangle")
_ANNOTATIONS = ("XML", "File", "List", "Long", "Double", "Comment", "Boolean", "Timestamp", "Tag", "Term", "Map")
_PLAIN = (
    "Image", "Pixels", "Channel", "Instrument", "Detector", "Objective", "Filter", "FilterSet", "Dichroic",
    "Experiment", "Experimenter", "ExperimenterGroup", "Project", "Dataset", "Folder", "Plate", "PlateAcquisition",
    "Well", "WellSample", "Screen", "Reagent", "ROI", "MicrobeamManipulation",
)  # fmt: skip
_KINDS: dict[str, str] = {
    **{name: name for name in _PLAIN},
    **dict.fromkeys(_LIGHT_SOURCES, "LightSource"),
    **dict.fromkeys(_SHAPES, "Shape"),
    **{f"{name}Annotation": "Annotation" for name in _ANNOTATIONS},
}
_REFERENCES: dict[str, str] = {
    **{f"{name}Ref": name for name in _PLAIN},
    "AnnotationRef": "Annotation",
    "DetectorSettings": "Detector",
    "ObjectiveSettings": "Objective",
    "LightSourceSettings": "LightSource",
    "Pump": "LightSource",
    "ExcitationFilterRef": "Filter",
    "EmissionFilterRef": "Filter",
    "Leader": "Experimenter",
    "Contact": "Experimenter",
}
_NEEDED = ("Image", "Pixels", "Channel")
_LSID = re.compile(r"urn:lsid:([\w\-.]+\.[\w\-.]+)+:\S+")


def kind_of(name: str) -> str | None:
    """Kind of identifier that elements of this name have: ``"LightSource"`` for a Laser; None for other elements."""
    return _KINDS.get(name)


def reference_kind(name: str) -> str | None:
    """Kind of identifier that the ID of elements of this name refers to; None where they are no references."""
    return _REFERENCES.get(name)


def fix(root: Element) -> None:
    """Give every element whose ID has the wrong form another one, and its references too.

    Image, Pixels and Channel get an ID where they have none; elements of other kinds may do without.
    """
    elements = [(local_name(element), element) for element in own_elements(root)]
    used = {element.get("ID", "") for name, element in elements if name in _KINDS}
    renamed: dict[tuple[str, str], str] = {}
    for name, element in elements:
        kind = _KINDS.get(name)
        old = element.get("ID")
        if kind is None or (old is None and name not in _NEEDED) or _is_valid(kind, old):
            continue
        new = new_id(kind, old or "", used)
        used.add(new)
        element.set("ID", new)
        if old:
            renamed.setdefault((kind, old), new)
    for name, element in elements:
        kind = _REFERENCES.get(name)
        if kind is not None and (kind, element.get("ID", "")) in renamed:
            element.set("ID", renamed[kind, element.get("ID", "")])


def _is_valid(kind: str, identifier: str | None) -> bool:
    if identifier is None:
        return False
    if identifier.startswith("urn:lsid:"):
        return f":{kind}:" in identifier and _LSID.fullmatch(identifier) is not None
    return re.fullmatch(rf"{kind}:\S+", identifier) is not None


def new_id(kind: str, old: str, used: set[str]) -> str:
    """Keep the number (or word) that the old one ends with where that is unique, else count."""
    tail = re.sub(r"\s+", "_", old.rpartition(":")[2].strip())
    if tail.isascii() and tail.isdecimal() and f"{kind}:{tail}" not in used:
        return f"{kind}:{tail}"
    number = 0
    while f"{kind}:{number}" in used:
        number += 1
    return f"{kind}:{number}"

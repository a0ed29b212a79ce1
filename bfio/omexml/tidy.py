"""Slips of hand-made OME-XML that make a whole document invalid: elements said twice, identifiers, stray text."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from bfio.omexml.identifiers import kind_of, new_id
from bfio.omexml.tree import local_name, own_elements, qualified

__all__ = ["drop_text", "identify", "keep_known"]

_REPEATED = frozenset(
    ("Experiment", "Experimenter", "ExperimenterGroup", "Instrument", "ROI", "ROIRef", "MicrobeamManipulationRef",
     "AnnotationRef", "Image")
)  # fmt: skip


def keep_known(element: Element, names: Sequence[str]) -> None:
    """Leave the children that the schema has, in its order, and one of those that it wants once."""
    children = []
    for name in names:
        found = element.findall(qualified(name))
        children += found if name in _REPEATED else found[:1]
    element[:] = children


def identify(root: Element) -> None:
    """Give an ID to each element that needs one; of two that have the same one, the first stays."""
    used: set[tuple[str, str]] = set()
    for parent in list(own_elements(root)):
        for child in list(parent):
            kind = kind_of(local_name(child))
            if kind is None:
                continue
            if "ID" not in child.attrib:
                child.set("ID", new_id(kind, "", {identifier for _, identifier in used}))
            if (kind, child.attrib["ID"]) in used:
                parent.remove(child)
            used.add((kind, child.attrib["ID"]))


def drop_text(root: Element) -> None:
    """Remove text between elements; the schema has it only inside of those without children."""
    for element in own_elements(root):
        if element.tail and not element.tail.isspace():
            element.tail = None
        if len(element) and element.text and not element.text.isspace():
            element.text = None

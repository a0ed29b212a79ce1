"""What others put into annotations keeps its namespace when a tree becomes text."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from bfio.omexml.text import OME_NAMESPACE

__all__ = ["mark_foreign"]


def mark_foreign(root: Element) -> None:
    """Declare, where it changes, whether names without a prefix are those of OME or of no namespace.

    ElementTree writes both kinds without a prefix, and would make the second one into the first.
    """
    stack = [(root, True)]
    while stack:
        element, in_ome = stack.pop()
        namespace = element.tag.rpartition("}")[0].lstrip("{")
        if not namespace and in_ome:
            element.set("xmlns", "")
            in_ome = False
        elif namespace == OME_NAMESPACE and not in_ome:
            element.set("xmlns", OME_NAMESPACE)
            in_ome = True
        stack.extend((child, in_ome) for child in element)

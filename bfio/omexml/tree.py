"""Small tools for element trees of OME-XML in the namespace of 2016-06."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from bfio.omexml.text import OME_NAMESPACE

__all__ = ["local_name", "own_elements", "qualified"]


def qualified(name: str) -> str:
    """Name with the namespace of OME."""
    return f"{{{OME_NAMESPACE}}}{name}"


def local_name(element: Element) -> str:
    """Name without its namespace."""
    return element.tag.rpartition("}")[2]


def own_elements(root: Element) -> Iterator[Element]:
    """Elements of the schema in document order, without what is embedded in annotations."""
    stack = [root]
    while stack:
        element = stack.pop()
        yield element
        if local_name(element) != "XMLAnnotation":
            stack.extend(reversed(element))

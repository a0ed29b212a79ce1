"""An element tree becomes a document in the namespace of 2016-06."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from bfio._version import __version__
from bfio.omexml.embedded import mark_foreign
from bfio.omexml.text import OME_NAMESPACE

__all__ = ["sign", "to_text"]

_XSI = "http://www.w3.org/2001/XMLSchema-instance"


def sign(root: Element) -> None:
    """Replace the attributes of the root by those of a document that bfio makes."""
    root.attrib.clear()
    root.set("Creator", f"bfio {__version__}")
    root.set(f"{{{_XSI}}}schemaLocation", f"{OME_NAMESPACE} {OME_NAMESPACE}/ome.xsd")


def to_text(root: Element) -> str:
    """The whole document; names without a prefix are those of OME, save in what others put into annotations."""
    ElementTree.register_namespace("", OME_NAMESPACE)
    ElementTree.register_namespace("xsi", _XSI)
    mark_foreign(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}'

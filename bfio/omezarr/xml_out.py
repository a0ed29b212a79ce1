"""OME-XML of a Zarr store: it describes an image, and says nothing of where its planes are."""

from __future__ import annotations

import math
from xml.etree import ElementTree

from bfio.omexml.clean import clean_tree
from bfio.omexml.output import to_text
from bfio.omexml.tree import qualified

__all__ = ["metadata_only"]

_PLACES = frozenset(map(qualified, ("BinData", "TiffData", "MetadataOnly")))


def metadata_only(xml: str) -> tuple[str, tuple[float, str] | None]:
    """The document with ``MetadataOnly`` in every image; and the time between planes with its unit, if it tells one.

    Raises
    ------
    FormatError
        It is no OME-XML.
    """
    root = clean_tree(xml)
    time = None
    for pixels in root.iterfind(f"{qualified('Image')}/{qualified('Pixels')}"):
        children = [child for child in pixels if child.tag not in _PLACES]
        n_channels = sum(child.tag == qualified("Channel") for child in children)
        children.insert(n_channels, ElementTree.Element(qualified("MetadataOnly")))
        pixels[:] = children
        time = time or _time(pixels)
    return to_text(root), time


def _time(pixels: ElementTree.Element) -> tuple[float, str] | None:
    try:
        value = float(pixels.get("TimeIncrement", ""))
    except ValueError:
        return None
    return (value, pixels.get("TimeIncrementUnit", "s")) if 0 < value < math.inf else None

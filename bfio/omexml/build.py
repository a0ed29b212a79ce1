"""The OME-XML of a file that is written: one image, in the schema 2016-06, from its description and that of a source.

Nothing here needs a model, a clock or a random number: the same image gives the same text.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from bfio.errors import FormatError, UsageError
from bfio.metadata import Channel, Length, Series
from bfio.omexml.clean import CHILDREN, clean_tree
from bfio.omexml.output import sign, to_text
from bfio.omexml.pixel_types import ome_type_of
from bfio.omexml.references import drop_dangling, keep_own
from bfio.omexml.text import printable
from bfio.omexml.tidy import drop_text, identify, keep_known
from bfio.omexml.tree import local_name, qualified
from bfio.omexml.values import clean_attributes
from bfio.units import normalise

__all__ = ["Picked", "build_xml"]

_ROOT_CHILDREN = (
    "Rights", "Experiment", "Experimenter", "ExperimenterGroup", "Instrument", "Image", "StructuredAnnotations", "ROI",
)  # fmt: skip
_OLD_ROOT_CHILDREN = ("Rights", "Image", "StructuredAnnotations")
"""Of schemas where the others look different."""
_OLD_SCHEMA = re.compile(r"openmicroscopy\.org/(?:xml)?schemas/ome/(?:fc|200\d|201[0-2])", re.IGNORECASE)


class Picked(NamedTuple):
    """Indices of the source that the planes of the file come from, where it does not hold all of them."""

    t: Sequence[int]
    c: Sequence[int]
    z: Sequence[int]


def build_xml(
    series: Series, name: str, base: str | None = None, *, index: int = 0, picked: Picked | None = None
) -> str:
    """OME-XML of a file with one image.

    Parameters
    ----------
    series : Series
        Sizes, dtype, samples and physical sizes; also the names and colours of channels, where it has channels.
    name : str
        Name of the image: that of the file.
    base : str, optional
        OME-XML of a source, of any schema. What it says of the image and is still true is kept.
    index : int
        Image of `base` to take.
    picked : Picked, optional
        Which planes and channels of `base` the file has, where these are not the first ones.

    Returns
    -------
    str
        With one TiffData for all planes in the order XYZCT.

    Raises
    ------
    FormatError, LimitError
        `base` is no OME-XML.
    UsageError
        `base` has no such image.
    """
    root, image = _new() if base is None else _taken(base, index)
    sign(root)
    image.attrib.clear()
    image.attrib.update({"ID": "Image:0", "Name": printable(name)})
    _describe_pixels(_child(image, "Pixels"), series, picked)
    drop_dangling(root)
    return to_text(root)


def _new() -> tuple[Element, Element]:
    root = Element(qualified("OME"))
    return root, SubElement(root, qualified("Image"))


def _taken(base: str, index: int) -> tuple[Element, Element]:
    """Document with one image of `base`, and that image."""
    root = clean_tree(base)
    if root.tag != qualified("OME"):
        raise FormatError(f"not OME-XML: the root element is {root.tag[:80]!r}")
    images = root.findall(qualified("Image"))
    if not 0 <= index < len(images):
        raise UsageError(f"the metadata describe {len(images)} images, so there is no image {index}")
    image = images[index]
    keep_own(root, image)
    keep_known(root, _OLD_ROOT_CHILDREN if _OLD_SCHEMA.search(base, 0, 4096) else _ROOT_CHILDREN)
    keep_known(image, CHILDREN["Image"])
    identify(root)
    drop_text(root)
    return root, image


def _child(parent: Element, name: str) -> Element:
    found = parent.find(qualified(name))
    return SubElement(parent, qualified(name)) if found is None else found


def _describe_pixels(pixels: Element, series: Series, picked: Picked | None) -> None:
    """Fill Pixels in: attributes, then Channel, TiffData and Plane elements."""
    before, children = dict(pixels.attrib), list(pixels)
    channels = [child for child in children if child.tag == qualified("Channel")]
    planes = [child for child in children if child.tag == qualified("Plane")]
    pixels.attrib.clear()
    pixels.attrib.update(_pixels_attributes(series, before))
    pixels.text = pixels.tail = None
    n_planes = series.size_t * series.size_c * series.size_z
    tiff_data = Element(qualified("TiffData"), {"IFD": "0", "PlaneCount": str(n_planes)})
    pixels[:] = [*_channels(channels, series, picked), tiff_data, *_planes(planes, series, picked)]


def _pixels_attributes(series: Series, before: dict[str, str]) -> dict[str, str]:
    pixel_type = ome_type_of(series.dtype)
    found = {
        "ID": "Pixels:0",
        "DimensionOrder": "XYZCT",
        "Type": pixel_type,
        "BigEndian": _boolean(sys.byteorder == "big"),
        "Interleaved": _boolean(series.samples > 1),
        "SizeX": str(series.size_x),
        "SizeY": str(series.size_y),
        "SizeZ": str(series.size_z),
        "SizeC": str(series.size_c * series.samples),
        "SizeT": str(series.size_t),
    }
    for axis in "XYZ":
        found.update(_physical_size(axis, getattr(series, f"physical_size_{axis.lower()}")))
    kept = clean_attributes("Pixels", before)
    if _bits_fit(kept.get("SignificantBits"), series.dtype):
        found["SignificantBits"] = kept["SignificantBits"]
    found.update({name: kept[name] for name in ("TimeIncrement", "TimeIncrementUnit") if name in kept})
    return found


def _physical_size(axis: str, length: Length) -> dict[str, str]:
    value, unit = length
    if value is None or not (0 < value < math.inf):
        return {}
    return {f"PhysicalSize{axis}": repr(float(value)), f"PhysicalSize{axis}Unit": normalise(unit)}


def _bits_fit(bits: str | None, dtype: np.dtype) -> bool:
    return bits is not None and dtype.kind in "iu" and int(bits) <= 8 * min(dtype.itemsize, 4)


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _channels(before: list[Element], series: Series, picked: Picked | None) -> list[Element]:
    """One Channel for each plane along C, on what was said of it before."""
    found = []
    for c in range(series.size_c):
        source = c if picked is None else picked.c[c]
        known = before[source] if source < len(before) else None
        given = series.channels[c] if c < len(series.channels) else None
        channel = Element(qualified("Channel"), {"ID": f"Channel:0:{c}"})
        if known is not None:
            channel[:] = known[:]
            keep_known(channel, CHILDREN["Channel"])
            channel.attrib |= clean_attributes("Channel", known.attrib)
        _describe_channel(channel, given, series.samples)
        found.append(channel)
    return found


def _describe_channel(channel: Element, given: Channel | None, samples: int) -> None:
    channel.set("SamplesPerPixel", str(samples))
    if given is None:
        return
    channel.attrib.pop("Name", None)
    if given.name is not None:
        channel.set("Name", printable(given.name))
    if given.color is not None:
        channel.set("Color", str(given.color))


def _planes(before: list[Element], series: Series, picked: Picked | None) -> list[Element]:
    """Plane elements that carry data, for planes that the file has."""
    if picked is None:
        picked = Picked(range(series.size_t), range(series.size_c), range(series.size_z))
    places = [_places(picked.z), _places(picked.c), _places(picked.t)]
    found: dict[tuple[int, int, int], Element] = {}
    for plane in before:
        where = _indices(plane)
        if where is None:
            continue
        attributes = clean_attributes("Plane", plane.attrib)
        references = [child for child in plane if local_name(child) == "AnnotationRef"]
        if not (references or any(not name.endswith("Unit") for name in attributes)):
            continue
        for z in places[0].get(where[0], ()):
            for c in places[1].get(where[1], ()):
                for t in places[2].get(where[2], ()):
                    element = Element(qualified("Plane"), {"TheZ": str(z), "TheC": str(c), "TheT": str(t)})
                    element.attrib |= attributes
                    element.extend(references)
                    found.setdefault((t, c, z), element)
    return [found[where] for where in sorted(found)]


def _indices(plane: Element) -> tuple[int, ...] | None:
    """TheZ, TheC and TheT."""
    try:
        return tuple(int(plane.attrib[name]) for name in ("TheZ", "TheC", "TheT"))
    except (KeyError, ValueError):
        return None


def _places(indices: Sequence[int]) -> dict[int, list[int]]:
    """Where in the file the planes of a source stand; an index may be picked more than once."""
    found: dict[int, list[int]] = {}
    for place, index in enumerate(indices):
        found.setdefault(index, []).append(place)
    return found

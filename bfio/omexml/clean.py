"""Known mistakes of OME-XML in real files, put right: what comes out is in the namespace of 2016-06."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

from bfio.errors import FormatError
from bfio.limits import Limits
from bfio.omexml import identifiers
from bfio.omexml.text import OME_NAMESPACE, well_formed
from bfio.omexml.tree import local_name, own_elements, qualified
from bfio.units import normalise, undo_double_encoding

__all__ = ["CHILDREN", "clean", "clean_tree"]

Element = ElementTree.Element

_OF_OME = re.compile(r"openmicroscopy\.org/(?:xml)?schemas/", re.IGNORECASE)
CHILDREN: dict[str, tuple[str, ...]] = {
    "Image": (
        "AcquisitionDate", "ExperimenterRef", "Description", "ExperimentRef", "ExperimenterGroupRef", "InstrumentRef",
        "ObjectiveSettings", "ImagingEnvironment", "StageLabel", "Pixels", "ROIRef", "MicrobeamManipulationRef",
        "AnnotationRef",
    ),
    "Pixels": ("Channel", "BinData", "TiffData", "MetadataOnly", "Plane"),
    "Channel": ("LightSourceSettings", "DetectorSettings", "FilterSetRef", "AnnotationRef", "LightPath"),
    "Plane": ("HashSHA1", "AnnotationRef"),
}  # fmt: skip
_LENGTH_UNIT = re.compile(r"(PhysicalSize|Position|ReferenceFrame)[XYZ]Unit")
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?")
# Annotations that one writer filled with a whole vendor file, in a form that no schema has.
_DROPPED_ANNOTATIONS = "alleninstitute.org/CZIMetadata"


def clean(xml: str | bytes, limits: Limits | None = None) -> str:
    """Correct known mistakes.

    Encoding and forbidden characters, namespaces and names of older schemas, identifiers that are missing or
    have the wrong form (and the references to them), units, colours, dates, and the sequence of the children
    of Image, Pixels, Channel and Plane.

    Raises
    ------
    FormatError, LimitError
        The document is not XML even so, declares a document type, or is too large.
    """
    try:
        return ElementTree.tostring(clean_tree(xml, limits), encoding="unicode")
    except RecursionError:
        raise FormatError("OME-XML: elements are nested too deep") from None


def clean_tree(xml: str | bytes, limits: Limits | None = None) -> Element:
    """As :func:`clean`, as an element tree."""
    text = well_formed(xml, limits)
    root = ElementTree.fromstring(text.encode("utf-8", "replace"))
    ElementTree.register_namespace("", OME_NAMESPACE)
    _rename_namespace(root)
    _drop_annotations(root)
    for image in root.iterfind(qualified("Image")):
        _modernise_image(image)
    for element in list(own_elements(root)):
        fix = _FIXES.get(local_name(element))
        if fix is not None:
            fix(element)
        _fix_attributes(element)
    identifiers.fix(root)
    return root


def _rename_namespace(root: Element) -> None:
    of_root = root.tag.rpartition("}")[0]
    for element in list(own_elements(root)):
        namespace, _, name = element.tag.rpartition("}")
        if namespace == of_root or not namespace or _OF_OME.search(namespace):
            element.tag = qualified(name)
    for annotation in root.iter(qualified("XMLAnnotation")):
        for child in annotation:  # Description, Value, AnnotationRef; what is inside of Value belongs to others
            child.tag = qualified(local_name(child))
    for name in [name for name in root.attrib if name.endswith("schemaLocation")]:
        del root.attrib[name]


def _drop_annotations(root: Element) -> None:
    annotations = root.find(qualified("StructuredAnnotations"))
    if annotations is None:
        return
    dropped = {a.get("ID") for a in annotations if a.get("Namespace") == _DROPPED_ANNOTATIONS}
    if dropped:
        for parent in list(own_elements(root)):
            for child in list(parent):
                if local_name(child) in ("XMLAnnotation", "AnnotationRef") and child.get("ID") in dropped:
                    parent.remove(child)
    if len(annotations) == 0:
        root.remove(annotations)


def _modernise_image(image: Element) -> None:
    """Names of the schemas of 2003 to 2009."""
    pixels = image.find(qualified("Pixels"))
    if pixels is None:
        return
    for date in [*image.iterfind(qualified("CreationDate")), *image.iterfind(qualified("AcquiredDate"))]:
        date.tag = qualified("AcquisitionDate")
    has_channels = pixels.find(qualified("Channel")) is not None
    for channel in image.findall(qualified("LogicalChannel")):
        image.remove(channel)
        if not has_channels:
            pixels.append(Element(qualified("Channel"), channel.attrib))
    for axis in "XYZ":
        if "PixelSize" + axis in image.attrib:
            pixels.attrib.setdefault("PhysicalSize" + axis, image.attrib.pop("PixelSize" + axis))


def _fix_attributes(element: Element) -> None:
    for name, value in element.attrib.items():
        if _LENGTH_UNIT.fullmatch(name):
            element.set(name, normalise(value))
        elif name.endswith("Unit"):
            element.set(name, undo_double_encoding(value).replace("\u03bc", "µ").strip())
        elif value in ("True", "False", "TRUE", "FALSE"):
            element.set(name, value.lower())


def _sort_children(element: Element) -> None:
    rank = {qualified(name): index for index, name in enumerate(CHILDREN[local_name(element)])}
    element[:] = sorted(element, key=lambda child: rank.get(child.tag, len(rank)))


def _fix_pixels(pixels: Element) -> None:
    if "PixelType" in pixels.attrib:
        pixels.attrib.setdefault("Type", pixels.attrib.pop("PixelType"))
    pixels.set("Type", pixels.get("Type", "").strip().lower())
    pixels.set("DimensionOrder", pixels.get("DimensionOrder", "").strip().upper())
    for axis in "XYZ":
        name = "PhysicalSize" + axis
        if name in pixels.attrib:
            pixels.set(name, pixels.attrib[name].strip().replace(",", "."))
    _keep_one_storage(pixels)
    _sort_children(pixels)


def _keep_one_storage(pixels: Element) -> None:
    """Of BinData, TiffData and MetadataOnly the schema wants one; empty ones beside TiffData say nothing."""
    if pixels.find(qualified("TiffData")) is None:
        return
    for child in [*pixels.iterfind(qualified("MetadataOnly")), *pixels.iterfind(qualified("BinData"))]:
        if len(child) == 0 and not (child.text or "").strip():
            pixels.remove(child)


def _fix_tiff_data(block: Element) -> None:
    if "NumPlanes" in block.attrib:
        block.attrib.setdefault("PlaneCount", block.attrib.pop("NumPlanes"))


def _fix_channel(channel: Element) -> None:
    color = channel.attrib.pop("Color", "")
    if re.fullmatch(r"\s*-?\d{1,10}\s*", color) and -(1 << 31) <= int(color) < 1 << 32:
        channel.set("Color", str(int(color) - (1 << 32) if int(color) >= 1 << 31 else int(color)))
    if channel.get("SamplesPerPixel", "1").strip() in ("", "0"):
        del channel.attrib["SamplesPerPixel"]
    _sort_children(channel)


def _fix_image(image: Element) -> None:
    for date in image.findall(qualified("AcquisitionDate")):
        match = _DATE.fullmatch((date.text or "").strip())
        if match is None:
            image.remove(date)
        else:
            date.text = f"{match[1]}T{match[2]}{match[3] or ''}{match[4] or ''}"
    _sort_children(image)


_FIXES: dict[str, Callable[[Element], None]] = {
    "Image": _fix_image,
    "Pixels": _fix_pixels,
    "Channel": _fix_channel,
    "TiffData": _fix_tiff_data,
    "Plane": _sort_children,
}

"""What belongs to one image of an OME-XML document: elements that it refers to, and references that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element

from bfio.omexml.identifiers import kind_of, reference_kind
from bfio.omexml.tree import local_name, own_elements, qualified

__all__ = ["Identity", "drop_dangling", "each_own", "identities", "keep_own", "references_of"]

_COLLECTIONS = ("Project", "Dataset", "Folder", "Plate", "Screen")
"""Elements that say how images belong together."""

_ALWAYS = ("Rights",)
_ANNOTATIONS = qualified("StructuredAnnotations")

Identity = tuple[str, str]
"""Kind and ID of an element."""


def keep_own(root: Element, image: Element) -> None:
    """Leave only one image in a document, and remove what describes the others or how images belong together.

    An instrument, an annotation or the like stays if this image refers to it, directly or not, or if no other
    image does.
    """
    entries = _entries(root)
    ours = _reached([image], entries)
    others = [child for child in root if child is not image and _goes(local_name(child))]
    theirs = _reached(others, entries)
    annotations = root.find(_ANNOTATIONS)
    for parent in (root, annotations):
        for child in list(() if parent is None else parent):
            if child in (image, annotations) or local_name(child) in _ALWAYS:
                continue
            if child in others or (id(child) in theirs and id(child) not in ours):
                parent.remove(child)  # type: ignore[union-attr]
    if annotations is not None and len(annotations) == 0:
        root.remove(annotations)


def each_own(root: Element) -> Iterator[Element]:
    """For each image of a document, the document as :func:`keep_own` leaves it; what they share is not copied."""
    entries = _entries(root)
    owners: dict[int, set[int]] = {}
    for owner in root:
        if _goes(local_name(owner)):
            for found in _reached([owner], entries):
                owners.setdefault(found, set()).add(id(owner))

    def belongs(child: Element, image: Element) -> bool:
        if _goes(local_name(child)):
            return child is image
        return local_name(child) in _ALWAYS or id(image) in owners.get(id(child), {id(image)})

    def kept(parent: Element, image: Element) -> Element:
        own = Element(parent.tag, parent.attrib)
        for child in parent:
            if child.tag == _ANNOTATIONS:
                annotations = kept(child, image)
                own.extend([annotations] if len(annotations) else [])
            elif belongs(child, image):
                own.append(child)
        return own

    for image in root.findall(qualified("Image")):
        yield kept(root, image)


def _goes(name: str) -> bool:
    return name == "Image" or name in _COLLECTIONS


def _entries(root: Element) -> dict[Identity, Element]:
    """Children of the root and annotations, by each ID that they or what is in them have."""
    tops = [child for child in root if child.tag != _ANNOTATIONS and not _goes(local_name(child))]
    annotations = root.find(_ANNOTATIONS)
    tops += [] if annotations is None else list(annotations)
    return {identity: top for top in tops for identity in identities(top)}


def _reached(start: Iterable[Element], entries: dict[Identity, Element]) -> set[int]:
    """Elements, by ``id()``, that some elements refer to, directly or through others."""
    found: set[int] = set()
    todo = list(start)
    while todo:
        for identity in references_of(todo.pop()):
            top = entries.get(identity)
            if top is not None and id(top) not in found:
                found.add(id(top))
                todo.append(top)
    return found


def identities(top: Element) -> Iterator[Identity]:
    """Kind and ID of an element and of all that are inside."""
    for element in own_elements(top):
        kind = kind_of(local_name(element))
        if kind is not None and "ID" in element.attrib:
            yield kind, element.attrib["ID"]


def references_of(top: Element) -> Iterator[Identity]:
    """What an element and all that are inside refer to."""
    for element in own_elements(top):
        kind = reference_kind(local_name(element))
        if kind is not None:
            yield kind, element.get("ID", "")
        if "Annotator" in element.attrib:
            yield "Experimenter", element.attrib["Annotator"]


def drop_dangling(root: Element) -> None:
    """Remove references to elements that are not in the document, until none is left."""
    while True:
        known = set(identities(root))
        dropped = [_drop_from(parent, known) for parent in list(own_elements(root))]
        if not any(dropped):
            return


def _drop_from(parent: Element, known: set[Identity]) -> bool:
    if ("Experimenter", parent.get("Annotator", "")) not in known:
        parent.attrib.pop("Annotator", None)
    dropped = [child for child in parent if _is_dangling(child, known) or _is_incomplete(child)]
    for child in dropped:
        parent.remove(child)
    return bool(dropped)


def _is_dangling(element: Element, known: set[Identity]) -> bool:
    kind = reference_kind(local_name(element))
    return kind is not None and (kind, element.get("ID", "")) not in known


def _is_incomplete(element: Element) -> bool:
    """Whether references were removed that the schema requires there."""
    if local_name(element) != "MicrobeamManipulation":
        return False
    return any(element.find(qualified(name)) is None for name in ("ROIRef", "ExperimenterRef"))

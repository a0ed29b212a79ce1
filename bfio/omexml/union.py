"""One OME-XML document of the images of several: what they have in common stands there once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from bfio.errors import FormatError
from bfio.omexml.clean import clean_tree
from bfio.omexml.identifiers import kind_of, reference_kind
from bfio.omexml.output import sign, to_text
from bfio.omexml.references import Identity, drop_dangling, identities, keep_own, references_of
from bfio.omexml.tree import local_name, own_elements, qualified

__all__ = ["one_image", "union"]

_ORDER = ("Rights", "Experiment", "Experimenter", "ExperimenterGroup", "Instrument", "Image", "ROI")
"""Children of the root in the sequence of the schema; annotations stand before the last."""
_ANNOTATIONS = "StructuredAnnotations"

Mapping = dict[Identity, str]
"""New IDs."""


def one_image(xml: str, index: int) -> str:
    """What of a document belongs to one of its images.

    Raises
    ------
    FormatError
        It is no OME-XML, or has no such image.
    """
    root = clean_tree(xml)
    images = root.findall(qualified("Image"))
    if not 0 <= index < len(images):
        raise FormatError(f"the OME-XML describes {len(images)} images, so there is no image {index}")
    keep_own(root, images[index])
    drop_dangling(root)
    return _signed(root)


def union(documents: Sequence[str]) -> str:
    """The images of all documents, in their order; image n gets the ID ``Image:n``.

    Instruments, annotations and the like that are the same to the letter become one.

    Raises
    ------
    FormatError
        One of them is no OME-XML.
    """
    merged = _Merged()
    for document in documents:
        merged.add(clean_tree(document))
    return _signed(merged.root())


class _Merged:
    """What was gathered so far."""

    def __init__(self) -> None:
        self._tops: dict[str, list[Element]] = {}
        self._used: set[Identity] = set()
        self._known: dict[str, tuple[Mapping, Mapping]] = {}  # by text: the new IDs, and those of what it refers to
        self._n_images = 0

    def add(self, root: Element) -> None:
        """Take over one document."""
        tops = list(_tops(root))
        texts = {id(top): ElementTree.tostring(top, encoding="unicode") for top in tops}
        shared = self._shared(tops, texts)
        mapping: Mapping = {}
        for top in tops:
            if id(top) in shared:
                mapping |= self._known[texts[id(top)]][0]
        for top in tops:
            if id(top) not in shared:
                mapping |= self._new_ids(top)
        for top in tops:
            if id(top) not in shared:
                text = texts[id(top)]
                told = {one: mapping[one] for one in references_of(top) if one in mapping}
                self._known[text] = ({one: mapping[one] for one in identities(top)}, told)
                _rename(top, mapping)
                self._keep(top)

    def _shared(self, tops: Iterable[Element], texts: dict[int, str]) -> set[int]:
        """Elements, by ``id()``, that are there already, and refer to what the ones there refer to."""
        found = {id(top): top for top in tops if local_name(top) != "Image" and texts[id(top)] in self._known}
        while True:
            mapping: Mapping = {}
            for top in found.values():
                mapping |= self._known[texts[id(top)]][0]
            differ = [
                number
                for number in found
                if any(mapping.get(one) != new for one, new in self._known[texts[number]][1].items())
            ]
            if not differ:
                return set(found)
            for number in differ:
                del found[number]

    def _new_ids(self, top: Element) -> Mapping:
        """An ID that nobody has for each element of a document's part; images are counted."""
        if local_name(top) == "Image":
            number, self._n_images = self._n_images, self._n_images + 1
            return self._image_ids(top, number)
        return {one: self._free(*one) for one in identities(top)}

    def _image_ids(self, image: Element, number: int) -> Mapping:
        found: Mapping = {}
        n_channels = 0
        for kind, old in identities(image):
            if kind == "Channel":
                new = f"Channel:{number}:{n_channels}"
                n_channels += 1
            else:
                new = f"{kind}:{number}" if kind in ("Image", "Pixels") else self._free(kind, old)
            found[kind, old] = new
        return found

    def _free(self, kind: str, old: str) -> str:
        new, number = old, 0
        while (kind, new) in self._used:
            number += 1
            new = f"{old}.{number}"
        self._used.add((kind, new))
        return new

    def _keep(self, top: Element) -> None:
        name = local_name(top)
        kept = self._tops.setdefault(name if name in _ORDER else _ANNOTATIONS, [])
        if name != "Rights" or not kept:
            kept.append(top)

    def root(self) -> Element:
        """All of it."""
        root = Element(qualified("OME"))
        for name in _ORDER:
            if name == "ROI" and _ANNOTATIONS in self._tops:
                SubElement(root, qualified(_ANNOTATIONS)).extend(self._tops[_ANNOTATIONS])
            root.extend(self._tops.get(name, ()))
        return root


def _tops(root: Element) -> Iterator[Element]:
    """The parts of a document: children of the root that describe one image or more, and annotations."""
    if root.tag != qualified("OME"):
        raise FormatError(f"not OME-XML: the root element is {root.tag[:80]!r}")
    for child in root:
        if local_name(child) == _ANNOTATIONS:
            yield from child
        elif local_name(child) in _ORDER:
            yield child


def _rename(top: Element, mapping: Mapping) -> None:
    for element in own_elements(top):
        name = local_name(element)
        kind = kind_of(name) or reference_kind(name)
        old = element.get("ID")
        if kind is not None and old is not None:
            element.set("ID", mapping.get((kind, old), old))
        annotator = element.get("Annotator")
        if annotator is not None:
            element.set("Annotator", mapping.get(("Experimenter", annotator), annotator))


def _signed(root: Element) -> str:
    sign(root)
    return to_text(root)

"""OME-XML to plain data in one pass, without a model: images, dimensions, channels, TiffData.

Any schema from 2003 to 2016 and any namespace prefix. Everything but the elements named here is passed over,
which is what makes documents with a hundred thousand Plane elements quick.
"""

from __future__ import annotations

from xml.parsers import expat

from bfio.errors import FormatError, LimitError
from bfio.limits import Limits
from bfio.metadata import Channel
from bfio.omexml.attributes import (
    MAX_COUNT,
    Attributes,
    boolean,
    color,
    count,
    length,
    optional_count,
    required,
)
from bfio.omexml.document import OmeDocument, OmeImage, OmePixels, TiffDataBlock
from bfio.omexml.pixel_types import dtype_of
from bfio.omexml.text import check_size, decode, refuse_doctype, repair

__all__ = ["parse"]

_ORDERS = ("XYZCT", "XYZTC", "XYCTZ", "XYCZT", "XYTCZ", "XYTZC")
_EMPTY_BLOCK = TiffDataBlock()


def parse(xml: str | bytes, limits: Limits | None = None) -> OmeDocument:
    """Read an OME-XML document.

    Parameters
    ----------
    xml : str or bytes
        The document, as found in an ImageDescription or a companion file. Byte order marks, NUL terminators
        and rubbish after the root element are tolerated.
    limits : Limits, optional
        ``xml_nbytes`` bounds the document, ``ifd_count`` the TiffData, Channel and Image elements.

    Raises
    ------
    FormatError
        Not XML, not OME-XML, a document type declaration, or a missing or impossible value, which is named.
    LimitError
        The document is larger than `limits` allow.
    """
    limits = limits or Limits()
    check_size(xml, limits)
    text = decode(xml)
    try:
        return _run(text, limits)
    except expat.ExpatError as error:
        repaired = repair(text)
        if repaired == text:
            raise FormatError(f"OME-XML is not well-formed: {error}") from None
    try:
        return _run(repaired, limits)
    except expat.ExpatError as error:
        raise FormatError(f"OME-XML is not well-formed: {error}") from None


def _run(text: str, limits: Limits) -> OmeDocument:
    handler = _Handler(limits.ifd_count)
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = handler.start
    parser.EndElementHandler = handler.end
    parser.CharacterDataHandler = handler.characters
    parser.StartDoctypeDeclHandler = refuse_doctype
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError:
        if not handler.complete:
            raise
    return handler.document()


class _RawPixels:
    """Attributes of a Pixels element, of its Image, and of its children, before they are checked."""

    def __init__(self, image: _RawImage, attributes: Attributes) -> None:
        self.image = image
        self.attributes = attributes
        self.channels: list[Attributes] = []
        self.tiff_data: list[TiffDataBlock] = []
        self.bin_data: Attributes | None = None


class _RawImage:
    def __init__(self, attributes: Attributes) -> None:
        self.attributes = attributes
        self.logical_channels: list[Attributes] = []


class _Handler:
    """Callbacks of expat. The depth says which element a name is: OME, Image, Pixels, TiffData, UUID."""

    def __init__(self, max_elements: int) -> None:
        self.complete = False
        self._depth = 0
        self._room = max_elements
        self._root: Attributes | None = None
        self._binary_only: tuple[str | None, str | None] | None = None
        self._all: list[_RawPixels] = []
        self._image: _RawImage | None = None
        self._pixels: _RawPixels | None = None
        self._tiff_data: Attributes | None = None
        self._uuid: str | None = None
        self._file_name: str | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth = depth = self._depth + 1
        if depth == 4:
            if self._pixels is not None:
                self._start_in_pixels(name.rpartition(":")[2], attributes, self._pixels)
        elif depth == 5:
            if self._tiff_data is not None and name.rpartition(":")[2] == "UUID":
                self._uuid = ""
                self._file_name = attributes.get("FileName") or None
        elif depth < 4:
            self._start_outside(depth, name.rpartition(":")[2], attributes)

    def _start_outside(self, depth: int, name: str, attributes: dict[str, str]) -> None:
        if depth == 1:
            if name != "OME":
                raise FormatError(f"not OME-XML: the root element is {name[:40]!r}")
            self._root = attributes
        elif depth == 2 and name == "Image":
            self._take_room()
            self._image = _RawImage(attributes)
        elif depth == 2 and name == "BinaryOnly":
            self._binary_only = (attributes.get("MetadataFile"), attributes.get("UUID"))
        elif depth == 3 and self._image is not None and name == "Pixels":
            self._pixels = _RawPixels(self._image, attributes)
            self._all.append(self._pixels)
        elif depth == 3 and self._image is not None and name == "LogicalChannel":
            self._take_room()
            self._image.logical_channels.append(attributes)

    def _start_in_pixels(self, name: str, attributes: dict[str, str], pixels: _RawPixels) -> None:
        if name == "TiffData":
            self._take_room()
            self._tiff_data = attributes
        elif name == "Channel":
            self._take_room()
            pixels.channels.append(attributes)
        elif name == "BinData":
            pixels.bin_data = attributes

    def end(self, _: str) -> None:
        depth = self._depth
        self._depth = depth - 1
        if depth == 4:
            if self._tiff_data is not None and self._pixels is not None:
                self._pixels.tiff_data.append(_block(self._tiff_data, self._uuid, self._file_name))
                self._tiff_data = self._uuid = self._file_name = None
        elif depth == 3:
            self._pixels = None
        elif depth == 2:
            self._image = None
        elif depth == 1:
            self.complete = True

    def characters(self, text: str) -> None:
        if self._depth == 5 and self._uuid is not None:
            self._uuid += text

    def _take_room(self) -> None:
        self._room -= 1
        if self._room < 0:
            raise LimitError("OME-XML has more images, channels and TiffData elements than the limit ifd_count")

    def document(self) -> OmeDocument:
        if self._root is None:
            raise FormatError("not OME-XML: there is no root element")
        return OmeDocument(
            uuid=self._root.get("UUID", "").strip() or None,
            images=tuple(_image(pixels) for pixels in self._all),
            binary_only=self._binary_only,
        )


def _block(attributes: Attributes, uuid: str | None, file_name: str | None) -> TiffDataBlock:
    if not attributes and uuid is None:
        return _EMPTY_BLOCK
    get = attributes.get
    # NumPlanes is the name of PlaneCount in schemas before 2010.
    texts = (get("IFD"), get("FirstZ"), get("FirstC"), get("FirstT"), get("PlaneCount") or get("NumPlanes"))
    try:
        values = [int(text) if text else None for text in texts]
    except ValueError:
        values = [-1] * 5
    if not all(value is None or 0 <= value < MAX_COUNT for value in values):
        for name in ("IFD", "FirstZ", "FirstC", "FirstT", "PlaneCount", "NumPlanes"):
            optional_count("TiffData", attributes, name)  # raises for the wrong one
    ifd, first_z, first_c, first_t, plane_count = values
    return TiffDataBlock(ifd, first_z, first_c, first_t, plane_count, (uuid or "").strip() or None, file_name)


def _image(raw: _RawPixels) -> OmeImage:
    attributes = raw.image.attributes
    return OmeImage(attributes.get("ID"), attributes.get("Name"), _pixels(raw))


def _pixels(raw: _RawPixels) -> OmePixels:
    attributes = raw.attributes
    order = required("Pixels", attributes, "DimensionOrder").strip().upper()
    if order not in _ORDERS:
        raise FormatError(f"OME-XML: Pixels DimensionOrder={order[:40]!r} is not one of {', '.join(_ORDERS)}")
    # Schemas of 2003 to 2007 have PixelType, and BigEndian sits on BinData.
    ome_type = attributes.get("PixelType") or required("Pixels", attributes, "Type")
    dtype_of(ome_type)
    big_endian = boolean(attributes, "BigEndian")
    if big_endian is None and raw.bin_data is not None:
        big_endian = boolean(raw.bin_data, "BigEndian")
    sizes = {f"size_{axis.lower()}": count("Pixels", attributes, "Size" + axis, minimum=1) for axis in "XYZCT"}
    return OmePixels(
        dimension_order=order,
        type=ome_type.strip().lower(),
        big_endian=big_endian,
        interleaved=boolean(attributes, "Interleaved"),
        significant_bits=_significant_bits(attributes),
        physical_size_x=_physical_size(raw, "X"),
        physical_size_y=_physical_size(raw, "Y"),
        physical_size_z=_physical_size(raw, "Z"),
        channels=tuple(_channel(channel) for channel in raw.channels or raw.image.logical_channels),
        tiff_data=tuple(raw.tiff_data),
        has_bin_data=raw.bin_data is not None,
        **sizes,
    )


def _significant_bits(attributes: Attributes) -> int | None:
    text = attributes.get("SignificantBits", "").strip()
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 4 else None


def _physical_size(raw: _RawPixels, axis: str) -> tuple[float | None, str]:
    size = length(raw.attributes, "PhysicalSize" + axis)
    # The schema of 2003 has it on Image, under another name, always in micrometres.
    return size if size[0] is not None else (length(raw.image.attributes, "PixelSize" + axis)[0], size[1])


def _channel(attributes: Attributes) -> Channel:
    samples = optional_count("Channel", attributes, "SamplesPerPixel")
    return Channel(attributes.get("Name"), max(samples or 1, 1), color(attributes))

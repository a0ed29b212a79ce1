"""``OME/METADATA.ome.xml``, which tells what NGFF has no word for: it fills what the JSON leaves open."""

from __future__ import annotations

import logging
from dataclasses import replace

from bfio.errors import FormatError, LimitError
from bfio.limits import Limits
from bfio.metadata import Channel, Length, Series
from bfio.omexml import OmeDocument, OmeImage, parse
from bfio.omexml.text import decode
from bfio.omezarr.document import bounded
from bfio.omezarr.nodes import Nodes
from bfio.units import METRES

__all__ = ["merged", "ome_document", "ome_xml_of"]

logger = logging.getLogger("bfio.omezarr")

_KEY = "OME/METADATA.ome.xml"


def ome_xml_of(nodes: Nodes, limits: Limits) -> str | None:
    """The OME-XML of a store, None where it has none.

    Raises
    ------
    LimitError
        It is larger than ``xml_nbytes``.
    """
    raw = bounded(nodes, _KEY, limits.xml_nbytes)
    return None if raw is None else decode(raw)


def ome_document(nodes: Nodes, limits: Limits) -> OmeDocument | None:
    """The OME-XML, parsed; None where there is none, or where it is broken, which is logged: it has no pixels."""
    try:
        xml = ome_xml_of(nodes, limits)
        return None if xml is None else parse(xml, limits)
    except (FormatError, LimitError, OSError) as error:
        logger.warning("%s: %s is passed over: %s", nodes.name, _KEY, error)
        return None


def merged(info: Series, image: OmeImage | None) -> Series:
    """A series with the names and sizes of an Image where it has none, if they describe the same pixels."""
    if image is None:
        return info
    pixels = image.pixels
    if (pixels.size_x, pixels.size_y, pixels.size_z, pixels.size_c, pixels.size_t) != (
        *(info.size_x, info.size_y, info.size_z, info.size_c, info.size_t),
    ):
        logger.warning("%s: the Image %r has other sizes than series %d", _KEY, image.id, info.index)
        return info
    return replace(
        info,
        name=info.name or image.name,
        channels=_channels(info, pixels.channels),
        physical_size_x=_length(info.physical_size_x, pixels.physical_size_x),
        physical_size_y=_length(info.physical_size_y, pixels.physical_size_y),
        physical_size_z=_length(info.physical_size_z, pixels.physical_size_z),
    )


def _channels(info: Series, told: tuple[Channel, ...]) -> tuple[Channel, ...]:
    others = [channel for channel in told for _ in range(min(channel.samples, info.size_c))]
    others += [Channel()] * (len(info.channels) - len(others))
    return tuple(_channel(number, *both) for number, both in enumerate(zip(info.channels, others, strict=False)))


def _channel(number: int, own: Channel, other: Channel) -> Channel:
    """One channel. Writers call those without a name ``Channel 0`` and so on in the JSON, and give them a colour."""
    if own.name == f"Channel {number}":
        return replace(own, name=other.name, color=other.color)
    return replace(own, name=own.name or other.name, color=other.color if own.color is None else own.color)


def _length(own: Length, other: Length) -> Length:
    """The own size; the other one where that is unknown, or is told without a unit."""
    return own if (own[0] is not None and own[1] in METRES) or other[0] is None else other

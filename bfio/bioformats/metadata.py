"""The OME metadata that Bio-Formats has gathered of a file, in a store of its own."""

from __future__ import annotations

import logging
import math
from typing import Any, NamedTuple

from bfio.errors import LimitError
from bfio.limits import Limits
from bfio.metadata import Channel, Length
from bfio.units import normalise

__all__ = ["Told", "ome_xml_of", "told_of"]

logger = logging.getLogger("bfio.bioformats")

_UNKNOWN: Length = (None, "µm")


class Told(NamedTuple):
    """What the metadata say of one image beyond its pixels."""

    name: str | None = None
    channels: tuple[Channel, ...] = ()
    physical_size_x: Length = _UNKNOWN
    physical_size_y: Length = _UNKNOWN
    physical_size_z: Length = _UNKNOWN


def told_of(store: Any, number: int, n_channels: int, path: str) -> Told:
    """Names and physical sizes of an image; images are numbered as the series are.

    Asked one by one: for a plate this takes a tenth of the time that making and parsing OME-XML does. What can not be
    understood is no reason not to read pixels: it is logged, and unknown.

    Parameters
    ----------
    store : loci.formats.meta.MetadataRetrieve
    number, n_channels : int
        The image, and how many of its channels are of interest.
    path : str
        For the log.
    """
    import jpype

    try:
        if number >= int(store.getImageCount()):
            return Told()
        n_channels = min(int(store.getChannelCount(number)), n_channels)
        return Told(
            _text(store.getImageName(number)),
            tuple(_channel(store, number, channel) for channel in range(n_channels)),
            _length(store.getPixelsPhysicalSizeX(number)),
            _length(store.getPixelsPhysicalSizeY(number)),
            _length(store.getPixelsPhysicalSizeZ(number)),
        )
    except jpype.JException as error:
        logger.warning("%s: names of series %d are unknown, for its metadata are broken: %s", path, number, error)
        return Told()


def ome_xml_of(store: Any, path: str, limits: Limits) -> str:
    """All metadata as OME-XML, valid in the schema of 2016-06; made without a network.

    Parameters
    ----------
    store : loci.formats.ome.OMEXMLMetadata
        The one that the reader had when it opened the file.
    path : str
        For messages.
    limits : Limits
        ``xml_nbytes`` bounds the document.

    Raises
    ------
    LimitError
        It is larger; found out before it is copied from Java.
    """
    # OMEXMLService.getOMEXML parses and writes this text again, which takes four times as long and changes nothing.
    text = store.dumpXML()
    if len(text) > limits.xml_nbytes:
        raise LimitError(
            f"{path}: the metadata of its {int(store.getImageCount())} images make {len(text):,} bytes of OME-XML or "
            f"more; the limit xml_nbytes is {limits.xml_nbytes:,}. The pixels can be read"
        )
    return str(text)


def _text(text: Any) -> str | None:
    return None if text is None else str(text) or None


def _channel(store: Any, number: int, channel: int) -> Channel:
    color = store.getChannelColor(number, channel)
    return Channel(_text(store.getChannelName(number, channel)), 1, None if color is None else int(color.getValue()))


def _length(length: Any) -> Length:
    """Value and unit of an ome.units.quantity.Length; no value where it is none that a pixel can have."""
    if length is None:
        return _UNKNOWN
    value = float(length.value().doubleValue())
    return (value if math.isfinite(value) and value > 0 else None, normalise(str(length.unit().getSymbol())))

"""The OME metadata that Bio-Formats has gathered of a file."""

from __future__ import annotations

import logging
from typing import Any

from bfio.errors import BfioError, LimitError
from bfio.limits import Limits
from bfio.omexml import OmeImage, parse

__all__ = ["images_of", "ome_xml_of"]

logger = logging.getLogger("bfio.bioformats")


def ome_xml_of(java_reader: Any, limits: Limits) -> str:
    """OME-XML of an open file, complete and valid, in the schema of 2016-06.

    Parameters
    ----------
    java_reader : loci.formats.IFormatReader
        Its metadata store is an OMEXMLMetadata that was set before the file was opened.
    limits : Limits
        ``xml_nbytes`` bounds the document.

    Raises
    ------
    LimitError
        It is larger; found out before it is copied from Java.
    """
    # dumpXML is the text that OMEXMLService.getOMEXML parses and writes again, which takes four times as long.
    text = java_reader.getMetadataStore().dumpXML()
    if len(text) > limits.xml_nbytes:
        raise LimitError(
            f"{java_reader.getCurrentFile()}: the metadata of its {int(java_reader.getSeriesCount())} images are "
            f"{len(text):,} characters of OME-XML; the limit xml_nbytes is {limits.xml_nbytes:,}"
        )
    return str(text)


def images_of(ome_xml: str | None, name: str, n_series: int, limits: Limits) -> list[OmeImage | None]:
    """What OME-XML says of each series, for Bio-Formats puts them in the same order.

    What can not be understood is no reason not to read pixels: it is logged, and None stands for it.
    """
    images: tuple[OmeImage, ...] = ()
    if ome_xml:
        try:
            images = parse(ome_xml, limits).images
        except BfioError as error:
            logger.warning("%s: names and physical sizes are unknown, for its metadata are broken: %s", name, error)
    return [*images[:n_series], *[None] * (n_series - len(images))]

"""The ome-types model, built only when somebody asks for it: it costs a second to import, and per plane."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from bfio.errors import FormatError
from bfio.limits import Limits
from bfio.metadata import Channel, Length, Series
from bfio.omexml.clean import clean_tree
from bfio.omexml.pixel_types import ome_type_of
from bfio.omexml.text import well_formed
from bfio.omexml.tree import qualified
from bfio.units import normalise

if TYPE_CHECKING:
    from ome_types import OME
    from ome_types.model import UnitsLength

__all__ = ["model", "synthesise", "unit"]

# ome-types numbers identifiers through module globals, and filters of warnings are global too, so models are
# built one by one. A lock per process, since a fork may happen while it is held.
_locks: dict[int, threading.Lock] = {}


def _lock() -> threading.Lock:
    return _locks.setdefault(os.getpid(), threading.Lock())


def model(xml: str | bytes, clean: bool = True, limits: Limits | None = None) -> OME:
    """Build the model of an OME-XML document.

    Parameters
    ----------
    xml : str or bytes
    clean : bool
        Whether a document that ome-types refuses is corrected, and what remains invalid left out.
    limits : Limits, optional

    Raises
    ------
    FormatError
        There is no valid metadata, or with ``clean=False`` not all of it is valid.
    """
    text = well_formed(xml, limits)
    with _lock(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _from_xml(text)
        except Exception as error:  # noqa: BLE001 - whatever the model, its parser and its XSLT raise
            first = error
        if clean:
            try:
                return _from_cleaned(text, limits)
            except FormatError:
                raise
            except Exception as error:  # noqa: BLE001 - the same
                first = error
    raise FormatError(f"OME-XML is not valid: {_one_line(first)}") from first


def _from_xml(text: str) -> OME:
    from ome_types import OME, from_xml

    # Bytes: a str is taken for the name of a file if there is one.
    found = from_xml(text.encode("utf-8", "replace"), validate=False)
    if not isinstance(found, OME):
        raise FormatError(f"not OME-XML: the root element is {type(found).__name__!r}")
    return found


def _from_cleaned(text: str, limits: Limits | None) -> OME:
    from ome_types import OME

    from bfio.omexml.prune import prune

    root = clean_tree(text, limits)
    if root.tag != qualified("OME"):
        raise FormatError(f"not OME-XML: the root element is {root.tag[:80]!r}")
    n_images = sum(child.tag == qualified("Image") for child in root)
    prune(root, OME)
    found = _from_xml(ElementTree.tostring(root, encoding="unicode"))
    if n_images and not found.images:
        raise FormatError("OME-XML is not valid: no Image element has usable Pixels")
    return found


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."


def unit(symbol: str) -> UnitsLength:
    """Member of the ``UnitsLength`` enumeration of ome-types for a unit in any spelling."""
    from ome_types.model import UnitsLength

    return UnitsLength(normalise(symbol))


def synthesise(series: Sequence[Series], name: str) -> OME:
    """Model for a file that has no OME-XML.

    Parameters
    ----------
    series : sequence of Series
    name : str
        File name; the name of the first image, and the beginning of the names of others.

    Notes
    -----
    One Image per series, DimensionOrder XYZCT. An RGB channel is one Channel with SamplesPerPixel 3. Pixel
    types that the schema lacks become the nearest: float16 "float", 64-bit integers "double", bool "bit". A
    single series gets one TiffData for all planes; with several it is unknown which pages are whose, so they
    get MetadataOnly.
    """
    from ome_types import OME

    with _lock():
        return OME(
            creator="bfio",
            images=[_image(one, index, name, len(series) == 1) for index, one in enumerate(series)],
        )


def _image(series: Series, index: int, name: str, alone: bool) -> Any:
    from ome_types.model import Image, MetadataOnly, Pixels, Pixels_DimensionOrder, PixelType, TiffData

    storage: dict[str, Any] = {"metadata_only": MetadataOnly()}
    if alone:
        planes = series.size_t * series.size_c * series.size_z
        storage = {"tiff_data_blocks": [TiffData(ifd=0, plane_count=planes)]}
    pixels = Pixels(
        id=f"Pixels:{index}",
        dimension_order=Pixels_DimensionOrder.XYZCT,
        type=PixelType(ome_type_of(series.dtype)),
        big_endian=series.big_endian,
        interleaved=series.interleaved,
        size_x=series.size_x,
        size_y=series.size_y,
        size_z=series.size_z,
        size_c=series.size_c * series.samples,
        size_t=series.size_t,
        channels=_channels(series, index),
        **_physical_sizes(series),
        **storage,
    )
    return Image(id=f"Image:{index}", name=_image_name(series, index, name), pixels=pixels)


def _image_name(series: Series, index: int, name: str) -> str:
    return name if index == 0 else f"{name} [{series.name or index}]"


def _channels(series: Series, index: int) -> list[Any]:
    from ome_types.model import Channel as OmeChannel

    given = (*series.channels, *[Channel()] * series.size_c)[: series.size_c]
    channels = []
    for number, channel in enumerate(given):
        color: dict[str, Any] = {} if channel.color is None else {"color": channel.color}
        label = f"Channel:{index}:{number}"
        channels.append(OmeChannel(id=label, name=channel.name, samples_per_pixel=series.samples, **color))
    return channels


def _physical_sizes(series: Series) -> dict[str, Any]:
    found: dict[str, Any] = {}
    sizes: dict[str, Length] = {
        "x": series.physical_size_x,
        "y": series.physical_size_y,
        "z": series.physical_size_z,
    }
    for axis, (value, symbol) in sizes.items():
        if value is not None and 0 < value < float("inf"):
            found[f"physical_size_{axis}"] = value
            found[f"physical_size_{axis}_unit"] = unit(symbol)
    return found

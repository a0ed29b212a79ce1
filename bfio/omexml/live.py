"""The metadata of a writer as a model that the user may change, and that follows what else is set."""

from __future__ import annotations

from bfio.metadata import Series
from bfio.omexml.model import model, unit
from bfio.omexml.pixel_types import ome_type_of

__all__ = ["LiveModel"]


class LiveModel:
    """A model of one image.

    Attributes
    ----------
    ome : ome_types.OME
        Always the same object.
    """

    def __init__(self, xml: str) -> None:
        self.ome = model(xml)
        self._seen = self.ome.to_xml()

    def changes(self) -> str | None:
        """The whole as OME-XML if the user changed anything since the last call, else None."""
        text = self.ome.to_xml()
        if text == self._seen:
            return None
        self._seen = text
        return text

    def follow(self, series: Series) -> None:
        """Set what `series` says."""
        from ome_types.model import Channel, PixelType

        pixels = self.ome.images[0].pixels
        pixels.type = PixelType(ome_type_of(series.dtype))
        for axis in "xyzt":
            setattr(pixels, f"size_{axis}", getattr(series, f"size_{axis}"))
        pixels.size_c = series.size_c * series.samples
        for axis in "xyz":
            value, symbol = getattr(series, f"physical_size_{axis}")
            setattr(pixels, f"physical_size_{axis}", value)
            setattr(pixels, f"physical_size_{axis}_unit", unit(symbol))
        del pixels.channels[series.size_c :]
        for number in range(len(pixels.channels), series.size_c):
            pixels.channels.append(Channel(id=f"Channel:0:{number}"))
        for channel, given in zip(pixels.channels, series.channels, strict=True):
            channel.name, channel.samples_per_pixel = given.name, series.samples
        self._seen = self.ome.to_xml()

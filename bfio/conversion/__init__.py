"""From any readable image to a tiled, pyramidal file, in bounded memory: the work behind :func:`bfio.convert`."""

from bfio.conversion.request import Report, convert

__all__ = ["Report", "convert"]

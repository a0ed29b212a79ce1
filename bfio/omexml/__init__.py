"""OME-XML: dimensions and TiffData without a model, and the ome-types model where it is asked for."""

from bfio.omexml.document import FileRef, OmeDocument, OmeImage, OmePixels, TiffDataBlock
from bfio.omexml.parse import parse
from bfio.omexml.pixel_types import dtype_of, ome_type_of
from bfio.omexml.planes import PlaneMap, channel_planes, plane_map

__all__ = [
    "FileRef",
    "OmeDocument",
    "OmeImage",
    "OmePixels",
    "PlaneMap",
    "TiffDataBlock",
    "channel_planes",
    "dtype_of",
    "ome_type_of",
    "parse",
    "plane_map",
]

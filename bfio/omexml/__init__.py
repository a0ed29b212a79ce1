"""OME-XML: dimensions and TiffData without a model, and the ome-types model where it is asked for.

`bfio.omexml.model` (the model, one for files without OME-XML, units) and `bfio.omexml.clean` are imported
when needed.
"""

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

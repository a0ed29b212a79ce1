"""GDAL through rasterio. It does not look for SubIFDs, but reads an IFD at any offset."""

import warnings

import numpy as np
import rasterio
import tifffile
from rasterio.errors import NotGeoreferencedWarning

from readers.picture import Picture


def version():
    return rasterio.__gdal_version__


def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as image:
            names = sorted(image.subdatasets, key=_number) or [str(path)]
            tags = image.tags()
        levels = [[_plane(name) for name in names]]
        for offsets in _sub_ifds(path):
            levels.append([_plane(f"GTIFF_DIR:off:{offset}:{path}") for offset in offsets])
    facts = {"xml": tags.get("TIFFTAG_IMAGEDESCRIPTION")}
    if tags.get("TIFFTAG_RESOLUTIONUNIT", "").startswith("3"):
        facts["density"] = tuple(float(tags[f"TIFFTAG_{axis}RESOLUTION"]) for axis in "XY")
    return Picture([np.stack(planes) for planes in levels], facts)


def _plane(name):
    with rasterio.open(name) as image:
        return image.read().transpose(1, 2, 0)


def _number(name):
    """Of an IFD, in ``GTIFF_DIR:<number>:<path>``; rasterio sorts them as text."""
    return int(name.split(":")[1])


def _sub_ifds(path):
    """Offsets of the IFDs of each lower level."""
    with tifffile.TiffFile(path) as file:
        return list(zip(*[page.tags.valueof(330, default=()) for page in file.pages], strict=True))

"""tifffile, which decodes through imagecodecs."""

import numpy as np
import tifffile

from readers.picture import Picture

AXES = "TCZYXS"


def version():
    return tifffile.__version__


def read(path):
    with tifffile.TiffFile(path) as file:
        (series,) = file.series
        levels = [_planes(level.asarray(squeeze=False), level.get_axes(squeeze=False)) for level in series.levels]
        density = file.pages.first.get_resolution("centimeter")
        facts = {"xml": file.ome_metadata, "density": density, "order": "XYZCT" if _is_xyzct(series) else "other"}
    return Picture(levels, facts)


def _is_xyzct(series):
    return series.get_axes(squeeze=False).replace("S", "") == "TCZYX"


def _planes(data, axes):
    """Any axes that OME has, as planes."""
    for axis in AXES:
        if axis not in axes:
            data, axes = data[..., np.newaxis], axes + axis
    data = data.transpose([axes.index(axis) for axis in AXES])
    return data.reshape(-1, *data.shape[3:])

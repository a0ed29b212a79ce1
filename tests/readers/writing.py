"""Files of the matrix: fronts by bfio, tiles put behind them by hand."""

import numpy as np
from front_files import write_file

from bfio.metadata import Channel, Series
from bfio.omexml.build import build_xml
from bfio.options import parse_options
from bfio.tiff.writing.choose import choose
from readers.cases import CHANNELS, PIXEL_SIZES


def write(case, path):
    """Write one file."""
    t, c, z = case.planes
    lengths = {f"physical_size_{axis}": (size, "µm") for axis, size in zip("xyz", PIXEL_SIZES, strict=True)}
    series = Series(
        index=0, name="matrix", dtype=np.dtype(case.dtype), size_t=t, size_c=c, size_z=z, size_y=case.size[0],
        size_x=case.size[1], samples=case.samples,
        channels=tuple(Channel(name, case.samples) for name in CHANNELS[:c]), **lengths,
    )  # fmt: skip
    options = parse_options(
        compression=case.compression, predictor=case.predictor, tile_size=case.tile, levels=case.levels,
        bigtiff=case.bigtiff,
    )  # fmt: skip
    write_file(path, choose(series, options, build_xml(series, "matrix")), case.expected)

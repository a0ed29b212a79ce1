"""Files of the matrix, by bfio: planes backwards, each in two blocks that cut tiles, the lower one first."""

import numpy as np

from bfio import BioWriter
from readers.cases import CHANNELS, PIXEL_SIZES


def write(case, path):
    """Write one file."""
    (t, c, z), (rows, cols), samples = case.planes, case.size, case.samples
    sizes = dict(zip("XYZCT", (cols, rows, z, c * samples, t), strict=True))
    lengths = {f"ps_{axis}": (size, "µm") for axis, size in zip("xyz", PIXEL_SIZES, strict=True)}
    pixels = case.pixels.transpose(3, 4, 2, 1, 5, 0).reshape(rows, cols, z, c * samples, t)
    with BioWriter(
        path, compression=case.compression, predictor=case.predictor, tile_size=case.tile, levels=case.levels,
        bigtiff=case.bigtiff, max_workers=2, dtype=np.dtype(case.dtype), samples_per_pixel=samples,
        channel_names=list(CHANNELS[:c]), **sizes, **lengths,
    ) as writer:  # fmt: skip
        cut = (rows * 2) // 3
        for plane in reversed(range(t * c * z)):
            where = plane % z, slice(plane // z % c * samples, (plane // z % c + 1) * samples), plane // z // c
            for band in (slice(cut, rows), slice(0, cut)):
                if band.start < band.stop:
                    writer[(band, slice(None), *where)] = pixels[(band, slice(None), *where)]

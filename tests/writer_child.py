"""What other processes do to a file that is being written; as a script, so that nothing is inherited.

``python writer_child.py PATH FIRST STEP N``: attach, write every STEP-th of N tiles from tile FIRST on, one by one.
"""

import sys

import numpy as np

import bfio

TILE, ACROSS = 32, 8


def tile_pixels(index: int) -> np.ndarray:
    """Pixels of one tile: no two are alike, nor of the same length when encoded."""
    noise = np.random.default_rng(index).integers(1, 60000, (TILE, TILE), dtype=np.uint16)
    noise[index % TILE :] = index + 1
    return noise


def write_tiles(writer: bfio.BioWriter, indices: range) -> None:
    per_plane = ACROSS * ACROSS
    for index in indices:
        z, tile = divmod(index, per_plane)
        y, x = (side * TILE for side in divmod(tile, ACROSS))
        writer[y : y + TILE, x : x + TILE, z] = tile_pixels(index)


if __name__ == "__main__":
    first, step, n = map(int, sys.argv[2:5])
    with bfio.BioWriter.attach(sys.argv[1], max_workers=1) as writer:
        write_tiles(writer, range(first, n, step))
    print("done")

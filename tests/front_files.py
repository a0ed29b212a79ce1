"""Files made of a front and of tiles put behind it by hand: what the writer does, in a few lines and slowly."""

import numpy as np

from bfio.metadata import Series
from bfio.omexml.build import build_xml
from bfio.tiff.writing.foreign import is_lossy, pad_tile, tile_encoder
from bfio.tiff.writing.front import build_front
from bfio.tiff.writing.recipe import Recipe


def a_recipe(**changes):
    """Recipe of a small image with OME-XML."""
    values = {
        "size_t": 1, "size_c": 1, "size_z": 1, "size_y": 50, "size_x": 70, "samples": 1, "dtype": np.dtype("u2"),
        "tile_rows": 32, "tile_cols": 48,
    } | changes  # fmt: skip
    if "xml" not in values:
        names = ("size_t", "size_c", "size_z", "size_y", "size_x", "samples")
        series = Series(index=0, name=None, dtype=np.dtype(values["dtype"]), **{name: values[name] for name in names})
        values["xml"] = build_xml(series, "front.ome.tif")
    return Recipe(**values)


def a_plane(dtype, shape, seed=0):
    """Pixels that a codec must work for: a ramp with noise, over the whole range of integers."""
    rng = np.random.default_rng(seed)
    rows, cols, samples = shape
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    ramp = np.arange(rows)[:, None, None] * 3 + np.arange(cols)[None, :, None] + np.arange(samples) * 20
    if dtype.kind == "c":
        return (ramp + rng.random(shape) - 1j * ramp).astype(dtype)
    if dtype.kind == "f":
        return ((ramp + rng.random(shape)) / 16 - 3).astype(dtype)
    plane = (ramp % 100 + rng.integers(0, 20, shape)).astype(dtype)
    plane[rng.random(shape) < 0.02] = np.iinfo(dtype).max
    plane[rng.random(shape) < 0.02] = np.iinfo(dtype).min
    return plane


def smooth_plane(dtype, shape, number):
    """Pixels that lossy codecs keep: waves of a colour of their own."""
    y, x, sample = np.indices(shape)
    wave = 0.5 + 0.3 * np.sin((x + number) / 9) * np.cos(y / 11) + 0.1 * (sample - 1) * (number + 1) / 2
    return np.clip(wave * np.iinfo(dtype).max, 0, np.iinfo(dtype).max).astype(dtype)


def planes_of(recipe, level=0):
    """All planes of a level: (n_planes, rows, columns, samples)."""
    shape = (*recipe.level_size(level), recipe.samples)
    if is_lossy(recipe):
        return np.stack([smooth_plane(recipe.dtype, shape, p) for p in range(recipe.n_planes)])
    return np.stack([a_plane(recipe.dtype, shape, seed=100 * level + p) for p in range(recipe.n_planes)])


def patched(recipe, pixels, tiles_written=lambda level, plane, tile: True):
    """The file as bytes; ``pixels[level]`` has all planes of a level. Planes and tiles are put in backwards."""
    front = build_front(recipe)
    out = bytearray(front.data)
    encode = tile_encoder(recipe)
    entry = np.dtype(f"u{front.entry_nbytes}")
    for level, planes in enumerate(pixels):
        grid = recipe.tiles(level)
        for p in reversed(range(recipe.n_planes)):
            for tile in reversed(range(grid.n_tiles)):
                if not tiles_written(level, p, tile):
                    continue
                y, x = (tile // grid.tiles_across) * grid.tile_rows, (tile % grid.tiles_across) * grid.tile_cols
                data = encode(pad_tile(planes[p, y : y + grid.tile_rows, x : x + grid.tile_cols], recipe))
                for entries, value in ((front.offset_entries, len(out)), (front.count_entries, len(data))):
                    place = int(entries[level][p]) + tile * front.entry_nbytes
                    out[place : place + front.entry_nbytes] = np.array(value, entry).tobytes()
                out += data + b"\0" * (len(data) % 2)
    return bytes(out)


def write_file(path, recipe, levels=None):
    """Write a whole file; returns the pixels of each level."""
    pixels = [planes_of(recipe, level) for level in range(recipe.n_levels)] if levels is None else levels
    path.write_bytes(patched(recipe, pixels))
    return pixels

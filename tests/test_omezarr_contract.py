"""The contract of all reader backends over Zarr stores: v2 and v3, chunks, shards, depths, codecs, pyramids."""

import json

import numpy as np
import pytest
from contract_tools import Subject
from reader_contract import CHECKS

from bfio import BioWriter
from bfio.backends.omezarr import OmeZarrReader
from bfio.limits import Limits
from bfio.omezarr.nodes import Folder


def noise(*shape, dtype="u2"):
    """Random pixels (T, C, Z, Y, X) over the whole range of the type."""
    rng, dtype = np.random.default_rng(3), np.dtype(dtype)
    if dtype.kind == "f":
        return (rng.integers(-4000, 90000, shape) / 8).astype(dtype)
    return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def subject(path, *images):
    def open_backend(max_workers=2, cache_bytes=1 << 20):
        return OmeZarrReader(Folder(path), max_workers=max_workers, limits=Limits(), cache_bytes=cache_bytes)

    return Subject(open_backend, images, path, "zarr")


def written(path, image, n_levels=1, **options):
    """By bfio; each level is every second pixel of the one before."""
    with BioWriter(path, image=image.transpose(3, 4, 2, 1, 0), levels=n_levels, downsample="nearest", **options):
        pass
    return subject(path, tuple(image[..., :: 1 << k, :: 1 << k] for k in range(n_levels)))


def plain(path, image, chunk, order="C", endian="<"):
    """An array of Zarr v2 (Y, X), uncompressed, by hand, at the root of the store."""
    path.mkdir()
    data = image[0, 0, 0].astype(image.dtype.newbyteorder(endian))
    document = {
        "zarr_format": 2, "shape": data.shape, "chunks": chunk, "dtype": data.dtype.str, "compressor": None,
        "filters": None, "order": order, "fill_value": 0,
    }  # fmt: skip
    (path / ".zarray").write_text(json.dumps(document))
    padded = np.pad(data, [(0, -size % length) for size, length in zip(data.shape, chunk, strict=True)])
    for y in range(0, padded.shape[0], chunk[0]):
        for x in range(0, padded.shape[1], chunk[1]):
            name = f"{y // chunk[0]}.{x // chunk[1]}"
            (path / name).write_bytes(padded[y : y + chunk[0], x : x + chunk[1]].tobytes(order))
    return subject(path, (image,))


SUBJECTS = {
    "v3": lambda path: written(path, noise(2, 2, 3, 45, 37), chunks=(1, 1, 1, 16, 20)),
    "v3, pyramid": lambda path: written(path, noise(1, 2, 2, 90, 70), 3, tile_size=32),
    "v3, one chunk": lambda path: written(path, noise(1, 1, 1, 50, 70, dtype="u1")),
    "v3, deep chunks": lambda path: written(path, noise(2, 1, 7, 40, 30, dtype="i2"), chunks=(1, 1, 4, 16, 16)),
    "v3, chunks over all axes": lambda path: written(path, noise(3, 3, 2, 20, 30), chunks=(2, 2, 2, 8, 16)),
    "v3, shards": lambda path: written(
        path, noise(1, 2, 5, 70, 50), 2, chunks=(1, 1, 2, 16, 16), shards=(1, 1, 4, 32, 32)
    ),
    "v3, uncompressed floats": lambda path: written(
        path, noise(1, 1, 2, 33, 60, dtype="f4"), tile_size=16, compression="none"
    ),
    "v2": lambda path: written(path, noise(1, 3, 1, 41, 63), 2, tile_size=16, zarr_version=2),
    "v2, deflate": lambda path: written(
        path, noise(1, 1, 2, 40, 60, dtype="f8"), tile_size=32, zarr_version=2, compression="deflate"
    ),
    "v2, plain array, big-endian": lambda path: plain(path, noise(1, 1, 1, 45, 52, dtype="i4"), (10, 20), endian=">"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Subject of a name, made once."""
    folder, subjects = tmp_path_factory.mktemp("contract"), {}

    def subject(name):
        if name not in subjects:
            subjects[name] = SUBJECTS[name](folder / f"{len(subjects)}.ome.zarr")
        return subjects[name]

    return subject


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", SUBJECTS)
def test_contract(made, name, check):
    check(made(name))

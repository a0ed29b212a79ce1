"""Arrays and stores of zarr-python, and how they are read through it."""

import json
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest

from bfio._parallel import Workers
from bfio.limits import Limits
from bfio.omezarr.arraymeta import parse_array
from bfio.omezarr.foreign import ForeignReader
from bfio.selection import Box

zarr = pytest.importorskip("zarr")


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        for category in ("UnstableSpecificationWarning", "ZarrUserWarning"):
            kind = getattr(zarr.errors, category, None)
            if kind is not None:
                warnings.simplefilter("ignore", kind)
        yield


def an_image(shape=(3, 70, 50), dtype="uint16", seed=1):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 200, shape).astype(dtype)


def meta_of(nodes, path=""):
    prefix = f"{path}/" if path else ""
    raw = nodes.get(f"{prefix}zarr.json") or nodes.get(f"{prefix}.zarray")
    return parse_array(json.loads(raw), path)


def write(store, image, **options):
    """An array of zarr-python; what is not given is as plain as possible."""
    given = {"chunks": (2, 32, 16), "compressors": None, **options}
    array = zarr.create_array(store, shape=image.shape, dtype=image.dtype, **given)
    array[...] = image
    return array


def a_reader(nodes, path="", workers=2, **limits):
    return ForeignReader(nodes, meta_of(nodes, path), Workers(workers), Limits(**limits), 0)


def a_box(shape, t=None, c=None, z=None, y=None, x=None):
    return Box(
        (0,) if t is None else t, (0,) if c is None else c, tuple(range(shape[0])) if z is None else z,
        y or range(shape[1]), x or range(shape[2]),
    )  # fmt: skip


def read(reader, box, axes="zyx", dtype="uint16", rescale=None):
    out = np.full(box.shape, 7, dtype)
    reader.read(axes, box, out, rescale)
    return out


def v3_codecs():
    from zarr.codecs import BytesCodec, Crc32cCodec, GzipCodec, TransposeCodec, ZstdCodec
    from zarr.codecs.numcodecs import BZ2, Delta, Shuffle

    return {
        "transpose": {"filters": [TransposeCodec(order=(2, 0, 1))], "compressors": [ZstdCodec()]},
        "big endian": {"serializer": BytesCodec(endian="big"), "compressors": [GzipCodec()]},
        "crc32c": {"compressors": [ZstdCodec(), Crc32cCodec()]},
        "delta": {"filters": [Delta(dtype="<u2")], "compressors": [ZstdCodec()]},
        "shuffle and bz2": {"compressors": [Shuffle(elementsize=2), BZ2()]},
        "shards of odd codecs": {"shards": (4, 64, 32), "filters": [Delta(dtype="<u2")]},
        "shards": {"shards": (4, 64, 32), "compressors": [ZstdCodec()]},
    }


def zipped(folder, compression=zipfile.ZIP_STORED):
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    return path


HEAD = """
import json, sys
import numpy as np
from bfio._parallel import Workers
from bfio.limits import Limits
from bfio.omezarr.arraymeta import parse_array
from bfio.omezarr.foreign import ForeignNodes, ForeignReader
from bfio.omezarr.nodes import Folder
from bfio.selection import Box
"""


def run(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()

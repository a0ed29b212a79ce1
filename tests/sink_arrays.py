"""Arrays in folders, with sinks to write them, second readers, full disks and threads, for the tests of sinks."""

import errno
import itertools
import json
import os
import threading

import numpy as np
import pytest

from bfio._parallel import Workers
from bfio.omezarr.arraymeta import parse_array
from bfio.omezarr.writing.sinks import open_sink

ZSTD = {"name": "zstd", "configuration": {"level": 1, "checksum": False}}
LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}


def v3(shape, chunk, shard=None, *, dtype="uint16", fill=0, codecs=(ZSTD,), endian="little", index="end", **more):
    inner = [{"name": "bytes", "configuration": {"endian": endian}}, *codecs]
    if shard is not None:
        crc = {"name": "crc32c"}
        config = {"chunk_shape": list(chunk), "codecs": inner, "index_codecs": [LITTLE, crc], "index_location": index}
        inner = [{"name": "sharding_indexed", "configuration": config}]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(shard or chunk)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill,
        "codecs": inner,
        "attributes": {},
    } | more


def v2(shape, chunk, *, dtype="<u2", fill=0, compressor=None, order="C", separator="/"):
    return {
        "zarr_format": 2,
        "shape": list(shape),
        "chunks": list(chunk),
        "dtype": dtype,
        "fill_value": fill,
        "order": order,
        "compressor": compressor,
        "filters": None,
        "dimension_separator": separator,
    }


class Store:
    """An array "0" in a folder, with its document, and a sink."""

    def __init__(self, folder, document, n_workers=2, durable=False, resume=False):
        folder.mkdir(exist_ok=True)
        self.folder, self.document = folder, document
        self.meta = parse_array(document, "0")
        self.root = folder / "0"
        self.root.mkdir(exist_ok=True)
        name = "zarr.json" if document["zarr_format"] == 3 else ".zarray"
        (self.root / name).write_text(json.dumps(document))
        self.sink = open_sink(folder, self.meta, Workers(n_workers), durable=durable, resume=resume)

    def image(self, seed=0):
        meta, rng = self.meta, np.random.default_rng(seed)
        values = rng.integers(0, 200, meta.shape).astype(meta.dtype)
        return values if meta.dtype != bool else rng.integers(0, 2, meta.shape).astype(bool)

    def chunk(self, image, index):
        meta = self.meta
        part = image[tuple(slice(i * n, (i + 1) * n) for i, n in zip(index, meta.chunk, strict=True))]
        whole = np.full(meta.chunk, meta.fill, meta.dtype)
        whole[tuple(slice(0, n) for n in part.shape)] = part
        return whole

    def indices(self):
        return list(np.ndindex(*self.meta.grid))

    def put(self, image, indices=None):
        indices = self.indices() if indices is None else indices
        self.sink.put(indices, [self.chunk(image, index) for index in indices])

    def files(self):
        found = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, self.root)] = file.read()
        return found


def zarr_pixels(store):
    zarr = pytest.importorskip("zarr")
    return zarr.open_array(store.root, mode="r")[...]


def tensorstore_pixels(store):
    ts = pytest.importorskip("tensorstore")
    driver = "zarr3" if store.document["zarr_format"] == 3 else "zarr"
    spec = {"driver": driver, "kvstore": {"driver": "file", "path": f"{store.root}/"}}
    return ts.open(spec).result().read().result()


GZIP = {"name": "gzip", "configuration": {"level": 5}}
CRC = {"name": "crc32c"}


def blosc(cname, shuffle, typesize):
    config = {"typesize": typesize, "cname": cname, "clevel": 5, "shuffle": shuffle, "blocksize": 0}
    return {"name": "blosc", "configuration": config}


V2_ZLIB, V2_GZIP = {"id": "zlib", "level": 1}, {"id": "gzip", "level": 5}
V2_BLOSC = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": -1, "blocksize": 0}
TRANSPOSE = {"name": "transpose", "configuration": {"order": [2, 0, 1]}}

DOCUMENTS = {
    "zstd": v3((3, 50, 37), (1, 32, 16)),
    "zstd deep": v3((5, 50, 37), (2, 16, 16), fill=7),
    "raw": v3((3, 50, 37), (1, 32, 16), codecs=()),
    "zstd level 0": v3((3, 50, 37), (1, 32, 16), codecs=[{"name": "zstd", "configuration": {"level": 0}}]),
    "gzip": v3((3, 50, 37), (1, 32, 16), codecs=[GZIP]),
    "blosc lz4": v3((3, 50, 37), (1, 32, 16), codecs=[blosc("lz4", "shuffle", 2)]),
    "blosc zstd, bits": v3((3, 50, 37), (1, 32, 16), codecs=[blosc("zstd", "bitshuffle", 2)]),
    "blosc, no shuffle": v3((3, 50, 37), (1, 32, 16), codecs=[blosc("lz4hc", "noshuffle", 2)]),
    "zstd and crc32c": v3((3, 50, 37), (1, 32, 16), codecs=[ZSTD, CRC]),
    "big endian": v3((3, 50, 37), (1, 32, 16), endian="big"),
    "float32": v3((50, 37), (32, 16), dtype="float32", fill="NaN"),
    "complex128": v3((50, 37), (32, 16), dtype="complex128", fill=[1.0, 0.0]),
    "bool": v3((50, 37), (32, 16), dtype="bool", fill=False),
    "int8 5D": v3((2, 2, 3, 20, 21), (1, 1, 2, 16, 16), dtype="int8", fill=-1),
    "one axis": v3((50,), (16,)),
    "no axis": v3((), ()),
    "v2 raw": v2((50, 37), (32, 16)),
    "v2 zlib": v2((50, 37), (32, 16), compressor=V2_ZLIB),
    "v2 gzip": v2((50, 37), (32, 16), compressor=V2_GZIP),
    "v2 blosc": v2((50, 37), (32, 16), compressor=V2_BLOSC),
    "v2 blosc, bytes": v2((50, 37), (32, 16), dtype="|u1", compressor=V2_BLOSC, separator="."),
    "v2 zstd, big": v2((50, 37), (32, 16), dtype=">f4", compressor={"id": "zstd", "level": 3}),
    "v2 order F": v2((5, 50, 37), (2, 32, 16), order="F", compressor=V2_ZLIB),
    "v2 lz4": v2((50, 37), (32, 16), compressor={"id": "lz4", "acceleration": 1}),
    "v2 bz2": v2((50, 37), (32, 16), compressor={"id": "bz2", "level": 1}),
    "v2 no fill": v2((50, 37), (32, 16), fill=None, compressor=V2_ZLIB),
}
DOCUMENTS["transpose"] = v3((5, 50, 37), (2, 32, 16))
DOCUMENTS["transpose"]["codecs"].insert(0, TRANSPOSE)
DOCUMENTS |= {
    "shards": v3((5, 50, 70), (2, 16, 16), (4, 32, 32)),
    "shards of one chunk": v3((3, 50, 37), (1, 32, 16), (1, 32, 16)),
    "shards, raw, fill": v3((3, 50, 37), (1, 16, 16), (2, 32, 32), codecs=(), fill=9),
    "shards, index in front": v3((5, 50, 37), (2, 16, 16), (4, 32, 32), index="start"),
    "shards, blosc": v3((5, 50, 37), (2, 16, 16), (4, 32, 32), codecs=[blosc("lz4", "shuffle", 2)]),
    "shards, zstd and crc32c": v3((50, 37), (16, 16), (32, 32), codecs=[ZSTD, CRC]),
    "shards, big endian": v3((2, 50, 37), (1, 16, 16), (2, 64, 64), endian="big", dtype="float64"),
    "shards, one axis": v3((50,), (8,), (16,)),
}
NOT_OF_TENSORSTORE = {"v2 lz4"}


SHARDED = [name for name in DOCUMENTS if name.startswith("shards")]


def finished(tmp_path, name, image=None, n_workers=2):
    store = Store(tmp_path, DOCUMENTS[name], n_workers)
    store.put(store.image() if image is None else image)
    store.sink.finish()
    return store


def full_disk(monkeypatch, after=0):
    """Let writing fail as on a full disk, half way through a file."""
    calls, real = itertools.count(), os.pwrite

    def pwrite(fd, data, position):
        if next(calls) < after:
            return real(fd, data, position)
        if len(data) > 1:
            return real(fd, data[: len(data) // 2], position)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", pwrite)


def run_at_once(functions):
    barrier, errors = threading.Barrier(len(functions)), []

    def run(function):
        barrier.wait()
        try:
            function()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors and not any(thread.is_alive() for thread in threads)

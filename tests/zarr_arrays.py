"""Zarr arrays made by hand, without zarr-python: every codec, order and layout that bfio's own reader takes."""

import bz2
import gzip
import itertools
import json
import lzma
import zlib
from math import prod

import imagecodecs
import numpy as np

from bfio._kernels import crc32c
from bfio._parallel import Workers
from bfio.limits import Limits
from bfio.omezarr.arraymeta import parse_array
from bfio.omezarr.fastread import ArrayReader
from bfio.omezarr.nodes import Folder
from bfio.selection import Box

ABSENT = b"\xff" * 16


def _blosc(data):
    return imagecodecs.blosc_encode(data, level=5, compressor="lz4", shuffle=True, typesize=2, numthreads=1)


ENCODE = {
    "zlib": lambda data: zlib.compress(data, 1),
    "zstd": lambda data: bytes(imagecodecs.zstd_encode(data, level=1)),
    "gzip": lambda data: gzip.compress(data, 1),
    "blosc": lambda data: bytes(_blosc(data)),
    "lz4": lambda data: len(data).to_bytes(4, "little") + bytes(imagecodecs.lz4_encode(data)),
    "bz2": lambda data: bz2.compress(data, 1),
    "lzma": lambda data: lzma.compress(data),
    "crc32c": lambda data: data + crc32c(data).to_bytes(4, "little"),
}
CHAINS = [(), ("zlib",), ("zstd",), ("gzip",), ("blosc",), ("lz4",), ("bz2",), ("lzma",), ("crc32c",), ("zstd", "crc32c")]


def encode(block, codecs, big=False, order=None):
    """Bytes of one chunk."""
    if order is not None:
        block = block.transpose(order)
    swapped = block.astype(block.dtype.newbyteorder(">" if big else "<"))
    data = np.ascontiguousarray(swapped).tobytes()
    for codec in codecs:
        data = ENCODE[codec](data)
    return data


def _fill_json(fill, dtype):
    value = dtype.type(fill)
    if dtype.kind == "c":
        return [float(value.real), float(value.imag)]
    return value.item()


def document_v2(image, chunk, codecs, big, order, separator, fill):
    assert len(codecs) <= 1
    dtype = image.dtype.newbyteorder(">" if big else "<")
    return {
        "zarr_format": 2,
        "shape": list(image.shape),
        "chunks": list(chunk),
        "dtype": dtype.str,
        "compressor": {"id": codecs[0]} if codecs else None,
        "filters": None,
        "fill_value": _fill_json(fill, image.dtype),
        "order": "C" if order is None else "F",
        "dimension_separator": separator,
    }


def document_v3(image, chunk, shard, codecs, big, order, separator, encoding, fill, index_at_end, index_crc):
    chain = [{"name": "bytes", "configuration": {"endian": "big" if big else "little"}}]
    if order is not None:
        chain.insert(0, {"name": "transpose", "configuration": {"order": list(order)}})
    chain += [{"name": name} for name in codecs]
    if shard is not None:
        index = [{"name": "bytes", "configuration": {"endian": "little"}}] + [{"name": "crc32c"}] * index_crc
        configuration = {
            "chunk_shape": list(chunk),
            "codecs": chain,
            "index_codecs": index,
            "index_location": "end" if index_at_end else "start",
        }
        chain = [{"name": "sharding_indexed", "configuration": configuration}]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(image.shape),
        "data_type": image.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(shard or chunk)}},
        "chunk_key_encoding": {"name": encoding, "configuration": {"separator": separator}},
        "fill_value": _fill_json(fill, image.dtype),
        "codecs": chain,
    }


def padded(image, index, chunk, fill):
    block = np.full(chunk, fill, image.dtype)
    part = image[tuple(slice(i * n, (i + 1) * n) for i, n in zip(index, chunk, strict=True))]
    block[tuple(map(slice, part.shape))] = part
    return block


def write_array(
    folder, image, chunk, shard=None, codecs=("zstd",), *, big=False, order=None, version=3, separator="/",
    encoding="default", fill=0, skip=(), index_at_end=True, index_crc=True,
):  # fmt: skip
    """Make an array; chunks of the indices `skip` are left out. Gives its metadata and its pixels."""
    if version == 2:
        document = document_v2(image, chunk, codecs, big, order, separator, fill)
    else:
        document = document_v3(
            image, chunk, shard, codecs, big, order, separator, encoding, fill, index_at_end, index_crc
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / (".zarray" if version == 2 else "zarr.json")).write_text(json.dumps(document))
    meta = parse_array(document, "")
    expected = np.array(image)
    encoded = {}
    for index in np.ndindex(*meta.grid):
        if index in skip:
            expected[tuple(slice(i * n, (i + 1) * n) for i, n in zip(index, chunk, strict=True))] = fill
        else:
            encoded[index] = encode(padded(image, index, chunk, fill), codecs, big, order)
    for key, data in (shards(meta, encoded) if shard is not None else ((meta.key(i), d) for i, d in encoded.items())):
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return meta, expected


def shards(meta, encoded):
    per = meta.per_shard
    files = itertools.groupby(sorted(encoded, key=lambda i: _outer(i, per)), key=lambda i: _outer(i, per))
    front = 0 if meta.index_at_end else 16 * prod(per) + 4 * meta.index_crc
    for outer, indices in files:
        table, body = [ABSENT] * prod(per), b""
        for index in indices:
            inner = np.ravel_multi_index(tuple(i % n for i, n in zip(index, per, strict=True)), per)
            table[inner] = (front + len(body)).to_bytes(8, "little") + len(encoded[index]).to_bytes(8, "little")
            body += encoded[index]
        raw = b"".join(table)
        raw += crc32c(raw).to_bytes(4, "little") if meta.index_crc else b""
        yield meta.key(outer), body + raw if meta.index_at_end else raw + body


def _outer(index, per):
    return tuple(i // n for i, n in zip(index, per, strict=True))


def open_array(folder, meta, n_workers=2, cache_nbytes=0, limits=None, nodes=None):
    return ArrayReader(nodes or Folder(folder), meta, Workers(n_workers), limits or Limits(), cache_nbytes)


def tczyx(image, axes):
    """The array with all five axes, as the reader gives it."""
    present = [axis for axis in "tczyx" if axis in axes]
    ordered = image.transpose([axes.index(axis) for axis in present])
    return ordered.reshape([image.shape[axes.index(axis)] if axis in axes else 1 for axis in "tczyx"])


def whole_box(five):
    t, c, z, y, x = five.shape
    return Box(tuple(range(t)), tuple(range(c)), tuple(range(z)), range(y), range(x))


def cut(five, box):
    return five[np.ix_(box.t, box.c, box.z, box.y, box.x)]


def read(reader, axes, box, dtype, rescale=None):
    out = np.empty(box.shape, dtype)
    out.view(np.uint8)[...] = 0xA5
    reader.read(axes, box, out, rescale)
    return out

"""Arrays that zarr-python wrote, read by our own reader: what zarr-python reads, bit for bit."""

import json
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from zarr_arrays import cut, open_array, read, tczyx, whole_box

from bfio.omezarr.arraymeta import Route, parse_array
from bfio.selection import Box

zarr = pytest.importorskip("zarr", minversion="3.0.8")
numcodecs = pytest.importorskip("numcodecs")

DTYPES = ["bool", "uint8", "int16", ">u2", "<i4", ">f4", "float16", "float64", "uint64", "complex64", ">c16"]


@pytest.fixture(scope="module", autouse=True)
def small_chunks_are_cached_too():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bfio.omezarr.fastread.CACHED_NBYTES", 0)
        yield


def compressors_v3():
    codecs = zarr.codecs
    blosc = [
        codecs.BloscCodec(cname=cname, shuffle=shuffle)
        for cname in ("lz4", "zstd", "blosclz", "zlib", "lz4hc")
        for shuffle in ("shuffle", "noshuffle", "bitshuffle")
    ]
    checked = [codecs.ZstdCodec(level=1, checksum=True), (codecs.ZstdCodec(), codecs.Crc32cCodec()), codecs.Crc32cCodec()]
    return [None, codecs.ZstdCodec(level=1), codecs.GzipCodec(level=1), *checked, *blosc]


def compressors_v2():
    blosc = [numcodecs.Blosc(cname=cname, shuffle=shuffle) for cname in ("lz4", "zstd", "zlib") for shuffle in (0, 1, 2)]
    return [
        *(None, numcodecs.Zlib(1), numcodecs.GZip(1), numcodecs.Zstd(1), numcodecs.LZ4(), numcodecs.BZ2(1)),
        *(numcodecs.LZMA(preset=1), numcodecs.LZMA(format=2, preset=1), *blosc),
    ]


@st.composite
def stores(draw):
    rank = draw(st.integers(2, 5))
    shape = tuple(draw(st.integers(1, 20 if axis >= rank - 2 else 4)) for axis in range(rank))
    chunks = tuple(draw(st.integers(1, size + 2)) for size in shape)
    how = {"shape": shape, "chunks": chunks, "fill_value": draw(st.sampled_from([0, 1]))}
    dtype = draw(st.sampled_from(DTYPES))
    if draw(st.booleans()):
        how |= {"zarr_format": 2, "compressors": draw(st.sampled_from(compressors_v2())), "dtype": dtype}
        how["order"] = draw(st.sampled_from("CF"))
        how["chunk_key_encoding"] = {"name": "v2", "separator": draw(st.sampled_from("./"))}
    else:
        how |= {"compressors": draw(st.sampled_from(compressors_v3())), "dtype": dtype.lstrip("<>")}
        how["dtype"] = np.dtype(how["dtype"]).name
        endian = draw(st.sampled_from(["little", "big"])) if np.dtype(dtype).itemsize > 1 else None
        how["serializer"] = zarr.codecs.BytesCodec(endian=endian)
        if draw(st.booleans()):
            how["shards"] = tuple(n * draw(st.integers(1, 3)) for n in chunks)
        if draw(st.booleans()):
            how["filters"] = zarr.codecs.TransposeCodec(order=tuple(draw(st.permutations(range(rank)))))
        how["chunk_key_encoding"] = {
            "name": draw(st.sampled_from(["default", "v2"])),
            "separator": draw(st.sampled_from("./")),
        }
    return how, draw(st.integers(0, 9))


def box_of(draw, five):
    planes = [tuple(draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=3))) for n in five.shape[:3]]
    rows, cols = (range(draw(st.integers(0, n - 1)), n, draw(st.integers(1, 3))) for n in five.shape[3:])
    return Box(*planes, rows, cols)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stores(), st.data())
def test_any_array_of_zarr(store, data):
    how, seed = store
    with tempfile.TemporaryDirectory() as folder:
        array = zarr.create_array(folder, **how)
        rng = np.random.default_rng(seed)
        values = rng.integers(0, 2 if how["dtype"] == "bool" else 100, how["shape"]).astype(array.dtype)
        part = tuple(slice(0, data.draw(st.integers(0, n))) for n in how["shape"])
        array[part] = values[part]
        meta = parse_array(json_of(folder), "")
        assert meta.route is not Route.FOREIGN
        axes = "tczyx"[-len(how["shape"]) :]
        five = tczyx(array[...].astype(meta.dtype), axes)
        reader = open_array(folder, meta, n_workers=1, cache_nbytes=data.draw(st.sampled_from([0, 1 << 20])))
        assert_array_equal(read(reader, axes, whole_box(five), five.dtype), five)
        for _ in range(2):
            box = box_of(data.draw, five)
            assert_array_equal(read(reader, axes, box, five.dtype), cut(five, box))


def json_of(folder):
    (path,) = [path for path in Path(folder).iterdir() if path.name in ("zarr.json", ".zarray")]
    return json.loads(path.read_text())


def test_codecs_that_numcodecs_names_in_version_3(tmp_path):
    codecs = pytest.importorskip("zarr.codecs.numcodecs")
    image = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)
    for number, name in enumerate(["Zlib", "GZip", "BZ2", "LZ4", "LZMA", "Blosc", "Zstd"]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that these names are not those of the specification
            array = zarr.create_array(
                tmp_path / str(number), shape=image.shape, chunks=(8, 8), dtype="u2", compressors=getattr(codecs, name)()
            )
            array[...] = image
        meta = parse_array(json_of(tmp_path / str(number)), "")
        assert meta.route is not Route.FOREIGN, name
        five = tczyx(image, "yx")
        assert_array_equal(read(open_array(tmp_path / str(number), meta), "yx", whole_box(five), "u2"), five)

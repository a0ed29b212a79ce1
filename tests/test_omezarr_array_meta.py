"""The JSON of an array: both versions, defaults, fill values, codecs; and what is refused."""

import contextlib
import copy
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfio.enums import Compression
from bfio.errors import BfioError, FormatError, UnsupportedError
from bfio.omezarr.arraymeta import Chain, Route, parse_array

V2 = {
    "zarr_format": 2,
    "shape": [20, 30],
    "chunks": [8, 16],
    "dtype": "<u2",
    "compressor": {"id": "zlib", "level": 3},
    "filters": None,
    "fill_value": 0,
    "order": "C",
}
BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
ZSTD = {"name": "zstd", "configuration": {"level": 5, "checksum": False}}
V3 = {
    "zarr_format": 3,
    "node_type": "array",
    "shape": [20, 30],
    "data_type": "uint16",
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [8, 16]}},
    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    "fill_value": 0,
    "codecs": [BYTES, ZSTD],
}
INDEX = [BYTES, {"name": "crc32c"}]


def sharding(**change):
    configuration = {"chunk_shape": [4, 8], "codecs": [BYTES, ZSTD], "index_codecs": INDEX} | change
    return [{"name": "sharding_indexed", "configuration": configuration}]


def test_version_2():
    meta = parse_array(V2, "0")
    assert (meta.shape, meta.chunk, meta.shard, meta.dtype) == ((20, 30), (8, 16), None, np.dtype("u2"))
    assert (meta.zarr_format, meta.big_endian, meta.route, meta.order) == (2, False, Route.KERNEL, None)
    assert meta.chain == Chain(Compression.ADOBE_DEFLATE, ("zlib",), ({"level": 3},), 3)
    assert (meta.key((1, 2)), meta.store_key((1, 2))) == ("1.2", "0/1.2")
    assert parse_array(V2 | {"dimension_separator": "/"}, "").store_key((1, 2)) == "1/2"
    assert (meta.grid, meta.chunk_nbytes, meta.per_shard) == ((3, 2), 256, (1, 1))


def test_version_3():
    meta = parse_array(V3 | {"dimension_names": ["y", None]}, "a/1")
    assert (meta.shape, meta.chunk, meta.shard, meta.dtype) == ((20, 30), (8, 16), None, np.dtype("u2"))
    assert meta.chain == Chain(Compression.ZSTD, ("zstd",), (ZSTD["configuration"],), 5)
    assert (meta.store_key((1, 2)), meta.dimension_names, meta.route) == ("a/1/c/1/2", ("y", None), Route.KERNEL)


@pytest.mark.parametrize(
    ("encoding", "key", "scalar"),
    [
        ({"name": "default"}, "c/1/2", "c"),
        ({"name": "default", "configuration": {"separator": "."}}, "c.1.2", "c"),
        ({"name": "v2"}, "1.2", "0"),
        ({"name": "v2", "configuration": {"separator": "/"}}, "1/2", "0"),
        ("default", "c/1/2", "c"),
    ],
)
def test_keys(encoding, key, scalar):
    meta = parse_array(V3 | {"chunk_key_encoding": encoding}, "")
    assert (meta.key((1, 2)), meta.key(())) == (key, scalar)


def test_shards():
    meta = parse_array(V3 | {"codecs": sharding()}, "")
    assert (meta.chunk, meta.shard, meta.per_shard, meta.grid) == ((4, 8), (8, 16), (2, 2), (5, 4))
    assert (meta.index_at_end, meta.index_crc, meta.route) == (True, True, Route.KERNEL)
    other = parse_array(V3 | {"codecs": sharding(index_location="start", index_codecs=[BYTES])}, "")
    assert (other.index_at_end, other.index_crc, other.route) == (False, False, Route.KERNEL)


@pytest.mark.parametrize(
    ("codecs", "route"),
    [
        ([BYTES], Route.KERNEL),
        ([BYTES, {"name": "numcodecs.zlib", "configuration": {"level": 1}}], Route.KERNEL),
        ([BYTES, {"name": "gzip", "configuration": {"level": 1}}], Route.BYTES),
        ([BYTES, ZSTD, {"name": "crc32c"}], Route.BYTES),
        (["bytes"], None),
        ([BYTES, {"name": "unheard of"}], Route.FOREIGN),
        ([{"name": "numcodecs.delta"}, BYTES], Route.FOREIGN),
        ([{"name": "transpose", "configuration": {"order": [1, 0]}}, BYTES], Route.KERNEL),
        ([*sharding(), ZSTD], Route.FOREIGN),
        (sharding(codecs=sharding(chunk_shape=[2, 2])), Route.FOREIGN),
        (sharding(index_codecs=[BYTES, ZSTD]), Route.FOREIGN),
    ],
)
def test_routes(codecs, route):
    if route is None:
        with pytest.raises(FormatError, match="endian"):
            parse_array(V3 | {"codecs": codecs}, "")
    else:
        assert parse_array(V3 | {"codecs": codecs}, "").route is route


@pytest.mark.parametrize(
    ("change", "route"),
    [
        ({"compressor": None}, Route.KERNEL),
        ({"compressor": {"id": "blosc", "clevel": 5}}, Route.BYTES),
        ({"compressor": {"id": "imagecodecs_jpegxl"}}, Route.FOREIGN),
        ({"filters": [{"id": "delta"}]}, Route.FOREIGN),
        ({"filters": [{"id": "zlib"}]}, Route.FOREIGN),
        ({"filters": []}, Route.KERNEL),
    ],
)
def test_routes_of_version_2(change, route):
    assert parse_array(V2 | change, "").route is route


def test_an_order_that_makes_no_difference_is_none():
    assert parse_array(V2 | {"order": "F"}, "").order == (1, 0)
    assert parse_array(V2 | {"order": "F", "chunks": [1, 16]}, "").order is None
    transposed = [{"name": "transpose", "configuration": {"order": [1, 0]}}, BYTES]
    grid = {"name": "regular", "configuration": {"chunk_shape": [1, 16]}}
    assert parse_array(V3 | {"codecs": transposed}, "").order == (1, 0)
    assert parse_array(V3 | {"codecs": transposed, "chunk_grid": grid}, "").order is None


@pytest.mark.parametrize(
    ("dtype", "value", "fill"),
    [
        ("uint8", 255, 255),
        ("uint8", None, 0),
        ("int16", -3.0, -3),
        ("bool", True, True),
        ("float32", "-Infinity", -math.inf),
        ("float32", "0x40490fdb", np.float32(3.1415927)),
        ("float64", 1e300, 1e300),
        ("float16", 1e300, math.inf),
        ("complex64", [1, "Infinity"], complex(1, math.inf)),
        ("complex128", 2, 2),
        ("int64", -(1 << 63), -(1 << 63)),
        ("uint64", (1 << 64) - 1, (1 << 64) - 1),
    ],
)
def test_fill_values(dtype, value, fill):
    found = parse_array(V3 | {"data_type": dtype, "fill_value": value}, "").fill
    assert found == fill and found.dtype == dtype


def test_fill_values_that_are_not_a_number():
    assert np.isnan(parse_array(V2 | {"dtype": ">f4", "fill_value": "NaN"}, "").fill)
    assert parse_array(V2 | {"dtype": ">f4"}, "").big_endian
    payload = parse_array(V3 | {"data_type": "float32", "fill_value": "0x7fc00001"}, "").fill
    assert payload.view(np.uint32) == 0x7FC00001


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        *[("uint8", bad) for bad in (256, -1, 1.5, "3", [], {}, math.nan, math.inf, 10**400)],
        *[("float32", bad) for bad in ("nan", "0x12", "0x1234567g", [], "", "0x")],
        *[("complex64", bad) for bad in ([], [1], [1, 2, 3], "x", [1, "y"], [1, None])],
        *[("bool", bad) for bad in (2, "true")],
    ],
)
def test_fill_values_that_do_not_fit(dtype, value):
    for document in (V3 | {"data_type": dtype}, V2 | {"dtype": dtype}):
        with pytest.raises(FormatError, match="fill value"):
            parse_array(document | {"fill_value": value}, "")


@pytest.mark.parametrize(
    "change",
    [
        *[{"zarr_format": bad} for bad in (1, 4, "3", True, None)],
        *[{"node_type": bad} for bad in ("group", None)],
        *[{"shape": bad} for bad in (None, 7, [-1, 2], [1.0, 2], [True, 2], ["1", 2], [2], [1] * 40, [1 << 63, 1])],
        *[{"chunk_grid": bad} for bad in (None, 3, {}, {"name": "regular"}, {"name": "regular", "configuration": 1})],
        *[{"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": bad}}} for bad in ([0, 1], [1], None, [1, 1, 1])],
        *[{"codecs": bad} for bad in (None, [], {}, [None], [3], [{"name": 3}], [{"name": "bytes", "configuration": {"endian": "middle"}}])],
        *[{"codecs": [{"name": "transpose", "configuration": {"order": bad}}, BYTES]} for bad in (None, [0], [0, 0], [1, 2], "K", [True, False])],
        *[{"codecs": sharding(chunk_shape=bad)} for bad in ([3, 8], [0, 8], [4], None)],
        *[{"codecs": sharding(index_codecs=bad)} for bad in (None, [], 5)],
        {"codecs": sharding(index_location="middle")},
        {"chunk_key_encoding": {"name": "default", "configuration": {"separator": "-"}}},
        {"chunk_key_encoding": 5},
        {"dimension_names": ["y"]},
        {"dimension_names": "yx"},
        {"dimension_names": [1, 2]},
        {"data_type": None},
        {"data_type": 5},
    ],
)  # fmt: skip
def test_what_is_broken(change):
    with pytest.raises(FormatError, match="array|zarr_format"):
        parse_array(V3 | change, "0")


@pytest.mark.parametrize(
    "change",
    [
        {"data_type": "string"},
        {"data_type": "r16"},
        {"data_type": {"name": "numpy.datetime64", "configuration": {"unit": "s", "scale_factor": 1}}},
        {"chunk_grid": {"name": "rectilinear", "configuration": {}}},
        {"chunk_key_encoding": {"name": "of my own"}},
        {"storage_transformers": [{"name": "x"}]},
        {"extension": {"name": "x"}},
        {"extension": {"name": "x", "must_understand": True}},
    ],
)
def test_what_is_not_supported(change):
    with pytest.raises(UnsupportedError, match="array"):
        parse_array(V3 | change, "0")


def test_what_need_not_be_understood_is_passed_over():
    parse_array(V3 | {"extension": {"must_understand": False}, "attributes": {"a": 1}, "storage_transformers": []}, "0")


@pytest.mark.parametrize("dtype", ["<M8[s]", "|S4", "<U3", "|O", "|V2", [["a", "<u2"]]])
def test_items_of_version_2_that_are_no_pixels(dtype):
    with pytest.raises(UnsupportedError, match="no pixels"):
        parse_array(V2 | {"dtype": dtype}, "")


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "<q9"}, {"dtype": 3}, {"dtype": "u2, ("}, {"order": "K"}, {"dimension_separator": "x"}, {"filters": 3},
        {"filters": [3]}, {"compressor": "zlib"}, {"compressor": {}}, {"chunks": [8]}, {"chunks": [0, 1]}, {"chunks": True},
    ],
)  # fmt: skip
def test_what_is_broken_in_version_2(change):
    with pytest.raises(FormatError, match="array"):
        parse_array(V2 | change, "0")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_json_gives_an_array_or_an_error_of_bfio(data):
    document = copy.deepcopy(data.draw(st.sampled_from([V2, V3, V3 | {"codecs": sharding()}])))
    place = document
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(list(keys)))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just([]) | st.just({})
    place[key] = data.draw(values | st.lists(values, max_size=3))
    with contextlib.suppress(BfioError):
        parse_array(json.loads(json.dumps(document)), "0")

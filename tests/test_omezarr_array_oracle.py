"""numpy is the oracle: boxes of Zarr arrays of every rank, chunking, codec, dtype, byte order and axis order."""

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from zarr_arrays import CHAINS, cut, open_array, read, tczyx, whole_box, write_array

from bfio.omezarr.arraymeta import Route
from bfio.omezarr.fastread import can_read
from bfio.selection import Box

DTYPES = [
    *("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
]


@pytest.fixture(scope="module", autouse=True)
def small_chunks_are_cached_too():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bfio.omezarr.fastread.CACHED_NBYTES", 0)
        yield


def pixels(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind in "fc":
        return (rng.normal(size=shape) * 9 + (1j * rng.normal(size=shape) if dtype.kind == "c" else 0)).astype(dtype)
    return rng.integers(0, 2 if dtype.kind == "b" else 100, shape).astype(dtype)


@st.composite
def arrays(draw):
    """Image, letters of its axes, and how it is stored."""
    axes = "".join(a for a in "tczyx" if draw(st.booleans()))
    if draw(st.booleans()):
        axes = "".join(draw(st.permutations(axes)))
    shape = tuple(draw(st.integers(1, 9 if axis in "yx" else 4)) for axis in axes)
    chunk = tuple(draw(st.integers(1, size + 2)) for size in shape)
    image = pixels(shape, draw(st.sampled_from(DTYPES)), draw(st.integers(0, 5)))
    how = {"big": draw(st.booleans()), "separator": draw(st.sampled_from("./")), "fill": draw(st.sampled_from([0, 1]))}
    codecs = draw(st.sampled_from(CHAINS))
    if draw(st.booleans()) and len(codecs) < 2 and codecs != ("crc32c",):
        how["version"] = 2
        how["order"] = tuple(reversed(range(len(axes)))) if draw(st.booleans()) else None
    else:
        how["encoding"] = draw(st.sampled_from(["default", "v2"]))
        how["order"] = tuple(draw(st.permutations(range(len(axes))))) if draw(st.booleans()) else None
        if draw(st.booleans()):
            how["shard"] = tuple(n * draw(st.integers(1, 3)) for n in chunk)
            how["index_at_end"], how["index_crc"] = draw(st.booleans()), draw(st.booleans())
    grid = [range(-(-n // c)) for n, c in zip(shape, chunk, strict=True)]
    how["skip"] = set(draw(st.lists(st.sampled_from(list(itertools.product(*grid))), max_size=3)))
    return image, axes, chunk, codecs, how


def draw_range(draw, size):
    start = draw(st.integers(0, size - 1))
    return range(start, draw(st.integers(start + 1, size)), draw(st.integers(1, 4)))


@st.composite
def boxes(draw, five):
    planes = [tuple(draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=5))) for n in five.shape[:3]]
    return Box(*planes, draw_range(draw, five.shape[3]), draw_range(draw, five.shape[4]))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(arrays(), st.data())
def test_any_box_of_any_array(array, data):
    image, axes, chunk, codecs, how = array
    with tempfile.TemporaryDirectory() as folder:
        meta, expected = write_array(Path(folder), image, chunk, codecs=codecs, **how)
        assert meta.route is not Route.FOREIGN
        five = tczyx(expected, axes)
        reader = open_array(folder, meta, n_workers=1, cache_nbytes=data.draw(st.sampled_from([0, 4000, 1 << 20])))
        assert_array_equal(read(reader, axes, whole_box(five), five.dtype), five)
        for _ in range(3):
            box = data.draw(boxes(five))
            assert_array_equal(read(reader, axes, box, five.dtype), cut(five, box))
        reader.close()


@pytest.mark.parametrize("dst", ["uint8", "int16", "float32", "uint64"])
@pytest.mark.parametrize("codecs", [(), ("zstd",), ("blosc",)])
@pytest.mark.parametrize("rescale", [None, (2.0, -20.0)])
def test_conversion_saturates_and_rescales_the_fill_value_too(tmp_path, dst, codecs, rescale):
    image = np.random.default_rng(1).integers(-300, 300, (3, 20, 30)).astype(np.int32)
    meta, expected = write_array(tmp_path, image, (2, 8, 8), codecs=codecs, fill=-7, skip={(0, 0, 0), (1, 2, 3)})
    values = expected * rescale[0] + rescale[1] if rescale else expected
    low, high = (np.iinfo(dst).min, np.iinfo(dst).max) if np.dtype(dst).kind in "iu" else (-1e9, 1e9)
    five = tczyx(np.clip(values, low, high).astype(dst), "zyx")
    reader = open_array(tmp_path, meta)
    assert_array_equal(read(reader, "zyx", whole_box(five), dst, rescale), five)


@pytest.mark.parametrize("codecs", [(), ("zstd",), ("gzip",)])
@pytest.mark.parametrize("cache_nbytes", [0, 1 << 24])
def test_outputs_of_any_strides(tmp_path, codecs, cache_nbytes):
    image = pixels((4, 3, 20, 30), "uint16")
    meta, expected = write_array(tmp_path, image, (3, 1, 8, 8), codecs=codecs)
    five = tczyx(expected, "czyx")
    reader = open_array(tmp_path, meta, cache_nbytes=cache_nbytes)
    for order in [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (0, 3, 4, 2, 1)]:
        frame = np.zeros([2 * n for n in np.array(five.shape)[list(order)]], np.uint16)
        out = frame[tuple(slice(None, None, -2) for _ in order)].transpose(np.argsort(order))
        reader.read("czyx", whole_box(five), out, None)
        assert_array_equal(out, five)
        assert frame.sum() == five.sum()  # nothing beside it was written


@pytest.mark.parametrize("shard", [None, (8, 64, 64)])
@pytest.mark.parametrize("codecs", [(), ("zstd",), ("blosc",)])
def test_many_chunks_by_many_workers(tmp_path, shard, codecs):
    image = pixels((20, 200, 180), "uint16")
    meta, expected = write_array(tmp_path, image, (4, 32, 32), shard, codecs)
    five = tczyx(expected, "zyx")
    reader = open_array(tmp_path, meta, n_workers=4)
    for _ in range(3):
        assert_array_equal(read(reader, "zyx", whole_box(five), five.dtype), five)


def test_plans_are_made_in_parts(tmp_path, monkeypatch):
    import bfio.omezarr.plan

    monkeypatch.setattr(bfio.omezarr.plan, "MAX_TASKS", 7)
    image = pixels((2, 5, 21, 30), "uint16")
    for number, chunk in enumerate([(1, 1, 4, 4), (2, 5, 4, 4), (1, 2, 4, 30)]):
        meta, expected = write_array(tmp_path / str(number), image, chunk, tuple(2 * n for n in chunk))
        five = tczyx(expected, "tzyx")
        assert_array_equal(read(open_array(tmp_path / str(number), meta), "tzyx", whole_box(five), "u2"), five)


class Memory:
    """A store without files."""

    def __init__(self, folder):
        self.name, self.root, self.n_got = "memory", None, 0
        self._values = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    def get(self, key):
        self.n_got += 1
        return self._values.get(key)

    def names(self, key):
        return None


@pytest.mark.parametrize("codecs", [(), ("zstd",), ("blosc",)])
def test_a_store_without_files(tmp_path, codecs):
    image = pixels((5, 40, 30), "int16")
    meta, expected = write_array(tmp_path, image, (2, 16, 16), codecs=codecs, fill=3, skip={(1, 1, 1), (0, 0, 0)})
    nodes = Memory(tmp_path)
    five = tczyx(expected, "zyx")
    reader = open_array(None, meta, nodes=nodes, cache_nbytes=1 << 24)
    assert_array_equal(read(reader, "zyx", whole_box(five), five.dtype), five)
    box = Box((0,), (0,), (2, 3), range(5), range(17, 30))
    for n_got in (1, 0):
        nodes.n_got = 0
        assert_array_equal(read(reader, "zyx", box, five.dtype), cut(five, box))
        assert nodes.n_got == n_got  # what is cached is not fetched again


@pytest.mark.parametrize("codecs", [(), ("zstd",), ("blosc",)])
@pytest.mark.parametrize("cache_nbytes", [0, 1 << 24])
def test_shards_of_a_store_without_files(tmp_path, codecs, cache_nbytes):
    image = pixels((5, 40, 50), "uint16")
    skip = {(1, 1, 1), (0, 2, 2)}
    meta, expected = write_array(tmp_path, image, (2, 16, 16), (4, 32, 32), codecs=codecs, fill=3, skip=skip)
    nodes = Memory(tmp_path)
    assert can_read(nodes, meta)
    five, reader = tczyx(expected, "zyx"), open_array(None, meta, nodes=nodes, cache_nbytes=cache_nbytes)
    box = Box((0,), (0,), (3, 1, 2), range(3, 40, 2), range(7, 41))
    for _ in range(2):
        assert_array_equal(read(reader, "zyx", box, "u2"), cut(five, box))
        assert_array_equal(read(reader, "zyx", whole_box(five), "u2"), five)


@pytest.mark.parametrize("shard", [None, (4, 32, 32)])
@pytest.mark.parametrize("codecs", [(), ("zstd",), ("blosc",)])
@pytest.mark.parametrize("cache_nbytes", [0, 1 << 24])
def test_where_the_system_reads_at_no_position(tmp_path, monkeypatch, shard, codecs, cache_nbytes):
    monkeypatch.setattr("bfio.omezarr.chunkread.CAN_READ", False)  # Windows: the kernels take bytes
    image = pixels((5, 40, 50), "uint16")
    meta, expected = write_array(tmp_path, image, (2, 16, 16), shard, codecs, fill=3, skip={(1, 1, 1), (0, 2, 2)})
    five, reader = tczyx(expected, "zyx"), open_array(tmp_path, meta, cache_nbytes=cache_nbytes)
    box = Box((0,), (0,), (3, 1, 2), range(3, 40, 2), range(7, 41))
    for _ in range(2):
        assert_array_equal(read(reader, "zyx", box, "u2"), cut(five, box))
        assert_array_equal(read(reader, "zyx", whole_box(five), "u2"), five)

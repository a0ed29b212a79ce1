"""Chunks of Zstandard that are decoded only as far as a region reaches: numpy is the oracle, and damage is damage."""

from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from together import run_together
from zarr_arrays import cut, open_array, read, tczyx, whole_box, write_array
from zstd_frames import SKIPPABLE, body, frame

from bfio import _kernels
from bfio.errors import ChunkDecodeError
from bfio.omezarr.slots import MARKS, MEMORY, Habit
from bfio.selection import Box

pytestmark = pytest.mark.skipif(not _kernels.has_decompressor(50000), reason="no zstd in this build")

CHUNK = (1, 700, 301)
DEEP = (7, 130, 250)
LAYOUTS = {
    "plane": (CHUNK, None, {}),
    "deep": (DEEP, None, {"big": True}),
    "shards": (DEEP, (7, 260, 500), {}),
    "turned": (DEEP, None, {"order": (1, 0, 2)}),
    "first axis last": (DEEP, None, {"order": (1, 2, 0)}),
}
KEY = "c/0/0/0"


def pixels(shape=(9, 1403, 611), seed=0):
    """Smooth at places, noise at others."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 200, shape).astype(np.uint16)
    image[:, 300:500] = np.arange(shape[-1]) // 9
    return image


IMAGE = pixels()


@pytest.fixture(scope="module", params=LAYOUTS)
def array(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("array")
    chunk, shard, how = LAYOUTS[request.param]
    meta, expected = write_array(folder, IMAGE, chunk, shard, **how)
    return folder, meta, tczyx(expected, "zyx")


def random_box(rng, five):
    """A rectangle of some planes, often with steps."""
    n_z, n_y, n_x = five.shape[2:]
    planes = tuple(rng.integers(0, n_z, rng.integers(1, 4)).tolist())
    y, x = (int(rng.integers(0, n - 1)) for n in (n_y, n_x))
    bottom, right = int(rng.integers(y + 1, min(y + 400, n_y) + 1)), int(rng.integers(x + 1, n_x + 1))
    return Box((0,), (0,), planes, range(y, bottom, int(rng.integers(1, 4))), range(x, right, int(rng.integers(1, 3))))


@pytest.fixture
def decoded(monkeypatch):
    """Shares of chunks that were decoded, in the order in which they were."""
    shares, decode_tiles = [], _kernels.decode_tiles

    def decode(form, tasks, *arguments):
        for task in tasks[(tasks["ready"] == 0) & (tasks["nbytes"] > 0)]:
            shares.append(int(task["decoded_rows"] or task["tile_rows"]) / int(task["tile_rows"]))
        return decode_tiles(form, tasks, *arguments)

    monkeypatch.setattr(_kernels, "decode_tiles", decode)
    return shares


@pytest.mark.parametrize("cache_nbytes", [0, 6 << 20, 1 << 28])
@pytest.mark.parametrize("n_workers", [1, 3])
def test_random_regions(array, cache_nbytes, n_workers, decoded):
    folder, meta, five = array
    rng = np.random.default_rng(cache_nbytes + n_workers)
    reader = open_array(folder, meta, n_workers, cache_nbytes)
    for _ in range(25):
        box = random_box(rng, five)
        assert_array_equal(read(reader, "zyx", box, five.dtype), cut(five, box))
    assert min(decoded) < 0.8
    assert_array_equal(read(reader, "zyx", whole_box(five), "i4"), five)
    reader.close()


@pytest.mark.parametrize("cache_nbytes", [0, 8 << 20, 1 << 28])
def test_one_reader_for_many_threads(array, cache_nbytes):
    folder, meta, five = array
    reader = open_array(folder, meta, 2, cache_nbytes)

    def work(number):
        rng = np.random.default_rng(number)
        for _ in range(12):
            box = random_box(rng, five)
            assert_array_equal(read(reader, "zyx", box, five.dtype), cut(five, box))

    run_together(4, work)
    reader.close()


@pytest.mark.parametrize(("height", "cache_nbytes"), [(10, 1 << 28), (100, 1 << 28), (350, 1 << 28), (100, 0)])
def test_a_scan_by_bands_decodes_little_more_than_once(tmp_path, height, cache_nbytes, decoded):
    meta, expected = write_array(tmp_path, IMAGE[:3], CHUNK)
    five = tczyx(expected, "zyx")
    reader = open_array(tmp_path, meta, 2, cache_nbytes)
    for z in range(3):
        for y in range(0, 1403, height):
            box = Box((0,), (0,), (z,), range(y, min(y + height, 1403)), range(611))
            assert_array_equal(read(reader, "zyx", box, five.dtype), cut(five, box))
    n_chunks = np.prod(meta.grid)
    if cache_nbytes:
        assert sum(decoded) < 1.4 * n_chunks
    else:
        assert sum(decoded) > 1.4 * n_chunks  # there is something to be saved


def test_a_chunk_that_is_met_again_is_decoded_as_a_whole_and_kept(tmp_path, decoded):
    meta, expected = write_array(tmp_path, IMAGE[:1], CHUNK)
    five = tczyx(expected, "zyx")
    reader = open_array(tmp_path, meta, 1, 1 << 28)
    for y in (5, 100, 20, 600, 0, 350):
        box = Box((0,), (0,), (0,), range(y, y + 40), range(300))
        assert_array_equal(read(reader, "zyx", box, five.dtype), cut(five, box))
    assert decoded == [45 / 700, 1.0]


def test_habit():
    habit = Habit()
    assert [habit.passes(key) for key in range(100)] == [True] * 100
    assert [habit.passes(key) for key in range(100)] == [False] * 100
    assert not any(habit.passes(key) for key in range(100, 140))  # all came again
    scanning = Habit()
    assert [scanning.passes(key // 4) for key in range(4 * MEMORY)] == [True] + [False] * (4 * MEMORY - 1)
    assert [scanning.passes(-key) for key in range(2, MEMORY)][-1]  # old habits are forgotten
    for key in range(2 * MARKS):
        scanning.passes(key)
    assert len(scanning._met) <= MARKS


def make_small(folder):
    """A chunk that takes few bytes, most of it of one value."""
    image = np.zeros(CHUNK, np.uint16)
    image[0, -1], image[0, 0] = np.arange(301), np.arange(301) % 7
    meta, expected = write_array(folder, image, CHUNK)
    return meta, tczyx(expected, "zyx")


@pytest.mark.parametrize("cache_nbytes", [0, 1 << 28])
@pytest.mark.parametrize("bottom", [1, 300, 700])
def test_a_chunk_that_is_cut_off_anywhere_is_an_error_everywhere(tmp_path, cache_nbytes, bottom):
    meta, five = make_small(tmp_path)
    path = tmp_path / KEY
    data = path.read_bytes()
    box = Box((0,), (0,), (0,), range(bottom), range(300))
    assert_array_equal(read(open_array(tmp_path, meta, 1, cache_nbytes), "zyx", box, "u2"), cut(five, box))
    for nbytes in range(len(data)):
        path.write_bytes(data[:nbytes])
        with pytest.raises(ChunkDecodeError):
            read(open_array(tmp_path, meta, 1, cache_nbytes), "zyx", box, "u2")
    path.write_bytes(data + b"\0")
    with pytest.raises(ChunkDecodeError):
        read(open_array(tmp_path, meta, 1, cache_nbytes), "zyx", box, "u2")


@pytest.mark.parametrize("cache_nbytes", [0, 1 << 28])
def test_a_chunk_that_holds_more_or_less_than_it_should(tmp_path, cache_nbytes):
    meta, _ = make_small(tmp_path)
    box = Box((0,), (0,), (0,), range(9), range(300))
    nbytes = 2 * int(np.prod(CHUNK))
    for wrong in (nbytes - 1, nbytes + 1, 2 * nbytes, 1000):
        (tmp_path / KEY).write_bytes(imagecodecs.zstd_encode(bytes(wrong), level=1))
        with pytest.raises(ChunkDecodeError, match="there are"):
            read(open_array(tmp_path, meta, 1, cache_nbytes), "zyx", box, "u2")


@pytest.mark.parametrize("cache_nbytes", [0, 1 << 28])
def test_frames_of_any_kind(tmp_path, cache_nbytes):
    meta, expected = write_array(tmp_path, IMAGE[:1, :700, :301], CHUNK)
    five = tczyx(expected, "zyx")
    path = tmp_path / KEY
    data, content = path.read_bytes(), IMAGE[0, :700, :301].tobytes()
    halves = [bytes(imagecodecs.zstd_encode(part, level=1)) for part in (content[:200_000], content[200_000:])]
    checked = frame(body(data), len(content), content)
    box = Box((0,), (0,), (0,), range(100, 160), range(200))
    for other in (SKIPPABLE + data, data + SKIPPABLE, b"".join(halves), frame(body(data)), checked):
        path.write_bytes(other)
        reader = open_array(tmp_path, meta, 1, cache_nbytes)
        for _ in range(3):
            assert_array_equal(read(reader, "zyx", box, "u2"), cut(five, box))
        path.write_bytes(other[:-1])
        with pytest.raises(ChunkDecodeError):
            read(reader, "zyx", box, "u2")
    path.write_bytes(checked[:-1] + bytes([checked[-1] ^ 1]))
    with pytest.raises(ChunkDecodeError):
        read(open_array(tmp_path, meta, 1, cache_nbytes), "zyx", box, "u2")


def test_chunks_with_a_checksum_are_decoded_as_a_whole_and_kept(tmp_path, decoded):
    meta, _ = write_array(tmp_path, IMAGE[:1, :700, :301], CHUNK)
    chain = replace(meta.chain, config=({"level": 1, "checksum": True},))
    reader = open_array(tmp_path, replace(meta, chain=chain), 1, 1 << 28)
    box = Box((0,), (0,), (0,), range(9), range(300))
    for _ in range(2):
        read(reader, "zyx", box, "u2")
    assert decoded == [1.0]

"""Cache and decoding ahead behind the reader: right pixels, no tile twice, no harm by broken neighbours."""

import numpy as np
import pytest
import tifffile

from bfio import BioReader, _kernels
from bfio.errors import TileDecodeError
from bfio.plan import TASK
from bfio.tiff import readahead


@pytest.fixture
def image():
    return np.random.default_rng(1).integers(0, 50, (256, 256), np.uint16)


@pytest.fixture
def decoded(monkeypatch):
    """Tiles that go through the kernel without being in the cache, by index."""
    tiles, door = [], _kernels.decode_tiles

    def watch(form, tasks, fd, data, out, slab, counter, budget):
        if not counter[0]:
            todo = tasks.view(TASK)
            tiles.extend(todo["tile"][(todo["ready"] == 0) & (todo["nbytes"] > 0)].tolist())
        return door(form, tasks, fd, data, out, slab, counter, budget)

    monkeypatch.setattr(_kernels, "decode_tiles", watch)
    return tiles


def write(path, image, **options):
    options = {"tile": (32, 32), "compression": "lzw", "metadata": None} | options
    tifffile.imwrite(path, image, **options)
    return path


def spoil(path, *tiles):
    """Overwrite the encoded bytes of tiles of the first IFD."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        places = [(page.dataoffsets[tile], page.databytecounts[tile]) for tile in tiles]
    with path.open("r+b") as stream:
        for offset, nbytes in places:
            stream.seek(offset)
            stream.write(b"\xff" * nbytes)


def test_overlapping_reads_decode_once(tmp_path, image, decoded):
    with BioReader(write(tmp_path / "a.tif", image), max_workers=1) as reader:
        for y in range(0, 60, 7):
            np.testing.assert_array_equal(reader[y : y + 40, 10:50], image[y : y + 40, 10:50])
    assert len(decoded) == len(set(decoded)) == 6


def test_without_a_cache_every_read_decodes(tmp_path, image, decoded):
    with BioReader(write(tmp_path / "a.tif", image), max_workers=1, cache_bytes=0) as reader:
        for _ in range(3):
            np.testing.assert_array_equal(reader[3:9, 3:9], image[3:9, 3:9])
    assert decoded == [0, 0, 0]


def test_large_reads_do_not_flush_the_cache(tmp_path, image, decoded):
    with BioReader(write(tmp_path / "a.tif", image), max_workers=1, cache_bytes=40 * 2048) as reader:
        reader[:9, :9]
        np.testing.assert_array_equal(reader[:], image)
        decoded.clear()
        np.testing.assert_array_equal(reader[:9, :9], image[:9, :9])
    assert decoded == []


@pytest.mark.parametrize("cache_bytes", [2048, 4 * 2048, 9 * 2048, 1 << 20])
def test_small_caches_give_the_right_pixels(tmp_path, image, cache_bytes):
    rng = np.random.default_rng(0)
    with BioReader(write(tmp_path / "a.tif", image), max_workers=2, cache_bytes=cache_bytes) as reader:
        for _ in range(150):
            y, x = rng.integers(0, 250, 2)
            h, w = rng.integers(1, 70, 2)
            np.testing.assert_array_equal(reader[y : y + h, x : x + w], image[y : y + h, x : x + w])


def test_idle_workers_decode_what_a_scan_needs_next(tmp_path, image, decoded):
    with BioReader(write(tmp_path / "a.tif", image), max_workers=2) as reader:
        for x in range(0, 256, 32):
            np.testing.assert_array_equal(reader[:32, x : x + 32], image[:32, x : x + 32])
    assert set(range(8)) <= set(decoded)
    assert len(decoded) == len(set(decoded)) <= 9


def test_decoding_ahead_stops_where_nobody_uses_it(tmp_path, image, decoded, monkeypatch):
    monkeypatch.setattr(readahead, "TRIAL_NBYTES", 8 * 2048)
    with BioReader(write(tmp_path / "a.tif", image), max_workers=2) as reader:
        for tile in range(0, 64, 3):
            y, x = 32 * (tile // 8) + 15, 32 * (tile % 8) + 15
            assert reader[y, x] == image[y, x]
    assert len(decoded) <= 22 + 10


@pytest.mark.parametrize("max_workers", [1, 2, 4])
def test_a_broken_neighbour_does_not_matter(tmp_path, image, max_workers):
    path = write(tmp_path / "a.tif", image)
    spoil(path, 1, 8, 9)
    with BioReader(path, max_workers=max_workers) as reader:
        for _ in range(3):
            np.testing.assert_array_equal(reader[20:32, 20:32], image[20:32, 20:32])
        for _ in range(2):
            with pytest.raises(TileDecodeError) as caught:
                reader[20:32, 20:40]
            assert (caught.value.plane, caught.value.tile) == (0, 1)
        np.testing.assert_array_equal(reader[:32, 64:128], image[:32, 64:128])


@pytest.mark.parametrize("compression", ["packbits", "lzw"])
def test_a_short_strip_that_shares_its_bytes(tmp_path, compression):
    """A writer that stores equal strips once may cut the last one short in the same bytes."""
    row = np.arange(64, dtype=np.uint8)
    image = np.tile(row, (24, 1))
    path = write(tmp_path / "a.tif", image, tile=None, rowsperstrip=16, compression=compression)
    with tifffile.TiffFile(path, mode="r+") as file:
        page = file.pages[0]
        for tag in (page.tags[273], page.tags[279]):
            tag.overwrite((tag.value[0], tag.value[0]))
    with BioReader(path, max_workers=1) as reader:
        np.testing.assert_array_equal(reader[20:24], image[20:24])
        np.testing.assert_array_equal(reader[:16], image[:16])
        np.testing.assert_array_equal(reader[:], image)

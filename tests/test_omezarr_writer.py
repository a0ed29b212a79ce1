"""BioWriter into OME-Zarr: any blocks in any order, from any thread, give the image; zarr-python reads it."""

import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial as partial_of

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bfio
from bfio import UsageError
from bfio.omezarr.writing import assembling, partial
from bfio.omezarr.writing.holding import Holding
from bfio.pyramid import halve

zarr = pytest.importorskip("zarr")


BioWriter = partial_of(bfio.BioWriter, durable=False)  # the disk is slow


@pytest.fixture
def path(tmp_path):
    return tmp_path / "image.ome.zarr"


def random_image(shape, dtype=np.uint16, seed=0):
    return np.random.default_rng(seed).integers(0, 250, shape).astype(dtype)


def stored(path, level=0):
    """Pixels of a level in the order Y, X, Z, C, T."""
    return zarr.open_group(path, mode="r")[str(level)][:].transpose(3, 4, 2, 1, 0)


def check(path, image, levels=1):
    """Every level, against what numpy has."""
    expected = image.transpose(4, 3, 2, 0, 1)
    for level in range(levels):
        np.testing.assert_array_equal(zarr.open_group(path, mode="r")[str(level)][:], expected)
        expected = halve(expected)
    assert not (path.parent / f"{path.name}.part").exists()
    assert not (path / ".bfio").exists()
    assert not list(path.rglob("*.partial"))


def blocks(rng, shape, n):
    """Random regions of an image."""
    for _ in range(n):
        bounds = [np.sort(rng.choice(size + 1, 2, replace=False)) for size in shape]
        yield tuple(slice(int(start), int(stop)) for start, stop in bounds)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("chunks", [(24, 40), (3, 16, 32), (2, 2, 2, 33, 17)])
def test_blocks_in_any_order(path, version, levels, chunks):
    rng, image = np.random.default_rng(1), random_image((70, 101, 5, 3, 2))
    with BioWriter(path, shape=image.shape, dtype=image.dtype, chunks=chunks, levels=levels, zarr_version=version) as bw:
        for key in blocks(rng, image.shape, 30):
            bw[key] = 255 - image[key]  # is written over again
        for z in rng.permutation(5):
            for start in rng.permutation(np.arange(0, 101, 9)):
                key = (slice(None), slice(int(start), int(start) + 9), int(z))
                bw[key] = image[:, key[1], z : z + 1]
        for key in blocks(rng, image.shape, 10):
            bw[key] = image[key]
    check(path, image, levels)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_against_an_array(tmp_path, data):
    sizes = st.integers(1, 40)
    shape = data.draw(st.tuples(sizes, sizes, st.integers(1, 4), st.integers(1, 3), st.integers(1, 2)))
    chunks = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), sizes, sizes))
    levels, seed = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 1000))
    levels = min(levels, 1 + (max(shape[:2]) - 1).bit_length())
    rng, image = np.random.default_rng(seed), np.zeros(shape, np.uint8)
    path = tmp_path / "image.zarr"
    with BioWriter(path, shape=shape, dtype="u1", chunks=chunks, levels=levels, overwrite=True) as bw:
        bw[:1, :1] = 0
        for key in blocks(rng, shape, data.draw(st.integers(0, 12))):
            pixels = random_image([part.stop - part.start for part in key], np.uint8, seed)
            bw[key] = image[key] = pixels
            if data.draw(st.booleans()):
                bw.flush()
    check(path, image, levels)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint32", "int64", "float16", "float32", "float64", "complex64"])
@pytest.mark.parametrize("compression", ["zstd", "deflate", "none", "default"])
def test_dtypes_and_codecs(path, dtype, compression):
    image = random_image((50, 33, 2, 1, 1), dtype)
    with BioWriter(path, image=image, compression=compression, tile_size=32):
        pass
    array = zarr.open_group(path, mode="r")["0"]
    assert array.dtype == dtype and array.chunks == (1, 1, 1, 32, 32)
    check(path, image)


def test_threads(path):
    image = random_image((256, 256, 4, 1, 1))
    keys = [(slice(y, y + 20), slice(x, x + 28), z) for y in range(0, 256, 20) for x in range(0, 256, 28) for z in range(4)]
    barrier = threading.Barrier(4)
    with BioWriter(path, shape=image.shape, dtype=image.dtype, chunks=(2, 32, 32), levels=4, max_workers=2) as bw:

        def write(share):
            barrier.wait()
            for key in share:
                bw[key] = image[key[0], key[1], key[2] : key[2] + 1]

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, [keys[start::4] for start in range(4)]))
    check(path, image, 4)


def test_parts_wait_in_a_file(path, monkeypatch):
    monkeypatch.setattr(assembling, "MEMORY_NBYTES", 4096)
    monkeypatch.setattr(assembling, "LEAST_NBYTES", 4096)
    monkeypatch.setattr(assembling, "SOME_NBYTES", 4096)
    image = random_image((64, 96, 8, 1, 1))
    with BioWriter(path, shape=image.shape, dtype=image.dtype, chunks=(8, 16, 16), levels=2) as bw:
        for z in range(8):
            bw[:, :, z] = image[:, :, z]
        waiting = bw._backend._session.assembler.partials[0]
        assert not len(waiting)
        bw[:, :, 0] = image[:, :, 0]
        assert len(waiting) == 24 and len(waiting._resident) == 1
    check(path, image, 2)


def test_whole_chunks_do_not_wait(path, monkeypatch):
    monkeypatch.setattr(partial.PartialChunks, "add", None)
    image = random_image((64, 100, 2, 1, 1))
    with BioWriter(path, shape=image.shape, dtype=image.dtype, chunks=(2, 32, 32)) as bw:
        bw[:32] = image[:32]
        bw[32:, :64] = image[32:, :64]
        bw[32:, 64:] = image[32:, 64:]
    check(path, image)


def test_the_same_bytes_each_time(tmp_path):
    image = random_image((70, 101, 3, 2, 1))
    found = []
    for name, step in (("a.zarr", 7), ("b.zarr", 64)):
        with BioWriter(tmp_path / name, shape=image.shape, dtype=image.dtype, chunks=(2, 32, 32), levels=2) as bw:
            for y in range(0, 70, step):
                bw[y : y + step] = image[y : y + step]
        root = tmp_path / name
        found.append({str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()})
    assert found[0].keys() == found[1].keys()
    assert all(found[0][key] == found[1][key] for key in found[0] if "/c/" in f"/{key}")


def test_never_written_pixels_are_zero_and_missing_tells_them(path, caplog):
    image = random_image((64, 64, 4, 1, 1)) + 1
    with BioWriter(path, shape=image.shape, dtype=image.dtype, chunks=(2, 32, 32), levels=2) as bw:
        assert bw.missing == [tuple(slice(0, size) for size in image.shape)]
        bw[:32, :32] = image[:32, :32]
        bw[40:50, :20, 1] = image[40:50, :20, 1]
        lost = np.zeros(image.shape, int)
        for key in bw.missing:
            lost[key] += 1
    image[lost == 1] = 0
    assert lost.max() == 1 and lost[:32, :32].max() == 0 and lost[40:50, :20, 1].max() == 0
    assert (image > 0).sum() == 32 * 32 * 4 + 200
    check(path, image, 2)
    assert "never written; they are 0" in caplog.text


def test_an_empty_store(path):
    with BioWriter(path, X=20, Y=10, dtype=np.uint8) as bw:
        bw._backend._init_writer()
    array = zarr.open(path)["0"]
    assert array.shape == (1, 1, 1, 10, 20) and not array[:].any()
    array[0, 0, 0] = 7
    assert stored(path).min() == 7


def test_the_attributes_of_old_scripts(path):
    image = random_image((30, 40), np.uint8)
    with BioWriter(path) as bw:
        bw.X, bw.Y, bw.Z, bw.C, bw.T, bw.dtype = 40, 30, 1, 1, 1, image.dtype
        bw[:, :, 0, 0, 0] = image
        assert bw._backend_name == "zarr"
    np.testing.assert_array_equal(zarr.open(path)["0"][0, 0, 0], image)


def test_samples_become_channels(path):
    image = random_image((30, 40, 3), np.uint8)
    bfio.imwrite(path, image)
    array = zarr.open(path)["0"]
    assert array.shape == (1, 3, 1, 30, 40)
    np.testing.assert_array_equal(array[0, :, 0], np.moveaxis(image, -1, 0))


def test_defaults(path):
    with BioWriter(path, shape=(2000, 1500, 2), dtype="u1") as bw:
        bw[:10] = 1
        assert bw.tile_shape == (1024, 1024)
    array = zarr.open(path)["0"]
    assert array.metadata.zarr_format == 3 and array.chunks == (1, 1, 1, 1024, 1024) and array.shards is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"chunks": (1, 2, 3, 4, 5, 6)}, "two to five"),
        ({"chunks": 0}, "1 or more"),
        ({"chunks": "a"}, "must be an int"),
        ({"zarr_version": 4}, "use 2"),
        ({"zarr_version": True}, "use 2"),
        ({"zarr_version": 2, "shards": 64, "chunks": 32}, "zarr_version=3"),
        ({"shards": 48, "chunks": 32}, "multiple of the chunk"),
        ({"predictor": "horizontal"}, "TIFF only"),
        ({"compression": "lzw"}, "none of Zarr"),
    ],
)
def test_what_can_not_be(path, options, words):
    with pytest.raises((UsageError, bfio.UnsupportedError), match=words), BioWriter(path, X=100, Y=100, **options) as bw:
        bw[:] = 1
    assert not path.exists()


def test_steps_of_planes_and_planes_twice(path):
    image = np.zeros((20, 20, 7, 1, 1), np.uint8)
    with BioWriter(path, shape=image.shape, dtype=image.dtype, chunks=(3, 16, 16)) as bw:
        for key in (slice(None, None, 2), [5, 1, 3], [6, 0]):
            pixels = random_image((20, 20, len(np.arange(7)[key])), np.uint8)
            bw[:, :, key] = pixels
            image[:, :, key, 0, 0] = pixels
    check(path, image)


def test_many_batches(path, monkeypatch):
    monkeypatch.setattr(assembling, "BATCH_NBYTES", 4096)
    image = random_image((130, 130, 2, 1, 1))
    with BioWriter(path, image=image, chunks=16, levels=3):
        pass
    check(path, image, 3)


# -- names ----------------------------------------------------------------------------------------------------------------


def test_an_existing_store(path):
    bfio.imwrite(path, random_image((10, 10)))
    (path / "mine").write_text("notes")
    for options in ({}, {"overwrite": False}, {"resume": True}):
        with pytest.raises(FileExistsError, match=r"overwrite=True.*append=True"):
            BioWriter(path, X=10, Y=10, **options)
    with BioWriter(path, X=20, Y=20, overwrite=True) as bw:
        bw[:] = 9
        assert stored(path).shape[:2] == (10, 10)
    assert stored(path).shape[:2] == (20, 20) and not (path / "mine").exists()
    assert sorted(os.listdir(path.parent)) == [path.name]


@pytest.mark.parametrize("overwrite", [None, True])
def test_a_folder_that_is_no_store(path, overwrite):
    path.mkdir()
    (path / "thesis.txt").write_text("years of work")
    for options in ({}, {"append": True}, {"resume": True}):
        with pytest.raises(UsageError, match="not a Zarr store"):
            BioWriter(path, X=10, Y=10, overwrite=overwrite, **options)
    assert (path / "thesis.txt").read_text() == "years of work"


def test_a_name_that_is_taken_meanwhile(path):
    bw = BioWriter(path, X=20, Y=20)
    bw[:] = 9
    path.mkdir()
    (path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not a Zarr store"):
        bw.close()
    assert os.listdir(path) == ["thesis.txt"]
    path.rename(path.parent / "other")
    with BioWriter(path, resume=True) as bw:
        assert not bw.missing
    assert (stored(path) == 9).all()


def test_a_folder_in_the_way_of_the_unfinished_one(path):
    part = path.parent / f"{path.name}.part"
    part.mkdir()
    (part / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="in the way"):
        bfio.imwrite(path, random_image((10, 10)))
    assert os.listdir(part) == ["thesis.txt"]


def test_two_writers_of_one_store(path):
    with BioWriter(path, X=20, Y=20) as bw:
        bw[:] = 9
        with pytest.raises(UsageError, match="being written at this moment"):
            bfio.imwrite(path, random_image((10, 10)))
    assert (stored(path) == 9).all()


def test_an_error_leaves_the_part(path, caplog):
    with pytest.raises(ZeroDivisionError), BioWriter(path, X=20, Y=20) as bw:
        bw[:10] = 9
        raise ZeroDivisionError
    assert not path.exists() and (path.parent / f"{path.name}.part").is_dir()
    with caplog.at_level(logging.WARNING), BioWriter(path, X=20, Y=20) as bw:
        bw[:] = 8
    check(path, np.full((20, 20, 1, 1, 1), 8, np.uint8))


# -- append -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("levels", [1, 3])
def test_append(path, version, levels):
    image = random_image((70, 90, 4, 1, 2))
    with BioWriter(path, image=image, chunks=(3, 32, 32), levels=levels, zarr_version=version):
        pass
    with BioWriter(path, append=True) as bw:
        assert bw.shape == image.shape and bw.dtype == image.dtype and not bw.missing
        bw[5:50, 40:41, 2, 0, 1] = image[5:50, 40:41, 2, :, 1] = 1000
        bw[:32, :32] = image[:32, :32] = 3
    check(path, image, levels)


def test_append_where_there_is_nothing(path):
    with BioWriter(path, append=True, X=10, Y=10) as bw:
        bw[:] = 3
    check(path, np.full((10, 10, 1, 1, 1), 3, np.uint8))


@pytest.mark.parametrize("shape", [(60, 70), (3, 60, 70)])
def test_append_to_fewer_axes(path, shape):
    array = zarr.create_array(path, shape=shape, chunks=(*[2] * (len(shape) - 2), 32, 32), dtype="f4", fill_value=5)
    array[..., :3, :3] = 7
    expected = array[:]
    with BioWriter(path, append=True) as bw:
        bw[10:40, 20:60, 0] = 9
    expected.reshape(-1, 60, 70)[0, 10:40, 20:60] = 9
    np.testing.assert_array_equal(zarr.open(path, mode="r")[:], expected)


def test_append_after_a_crash(path):
    image = random_image((70, 90, 1, 1, 1))
    with BioWriter(path, image=image, chunks=32, levels=2):
        pass
    bw = BioWriter(path, append=True)
    bw[:32, :32] = image[:32, :32] = 3
    bw._abandon()
    with BioWriter(path, append=True) as bw:
        bw[60:62] = image[60:62] = 4
    check(path, image, 2)


def test_append_is_for_zarr(tmp_path):
    bfio.imwrite(tmp_path / "a.ome.tif", random_image((10, 10)))
    with pytest.raises(UsageError, match="Zarr"):
        BioWriter(tmp_path / "a.ome.tif", append=True)


def test_a_chunk_that_waits_is_older_than_what_comes_later(path):
    image = random_image((128, 128, 1, 1, 1))
    with BioWriter(path, shape=image.shape, dtype=image.dtype, chunks=32, levels=2, max_workers=2) as bw:
        bw[:32, :32] = 9
        bw[:] = image
        bw[32:64, :32] = 9
        bw[40:50, 3:5] = 8
    image[32:64, :32] = 9
    image[40:50, 3:5] = 8
    check(path, image, 2)


def test_one_thread_at_a_time_has_a_chunk():
    holding, inside, most = Holding(), [], []

    def work(number):
        with holding.hold([(0, number % 2), (0, 5)]):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.0002)
            inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            list(pool.map(work, range(40)))
    assert len(most) == 200 and max(most) == 1


def test_threads_that_write_the_same_chunks(path):
    with BioWriter(path, X=64, Y=64, dtype="u1", chunks=32, levels=2) as bw, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda value: bw.write(np.full((64, 64), value, np.uint8)), range(1, 60)))
    values = stored(path)
    check(path, values, 2)
    assert all(len(np.unique(values[y : y + 32, x : x + 32])) == 1 for y in (0, 32) for x in (0, 32))


def test_append_to_another_image(path):
    bfio.imwrite(path, random_image((20, 10)))
    for options, words in (({"X": 11}, "X is 10, not 11"), ({"dtype": "u1"}, "dtype is uint16, not uint8")):
        with pytest.raises(UsageError, match=words):
            BioWriter(path, append=True, **options)
    with BioWriter(path, append=True, X=10, Y=20, dtype="u2") as bw:
        bw[:] = 5
    assert (stored(path) == 5).all()


def test_append_with_codecs_of_others(path):
    numcodecs = pytest.importorskip("numcodecs")
    zarr.create_array(
        path, shape=(10, 10), chunks=(5, 5), dtype="u2", filters=[numcodecs.Delta(dtype="u2")], zarr_format=2
    )
    before = sorted(path.rglob("*"))
    with pytest.raises(bfio.UnsupportedError, match="can not be written"):
        BioWriter(path, append=True)
    assert sorted(path.rglob("*")) == before


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0)])
def test_append_in_another_order_of_axes_in_the_chunks(path, order):
    array = zarr.create_array(
        path, shape=(4, 20, 30), chunks=(2, 5, 7), dtype="u2", filters=[zarr.codecs.TransposeCodec(order=order)]
    )
    array[:] = expected = random_image((4, 20, 30))
    pixels = random_image((11, 22, 3), seed=1)
    with BioWriter(path, append=True) as bw:
        bw[3:14, 2:24, 1:4] = pixels
    expected[1:4, 3:14, 2:24] = np.moveaxis(pixels, 2, 0)
    np.testing.assert_array_equal(zarr.open_array(path, mode="r")[:], expected)


def test_no_room_for_parts(path, monkeypatch):
    monkeypatch.setattr(assembling, "MEMORY_NBYTES", 4096)
    monkeypatch.setattr(assembling, "LEAST_NBYTES", 4096)
    monkeypatch.setattr(assembling, "SOME_NBYTES", 4096)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bfio._spill.Spill.write", full)
    with pytest.raises(bfio.TileWriteError, match="No space left"), BioWriter(path, X=99, Y=99, chunks=64) as bw:
        bw[:70] = 1
    assert not path.exists()

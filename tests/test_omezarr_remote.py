"""Stores that are no folders, consolidated metadata, and what the writer writes."""

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from omezarr_files import plate_of, put, put_array, put_group, put_image

from bfio import Limits
from bfio.metadata import Channel, Series
from bfio.omezarr.arraymeta import parse_array
from bfio.omezarr.metadata_out import VERSIONS, documents
from bfio.omezarr.nodes import Folder
from bfio.omezarr.series import read_series


class Remote:
    """A store without a folder that counts what is asked for, and can not list."""

    root = None

    def __init__(self, folder):
        self.folder = Folder(folder)
        self.name = self.folder.name
        self.asked = []

    def get(self, key):
        self.asked.append(key)
        return self.folder.get(key)

    def names(self, key):
        return None


@pytest.mark.parametrize("version", [2, 3])
def test_stores_that_can_not_list(tmp_path, version):
    put_group(tmp_path, "", {"bioformats2raw.layout": 3}, version)
    for number in range(3):
        put_image(tmp_path, str(number), "yx", version, name=f"image {number}")
    assert [one.info.name for one in read_series(Remote(tmp_path), Limits())] == ["image 0", "image 1", "image 2"]


def consolidate(folder, version):
    """One document of all, as zarr-python writes it."""
    table = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            table[path.relative_to(folder).as_posix()] = json.loads(path.read_text())
    if version == 2:
        put(folder, ".zmetadata", {"zarr_consolidated_format": 1, "metadata": table})
    else:
        root = table.pop("zarr.json")
        inner = {key.removesuffix("/zarr.json"): value for key, value in table.items()}
        put(folder, "zarr.json", {**root, "consolidated_metadata": {"kind": "inline", "metadata": inner}})


@pytest.mark.parametrize("version", [2, 3])
def test_consolidated_metadata_save_requests(tmp_path, version):
    plate_of(tmp_path, "AB", ["1", "2"], 2, version)
    plain = read_series(Remote(tmp_path), Limits())
    consolidate(tmp_path, version)
    remote = Remote(tmp_path)
    assert read_series(remote, Limits()) == plain == read_series(Folder(tmp_path), Limits())
    assert len(remote.asked) <= 3


@pytest.mark.parametrize("version", [2, 3])
def test_consolidated_metadata_stand_for_a_listing(tmp_path, version):
    put_group(tmp_path, "", None, version)
    put_array(tmp_path, "brain", (16, 16), version)
    put_array(tmp_path, "a/b", (16, 16), version)
    put_group(tmp_path, "a", None, version)
    consolidate(tmp_path, version)
    assert [one.info.name for one in read_series(Remote(tmp_path), Limits())] == ["a/b", "brain"]


@pytest.mark.parametrize("table", [None, [], {"0": 7}, {}, "x"])
def test_broken_consolidated_metadata_are_passed_over(tmp_path, table):
    put_image(tmp_path, letters="yx", version=2)
    put(tmp_path, ".zmetadata", {"metadata": table})
    assert len(read_series(Remote(tmp_path), Limits())) == 1


def test_what_the_writer_writes_is_read_again():
    """Names, colours, sizes and levels come back as they were."""
    metas = [parse_array(json.loads(array_text((1, 3, 4, 40 >> level, 60 >> level))), str(level)) for level in range(2)]
    channels = (Channel("DAPI", 1, 0x0000FFFF), Channel("GFP", 1, 0x00FF00FF), Channel("", 1, None))
    given = Series(0, "name", np.dtype("u2"), 1, 3, 4, 40, 60, 1, channels, (0.5, "µm"), (325.0, "nm"), (2.0, "mm"))
    for version in ("0.5", "0.4"):
        kept = [replace(meta, zarr_format=VERSIONS[version]) for meta in metas]
        memory = Memory(documents(given, kept, "tczyx", version, "", "mean"))
        (series,) = read_series(memory, Limits())
        assert (series.version, series.axes, series.info.name) == (version, "tczyx", "name")
        assert series.info.shape == given.shape
        assert series.info.channels[:2] == tuple(replace(one, window=(0, 65535)) for one in channels[:2])
        assert series.info.physical_size_x == given.physical_size_x
        assert series.info.physical_size_y == given.physical_size_y
        assert series.info.physical_size_z == given.physical_size_z
        assert series.placements[1].scale[3:] == (650.0, 1.0)
        assert series.placements[1].translation[3:] == (162.5, 0.25)
        assert [(meta.shape, meta.chunk, meta.chain.names) for meta in series.arrays] == [
            (meta.shape, meta.chunk, meta.chain.names) for meta in metas
        ]


def array_text(shape):
    """The document of an array."""
    with TemporaryDirectory() as folder:
        put_array(Path(folder), "", shape)
        return (Path(folder) / "zarr.json").read_text()


class Memory:
    """A store in a dict."""

    root = None
    name = "memory"

    def __init__(self, content):
        self.get = content.get

    def names(self, key):
        return None

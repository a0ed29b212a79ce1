"""All images of a file into one store: it gets its name when all are there, and an interrupted run is gone on with."""

import json
import os

import numpy as np
import pytest
import tifffile

import bfio
from bfio import BioReader, UsageError
from bfio.cli import main
from bfio.conversion import collection
from bfio.pyramid import halve

IMAGES = [np.random.default_rng(n).integers(0, 60_000, (2 + n, 90 + 30 * n, 70), np.uint16) for n in range(3)]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for number, image in enumerate(IMAGES):
            sizes = {"PhysicalSizeX": 0.5 + number, "PhysicalSizeXUnit": "µm"}
            metadata = {"axes": "ZYX", "Name": f"image {number}", "Channel": {"Name": [f"dye {number}"]}, **sizes}
            file.write(image, metadata=metadata, photometric="minisblack", tile=(32, 32))
    return path


def check(store):
    for number, image in enumerate(IMAGES):
        with BioReader(store, series=number) as reader:
            np.testing.assert_array_equal(reader[:].transpose(2, 0, 1), image)
            assert len(reader.series) == 3 and len(reader.levels) > 1
            assert reader.channel_names == [f"dye {number}"] and reader.ps_x[0] == 0.5 + number
            assert reader.series[number].name == f"image {number}"
    assert [name for name in os.listdir(store.parent) if name != "a.ome.tif"] == [store.name]


@pytest.mark.parametrize("opened", [False, True])
def test_all_images(source, tmp_path, opened):
    store, told = tmp_path / "b.ome.zarr", []
    src = BioReader(source) if opened else source
    report = bfio.convert(src, store, series="all", tile_size=32, progress=lambda *counts: told.append(counts))
    check(store)
    assert report.pixel_nbytes == sum(image.nbytes for image in IMAGES) and not report.skipped_nbytes
    assert told[-1][0] == told[-1][1] and told == sorted(told)
    if opened:
        np.testing.assert_array_equal(src[:].transpose(2, 0, 1), IMAGES[0])
        src.close()


def test_interrupted_and_resumed(source, tmp_path, monkeypatch):
    store, original = tmp_path / "b.ome.zarr", collection.Job.run

    def run(job, progress):
        if job.series.name == "image 1":
            raise KeyboardInterrupt
        return original(job, progress)

    monkeypatch.setattr(collection.Job, "run", run)
    with pytest.raises(KeyboardInterrupt):
        bfio.convert(source, store, series="all", tile_size=32)
    monkeypatch.undo()
    assert not store.exists() and (tmp_path / "b.ome.zarr.part").is_dir()
    for other in ({"tile_size": 64}, {"tile_size": 32, "rescale": (0, 9)}, {"tile_size": 32, "z": [1, 0]}):
        with pytest.raises(UsageError, match="other arguments"):
            bfio.convert(source, store, series="all", resume=True, **other)
    (tmp_path / "b.ome.zarr.part" / "0" / ".bfio").mkdir()  # as if it had been killed with that image just complete
    report = bfio.convert(source, store, series="all", tile_size=32, resume=True)
    assert not list(store.rglob(".bfio"))
    assert report.skipped_nbytes == IMAGES[0].nbytes
    check(store)


def test_begun_anew(source, tmp_path, monkeypatch):
    """What an earlier run left is not taken for what this one made."""
    store = tmp_path / "b.ome.zarr"

    def fill(*_):
        raise MemoryError

    monkeypatch.setattr("bfio.conversion.job.Job._stream", fill)
    with pytest.raises(MemoryError):
        bfio.convert(source, store, series="all", tile_size=32)
    monkeypatch.undo()
    assert sorted(os.listdir(tmp_path)) == ["a.ome.tif", "b.ome.zarr.part", "b.ome.zarr.part.0.part"]
    bfio.convert(source, store, series="all", tile_size=32)
    check(store)


def test_two_conversions_at_once(source, tmp_path, monkeypatch):
    store, original = tmp_path / "b.ome.zarr", collection.Job.run

    def run(job, progress):
        with pytest.raises(UsageError, match="being written"):
            bfio.convert(source, store, series="all", resume=True, tile_size=32)
        return original(job, progress)

    monkeypatch.setattr(collection.Job, "run", run)
    bfio.convert(source, store, series="all", tile_size=32)
    check(store)


def test_names_that_are_taken(source, tmp_path):
    store = tmp_path / "b.ome.zarr"
    bfio.convert(source, store, series="all", tile_size=32)
    with pytest.raises(FileExistsError):
        bfio.convert(source, store, series="all")
    bfio.convert(source, store, series="all", overwrite=True, tile_size=32)
    check(store)
    (tmp_path / "c.ome.zarr.part" / "mine").mkdir(parents=True)
    with pytest.raises(UsageError, match="in the way"):
        bfio.convert(source, tmp_path / "c.ome.zarr", series="all")


def test_what_can_not_be(source, tmp_path):
    with pytest.raises(UsageError, match="OME-Zarr only"):
        bfio.convert(source, tmp_path / "b.ome.tif", series="all")
    with pytest.raises(UsageError, match="an int or 'all'"):
        bfio.convert(source, tmp_path / "b.ome.zarr", series="none")


@pytest.mark.parametrize("options", [{}, {"downsample": "max"}])
def test_levels_of_labels_hold_labels(tmp_path, options):
    labels = np.random.default_rng(9).integers(0, 5, (90, 70), np.uint16) * 1000
    source, store = tmp_path / "a.ome.zarr", tmp_path / "b.ome.zarr"
    bfio.imwrite(source, IMAGES[0][0])
    bfio.imwrite(tmp_path / "labels.zarr", labels)
    (source / "labels").mkdir()
    (tmp_path / "labels.zarr").rename(source / "labels" / "cells")
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5", "labels": ["cells"]}}}
    (source / "labels" / "zarr.json").write_text(json.dumps(group))
    bfio.convert(source, store, series="all", tile_size=32, **options)
    for number, image, how in ((0, IMAGES[0][0], "mean"), (1, labels, "mode")):
        with BioReader(store, series=number, level=1) as reader:
            np.testing.assert_array_equal(reader[:], halve(image, options.get("downsample", how)))


def test_a_source_within_the_store(source, tmp_path):
    store = tmp_path / "b.ome.zarr"
    bfio.convert(source, store, series="all", tile_size=32)
    with pytest.raises(UsageError, match="source itself"):
        bfio.convert(store / "1", store, series="all", overwrite=True)
    check(store)


def test_what_is_refused_before_anything_is_written(source, tmp_path):
    store = tmp_path / "b.ome.zarr"
    bfio.convert(source, store, series="all", tile_size=32)
    with BioReader(store, level=1) as reader, pytest.raises(UsageError, match="the reader is of level 1"):
        bfio.convert(reader, tmp_path / "c.ome.zarr", series="all")
    with pytest.raises(UsageError, match="predictor="):
        bfio.convert(source, tmp_path / "c.ome.zarr", series="all", predictor="horizontal")
    assert sorted(os.listdir(tmp_path)) == ["a.ome.tif", store.name]


def test_the_command(source, tmp_path, capsys):
    store = tmp_path / "b.ome.zarr"
    assert main(["convert", str(source), str(store), "--series", "all", "--tile", "32", "--quiet"]) == 0
    check(store)
    assert main(["info", str(store)]) == 0
    assert "image 2" in capsys.readouterr().out
    assert main(["convert", str(source), str(tmp_path / "b.tif"), "--series", "all"]) != 0
    assert main(["convert", str(source), str(store), "--series", "some"]) == 2
    assert "'all'" in capsys.readouterr().err

"""Conversion to OME-Zarr and from it: pixels, pyramid, what the image is called, and what is not replaced."""

import json
import re

import numpy as np
import pytest
import tifffile

import bfio
from bfio.cli import info, main
from bfio.conversion import blocks, request
from bfio.omezarr.writing.growing import GrowingShard
from bfio.omezarr.writing.partial import PartialChunks
from bfio.pyramid import halve

IMAGE = np.random.default_rng(2).integers(0, 60_000, (3, 2, 150, 170), np.uint16)  # Z, C, Y, X
NAMES = ["DAPI", "α-Tubulin"]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "a.ome.tif"
    metadata = {"axes": "ZCYX", "Channel": {"Name": NAMES}, "PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm"}
    tifffile.imwrite(path, IMAGE, metadata=metadata, tile=(64, 64))
    return path


def pixels(path, **options):
    with bfio.BioReader(path, **options) as reader:
        return reader[:].transpose(2, 3, 0, 1)


def test_there_and_back(source, tmp_path):
    store, back = tmp_path / "b.ome.zarr", tmp_path / "c.ome.tif"
    report = bfio.convert(source, store, levels=2, tile_size=64)
    assert report.file_nbytes > 0
    assert np.array_equal(pixels(store), IMAGE)
    with bfio.BioReader(store) as reader:
        assert reader._backend_name == "zarr" and reader.channel_names == NAMES and reader.ps_x[0] == 0.25
        assert "zstd" in reader._backend.describe().series[0].levels[0].compression
    for z in range(3):
        assert np.array_equal(pixels(store, level=1)[z], halve(IMAGE[z][None, None])[0, 0])
    bfio.convert(store, back, levels=1)
    assert np.array_equal(pixels(back), IMAGE)
    with bfio.BioReader(back) as reader:
        assert reader.channel_names == NAMES and reader.ps_x[0] == 0.25


def test_rgb_becomes_channels(tmp_path):
    image = np.random.default_rng(3).integers(0, 255, (90, 70, 3), np.uint8)
    tifffile.imwrite(tmp_path / "rgb.tif", image, photometric="rgb")
    bfio.convert(tmp_path / "rgb.tif", tmp_path / "rgb.zarr", levels=1)
    with bfio.BioReader(tmp_path / "rgb.zarr") as reader:
        assert np.array_equal(reader[:][:, :, 0], image)


def test_names_that_are_taken(source, tmp_path, capsys):
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "letter.txt").write_text("dear")
    assert main(["convert", str(source), str(tmp_path / "mine.zarr"), "--force", "--quiet"]) == 1
    assert "not a Zarr store" in capsys.readouterr().err
    assert (tmp_path / "mine.zarr" / "letter.txt").read_text() == "dear"
    store = tmp_path / "b.zarr"
    assert main(["convert", str(source), str(store), "--quiet"]) == 0
    assert main(["convert", str(source), str(store), "--quiet"]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["convert", str(source), str(store), "--quiet", "--force", "-z", "0"]) == 0
    assert pixels(store).shape == (1, *IMAGE.shape[1:])
    assert main(["convert", str(store), str(store), "--quiet", "--force"]) == 1
    assert "source itself" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ome.tif", "b.zarr", "mine.zarr"]


def test_a_broken_source_leaves_no_store(source, tmp_path):
    data = bytearray(source.read_bytes())
    bfio.convert(source, tmp_path / "x.ome.tif", compression="deflate", levels=1)
    data = bytearray((tmp_path / "x.ome.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "x.ome.tif") as file:
        offset = file.pages[-1].dataoffsets[0]
    data[offset : offset + 50] = b"\xff" * 50
    (tmp_path / "x.ome.tif").write_bytes(data)
    with pytest.raises(bfio.TileDecodeError):
        bfio.convert(tmp_path / "x.ome.tif", tmp_path / "b.zarr")
    assert not (tmp_path / "b.zarr").exists()


def test_info_as_json(source, tmp_path, capsys):
    bfio.convert(source, tmp_path / "b.zarr", levels=2, tile_size=64)
    assert main(["info", "--json", "--nopix", str(tmp_path / "b.zarr")]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["backend"] == "zarr" and found["format"].startswith("OME-Zarr 0.5")
    assert [level["x"] for level in found["series"][0]["levels"]] == [170, 85]


LAYOUTS = (
    {"chunks": 32},
    {"chunks": (2, 32, 16), "shards": (2, 64, 64)},
    {"chunks": (1, 40, 40), "shards": (3, 80, 120)},
    {"chunks": (2, 3, 64, 64), "zarr_version": 2},
    {"chunks": (1, 16, 16), "shards": (3, 64, 64)},
    {"chunks": (1, 2, 3, 150, 170), "shards": (1, 2, 3, 150, 170)},
)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("goal", [1, 20_000, 32 << 20])
def test_chunks_of_any_depth_are_written_once(source, tmp_path, monkeypatch, layout, goal):
    monkeypatch.setattr(blocks, "GOAL_NBYTES", goal)
    monkeypatch.setattr(blocks, "TILES_PER_WORKER", 1)
    parts, rewritten, added = [], [], PartialChunks.add

    def add(self, index, extent, given):
        if self._level == 0:
            parts.append(index)
        return added(self, index, extent, given)

    number = iter(range(100))
    made = PartialChunks.__init__

    def init(self, *arguments):
        self._level = next(number)
        made(self, *arguments)

    rewrite = GrowingShard._rewrite

    def noted(self, kept):
        rewritten.append(self.path.relative_to(tmp_path / "b.zarr.part").parts[0])
        rewrite(self, kept)

    monkeypatch.setattr(PartialChunks, "__init__", init)
    monkeypatch.setattr(PartialChunks, "add", add)
    monkeypatch.setattr(GrowingShard, "_rewrite", noted)
    bfio.convert(source, tmp_path / "b.zarr", levels=3, **layout)
    assert not parts and "0" not in rewritten
    assert np.array_equal(pixels(tmp_path / "b.zarr"), IMAGE)
    last = IMAGE[None].transpose(0, 2, 1, 3, 4)
    for level in range(1, 3):
        last = halve(last)
        assert np.array_equal(pixels(tmp_path / "b.zarr", level=level), last[0].transpose(1, 0, 2, 3))
    with bfio.BioReader(tmp_path / "b.zarr") as reader:
        stored = reader._backend.describe().series[0].levels[0]
        full = (1, 1, 1, 1, *((layout["chunks"],) * 2 if layout["chunks"] == 32 else layout["chunks"]))[-5:]
        assert stored.chunk_shape == tuple(min(pair) for pair in zip(full, (1, 2, 3, 150, 170), strict=True))
        assert (stored.shard_shape is not None) == ("shards" in layout)


def test_automatic_levels_count_chunks(source, tmp_path):
    for number, (options, n_levels) in enumerate([({"chunks": 32}, 4), ({"chunks": (3, 100, 50)}, 3), ({}, 1)]):
        report = bfio.convert(source, tmp_path / f"{number}.zarr", **options)
        assert len(report.series.levels) == n_levels
        with bfio.BioReader(tmp_path / f"{number}.zarr") as reader:
            assert len(reader.levels) == n_levels


def test_what_only_zarr_has(source, tmp_path):
    for name, value in (("chunks", 32), ("shards", 64), ("zarr_version", 2)):
        with pytest.raises(bfio.UsageError, match=rf"{name}= is for names that end in \.zarr"):
            bfio.convert(source, tmp_path / "b.ome.tif", **{name: value})
    with pytest.raises(bfio.UsageError, match="shards= needs zarr_version=3"):
        bfio.convert(source, tmp_path / "b.zarr", chunks=32, shards=64, zarr_version=2)
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.tif"]


@pytest.mark.parametrize("layout", [{"chunks": (2, 1, 32, 32)}, {"chunks": (5, 1, 32, 32), "shards": (10, 1, 64, 64)}])
def test_chunks_of_several_channels_of_rgb(tmp_path, monkeypatch, layout):
    monkeypatch.setattr(blocks, "GOAL_NBYTES", 1)
    image = np.random.default_rng(3).integers(0, 255, (3, 70, 90, 3), np.uint8)
    metadata = {"axes": "CYXS"}
    tifffile.imwrite(tmp_path / "rgb.ome.tif", image, photometric="rgb", metadata=metadata, tile=(32, 32))
    bfio.convert(tmp_path / "rgb.ome.tif", tmp_path / "rgb.zarr", **layout)
    with bfio.BioReader(tmp_path / "rgb.zarr") as reader:
        found = reader[:].reshape(70, 90, 3, 3)
    assert np.array_equal(found.transpose(2, 0, 1, 3), image)


@pytest.mark.parametrize("shards", [None, (2, 64, 64)])
def test_an_interrupted_conversion_goes_on_with_deep_chunks(source, tmp_path, monkeypatch, shards):
    monkeypatch.setattr(blocks, "GOAL_NBYTES", 1)
    monkeypatch.setattr(blocks, "TILES_PER_WORKER", 1)
    options = {"chunks": (2, 32, 32), "shards": shards, "levels": 2, "max_workers": 1}
    bfio.convert(source, tmp_path / "whole.zarr", **options)
    read, calls = request.Picture.read, []

    def failing(self, block, out):
        calls.append(block)
        if len(calls) > 5:
            raise OSError("unplugged")
        read(self, block, out)

    monkeypatch.setattr(request.Picture, "read", failing)
    with pytest.raises(OSError, match="unplugged"):
        bfio.convert(source, tmp_path / "b.zarr", **options)
    monkeypatch.setattr(request.Picture, "read", read)
    report = bfio.convert(source, tmp_path / "b.zarr", resume=True, **options)
    assert report.skipped_nbytes > 0
    assert files(tmp_path / "b.zarr") == files(tmp_path / "whole.zarr")


def files(store):
    return {path.relative_to(store): path.read_bytes() for path in store.rglob("*") if path.is_file()}


def test_info_tells_how_a_store_is_made(source, tmp_path, capsys):
    options = {"chunks": (2, 32, 64), "shards": (2, 64, 128), "compression": "blosc", "levels": 2}
    bfio.convert(source, tmp_path / "b.zarr", **options)
    assert main(["info", "--nopix", str(tmp_path / "b.zarr")]) == 0
    text = capsys.readouterr().out
    for line in (
        r"format +OME-Zarr 0\.5 \(Zarr v3\), little-endian",
        r"stored axes +T, C, Z, Y, X",
        r"pixel size +X 0\.25 µm",
        r"channel 0 +DAPI, #ff0000ff, shown from \d+ to \d+",
        r"channel 1 +α-Tubulin, #00ff00ff, shown from \d+ to \d+",
        r"level 0 +170 x 150, chunks of \(1, 1, 2, 32, 64\) in shards of \(1, 1, 2, 64, 128\), compression blosc\(zstd\)",
        r"level 1 +85 x 75, chunks of .*",
    ):
        assert re.search(rf"^ +{line}$", text, re.MULTILINE), line
    assert main(["info", "--nopix", "--json", str(tmp_path / "b.zarr")]) == 0
    ((entry,),) = (found["series"] for found in json.loads(capsys.readouterr().out))
    start, end = entry["channels"][0]["window"]
    assert 0 <= start < 10_000 and 50_000 < end <= 60_000  # of means of four
    assert entry["levels"][0]["axes"] == "tczyx" and entry["levels"][0]["shard"] == [1, 1, 2, 64, 128]


def test_info_tells_of_some_of_many_series(tmp_path, monkeypatch, capsys):
    with tifffile.TiffWriter(tmp_path / "many.ome.tif") as file:
        for _ in range(5):
            file.write(IMAGE[0, 0, :32, :32])
    monkeypatch.setattr(info, "_MOST_SERIES", 3)
    measured, statistics = [], info.statistics
    monkeypatch.setattr(info, "statistics", lambda *given: measured.append(given) or statistics(*given))
    assert main(["info", str(tmp_path / "many.ome.tif")]) == 0
    text = capsys.readouterr().out
    assert text.count("pixel type") == 3 and len(measured) == 3
    assert "series count    5" in text and text.endswith("and 2 more series; --series N tells of one, --json of all\n")
    assert main(["info", "--series", "4", str(tmp_path / "many.ome.tif")]) == 0
    assert "series 4" in (text := capsys.readouterr().out) and "more series" not in text
    assert main(["info", "--json", "--nopix", str(tmp_path / "many.ome.tif")]) == 0
    assert len(json.loads(capsys.readouterr().out)[0]["series"]) == 5

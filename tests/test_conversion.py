"""What a conversion reads and hands to a writer, whatever the source is like; the writer is one that keeps all in memory."""

import os
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from fake_writer import FakeWriter

import bfio
from bfio import BioReader, TileDecodeError, UsageError
from bfio.conversion import blocks, job, need

OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"


def picture(*shape, dtype=np.uint16, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 250, shape)
    return (values % 2 == 0) if dtype is bool else values.astype(dtype)


def stored(reader):
    """Pixels of a reader as (T, C, Z, Y, X)."""
    sizes = (reader.Y, reader.X, reader.Z, reader.C, reader.T)
    return reader[:].reshape(sizes).transpose(4, 3, 2, 0, 1)


@pytest.fixture
def target(monkeypatch, tmp_path):
    """``convert`` with a writer in memory, and small blocks: ``target(src, **options)`` gives the writer."""
    monkeypatch.setattr(blocks, "GOAL_NBYTES", 8000)
    monkeypatch.setattr(blocks, "TILES_PER_WORKER", 1)
    monkeypatch.setattr(need, "BASE_NBYTES", 0)
    made = []

    def run(src, dst=tmp_path / "out.ome.tif", fail_at=None, missing=None, delay=0.0, **options):
        def create(path, backend, series, xml, chosen):
            assert backend == "python"
            how = {"fail_at": fail_at, "missing": missing, "delay": delay, "converts": False}
            made.append(FakeWriter(path, series, xml, chosen, **how))
            return made[-1]

        monkeypatch.setattr(job, "create_writer", create)
        if missing is not None:
            Path(f"{dst}.part").write_bytes(b"of an earlier run")
        try:
            report = bfio.convert(src, dst, **({"tile_size": 32, "max_workers": 2} | options))
        finally:
            assert not made or made[-1].state in ("finished", "abandoned")
        assert report.path == Path(dst) and os.fspath(report) == str(dst)
        writer = made[-1]
        assert writer.state == "finished"
        if missing is None:
            assert (writer.times_written == 1).all()
            assert report.pixel_nbytes == writer.array.nbytes and report.skipped_nbytes == 0
        return writer

    run.made = made
    return run


SOURCES = {
    "strips": {"rowsperstrip": 7},
    "one strip": {},
    "tall compressed strips": {"compression": "zlib", "rowsperstrip": 90},
    "one compressed strip": {"compression": "zlib", "rowsperstrip": 101},
    "compressed strips": {"compression": "zlib", "predictor": True, "rowsperstrip": 13},
    "tiles": {"tile": (48, 16), "compression": "zlib"},
    "large tiles": {"tile": (128, 128), "compression": "lzw"},
    "big-endian": {"byteorder": ">", "tile": (16, 16)},
    "BigTIFF": {"bigtiff": True, "compression": "zstd", "rowsperstrip": 10},
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("memory", ["1MB", "40MB"])
def test_any_storage(tmp_path, target, kind, memory):
    pixels = picture(3, 101, 150)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata={"axes": "ZYX"}, **SOURCES[kind])
    writer = target(tmp_path / "a.ome.tif", memory=memory)
    np.testing.assert_array_equal(writer.array[0, 0], pixels)
    assert len(writer.calls) >= 3  # a plane is less than two blocks, or one that must be read as a whole


@pytest.mark.parametrize("kind", ["strips", "tiles", "tall compressed strips", "one compressed strip"])
def test_crops_and_odd_offsets(tmp_path, target, kind):
    pixels = picture(101, 150)
    tifffile.imwrite(tmp_path / "a.tif", pixels, **SOURCES[kind])
    for crop in ((0, 0, 150, 101), (5, 11, 77, 83), (149, 100, 1, 1), (0, 90, 150, 11)):
        x, y, width, height = crop
        writer = target(tmp_path / "a.tif", crop=crop, overwrite=True)
        np.testing.assert_array_equal(writer.array[0, 0, 0], pixels[y : y + height, x : x + width])


@pytest.mark.parametrize("memory", ["1MB", "40MB"])
def test_each_tile_of_the_source_is_decoded_once(tmp_path, target, monkeypatch, memory):
    """However badly its strips fit the tiles of the target."""
    pixels = picture(300, 200)
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression="zlib", rowsperstrip=29)
    reads = []
    with BioReader(tmp_path / "a.tif") as reader:
        plain = reader._backend.read
        monkeypatch.setattr(reader._backend, "read", lambda *a: (reads.append(a[2].y), plain(*a))[1])
        writer = target(reader, memory=memory)
    np.testing.assert_array_equal(writer.array[0, 0, 0], pixels)
    strips = [strip for rows in reads for strip in range(rows.start // 29, -(-rows.stop // 29))]
    assert len(reads) > 3 and sorted(strips) == sorted(set(strips))


def test_a_file_object_and_limits(tmp_path, target):
    pixels = picture(101, 150)
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression="zlib", rowsperstrip=10)
    with open(tmp_path / "a.tif", "rb") as file:
        np.testing.assert_array_equal(target(file).array[0, 0, 0], pixels)
        assert not file.closed
    with pytest.raises(bfio.LimitError):
        target(tmp_path / "a.tif", limits=bfio.Limits(tile_nbytes=100), overwrite=True)


def test_squares_in_little_memory(tmp_path, target):
    pixels = picture(1, 200, 20000)
    tifffile.imwrite(tmp_path / "a.tif", pixels, tile=(64, 64))
    writer = target(tmp_path / "a.tif", memory="1MB")
    np.testing.assert_array_equal(writer.array[0, 0], pixels)
    assert len({(box.x.start, box.x.stop) for box in writer.calls}) > 3
    assert len({box.y for box in writer.calls[:4]}) < 4


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16", bool])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_any_dtype(tmp_path, target, dtype, byteorder):
    pixels = picture(2, 70, 50, dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, byteorder=byteorder, photometric="minisblack")
    with BioReader(tmp_path / "a.tif") as reader:
        writer = target(reader)
        assert writer.series.dtype == reader.dtype
        np.testing.assert_array_equal(writer.array, stored(reader))


@pytest.mark.parametrize("axes", ["TCZYX", "TZCYX", "CTZYX", "ZCTYX"])
def test_any_order_of_planes(tmp_path, target, axes):
    sizes = {"T": 2, "C": 3, "Z": 4, "Y": 40, "X": 50}
    pixels = picture(*(sizes[axis] for axis in axes))
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata={"axes": axes}, photometric="minisblack")
    writer = target(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(writer.array, pixels.transpose([axes.index(axis) for axis in "TCZYX"]))


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("samples", [3, 4])
def test_rgb_stays_rgb(tmp_path, target, planar, samples):
    pixels = picture(70, 50, samples, dtype=np.uint8)
    data = pixels if planar == "contig" else np.moveaxis(pixels, -1, 0)
    extra = {} if samples == 3 else {"extrasamples": ["unassalpha"]}
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb", planarconfig=planar, rowsperstrip=9, **extra)
    writer = target(tmp_path / "a.tif")
    np.testing.assert_array_equal(writer.array[0, :, 0], np.moveaxis(pixels, -1, 0))
    assert (writer.series.samples, writer.series.size_c) == (samples, 1)


def test_single_samples_of_rgb_become_channels(tmp_path, target):
    pixels = picture(70, 50, 3, dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
    writer = target(tmp_path / "a.tif", channels=[2, 0])
    assert (writer.series.samples, writer.series.size_c) == (1, 2)
    np.testing.assert_array_equal(writer.array[0, :, 0], np.moveaxis(pixels, -1, 0)[[2, 0]])
    assert target(tmp_path / "a.tif", channels=[0, 1, 2], overwrite=True).series.samples == 3


def test_rgb_of_several_channels(tmp_path, target):
    """Blocks of several RGB planes along Z, and one channel each."""
    pixels = picture(2, 3, 20, 30, 3, dtype=np.uint8)
    metadata = {"axes": "CZYXS"}
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, photometric="rgb", metadata=metadata)
    writer = target(tmp_path / "a.ome.tif")
    assert writer.array.shape == (1, 6, 3, 20, 30)
    with BioReader(tmp_path / "a.ome.tif") as reader:
        np.testing.assert_array_equal(writer.array, stored(reader))
        second = target(reader, channels=slice(3, 6), overwrite=True)
        np.testing.assert_array_equal(second.array, stored(reader)[:, 3:])


def test_planes_are_selected_and_reordered(tmp_path, target):
    pixels = picture(4, 3, 5, 20, 30)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata={"axes": "TCZYX"})
    writer = target(tmp_path / "a.ome.tif", channels=[2, 0], z=slice(None, None, -2), t=-1)
    np.testing.assert_array_equal(writer.array, pixels[3:, [2, 0]][:, :, ::-2])
    for wrong in ({"channels": [3]}, {"z": []}, {"t": slice(9, 9)}, {"z": "all"}):
        with pytest.raises(UsageError):
            target(tmp_path / "a.ome.tif", overwrite=True, **wrong)


def test_dtype_and_rescale(tmp_path, target):
    pixels = np.arange(0, 60000, 10, dtype=np.uint16).reshape(60, 100)
    tifffile.imwrite(tmp_path / "a.tif", pixels, rowsperstrip=11)
    clipped = target(tmp_path / "a.tif", dtype="uint8")
    np.testing.assert_array_equal(clipped.array[0, 0, 0], np.minimum(pixels, 255))
    scaled = target(tmp_path / "a.tif", dtype="float32", rescale=(0, 60000), overwrite=True)
    np.testing.assert_allclose(scaled.array[0, 0, 0], pixels / 60000, rtol=1e-6)
    with pytest.raises(UsageError, match="dtype"):
        target(tmp_path / "a.tif", dtype="U5", overwrite=True)


def test_a_level_of_a_reader_and_its_pixel_size(tmp_path, target):
    pixels = picture(128, 64)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as writer:
        metadata = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm"}
        writer.write(pixels, subifds=1, metadata=metadata)
        writer.write(pixels[::2, ::2], subfiletype=1)
    with BioReader(tmp_path / "a.ome.tif", level=1) as reader:
        made = target(reader)
        np.testing.assert_array_equal(made.array[0, 0, 0], pixels[::2, ::2])
        assert made.series.physical_size_x == (1.0, "µm")
        assert reader[0, 0].size == 1, "a reader that was given stays open"


def test_series(tmp_path, target):
    first, second = picture(20, 30), picture(3, 10, 15, dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        writer.write(first, metadata={"axes": "YX", "Name": "first"})
        writer.write(second, metadata={"axes": "ZYX", "Name": "second", "PhysicalSizeX": 2.0}, photometric="minisblack")
    made = target(tmp_path / "a.ome.tif", series=1)
    np.testing.assert_array_equal(made.array[0, 0], second)
    image = ElementTree.fromstring(made.xml).findall(f"{OME}Image")
    assert [one.get("Name") for one in image] == ["second"]
    assert image[0].find(f"{OME}Pixels").get("PhysicalSizeX") == "2.0"
    with pytest.raises(UsageError, match="series"):
        target(tmp_path / "a.ome.tif", series=2, overwrite=True)


def test_metadata_follow_the_selected_planes(tmp_path, target):
    pixels = picture(2, 3, 2, 16, 16)
    planes = {"DeltaT": [float(n) for n in range(12)]}
    metadata = {
        "axes": "TCZYX",
        "PhysicalSizeX": 0.25,
        "PhysicalSizeXUnit": "nm",
        "Channel": {"Name": ["DAPI", "GFP", "Cy5"], "EmissionWavelength": [460, 520, 670]},
        "Plane": planes,
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata=metadata, photometric="minisblack")
    made = target(tmp_path / "a.ome.tif", channels=[2, 1], z=1, t=[1])
    root = ElementTree.fromstring(made.xml)
    inner = root.find(f"{OME}Image/{OME}Pixels")
    assert [inner.get(f"Size{axis}") for axis in "XYZCT"] == ["16", "16", "1", "2", "1"]
    assert (inner.get("PhysicalSizeX"), inner.get("PhysicalSizeXUnit")) == ("0.25", "nm")
    channels = inner.findall(f"{OME}Channel")
    assert [(one.get("Name"), one.get("EmissionWavelength")) for one in channels] == [("Cy5", "670"), ("GFP", "520")]
    found = [(p.get("TheT"), p.get("TheC"), p.get("TheZ"), float(p.get("DeltaT"))) for p in inner.iter(f"{OME}Plane")]
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        source = ElementTree.fromstring(file.ome_metadata)
    known = {(p.get("TheT"), p.get("TheC"), p.get("TheZ")): float(p.get("DeltaT")) for p in source.iter(f"{OME}Plane")}
    assert found == [("0", "0", "0", known["1", "2", "1"]), ("0", "1", "0", known["1", "1", "1"])]


def test_reading_and_writing_overlap_and_keep_their_buffers_apart(tmp_path, target):
    pixels = picture(400, 100)
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression="zlib", rowsperstrip=11)
    writer = target(tmp_path / "a.tif", delay=0.01)  # which notices a block that changes under its hands
    assert len(writer.calls) > 5


@pytest.mark.parametrize("max_workers", [1, 2, 5])
def test_progress(tmp_path, target, max_workers):
    tifffile.imwrite(tmp_path / "a.tif", picture(400, 100))
    calls = []
    target(tmp_path / "a.tif", max_workers=max_workers, progress=lambda *at: calls.append(at))
    assert len(calls) > 3 and calls == sorted(calls)
    assert {total for _, total in calls} == {13 * 4} and calls[-1][0] == 13 * 4


def test_only_what_is_missing_is_read_and_written(tmp_path, target):
    pixels = picture(2, 100, 200)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, compression="zlib", rowsperstrip=11, metadata={"axes": "ZYX"})
    one = slice(0, 1)
    missing = [
        (slice(64, 96), slice(32, 64), one, one, one),
        (slice(96, 100), slice(0, 200), slice(1, 2), one, one),
    ]
    calls = []
    writer = target(tmp_path / "a.ome.tif", resume=True, missing=missing, progress=lambda *at: calls.append(at))
    expected = np.zeros_like(writer.times_written)
    expected[0, 0, 0, 64:96, 32:64] = 1
    expected[0, 0, 1, 96:100] = 1
    np.testing.assert_array_equal(writer.times_written, expected)
    np.testing.assert_array_equal(writer.array[0, 0], pixels * expected[0, 0])
    assert calls[-1] == (56, 56)
    assert target(tmp_path / "a.ome.tif", resume=True, missing=[], overwrite=True).calls == []


@pytest.fixture
def broken(tmp_path):
    """An image whose sixth strip is garbage."""
    path = tmp_path / "broken.tif"
    tifffile.imwrite(path, picture(400, 100), compression="zlib", rowsperstrip=40)
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[5]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 50)
    return path


def test_a_source_that_breaks_in_the_middle(tmp_path, target, broken):
    with pytest.raises(TileDecodeError) as caught:
        target(broken)
    assert caught.value.tile == 5
    assert "out.ome.tif.part" in caught.value.__notes__[0] and "resume" in caught.value.__notes__[0]
    assert target.made[0].state == "abandoned" and len(target.made[0].calls) >= 1
    assert not (tmp_path / "out.ome.tif").exists()


def test_a_writer_that_fails(tmp_path, target):
    tifffile.imwrite(tmp_path / "a.tif", picture(400, 100))
    with pytest.raises(OSError, match="No space left"):
        target(tmp_path / "a.tif", fail_at=2)
    assert target.made[0].state == "abandoned" and len(target.made[0].calls) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupt_or_an_error_of_the_caller(tmp_path, target, error):
    tifffile.imwrite(tmp_path / "a.tif", picture(400, 100))

    def stop(done, total):
        raise error

    with pytest.raises(error):
        target(tmp_path / "a.tif", progress=stop)
    assert target.made[0].state == "abandoned" and len(target.made[0].calls) == 1


def test_nothing_is_overwritten_unasked(tmp_path, target):
    source, there = tmp_path / "a.tif", tmp_path / "there.ome.tif"
    tifffile.imwrite(source, picture(20, 20))
    there.write_text("precious")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        target(source, there)
    assert there.read_text() == "precious" and not target.made
    with pytest.raises(UsageError, match="folder"):
        (tmp_path / "folder.ome.tif").mkdir()
        target(source, tmp_path / "folder.ome.tif", overwrite=True)
    target(source, there, overwrite=True)


def test_the_source_is_never_the_target(tmp_path, target, monkeypatch):
    source = tmp_path / "a.tif"
    tifffile.imwrite(source, picture(20, 20))
    before = source.read_bytes()
    (tmp_path / "link.tif").symlink_to(source)
    os.link(source, tmp_path / "hard.ome.tif")
    (tmp_path / "sub").mkdir()
    for same in (source, tmp_path / "link.tif", tmp_path / "hard.ome.tif", tmp_path / "sub" / ".." / "a.tif"):
        with pytest.raises(UsageError, match="source itself"):
            target(source, same, overwrite=True)
    with BioReader(source) as reader, pytest.raises(UsageError, match="source itself"):
        target(reader, source, overwrite=True)
    os.link(source, tmp_path / "b.ome.tif.part")
    with pytest.raises(UsageError, match="source itself"):
        target(source, tmp_path / "b.ome.tif")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="source itself"):
        target("a.tif", "a.tif", overwrite=True)
    assert source.read_bytes() == before and not target.made


def test_arguments_are_checked_before_anything_is_made(tmp_path, target):
    tifffile.imwrite(tmp_path / "a.tif", picture(200, 200))
    source = tmp_path / "a.tif"
    cases = (
        ({"crop": (0, 0, 201, 10)}, "crop"),
        ({"crop": (0, 0, 10)}, "crop"),
        ({"compression": "gif"}, "compression"),
        ({"levels": 0}, "levels"),
        ({"memory": "plenty"}, "memory"),
        ({"tile_size": 100}, "multiples of 16"),
        ({"rescale": "yes"}, "rescale"),
        ({"memory": "1MB", "tile_size": 4096}, "it takes"),
    )
    for wrong, message in cases:
        with pytest.raises(UsageError, match=message):
            target(source, **wrong)
    with pytest.raises(bfio.UnsupportedError, match=r"\.png"):
        target(source, tmp_path / "a.png")
    with pytest.raises(FileNotFoundError, match="folder"):
        target(source, tmp_path / "no" / "a.ome.tif")
    with pytest.raises(FileNotFoundError):
        target(tmp_path / "none.tif")
    with pytest.raises(UsageError, match="path"):
        target(source, 7)
    assert not target.made and sorted(os.listdir(tmp_path)) == ["a.tif"]


def test_levels(tmp_path, target):
    tifffile.imwrite(tmp_path / "a.tif", picture(200, 301))
    sizes = [(200, 301), (100, 151), (50, 76), (25, 38), (13, 19)]
    auto = target(tmp_path / "a.tif")
    assert [(level.size_y, level.size_x) for level in auto.series.levels] == sizes
    three = target(tmp_path / "a.tif", levels=3, overwrite=True)
    assert three.options.levels == 3 and len(three.series.levels) == 3
    assert len(target(tmp_path / "a.tif", levels=1, overwrite=True).series.levels) == 1

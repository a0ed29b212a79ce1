"""The command line: what it prints, and what it returns."""

import json
import os
import signal
import subprocess
import sys
import time
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from fakes import FakeBackend, sample_image

import bfio
from bfio import cli
from bfio.cli import main
from bfio.cli.report import file_report
from bfio.errors import LimitError

ON_POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and /dev of POSIX")


def run(*arguments, **options):
    command = [sys.executable, "-m", "bfio", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False, **options)


def ramp(*shape, dtype=np.uint16):
    return (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)


@pytest.fixture
def grey(tmp_path):
    path = tmp_path / "grey.tif"
    tifffile.imwrite(path, ramp(20, 30), metadata=None, resolution=(20000, 10000), resolutionunit="CENTIMETER")
    return path


@pytest.fixture
def ome(tmp_path):
    """An OME-TIFF of two images: a stack of two named channels with a pyramid, and an RGB picture."""
    path = tmp_path / "two.ome.tif"
    stack, rgb = ramp(2, 2, 3, 64, 96), ramp(16, 16, 3, dtype=np.uint8)
    tiles = {"tile": (16, 32), "compression": "zlib", "predictor": True, "photometric": "minisblack"}
    metadata = {
        "axes": "TCZYX",
        "Name": "stack",
        "PhysicalSizeX": 0.5,
        "PhysicalSizeXUnit": "nm",
        "Channel": {"Name": ["DAPI", "GFP"], "Color": [0x0000FFFF, -16776961]},
    }
    with tifffile.TiffWriter(path, bigtiff=True, byteorder=">", ome=True) as writer:
        writer.write(stack, subifds=1, metadata=metadata, **tiles)
        writer.write(stack[..., ::2, ::2], subfiletype=1, **tiles)
        writer.write(rgb, photometric="rgb", metadata={"axes": "YXS", "Name": "picture"})
    return path


@pytest.fixture
def broken(tmp_path):
    """A file whose structure is right, and whose second strip is garbage."""
    path = tmp_path / "broken.tif"
    tifffile.imwrite(path, ramp(20, 30), metadata=None, compression="zlib", rowsperstrip=10)
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[1]
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 8)
    return path


def report(capsys, *arguments, status=0):
    assert main(["info", "--json", *map(str, arguments)]) == status
    return json.loads(capsys.readouterr().out)


def text(capsys, *arguments, status=0):
    assert main(["info", *map(str, arguments)]) == status
    return capsys.readouterr().out


def test_json_of_a_plain_file_is_complete(capsys, grey):
    (found,) = report(capsys, grey)
    assert found == {
        "file": str(grey),
        "format": "TIFF",
        "dialect": None,
        "backend": "python",
        "byte_order": "little",
        "nbytes": grey.stat().st_size,
        "ome_xml": False,
        "n_series": 1,
        "series": [
            {
                "index": 0,
                "name": None,
                "dialect": None,
                "thumbnail": False,
                "size": {"x": 30, "y": 20, "z": 1, "c": 1, "t": 1},
                "shape": [20, 30],
                "axes": "YX",
                "dimension_order": None,
                "n_planes": 1,
                "samples_per_pixel": 1,
                "rgb": False,
                "interleaved": False,
                "pixel_type": "uint16",
                "physical_size": {"x": {"value": 0.5, "unit": "µm"}, "y": {"value": 1.0, "unit": "µm"}, "z": None},
                "channels": [{"name": None, "samples": 1, "color": None, "window": None}],
                "levels": [
                    {
                        "x": 30,
                        "y": 20,
                        "tile_x": 30,
                        "tile_y": 20,
                        "strips": True,
                        "compression": "none",
                        "predictor": "none",
                    }
                ],
                "statistics": {
                    "level": 0,
                    "plane": {"z": 0, "c": 0, "t": 0},
                    "pixels": 600,
                    "pixels_read": 600,
                    "of": "value",
                    "samples": [{"min": 0, "max": 250, "mean": ramp(600).mean(), "not_finite": 0}],
                },
            }
        ],
    }


def test_every_key_is_documented(capsys, ome, broken):
    from bfio.cli import info

    def keys(value):
        if isinstance(value, dict):
            yield from value
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from keys(inner)

    found = set(keys(report(capsys, ome, broken, "missing.tif", status=1)))
    assert {"error", "statistics", "color"} < found
    assert [key for key in found if f"``{key}``" not in info.__doc__] == []


def test_xml_beyond_the_limit_is_there_nevertheless(monkeypatch):
    def too_large():
        raise LimitError("too large")

    backend = FakeBackend(sample_image())
    assert not file_report(backend, "a.tif")["ome_xml"]
    monkeypatch.setattr(backend, "ome_xml", too_large)
    assert file_report(backend, "a.tif")["ome_xml"]


def test_several_series_pyramid_and_ome(capsys, ome):
    (found,) = report(capsys, ome)
    assert (found["format"], found["dialect"], found["byte_order"]) == ("BigTIFF", "OME", "big")
    assert found["ome_xml"] and found["n_series"] == 2
    stack, picture = found["series"]
    assert [stack["name"], picture["name"]] == ["stack", "picture"]
    assert stack["size"] == {"x": 96, "y": 64, "z": 3, "c": 2, "t": 2}
    assert (stack["shape"], stack["axes"], stack["n_planes"]) == ([64, 96, 3, 2, 2], "YXZCT", 12)
    assert stack["dimension_order"] == "XYZCT"
    assert stack["physical_size"]["x"] == {"value": 0.5, "unit": "nm"}
    assert stack["channels"] == [
        {"name": "DAPI", "samples": 1, "color": "#0000ffff", "window": None},
        {"name": "GFP", "samples": 1, "color": "#ff0000ff", "window": None},
    ]
    assert [(level["x"], level["y"]) for level in stack["levels"]] == [(96, 64), (48, 32)]
    assert stack["levels"][1] == {
        "x": 48,
        "y": 32,
        "tile_x": 32,
        "tile_y": 16,
        "strips": False,
        "compression": "deflate",
        "predictor": "horizontal",
    }
    assert (picture["samples_per_pixel"], picture["rgb"], picture["interleaved"]) == (3, True, True)
    assert len(picture["statistics"]["samples"]) == 3


def test_text_tells_the_same(capsys, ome):
    shown = text(capsys, ome)
    for words in (
        "BigTIFF, OME, big-endian",
        "series 1: picture",
        "X 96, Y 64, Z 3, C 2, T 2",
        "(64, 96, 3, 2, 2), axes Y, X, Z, C, T",
        "DAPI, #0000ffff",
        "48 x 32, tiles of 32 x 16, compression deflate + horizontal predictor",
        "X 0.5 nm",
        "3 per pixel (RGB), interleaved",
        "min 0, max 250",
        "all 6,144 pixels of the first plane of level 0",
    ):
        assert words in shown


def test_one_series_of_many(capsys, ome):
    (found,) = report(capsys, "--series", 1, ome)
    assert [entry["name"] for entry in found["series"]] == ["picture"] and found["n_series"] == 2
    (last,) = report(capsys, "--series", -1, ome)
    assert last == found
    (failed,) = report(capsys, "--series", 2, ome, status=1)
    assert "series=2 does not exist" in failed["error"]


def test_statistics_of_a_level(capsys, ome):
    (found,) = report(capsys, "--level", 1, ome)
    stack, picture = found["series"]
    small = ramp(2, 2, 3, 64, 96)[0, 0, 0, ::2, ::2]
    assert stack["statistics"]["level"] == 1 and stack["statistics"]["pixels"] == small.size
    (sample,) = stack["statistics"]["samples"]
    assert (sample["min"], sample["max"]) == (small.min(), small.max())
    assert sample["mean"] == pytest.approx(small.mean())
    assert picture["statistics"] is None
    assert "level=2 does not exist" in report(capsys, "--level", 2, ome, status=1)[0]["error"]


def test_nopix_reads_no_pixels(capsys, broken):
    (found,) = report(capsys, "--nopix", broken)
    assert found["series"][0]["statistics"] is None
    assert "pixels " not in text(capsys, "--nopix", broken)


def test_broken_pixels_leave_the_structure(capsys, broken, grey):
    first, second = report(capsys, broken, grey, status=1)
    assert "tile 1" in first["series"][0]["statistics"]["error"] and first["series"][0]["shape"] == [20, 30]
    assert second["series"][0]["statistics"]["samples"]
    assert main(["info", str(broken)]) == 1
    printed = capsys.readouterr()
    assert "can not be read" in printed.out and "X 30, Y 20" in printed.out
    assert printed.err.count("\n") == 1 and printed.err.startswith("bfio: ") and "tile 1" in printed.err


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (bool, (0, 1)),
        (np.int8, (-128, 127)),
        (np.uint64, (0, 2**64 - 1)),
        (np.int64, (-(2**63), 2**63 - 1)),
        (np.float16, (-65504.0, 65504.0)),
    ],
)
def test_extremes_of_pixel_types(capsys, tmp_path, dtype, expected):
    path = tmp_path / "extremes.tif"
    pixels = np.zeros((5, 7), dtype)
    pixels[0, 0], pixels[4, 6] = expected
    tifffile.imwrite(path, pixels, metadata=None)
    sample = report(capsys, path)[0]["series"][0]["statistics"]["samples"][0]
    assert (sample["min"], sample["max"]) == expected
    assert sample["mean"] == pytest.approx(pixels.astype(np.float64).mean())


def test_values_that_are_no_numbers(capsys, tmp_path):
    path = tmp_path / "odd.tif"
    tifffile.imwrite(path, np.array([[1.5, np.nan, np.inf], [-np.inf, 2.5, np.nan]], np.float32), metadata=None)
    sample = report(capsys, path)[0]["series"][0]["statistics"]["samples"][0]
    assert sample == {"min": 1.5, "max": 2.5, "mean": 2.0, "not_finite": 4}
    assert "4 not finite" in text(capsys, path)
    tifffile.imwrite(path, np.full((2, 2), np.nan), metadata=None)
    sample = report(capsys, path)[0]["series"][0]["statistics"]["samples"][0]
    assert sample == {"min": None, "max": None, "mean": None, "not_finite": 4}
    tifffile.imwrite(path, np.full((2, 2), 1.7e308), metadata=None)
    assert report(capsys, path)[0]["series"][0]["statistics"]["samples"][0]["mean"] is None
    assert "beyond float64" in text(capsys, path)


def test_complex_pixels_by_magnitude(capsys, tmp_path):
    path = tmp_path / "complex.tif"
    tifffile.imwrite(path, np.array([[3 + 4j, 0], [0, 0]], np.complex64), metadata=None)
    found = report(capsys, path)[0]["series"][0]["statistics"]
    assert found["of"] == "magnitude" and found["samples"][0]["max"] == 5.0
    assert "magnitude min 0, max 5" in text(capsys, path)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (48, 80), (100, 33)])
@pytest.mark.parametrize("budget", [1, 100, 700, 10**6])
def test_blocks_cover_the_plane_or_a_part_of_it(monkeypatch, shape, budget):
    from bfio.cli.statistics import _Blocks
    from bfio.metadata import Level

    covered = np.zeros(shape, int)
    for y, x in _Blocks(Level(*shape, (16, 32)), min(budget, 600)).sampled(budget):
        assert y.start % 16 == 0 and x.start % 32 == 0
        covered[y.start : y.stop, x.start : x.stop] += 1
    assert covered.max() == 1
    if budget >= covered.size:
        assert covered.min() == 1
    assert covered.sum() <= max(budget, 16 * 32)


def test_large_planes_are_sampled_and_that_is_said(capsys, monkeypatch, tmp_path):
    from bfio.cli import info

    path = tmp_path / "large.tif"
    tifffile.imwrite(path, ramp(256, 256), metadata=None, tile=(16, 16))
    monkeypatch.setattr(info, "_BUDGET", 2048)
    monkeypatch.setattr(info, "_LEAST_BUDGET", 1)
    found = report(capsys, path)[0]["series"][0]["statistics"]
    assert 1024 < found["pixels_read"] <= 2048 and found["pixels"] == 65536
    assert f"{found['pixels_read']:,} of 65,536 pixels" in text(capsys, path)


def test_omexml_of_the_file_and_made_up(capfdbinary, ome, grey):
    assert main(["info", "--omexml", str(ome)]) == 0
    with tifffile.TiffFile(ome) as file:
        assert capfdbinary.readouterr().out.decode().rstrip("\n") == file.ome_metadata.rstrip("\n")
    assert main(["info", "--omexml", str(grey)]) == 0
    root = ElementTree.fromstring(capfdbinary.readouterr().out)
    pixels = root.find(".//{*}Pixels")
    assert (pixels.get("SizeX"), pixels.get("SizeY"), pixels.get("PhysicalSizeXUnit")) == ("30", "20", "µm")


def test_files_that_fail_do_not_hold_up_others(capsys, tmp_path, grey):
    (tmp_path / "text.tif").write_text("hello\n")
    (tmp_path / "empty.tif").touch()
    names = [str(tmp_path / name) for name in ("missing.tif", "text.tif", "empty.tif", "")]
    assert main(["info", *names, str(grey)]) == 1
    printed = capsys.readouterr()
    assert "X 30, Y 20" in printed.out
    lines = printed.err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("bfio: ") and name in line for line, name in zip(lines, names, strict=True))
    assert "no such file" in lines[0] and "text file" in lines[1] and "empty" in lines[2] and "directory" in lines[3]
    found = report(capsys, *names, grey, status=1)
    assert [set(entry) for entry in found[:4]] == [{"file", "error"}] * 4 and "error" not in found[4]


def test_an_error_nobody_thought_of_is_a_sentence(capsys, monkeypatch, grey):
    from bfio.cli import info

    def fails(*arguments):
        raise ZeroDivisionError("oh\nno")

    monkeypatch.setattr(info, "file_report", fails)
    assert main(["info", str(grey)]) == 1
    assert capsys.readouterr().err == f"bfio: {grey}: unexpected ZeroDivisionError: oh no\n"


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["info"], ["info", ""], ["info", "--json", "--omexml", "x"], ["info", "--series", "a", "x"],
     ["thumbnail", "x"], ["thumbnail", "x", "y.jpg"], ["thumbnail", "x", "y.png", "--size", "0"], ["--nonsense"]],
)  # fmt: skip
def test_wrong_usage(capsys, arguments):
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("bfio: ") and printed.err.count("\n") == 1
    assert "--help" in printed.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--help"], ("info", "thumbnail", "versions")), (["info", "-h"], ("--json", "--omexml", "--nopix", "--series")),
     (["thumbnail", "-h"], ("OUT.png", "--size")), (["versions", "-h"], ("bug reports",))],
)  # fmt: skip
def test_help(capsys, arguments, words):
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in words)


@pytest.mark.parametrize("module", ["bfio", "bfio.cli"])
def test_version_of_the_module_as_a_program(module):
    done = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"bfio {bfio.__version__}\n"


def test_versions(capsys):
    assert main(["versions"]) == 0
    assert "imagecodecs" in capsys.readouterr().out


def test_help_imports_no_numpy():
    code = "import sys; from bfio.cli import main; main(['--help']); assert 'numpy' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_a_url(capsys, http_server, grey):
    url = f"{http_server(grey.parent).url}/grey.tif"
    (found,) = report(capsys, url)
    assert found["file"] == url and found["series"][0]["statistics"]["samples"][0]["max"] == 250
    (failed,) = report(capsys, url + ".missing", status=1)
    assert failed["error"].count(url) == 1


def test_names_can_not_steer_the_terminal(capsys, tmp_path):
    path = tmp_path / "escape.ome.tif"
    tifffile.imwrite(path, ramp(4, 4), metadata={"axes": "YX", "Name": "red\u009b31m\u202e\nseries 9"}, ome=True)
    shown = text(capsys, path)
    assert "\u009b" not in shown and "\u202e" not in shown and "\nseries 9" not in shown
    assert r"red\x9b31m\u202e" in shown
    assert "\u009b" not in json.dumps(report(capsys, path))


def test_output_in_ascii(grey):
    done = run("info", grey, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and rb"X 0.5 \xb5m" in done.stdout and done.stderr == b""


@ON_POSIX
def test_a_reader_that_goes_away(grey):
    command = [sys.executable, "-m", "bfio", "info", *[str(grey)] * 200]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().strip() == str(grey).encode()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == cli.BROKEN_PIPE


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk(grey):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "bfio", "info", str(grey)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("bfio: the output can not be written: No space")
    assert done.stderr.count("\n") == 1


@ON_POSIX
def test_closed_output(grey):
    command = f'exec "{sys.executable}" -m bfio info "{grey}" missing.tif >&-'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr == "bfio: missing.tif: no such file or directory\n"


@ON_POSIX
def test_ctrl_c(grey):
    code = (
        "import sys, time; from bfio.cli import info, main\n"
        "info.file_report = lambda *_: (print('ready', flush=True), time.sleep(60))\n"
        f"sys.exit(main(['info', {str(grey)!r}]))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == b""


def test_warnings_are_told_once_and_the_loggers_left_as_they_were(capsys, tmp_path):
    import logging

    path = tmp_path / "lonely.ome.tif"
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<BinaryOnly MetadataFile="gone.companion.ome" UUID="urn:uuid:0"/></OME>'
    )
    tifffile.imwrite(path, ramp(4, 4), description=xml, metadata=None)
    before = [list(logging.getLogger(name).handlers) for name in ("bfio", "tifffile")]
    assert main(["info", str(path)]) == 0
    assert [logging.getLogger(name).handlers for name in ("bfio", "tifffile")] == before
    printed = capsys.readouterr()
    assert printed.err.startswith("bfio: warning: ") and printed.err.count("\n") == 1
    assert "gone.companion.ome" in printed.err


def test_thumbnail(capsys, tmp_path, ome):
    from imagecodecs import png_decode

    target = tmp_path / "small.png"
    assert main(["thumbnail", str(ome), str(target), "--size", "24"]) == 0
    assert png_decode(target.read_bytes()).shape == (16, 24, 3)
    assert main(["thumbnail", str(ome), str(target), "--series", "1"]) == 0
    picture = png_decode(target.read_bytes())
    np.testing.assert_array_equal(picture, ramp(16, 16, 3, dtype=np.uint8))
    assert capsys.readouterr().out == ""
    assert main(["thumbnail", str(ome), str(tmp_path / "no" / "x.png")]) == 1
    assert main(["thumbnail", str(tmp_path / "missing.tif"), str(tmp_path / "x.png")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all("no such file" in line for line in lines)
    assert not (tmp_path / "x.png").exists()


def test_corpus_in_one_call(capsys, corpus):
    files = sorted(str(path) for path in (corpus / "valid").iterdir())
    found = report(capsys, *files)
    assert len(found) == len(files) > 200 and not [entry for entry in found if "error" in entry]


def test_hostile_corpus_gives_sentences(capsys, corpus):
    files = sorted(str(path) for path in (corpus / "hostile").iterdir())
    assert main(["info", *files]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("bfio: ") and "unexpected" not in line for line in lines)

"""``bfio convert``: its arguments, what it prints, its exit status, and interrupted runs."""

import io
import os
import re
import sys
import time

import numpy as np
import pytest
import tifffile
from fake_writer import FakeWriter

import bfio
from bfio.cli import main
from bfio.cli._arguments import listed
from bfio.cli._progress import ProgressBar, size_text
from bfio.conversion import job


def ramp(*shape, dtype=np.uint16):
    return (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.ome.tif"
    tifffile.imwrite(path, ramp(2, 3, 4, 60, 90), metadata={"axes": "TCZYX"}, compression="zlib")
    return path


def test_the_arguments_reach_the_conversion(source, tmp_path, made, capsys):
    arguments = ["--channel", "2,0", "-z", "1-3", "-t", "1", "--crop", "10,20,64,33", "--dtype", "uint8"]
    storage = ["--levels", "2", "--tile", "32,16", "--compression", "zstd", "--downsample", "mode"]
    work = ["--memory", "300MB", "--workers", "1", "--predictor", "none", "--compression-level", "3"]
    assert main(["convert", str(source), str(tmp_path / "out.ome.tif"), *arguments, *storage, *work]) == 0
    writer = made[0]
    expected = ramp(2, 3, 4, 60, 90).astype(np.uint8)[1:, [2, 0], 1:4, 20:53, 10:74]
    np.testing.assert_array_equal(writer.array, expected)
    options = writer.options
    assert (options.tile_size, options.levels, options.max_workers) == ((32, 16), 2, 1)
    assert (options.compression.name, options.compression_level, options.predictor.name) == ("ZSTD", 3, "NONE")
    assert options.downsample == "mode"
    printed = capsys.readouterr()
    assert printed.err == ""
    assert re.fullmatch(
        r".*out\.ome\.tif: 64 x 33 x 3 Z x 2 C uint8, 2 levels; 12\.7 kB in [\d.]+ s \(.*/s\); file 4 bytes "
        r"\(ratio [\d.]+\)\n",
        printed.out,
    )


def test_the_names_of_bfconvert(source, tmp_path, made, capsys):
    given = ["-series", "0", "-channel", "1", "-z", "0", "-timepoint", "0", "-crop", "0,0,32,32", "-bigtiff"]
    more = ["-compression", "lzw", "-pyramid-resolutions", "2", "-overwrite", "--quiet"]
    (tmp_path / "out.ome.tif").write_text("old")
    assert main(["convert", str(source), str(tmp_path / "out.ome.tif"), *given, *more]) == 0
    assert made[0].array.shape == (1, 1, 1, 32, 32)
    assert made[0].options.bigtiff is True and made[0].options.levels == 2
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", [3]),
        ("-1", [-1]),
        ("0-9,12", [*range(10), 12]),
        ("3-1", [3, 2, 1]),
        ("0:10:2", slice(0, 10, 2)),
        ("::-1", slice(None, None, -1)),
        ("5:", slice(5, None, None)),
        ("0:4:2, 7", [0, 2, 7]),
    ],
)
def test_lists(text, expected):
    assert listed(text) == expected


WRONG = (
    ["--channel", "a"],
    ["-z", "1:2:0"],
    ["-z", "5:,2"],
    ["-t", ""],
    ["--crop", "1,2,3"],
    ["--crop", "a,b,c,d"],
    ["--tile", "100"],
    ["--tile", "16,16,16"],
    ["--levels", "0"],
    ["--levels", "many"],
    ["--compression", "gif"],
    ["--compression", "lzw", "--compression-level", "3"],
    ["--compression", "packbits", "--predictor", "horizontal"],
    ["--downsample", "worst"],
    ["--predictor", "psychic"],
    ["--dtype", "colour"],
    ["--rescale", "1"],
    ["--memory", "lots"],
    ["--memory", "5"],
    ["--workers", "0"],
    ["--series", "x"],
    ["--unknown"],
    ["--chunks", "64"],
    ["--shards", "1,64,64"],
    ["--zarr-version", "3"],
    ["--chunks", "a,64"],
    ["--chunks", "1,1,1,1,1,1"],
    ["--chunks", "0,16"],
    ["--zarr-version", "4"],
)


@pytest.mark.parametrize("wrong", WRONG, ids=" ".join)
def test_a_wrong_command_line_is_status_2_and_one_sentence(source, tmp_path, made, capsys, wrong):
    assert main(["convert", str(source), str(tmp_path / "out.ome.tif"), *wrong]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and len(printed.err.splitlines()) == 1 and "--help" in printed.err
    assert not made and os.listdir(tmp_path) == ["in.ome.tif"]


@pytest.mark.parametrize("option", ["--chunks", "--shards", "--zarr-version"])
def test_what_only_zarr_has_is_refused_by_its_name(source, tmp_path, made, capsys, option):
    value = "2" if option == "--zarr-version" else "64,64"
    assert main(["convert", str(source), str(tmp_path / "out.ome.tif"), option, value]) == 2
    assert f"{option} is for names that end in .zarr, not for out.ome.tif" in capsys.readouterr().err


def test_chunks_on_the_command_line(source, tmp_path, capsys):
    given = ["--chunks", "2,16,32", "--shards", "2,32,64", "--zarr-version", "3", "--levels", "1", "--quiet"]
    assert main(["convert", str(source), str(tmp_path / "out.zarr"), *given]) == 0
    with bfio.BioReader(tmp_path / "out.zarr") as reader:
        stored = reader._backend.describe().series[0].levels[0]
        assert (stored.chunk_shape, stored.shard_shape) == ((1, 1, 2, 16, 32), (1, 1, 2, 32, 64))
        np.testing.assert_array_equal(reader[:].transpose(4, 3, 2, 0, 1), ramp(2, 3, 4, 60, 90))
    assert main(["convert", str(source), str(tmp_path / "old.zarr"), "--zarr-version", "2", "--chunks", "32"]) == 0
    assert (tmp_path / "old.zarr" / ".zattrs").exists()
    assert main(["convert", str(source), str(tmp_path / "no.zarr"), "--chunks", "32", "--shards", "40"]) == 1
    assert "multiple of the chunk" in capsys.readouterr().err


def test_files_are_named_on_the_command_line(source, tmp_path, made, capsys):
    assert main(["convert", str(source)]) == 2
    assert main(["convert", str(source), ""]) == 2
    assert main(["convert", str(source), str(tmp_path / "out.png")]) == 2
    assert "out.png" in capsys.readouterr().err and not made


def test_the_help_tells_the_status(capsys):
    assert main(["convert", "--help"]) == 0
    text = capsys.readouterr().out
    assert "exit status: 0" in text and "130 after Ctrl-C" in text and "-timepoint" not in text


def test_what_does_not_fit_the_file_is_status_1(source, tmp_path, made, capsys):
    for wrong in (["--series", "3"], ["-z", "9"], ["--crop", "0,0,91,1"]):
        assert main(["convert", str(source), str(tmp_path / "out.ome.tif"), *wrong]) == 1
        printed = capsys.readouterr()
        assert printed.out == "" and len(printed.err.splitlines()) == 1 and "in.ome.tif" in printed.err
    assert main(["convert", str(tmp_path / "none.tif"), str(tmp_path / "out.ome.tif")]) == 1
    assert "none.tif" in capsys.readouterr().err
    assert main(["convert", str(source), str(tmp_path / "no" / "out.ome.tif")]) == 1
    assert "does not exist" in capsys.readouterr().err
    assert not made


def test_nothing_is_replaced_without_force(source, tmp_path, made, capsys):
    there = tmp_path / "out.ome.tif"
    there.write_text("precious")
    assert main(["convert", str(source), str(there)]) == 1
    assert capsys.readouterr().err == f"bfio: {there}: the file exists; remove it or use --force\n"
    assert there.read_text() == "precious" and not made
    assert main(["convert", str(source), str(there), "--force"]) == 0
    assert main(["convert", str(source), str(source), "--force"]) == 1
    assert "source itself" in capsys.readouterr().err


def test_how_to_go_on_after_a_failure(source, tmp_path, monkeypatch, capsys):
    def create(path, backend, series, xml, options):
        return FakeWriter(path, series, xml, options, fail_at=0)

    monkeypatch.setattr(job, "create_writer", create)
    target = str(tmp_path / "out.ome.tif")
    assert main(["convert", str(source), target]) == 1
    assert capsys.readouterr().err == (
        f"bfio: {target}: no space left on device; what was written so far is in {target}.part: "
        "--resume goes on with it\n"
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_progress_bar_of_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with ProgressBar() as bar:
        bar(0, 1000)
        time.sleep(0.12)
        bar(500, 1000)
        bar(501, 1000)
        bar(1000, 1000)
    lines = terminal.getvalue().split("\r")[1:]
    assert len(lines) == 4 and lines[-1] == "\x1b[K"
    assert re.match(r"\[#{15}\.{15}\]  50% of 1000 tiles, \d+/s, 0:00 left", lines[1])
    assert "100%" in lines[2]


def test_no_progress_bar_where_nobody_looks(monkeypatch):
    for quiet, stream in ((True, Terminal()), (False, io.StringIO()), (False, None)):
        monkeypatch.setattr(sys, "stderr", stream)
        with ProgressBar(quiet=quiet) as bar:
            bar(0, 10)
            bar(10, 10)
        assert stream is None or stream.getvalue() == ""


def test_sizes_for_people():
    assert [size_text(n) for n in (0, 999, 1000, 12_345_678, 3e12)] == [
        "0 bytes", "999 bytes", "1.0 kB", "12.3 MB", "3.0 TB",
    ]  # fmt: skip

"""Others read what bfio writes: equal pixels in all levels and planes, sizes, order, names and physical sizes.

A reader that is not installed is skipped; `make test` installs all. What readers can not do stands in one table,
`readers/inabilities.py`, and each row of it must be true.
"""

import os
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from readers import registry
from readers.cases import OME_TYPES, PREDICTED, Case, cases
from readers.inabilities import TABLE, expected_outcome, inability
from readers.picture import Picture, attempt, outcome
from readers.schema import complaints, schema
from readers.writing import write

from bfio import BioWriter
from bfio.pyramid import level_sizes

CASES = cases()
TELLS = {
    "tifffile": {"xml", "density", "order"},
    "GDAL": {"xml", "density"},
    "Pillow": {"xml", "density"},
    "libvips": {"xml", "density"},
    "Bio-Formats 6.7.0": {"format", "order", "sizes", "pixel_sizes", "channels"},
    "Bio-Formats 7.3.1": {"format", "order", "sizes", "pixel_sizes", "channels"},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Path of a file of the matrix, written once."""
    folder, paths = tmp_path_factory.mktemp("matrix"), {}

    def path_of(case):
        if case not in paths:
            paths[case] = folder / f"{len(paths)}.ome.tif"
            write(case, paths[case])
        return paths[case]

    return path_of


@pytest.fixture(scope="module", params=registry.NAMES)
def reader(request):
    found = registry.reader(request.param)
    if found is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param, found


@pytest.fixture(scope="module", autouse=True)
def no_process_is_left():
    yield
    registry.close_all()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_pixels(reader, case, written):
    name, other = reader
    found = attempt(other.read, written(case))
    assert outcome(found, case.expected, case.lossy) == expected_outcome(name, case), found


@st.composite
def any_case(draw):
    """Combinations that nobody thought of, of what all but Pillow read."""
    dtype, compression = draw(st.sampled_from(OME_TYPES)), draw(st.sampled_from(("none", "packbits", "deflate", "lzw")))
    size = draw(st.tuples(st.integers(1, 300), st.integers(1, 9)) | st.tuples(*[st.integers(1, 100)] * 2))
    return Case(
        dtype,
        compression,
        draw(st.sampled_from((None, 2))) if compression in PREDICTED and dtype[0] != "f" else 1,
        samples=draw(st.sampled_from((1, 1, 1, 2, 3, 4, 5))),
        planes=draw(st.tuples(*[st.integers(1, 3)] * 3)),
        size=draw(st.permutations(size).map(tuple)),
        levels=draw(st.integers(1, max(size).bit_length())),
        bigtiff=draw(st.sampled_from((None, True))),
        tile=draw(st.tuples(*[st.sampled_from((16, 32, 48, 80))] * 2)),
    )


@settings(max_examples=int(os.environ.get("BFIO_MATRIX_EXAMPLES", "12")), deadline=None, derandomize=True)
@given(case=any_case())
def test_any_file(case, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.ome.tif"
    write(case, path)
    for name in registry.NAMES:
        other = None if name == "Pillow" else registry.reader(name)
        if other is not None:
            found = attempt(other.read, path)
            assert outcome(found, case.expected) == expected_outcome(name, case), (name, found)


def test_what_was_never_written_is_zeros(reader, tmp_path):
    """A finished file is not sparse, as some readers know no sparse tiles: all holes are one tile."""
    expected = np.zeros((2, 90, 130, 1), np.uint16)
    expected[1, 20:50, 40:60] = 7
    path = tmp_path / "holes.ome.tif"
    with BioWriter(path, X=130, Y=90, Z=2, dtype=np.uint16, tile_size=32) as writer:
        writer[20:50, 40:60, 1] = expected[1, 20:50, 40:60, 0]
    assert outcome(attempt(reader[1].read, path), [expected]) == "equal"


def test_a_checkpoint_is_a_file(reader, tmp_path):
    """After a flush the unfinished file has what was written, also of tiles that are not complete, and else holes."""
    expected = np.zeros((2, 150, 201, 1), np.uint16)
    pixels = np.random.default_rng(4).integers(1, 1 << 16, (70, 201), np.uint16)
    path = tmp_path / "checkpoint.ome.tif"
    with BioWriter(path, X=201, Y=150, Z=2, dtype=np.uint16, tile_size=32, levels=3) as writer:
        writer[:70, :, 1] = pixels
        writer.flush()
        assert not path.exists()
        found = attempt(reader[1].read, tmp_path / "checkpoint.ome.tif.part")
    if reader[0] == "Pillow":
        assert isinstance(found, Exception), "Pillow reads sparse tiles now: say so, and compare pixels"
        return
    expected[1, :70, :, 0] = pixels
    assert outcome(Picture(found.levels[:1]), [expected]) == "equal"
    assert [level.shape[1:3] for level in found.levels] == level_sizes(150, 201, 3)


@pytest.mark.parametrize(
    "case",
    [Case(), Case(planes=(2, 3, 4)), Case("uint8", samples=3), Case("float32", bigtiff=True, levels=1)],
    ids=str,
)
def test_facts(reader, case, written):
    name, other = reader
    found = other.read(written(case)).facts
    xml = found.pop("xml", None)
    assert TELLS[name] == found.keys() | ({"xml"} if xml else set())
    for fact, value in found.items():
        if fact in ("density", "pixel_sizes"):
            assert value == pytest.approx(case.facts[fact], rel=1e-6)
        else:
            assert value == case.facts[fact], fact
    if xml:
        for text in ('DimensionOrder="XYZCT"', 'PhysicalSizeX="0.325"', 'PhysicalSizeXUnit="µm"', 'Name="DAPI"'):
            assert text in xml
        assert case.planes[1] == 1 or 'Name="α-Tubulin"' in xml


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.readers[0]}: {row.what}")
def test_every_inability_is_that_of_a_file(row):
    """A row that applies to no file could hide anything; whether it is true is asserted by `test_pixels`."""
    assert any(inability(name, case) is row for name in row.readers for case in CASES)


@pytest.mark.parametrize("case", [case for case in CASES if case.compression in ("none", "deflate")], ids=str)
def test_xml_is_valid(case, written):
    if schema() is None:
        pytest.skip("no jar of Bio-Formats, whose schema is used")
    with tifffile.TiffFile(written(case)) as file:
        xml = file.ome_metadata
    assert complaints(xml) == []
    assert complaints(xml.replace('SizeX="', 'SizeX="-')) != []


def test_outcomes_tell_differences_apart():
    case = replace(CASES[0], dtype="uint16")
    right, levels = case.expected, lambda: [level.copy() for level in case.expected]
    assert outcome(Picture(levels()), right) == "equal"
    wrong = levels()
    wrong[1][-1, -1, -1, -1] += 1
    assert outcome(Picture(wrong), right) == "differs"
    assert outcome(Picture([level.astype("i4") for level in right]), right) == "as int32"
    assert outcome(Picture([np.zeros_like(level) for level in right]), right) == "zeros"
    assert outcome(Picture(right[:1]), right) == "shape"
    assert outcome(ValueError(), right) == "raises"
    noisy = [level + np.uint16(9) for level in right]
    assert outcome(Picture(noisy), right, lossy=True) == "differs"

"""Others read what bfio writes: equal pixels in all levels and planes, sizes, order, names and physical sizes.

A reader that is not installed is skipped; `make test` installs all. What readers can not do stands in one table,
`readers/inabilities.py`, and each row of it must be true.
"""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from readers import registry
from readers.cases import Case, cases
from readers.inabilities import TABLE, expected_outcome, inability
from readers.picture import Picture, attempt, outcome
from readers.schema import complaints, schema
from readers.writing import write

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

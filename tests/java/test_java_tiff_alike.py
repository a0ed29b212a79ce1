"""TIFF files through Bio-Formats have the pixels that bfio's own TIFF reader gives; the differences are known."""

import re

import numpy as np
import pytest
from corpus_files import CORPUS
from known_differences import OUTCOMES
from ome_files import tczyx
from reference import FILES

from bfio import BioReader
from bfio.errors import BfioError

VALID = sorted((CORPUS / "valid").glob("*")) if CORPUS.is_dir() else []
TIFF = [name for name in FILES if ".ome.t" in name and "jpeg" not in name]


def first_image(path, backend):
    with BioReader(path, backend=backend, max_workers=2) as reader:
        return tczyx(reader)


def outcome(path):
    """How Bio-Formats does on a file, in one word."""
    right = first_image(path, "python")
    try:
        found = first_image(path, "bioformats")
    except (BfioError, OSError):
        return "raises"
    if found.shape != right.shape:
        return "shape"
    if not np.array_equal(found, right, equal_nan=right.dtype.kind in "fc"):
        return "values"
    return "equal" if found.dtype == right.dtype else "dtype"


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.name)
def test_files_of_the_corpus(path):
    origin = re.match(r".+?-[0-9a-f]{8}(?=-)", path.name).group()
    assert outcome(path) == OUTCOMES.get(origin, "equal")


def test_every_known_difference_is_that_of_a_file(corpus):
    starts = [path.name for path in VALID]
    assert all(sum(name.startswith(f"{origin}-") for name in starts) == 1 for origin in OUTCOMES)


@pytest.mark.parametrize("name", TIFF)
def test_what_bioformats_writes(reference, name):
    """All series and levels, and the sizes of pixels and names of channels."""
    path = reference.path(name)
    for series, levels in enumerate(reference.pixels(path)):
        for level, image in enumerate(levels):
            with (
                BioReader(path, backend="python", series=series, level=level) as own,
                BioReader(path, backend="bioformats", series=series, level=level) as other,
            ):
                np.testing.assert_array_equal(tczyx(own), image)
                np.testing.assert_array_equal(tczyx(other), image)
                assert own.dtype == other.dtype and own.shape == other.shape
                assert own.ps_x == other.ps_x and own.ps_z == other.ps_z
                assert own.channel_names == other.channel_names and own.spp == other.spp
                assert own.series[series].name == other.series[series].name

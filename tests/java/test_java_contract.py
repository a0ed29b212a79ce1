"""The contract of all reader backends, for Bio-Formats: files of its own writers, with the pixels of its plain reader."""

import pytest
from contract_tools import Subject
from reader_contract import CHECKS

from bfio.backends.bioformats import BioFormatsReader
from bfio.limits import Limits

FILES = (
    "noise-XYTZC.ome.tif", "noise-big.ome.tif", "noise-rgb.ome.tif", "noise-float.ics", "noise-one-row.ome.tif",
    "noise-one-pixel.ome.tif", "pyramid.ome.tif", "pyramid-rgb.ome.tif", "series.ome.tif", "rgb-planar.ome.tif",
    "companion", "rgb.fake", "pyramid.fake",
)  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", FILES)
def test_contract(reference, name, check):
    path = reference.path(name)

    def open_backend(max_workers=2, cache_bytes=1 << 20):
        return BioFormatsReader(path, max_workers=max_workers, limits=Limits(), cache_bytes=cache_bytes)

    check(Subject(open_backend, reference.pixels(path), path, "bioformats"))

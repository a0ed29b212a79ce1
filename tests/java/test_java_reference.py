"""Pixels equal to those that Bio-Formats itself returns, plane by plane, for files of its writers and of microscopes."""

import numpy as np
import pytest
from contract_tools import agree, random_box
from corpus_files import CORPUS
from ome_files import tczyx
from reference import FILES, is_written, java

from bfio import BioReader
from bfio.backends.bioformats import BioFormatsReader
from bfio.errors import FormatError
from bfio.limits import Limits

IN_ORDER_ONLY = "frames.mov"
"""Of this film Bio-Formats can read a frame only after the one before."""
MICROSCOPY = sorted((CORPUS / "microscopy").glob("*")) if CORPUS.is_dir() else []


@pytest.fixture(params=[*FILES, *MICROSCOPY], ids=lambda place: getattr(place, "name", place))
def sample(request, reference, bioformats_version):
    """A path, and its pixels by series and level."""
    if isinstance(request.param, str) and not is_written(request.param, bioformats_version):
        with pytest.raises(Exception, match="Exception"):
            reference.path(request.param)
        pytest.skip(f"Bio-Formats {bioformats_version} does not write it")
    path = reference.path(request.param) if isinstance(request.param, str) else request.param
    return path, reference.pixels(path)


def test_every_plane(sample):
    path, images = sample
    for series, levels in enumerate(images):
        for level, image in enumerate(levels):
            with BioReader(path, backend="bioformats", series=series, level=level, max_workers=2) as reader:
                assert (len(reader.series), len(reader.levels)) == (len(images), len(levels))
                assert reader.dtype == image.dtype
                np.testing.assert_array_equal(tczyx(reader), image)


@pytest.mark.parametrize("options", [(1, 0), (3, 1 << 20)], ids=["one worker, no cache", "three workers"])
def test_regions(sample, options):
    path, images = sample
    if path.name == IN_ORDER_ONLY:
        return
    rng = np.random.default_rng(len(path.name))
    workers, cache = options
    backend = BioFormatsReader(path, max_workers=workers, limits=Limits(), cache_bytes=cache)
    try:
        for series, levels in enumerate(images):
            for level, image in enumerate(levels):
                for box in [random_box(rng, image.shape) for _ in range(4)]:
                    agree(backend, series, level, box, image)
    finally:
        backend.close()


def test_what_bioformats_can_not_read(reference):
    path, plain = reference.path(IN_ORDER_ONLY), java("formats.ImageReader")()
    plain.setId(str(path))
    with pytest.raises(Exception, match="ArrayIndexOutOfBounds"):
        plain.openBytes(2)
    plain.close()
    with BioReader(path, backend="bioformats") as reader, pytest.raises(FormatError, match="plane 2"):
        reader[:, :, 0, :, 2]


def test_the_files_are_worth_it(reference):
    """Files of noise have planes that all differ, so that no two can be taken for each other."""
    noise = [name for name in FILES if name.startswith("noise") and "one" not in name]
    assert len(noise) >= 15
    for name in noise:
        ((image,),) = reference.pixels(reference.path(name))
        planes = image.reshape(-1, *image.shape[3:])
        assert len({plane.tobytes() for plane in planes}) == len(planes)


def test_all_kinds_are_there(reference, bioformats_version):
    """Types, dimension orders, several series, levels, samples and byte orders, as the files have them."""
    names = [name for name in FILES if is_written(name, bioformats_version)]
    made = [reference.pixels(reference.path(name)) for name in names]
    assert {str(image.dtype) for ((image, *_), *_) in made} >= {
        "int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64",
    }  # fmt: skip
    assert max(len(images) for images in made) >= 12
    assert max(len(levels) for levels, *_ in made) >= 4

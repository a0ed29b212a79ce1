"""The contract of all reader backends: TIFF files of several kinds, and the fake backend of the other tests.

A backend is added by rows in `SUBJECTS`.
"""

import numpy as np
import pytest
import tifffile
from contract_tools import Subject
from fakes import FakeBackend
from ome_files import document, image_xml, in_order, pixels, tiff_data, write_pages
from reader_contract import CHECKS, check_every_series_and_level_whole

from bfio.backends.ometiff import OmeTiffReader
from bfio.limits import Limits


def noise(*shape, dtype="u2", seed=1):
    """Random pixels (T, C, Z, Y, X) over the whole range of the type."""
    rng, dtype = np.random.default_rng(seed), np.dtype(dtype)
    if dtype.kind == "f":
        return (rng.integers(-4000, 90000, shape) / 8).astype(dtype)
    return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def halved(image, n_levels):
    """Every 2nd, 4th, ... pixel."""
    return tuple(image[..., :: 1 << k, :: 1 << k] for k in range(n_levels))


def tiff_subject(path, *images):
    """A TIFF file through the TIFF backend."""

    def open_backend(max_workers=2, cache_bytes=1 << 20):
        return OmeTiffReader(path, max_workers=max_workers, limits=Limits(), cache_bytes=cache_bytes)

    return Subject(open_backend, images, path, "python")


def ome_tiff(path, *images, n_levels=1, samples=1, order="XYZCT", **options):
    """OME-TIFF of several series, written by tifffile."""
    xml, pages, start = [], [], 0
    for index, image in enumerate(images):
        planes = in_order(image, order, samples)
        xml.append(image_xml(image, tiff_data(start, len(planes)), order=order, index=index, samples=samples))
        pages, start = [*pages, *planes], start + len(planes)
    write_pages(path, pages, document(*xml), levels=n_levels - 1, **options)
    return tiff_subject(path, *(halved(image, n_levels) for image in images))


def plain_rgb(path, planar, **options):
    """One page of three samples."""
    image = noise(1, 3, 1, 83, 61, dtype="u1")
    data = image[0, :, 0] if planar else image[0, :, 0].transpose(1, 2, 0)
    tifffile.imwrite(path, data, photometric="rgb", planarconfig="separate" if planar else "contig", **options)
    return tiff_subject(path, (image,))


def fake(*images, n_levels=1, **changes):
    """The fake backend, which follows the protocol."""
    return Subject(lambda **options: FakeBackend(*images, n_levels=n_levels, **changes),
                   tuple(halved(image, n_levels) for image in images))  # fmt: skip


SUBJECTS = {
    "fake": lambda path: fake(noise(2, 3, 2, 29, 31), noise(1, 1, 1, 40, 9), n_levels=2),
    "fake RGB": lambda path: fake(noise(1, 6, 2, 21, 40, dtype="u1"), samples=3),
    "TIFF, one strip": lambda path: ome_tiff(path, noise(1, 1, 1, 50, 70)),
    "TIFF, strips": lambda path: ome_tiff(path, noise(2, 2, 3, 45, 37), order="XYCTZ", rowsperstrip=7),
    "TIFF, tiled pyramid of two series": lambda path: ome_tiff(
        path, noise(2, 1, 2, 90, 70), noise(2, 1, 2, 57, 131, seed=2), n_levels=3, tile=(32, 16), compression="zlib"
    ),
    "TIFF, RGB chunky": lambda path: plain_rgb(path, False, tile=(16, 32), compression="lzw", predictor=True),
    "TIFF, RGB planar": lambda path: plain_rgb(path, True, rowsperstrip=9, compression="packbits"),
    "TIFF, RGB planes": lambda path: ome_tiff(
        path, noise(1, 6, 2, 40, 30, dtype="u1"), samples=3, n_levels=2, tile=(16, 16)
    ),
    "TIFF, big-endian float": lambda path: ome_tiff(
        path, noise(1, 2, 1, 40, 60, dtype="f4"), byteorder=">", bigtiff=True, tile=(32, 32), compression="zlib"
    ),
    "TIFF, big-endian signed": lambda path: ome_tiff(path, noise(1, 1, 2, 33, 60, dtype="i2"), byteorder=">"),
    "TIFF, 1 pixel wide": lambda path: ome_tiff(path, noise(1, 1, 2, 300, 1, dtype="f8"), rowsperstrip=16),
    "TIFF through imagecodecs": lambda path: ome_tiff(path, pixels(5, 1, 2, 1, 50, 60), tile=(16, 16), compression=34925),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Subject of a name, made once."""
    folder, subjects = tmp_path_factory.mktemp("contract"), {}

    def subject(name):
        if name not in subjects:
            subjects[name] = SUBJECTS[name](folder / f"{len(subjects)}.ome.tif")
        return subjects[name]

    return subject


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", SUBJECTS)
def test_contract(made, name, check):
    check(made(name))


class Liar(FakeBackend):
    """One wrong pixel, or a wrong order of what was asked for."""

    def read(self, series, level, box, out, rescale=None):
        super().read(series, level, box, out, rescale)
        self.lie(box, out)


@pytest.mark.parametrize(
    "lie",
    [
        lambda box, out: out.__setitem__((-1, -1, -1, -1, -1), out[-1, -1, -1, -1, -1] ^ 1),
        lambda box, out: out.__setitem__(..., out[:, ::-1].copy()),
        lambda box, out: out.__setitem__(..., out.astype("u1")),
    ],
    ids=["one pixel", "order of C", "one byte too few"],
)
def test_a_wrong_backend_fails(lie):
    image = noise(1, 2, 1, 20, 20)
    liar = Liar(image)
    liar.lie = lie
    with pytest.raises(AssertionError):
        check_every_series_and_level_whole(Subject(lambda **options: liar, ((image,),)))

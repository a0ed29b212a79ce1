"""Every valid file of the corpus and the microscopy TIFFs give the pixels of the manifest."""

import ast
import csv
import hashlib

import numpy as np
import pytest
from corpus_files import CORPUS

from bfio import BioReader

LETTERS = "TCSZYX"


def listed():
    """Rows of the manifest that describe readable TIFF files."""
    manifest = CORPUS / "manifest.csv"
    if not manifest.is_file():
        return []
    with manifest.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [
        pytest.param(row, id=row["path"])
        for row in rows
        if row["dtype"] and (row["path"].startswith("valid/") or row["path"].startswith("microscopy/"))
    ]


def in_axes_of_manifest(reader, axes, shape):
    """Pixels with the axes that tifffile names, where pages of a plain file (I, Q) are bfio's T."""
    info = reader.series[0]
    size_t, size_c, size_z, size_y, size_x = info.shape
    pixels = reader[:].reshape(size_y, size_x, size_z, size_c, size_t)
    split = pixels.transpose(4, 3, 2, 0, 1).reshape(
        size_t, size_c // info.samples, info.samples, size_z, size_y, size_x
    )
    order = [LETTERS.index(letter) for letter in axes.replace("I", "T").replace("Q", "T")]
    rest = [axis for axis in range(6) if axis not in order]
    return np.ascontiguousarray(split.transpose(rest + order)).reshape(shape)


@pytest.mark.parametrize("row", listed())
def test_pixels_of_the_corpus(corpus, row):
    with BioReader(corpus / row["path"], max_workers=2) as reader:
        pixels = in_axes_of_manifest(reader, row["axes"], ast.literal_eval(row["shape"]))
        assert reader.dtype == pixels.dtype == np.dtype(row["dtype"])
    assert hashlib.sha1(pixels.tobytes()).hexdigest() == row["sha1"]


@pytest.mark.parametrize("row", listed())
def test_regions_of_the_corpus(corpus, row):
    """A region read alone equals the same region of the whole image."""
    rng = np.random.default_rng(len(row["path"]))
    with BioReader(corpus / row["path"], max_workers=2) as reader:
        whole = reader[:]
        y, x = sorted(rng.integers(0, reader.Y + 1, 2)), sorted(rng.integers(0, reader.X + 1, 2))
        y, x = slice(y[0], y[1] + 1), slice(x[0], x[1] + 1, int(rng.integers(1, 4)))
        np.testing.assert_array_equal(reader[y, x].reshape(whole[y, x].shape), whole[y, x])


def test_the_manifest_is_complete(corpus):
    assert sum(entry.id.startswith("valid/") for entry in listed()) == 203

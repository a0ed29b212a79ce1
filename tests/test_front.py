"""Fronts of files, read by tifffile: tags, chains, levels, tables, and what is in them before any tile is."""

import io
import time

import numpy as np
import pytest
import tifffile
from front_files import a_recipe, patched, planes_of, write_file
from hypothesis import given, settings
from hypothesis import strategies as st

from bfio import BioReader
from bfio.enums import Compression, Predictor
from bfio.errors import UsageError
from bfio.tiff.writing.entries import LARGEST_LONG, entries_of
from bfio.tiff.writing.front import build_front, front_nbytes

LEVELS = {"n_levels": 3, "size_y": 130, "size_x": 90}


def opened(recipe):
    return tifffile.TiffFile(io.BytesIO(build_front(recipe).data))


def tags_of(page):
    return {tag.code: tag.value for tag in page.tags}


@pytest.mark.parametrize("big", [False, True])
def test_tags_of_a_stack_with_levels(big):
    recipe = a_recipe(size_z=3, resolution=(1e4, 2.5e4), big=big, **LEVELS)
    with opened(recipe) as tif:
        assert tif.is_bigtiff is big and tif.is_ome and len(tif.pages) == 3
        assert tif.byteorder == ("<" if np.little_endian else ">")
        for number, page in enumerate(tif.pages):
            codes = [tag.code for tag in page.tags]
            assert codes == sorted(codes)
            tags = tags_of(page)
            first = {270, 305} if number == 0 else set()
            assert set(codes) == first | {
                254,
                256,
                257,
                258,
                259,
                262,
                277,
                282,
                283,
                284,
                296,
                322,
                323,
                324,
                325,
                330,
                339,
            }
            assert tags[254] == 0 and (tags[256], tags[257]) == (90, 130) and tags[258] == 16
            assert tags[259] == 1 and tags[262] == 1 and tags[277] == 1 and tags[284] == 1 and tags[339] == 1
            assert tags[282] == (10000, 1) and tags[283] == (25000, 1) and tags[296] == 3
            assert (tags[322], tags[323]) == (48, 32) and tags[324] == tags[325] == (0,) * 10
            assert page.tags[330].dtype == (18 if big else 13) and page.tags[324].dtype == (16 if big else 4)
            assert [level.shape for level in page.pages] == [(65, 45), (33, 23)]
            for level in page.pages:
                assert tags_of(level)[254] == 1 and not level.tags.get(282)
        assert tif.pages[0].tags[270].value == recipe.xml and tif.pages[0].tags[305].value == recipe.software
        assert [level.shape for level in tif.series[0].levels] == [(3, 130, 90), (3, 65, 45), (3, 33, 23)]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"samples": 3}, {258: (16,) * 3, 262: 2, 277: 3, 339: (1,) * 3}),
        ({"samples": 4}, {258: (16,) * 4, 262: 2, 277: 4, 338: (2,)}),
        ({"samples": 2}, {258: (16, 16), 262: 1, 338: (0,)}),
        ({"samples": 6, "dtype": "f8"}, {258: (64,) * 6, 262: 1, 338: (0,) * 5, 339: (3,) * 6}),
        ({"dtype": "?"}, {258: 1, 339: 1, 262: 1}),
        ({"dtype": "i1"}, {258: 8, 339: 2}),
        ({"dtype": "f2"}, {258: 16, 339: 3}),
        ({"dtype": "c16"}, {258: 128, 339: 6}),
        ({"dtype": "u1", "samples": 3, "compression": Compression.JPEG}, {259: 7, 262: 6, 530: (2, 2)}),
        ({"dtype": "u1", "compression": Compression.JPEG}, {259: 7, 262: 1}),
        ({"dtype": "u1", "samples": 3, "compression": Compression.WEBP}, {259: 50001, 262: 2}),
        ({"compression": Compression.LZW, "predictor": Predictor.HORIZONTAL}, {259: 5, 317: 2}),
    ],
)
@pytest.mark.parametrize("big", [False, True])
def test_tags_of_pixel_types(changes, found, big):
    with opened(a_recipe(big=big, **changes)) as tif:
        tags = tags_of(tif.pages[0])
        assert {code: tags[code] for code in found} == found
        assert (530 in tags) == (530 in found) and (338 in tags) == (338 in found) and (317 in tags) == (317 in found)
        with pytest.raises(IndexError):
            tif.pages[1]


@given(
    n=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    samples=st.integers(1, 5),
    n_levels=st.integers(1, 4),
    big=st.booleans(),
    xml=st.text(max_size=9),
    resolution=st.none() | st.just((3.5, 1e5)),
)
@settings(max_examples=60, deadline=None)
def test_nothing_overlaps_and_every_position_is_the_one_that_readers_find(
    n, size, samples, n_levels, big, xml, resolution
):
    n_levels = min(n_levels, 1 + (max(size) - 1).bit_length())
    recipe = a_recipe(
        size_t=n[0], size_c=n[1], size_z=n[2], size_y=size[0], size_x=size[1], samples=samples, tile_rows=16, tile_cols=16,
        n_levels=n_levels, big=big, xml=xml.replace("\0", ""), resolution=resolution,
    )  # fmt: skip
    front = build_front(recipe)
    assert len(front.data) == front_nbytes(recipe) and len(front.data) % 16 == 0
    assert build_front(recipe).data == front.data
    data = np.frombuffer(front.data, "u1").copy()
    for level in range(n_levels):
        n_entries = recipe.tiles(level).n_tiles * front.entry_nbytes
        for number, entries in enumerate((front.offset_entries[level], front.count_entries[level])):
            assert entries.dtype == np.uint64 and entries.shape == (recipe.n_planes,)
            for p, position in enumerate(entries.tolist()):
                table = data[position : position + n_entries]
                assert not table.any()  # free, and of nobody else
                table.view(f"u{front.entry_nbytes}")[:] = 1000 * (p + 1) + 100 * level + number
    with tifffile.TiffFile(io.BytesIO(data.tobytes())) as tif:
        assert len(tif.pages) == recipe.n_planes
        positions = [page.offset for page in tif.pages]
        assert positions == sorted(positions) and positions[0] >= front.state_position
        for p, page in enumerate(tif.pages):
            levels = [page, *(page.pages or ())] if n_levels > 1 else [page]
            assert len(levels) == n_levels
            for level, ifd in enumerate(levels):
                assert set(ifd.dataoffsets) == {1000 * (p + 1) + 100 * level}
                assert set(ifd.databytecounts) == {1000 * (p + 1) + 100 * level + 1}
                assert (ifd.imagelength, ifd.imagewidth) == recipe.level_size(level)
                assert ifd.offset % 8 == 0 and ifd.samplesperpixel == samples


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("changes", [{}, LEVELS, {"size_y": 1, "size_x": 1, "samples": 3}])
def test_a_front_alone_reads_as_zeros(changes, big, tmp_path):
    recipe = a_recipe(size_z=2, size_c=2, big=big, compression=Compression.ADOBE_DEFLATE, **changes)
    (tmp_path / "sparse.ome.tif").write_bytes(build_front(recipe).data)
    with tifffile.TiffFile(tmp_path / "sparse.ome.tif") as tif:
        for level in tif.series[0].levels:
            assert level.size and not level.asarray().any()
    with BioReader(tmp_path / "sparse.ome.tif") as reader:
        assert not reader[:].any() and reader.Z == 2


def test_half_of_the_tiles(tmp_path):
    recipe = a_recipe(size_z=2, n_levels=2, compression=Compression.ADOBE_DEFLATE)
    pixels = [planes_of(recipe, level) for level in range(2)]
    (tmp_path / "half.ome.tif").write_bytes(patched(recipe, pixels, lambda level, plane, tile: (plane + tile) % 2))
    with tifffile.TiffFile(tmp_path / "half.ome.tif") as tif:
        found = tif.series[0].levels[0].asarray()
    rows, cols = np.indices((50, 70))
    tile = rows // 32 * 2 + cols // 48
    for plane in range(2):
        wanted = np.where((plane + tile) % 2, pixels[0][plane, :, :, 0], 0)
        np.testing.assert_array_equal(found[plane], wanted)


@given(st.floats(2.0**-32, 2.0**32 - 1, exclude_min=True, exclude_max=True))
def test_rationals_are_as_near_as_32_bits_allow(value):
    entries = {entry.tag: entry for entry in entries_of(a_recipe(resolution=(value, 1.0)), 0, first=False)}
    numerator, denominator = np.frombuffer(entries[282].raw, "u4").tolist()
    assert 0 < numerator <= LARGEST_LONG and denominator
    assert abs(numerator / denominator - value) <= max(1 / denominator, value * 2**-31)
    assert np.frombuffer(entries[283].raw, "u4").tolist() == [1, 1]


def test_xml_and_software_of_any_letters():
    recipe = a_recipe(xml="<OME>µm \U0001f52c</OME>", software="Zoë 1")
    with opened(recipe) as tif:
        assert tif.pages[0].tags[270].value == recipe.xml and tif.pages[0].tags[305].value == "Zo? 1"
    assert "<OME>µm".encode() in build_front(recipe).data[-64:]
    with opened(a_recipe(xml="")) as tif:
        assert 270 not in tags_of(tif.pages[0])


def test_a_front_beyond_4_gib_is_refused_in_a_classic_file():
    recipe = a_recipe(size_y=1 << 20, size_x=1 << 20, tile_rows=16, tile_cols=16, big=False)
    with pytest.raises(UsageError, match="bigtiff=True"):
        build_front(recipe)


def test_a_hundred_thousand_planes_are_quick_and_compact():
    """0.05 s measured; the bound is ten times that."""
    recipe = a_recipe(size_z=100_000, size_y=64, size_x=64, tile_rows=64, tile_cols=64)
    started = time.perf_counter()
    front = build_front(recipe)
    assert time.perf_counter() - started < 0.5
    assert len(front.data) < 290 * 100_000
    with opened(a_recipe(size_z=1000, size_y=64, size_x=64, tile_rows=64, tile_cols=64)) as tif:
        assert len(tif.pages) == 1000


def test_one_large_plane():
    recipe = a_recipe(size_y=40_000, size_x=40_000, tile_rows=1024, tile_cols=1024)
    front = build_front(recipe)
    assert len(front.data) < 1700 * 16 and recipe.tiles(0).n_tiles == 1600
    with tifffile.TiffFile(io.BytesIO(front.data)) as tif:
        assert len(tif.pages[0].dataoffsets) == 1600


def test_planes_stand_in_the_order_of_the_metadata(tmp_path):
    recipe = a_recipe(size_t=2, size_c=3, size_z=4)
    (pixels,) = write_file(tmp_path / "order.ome.tif", recipe)
    with BioReader(tmp_path / "order.ome.tif") as reader:
        for t, c, z in np.ndindex(2, 3, 4):
            np.testing.assert_array_equal(reader[:, :, z, c, t], pixels[(t * 3 + c) * 4 + z, :, :, 0])

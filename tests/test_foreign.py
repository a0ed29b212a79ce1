"""Encoders through imagecodecs: levels, padding, threads, and agreement with the kernels' codecs."""

import threading

import imagecodecs
import numpy as np
import pytest
from front_files import a_plane, a_recipe, smooth_plane

from _tilecodec import compress, decompress
from bfio import _kernels
from bfio.enums import Compression, Predictor
from bfio.errors import UnsupportedError
from bfio.tiff.writing import foreign
from bfio.tiff.writing.choose import largest_tile_nbytes
from bfio.tiff.writing.foreign import is_foreign, is_lossy, pad_tile, tile_encoder
from bfio.tiff.writing.rules import CODECS

RGB = {"dtype": "uint8", "samples": 3}
BYTES = [Compression.NONE, Compression.LZW, Compression.PACKBITS, Compression.ADOBE_DEFLATE, Compression.ZSTD]


def encoded(tile=None, **changes):
    recipe = a_recipe(**changes)
    if tile is None:
        tile = smooth_plane(recipe.dtype, recipe.tile_shape, 0)
    return tile_encoder(recipe)(tile)


def test_levels_of_jpeg_are_its_quality():
    sizes = [len(encoded(compression=Compression.JPEG, compression_level=level, **RGB)) for level in (1, 50, 90, 100)]
    assert sizes == sorted(set(sizes))
    assert encoded(compression=Compression.JPEG, **RGB) == encoded(
        compression=Compression.JPEG, compression_level=90, **RGB
    )


def test_levels_of_jpeg_2000_are_signal_to_noise():
    tile = smooth_plane("uint16", (32, 48, 1), 0)
    errors = []
    for level in (40, 60, 80):
        data = encoded(tile, compression=Compression.JPEG2000, compression_level=level)
        error = imagecodecs.jpeg2k_decode(data).astype(float) - tile[:, :, 0]
        errors.append(20 * np.log10(65535 / np.sqrt((error**2).mean())))
    np.testing.assert_allclose(errors, (40, 60, 80), atol=8)
    assert data[:4] == b"\xff\x4f\xff\x51"  # a codestream, without the boxes of a file
    for level in (None, 0):
        data = encoded(tile, compression=Compression.JPEG2000, compression_level=level)
        np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(data), tile[:, :, 0])


@pytest.mark.parametrize("level", [None, *range(10)])
@pytest.mark.parametrize("alpha", [0, 1, 255])
def test_webp_loses_nothing_at_any_level_and_under_any_alpha(level, alpha):
    tile = a_plane("uint8", (32, 48, 4))
    tile[::2, :, 3] = alpha
    data = encoded(tile, dtype="uint8", samples=4, compression=Compression.WEBP, compression_level=level)
    np.testing.assert_array_equal(imagecodecs.webp_decode(data, hasalpha=True), tile)


@pytest.mark.parametrize("compression", [Compression.ADOBE_DEFLATE, Compression.ZSTD])
def test_levels_of_bytes(compression):
    tile = a_plane("uint16", (32, 48, 1)) // 16
    sizes = [len(encoded(tile, compression=compression, compression_level=level)) for level in (1, 9)]
    assert sizes[1] < sizes[0] < tile.nbytes
    assert encoded(tile, compression=compression) == encoded(tile, compression=compression, compression_level=1)


def test_booleans_are_bits_from_the_highest_on():
    tile = np.zeros((16, 32, 1), bool)
    tile[0, 0] = tile[1, 9] = True
    data = encoded(tile, dtype="bool", tile_rows=16, tile_cols=32)
    assert data == bytes([128, 0, 0, 0, 0, 64]) + bytes(58)


@pytest.mark.parametrize("compression", [c for c in BYTES if _kernels.has_decompressor(c)])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float64", "complex64"])
def test_our_kernels_undo_it(compression, dtype):
    tile = a_plane(dtype, (32, 48, 3))
    data = encoded(tile, dtype=dtype, samples=3, compression=compression)
    status, out = decompress.decompress(compression, data, tile.nbytes)
    assert status == 0 and out == tile.tobytes()


@pytest.mark.parametrize("compression", [Compression.LZW, Compression.ADOBE_DEFLATE, Compression.ZSTD])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "int64", "float32"])
def test_horizontal_predictor_is_the_difference_to_the_pixel_on_the_left(compression, dtype):
    """Of floating-point numbers the bits are subtracted, as libtiff has it."""
    tile = a_plane(dtype, (32, 48, 3))
    bits = tile.view(f"u{tile.itemsize}")
    wanted = np.diff(bits, axis=1, prepend=bits[:, :1] * 0)
    data = encoded(tile, dtype=dtype, samples=3, compression=compression, predictor=Predictor.HORIZONTAL)
    assert data == encoded(wanted, dtype=bits.dtype, samples=3, compression=compression)


@pytest.mark.parametrize("level", [None, 60])
@pytest.mark.parametrize("compression", [Compression.JPEG, Compression.JPEG2000, Compression.ADOBE_DEFLATE])
def test_padding_repeats_the_edge_only_where_the_codec_is_lossy(compression, level):
    level = None if compression == Compression.ADOBE_DEFLATE else level
    recipe = a_recipe(compression=compression, compression_level=level, dtype="uint8")
    block = a_plane("uint8", (5, 7, 1)) | 1
    tile = pad_tile(block, recipe)
    assert tile.shape == (32, 48, 1) and tile.dtype == np.uint8
    if compression == Compression.JPEG or (compression == Compression.JPEG2000 and level):
        assert is_lossy(recipe)
        np.testing.assert_array_equal(tile, np.pad(block, ((0, 27), (0, 41), (0, 0)), "edge"))
    else:
        assert not is_lossy(recipe)
        np.testing.assert_array_equal(tile, np.pad(block, ((0, 27), (0, 41), (0, 0))))
    whole = a_plane("uint8", (32, 48, 1))
    np.testing.assert_array_equal(pad_tile(whole, recipe), whole)


def test_what_goes_through_imagecodecs(monkeypatch):
    assert is_foreign(a_recipe(dtype="bool")) and is_foreign(a_recipe(compression=Compression.JPEG, **RGB))
    assert not is_foreign(a_recipe())
    monkeypatch.setattr(foreign, "has_compressor", lambda compression: False)
    assert is_foreign(a_recipe(compression=Compression.ZSTD))


def test_a_codec_that_imagecodecs_lacks(monkeypatch):
    class Absent:
        available = False

    monkeypatch.setattr(imagecodecs, "JPEG2K", Absent)
    with pytest.raises(UnsupportedError, match="this imagecodecs has no JPEG2K"):
        tile_encoder(a_recipe(compression=Compression.JPEG2000))


@pytest.mark.parametrize("compression", [Compression.JPEG, Compression.JPEG2000, Compression.WEBP, Compression.LZW])
def test_one_encoder_for_many_threads_gives_the_same_bytes(compression):
    """Strided tiles too: views of a larger image."""
    recipe = a_recipe(compression=compression, **RGB)
    encode = tile_encoder(recipe)
    image = smooth_plane("uint8", (64, 96, 3), 0)
    views = [image[y : y + 32, x : x + 48] for y in (0, 32) for x in (0, 48)]
    wanted = [encode(view.copy()) for view in views]
    found = [[] for _ in views]
    barrier = threading.Barrier(len(views))

    def work(number):
        barrier.wait()
        found[number] = [encode(views[number]) for _ in range(10)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(views))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[data] * 10 for data in wanted]


@pytest.mark.parametrize("noise", ["bytes", "no two alike"])
@pytest.mark.parametrize("compression", CODECS, ids=lambda compression: compression.name)
def test_no_tile_exceeds_what_classic_files_are_planned_with(compression, noise):
    rows, cols = (4096, 16) if noise == "bytes" else (256, 256)
    changes = {"dtype": "uint8", "samples": 3 if compression == Compression.WEBP else 1, "compression": compression}
    if compression == Compression.JPEG:
        changes["compression_level"] = 100
    recipe = a_recipe(tile_rows=rows, tile_cols=cols, **changes)
    rng = np.random.default_rng(1)
    tile = rng.integers(0, 256, recipe.tile_shape, "uint8")
    if noise == "no two alike":  # pairs of bytes that LZW meets for the first time
        pairs = np.stack(np.divmod(np.arange(tile.size), 256), 1).astype("uint8")
        tile = rng.permutation(pairs).reshape(-1)[: tile.size].reshape(tile.shape)
    assert len(tile_encoder(recipe)(tile)) <= largest_tile_nbytes(recipe)
    if _kernels.has_compressor(compression):
        status, data = compress.compress(compression, -1, tile.tobytes(), cols)
        assert status == 0 and len(data) <= largest_tile_nbytes(recipe)

"""Options of a writer: what users say, and what they are told when it can not be."""

import numpy as np
import pytest

import bfio
from bfio.enums import Compression, Downsample, Predictor
from bfio.errors import UsageError
from bfio.options import AUTO_LEVELS, WriteOptions, parse_options


def test_defaults():
    options = parse_options(max_workers=3)
    assert options == WriteOptions(max_workers=3)
    assert options.compression == Compression.ADOBE_DEFLATE and options.tile_size == (1024, 1024)
    assert options.predictor is None and options.levels == 1 and options.bigtiff is None and not options.resume
    assert parse_options().max_workers >= 1 == parse_options(max_workers=0).max_workers


@pytest.mark.parametrize(
    ("word", "found"),
    [
        *[(word, Compression.ADOBE_DEFLATE) for word in ("deflate", "ZLIB", "Adobe_Deflate", "adobe deflate", 8)],
        *[(word, Compression.NONE) for word in ("none", None, False, "uncompressed", "RAW", 1)],
        *[(word, Compression.JPEG2000) for word in ("jpeg2000", "JPEG 2000", "jp2k", "j2k", Compression.JPEG2000)],
        ("zstd", Compression.ZSTD),
        ("LZW", Compression.LZW),
        ("PackBits", Compression.PACKBITS),
        ("jpeg", Compression.JPEG),
        ("WebP", Compression.WEBP),
    ],
)
def test_names_of_compressions(word, found):
    assert parse_options(compression=word).compression is found


@pytest.mark.parametrize(
    ("word", "found"),
    [
        (None, None),
        *[(word, Predictor.NONE) for word in (False, "none", 1, np.False_)],
        *[(word, Predictor.HORIZONTAL) for word in (True, "Horizontal", 2, Predictor.HORIZONTAL)],
        *[(word, Predictor.FLOATING_POINT) for word in ("float", 3, "floating-point", "floatingpoint")],
    ],
)
def test_names_of_predictors(word, found):
    assert parse_options(predictor=word).predictor is found


def test_other_values():
    options = parse_options(
        tile_size=[np.int64(256), 512], levels="Auto", downsample="labels", bigtiff=True, resume=np.True_,
        compression="zstd", compression_level=np.uint8(9),
    )  # fmt: skip
    assert options.tile_size == (256, 512) and options.levels == AUTO_LEVELS and options.downsample is Downsample.MODE
    assert options.bigtiff is True and options.resume is True and options.compression_level == 9
    assert type(options.tile_size[0]) is int and type(options.compression_level) is int
    assert parse_options(downsample=Downsample.MAX, levels=np.int32(4)).levels == 4


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"compression": "lzma"}, "'deflate', 'zstd', 'lzw', 'packbits', 'none', 'jpeg', 'jpeg2000', 'webp', 'gzip' or 'blosc'"),
        ({"compression": 9}, "compression=9 is unknown; use 'deflate'"),
        ({"compression": True}, "use 'deflate'"),
        ({"compression": ["deflate"]}, "use 'deflate'"),
        ({"compression": "deflate", "compression_level": 13}, "must be 0 to 12"),
        ({"compression_level": 23}, "must be -7 to 22"),
        ({"compression_level": "high"}, "must be an int"),
        ({"compression": "lzw", "compression_level": 1}, "no levels"),
        ({"predictor": "vertical"}, "'none', 'horizontal' or 'float'"),
        ({"predictor": 7}, "'none', 'horizontal' or 'float'"),
        ({"compression": "jpeg", "predictor": 2}, "leave predictor= out"),
        ({"compression": "none", "predictor": True}, "leave predictor= out"),
        ({"tile_size": 1000}, "multiples of 16 up to 65536, such as 1008"),
        ({"tile_size": 0}, "such as 16"),
        ({"tile_size": -16}, "such as 16"),
        ({"tile_size": (256, 256, 3)}, "pair"),
        ({"tile_size": 1 << 17}, "such as 65536"),
        ({"tile_size": 256.0}, "must be an int"),
        ({"levels": 0}, "at least 1"),
        ({"levels": "all"}, "int or 'auto'"),
        ({"levels": True, "bigtiff": "yes"}, "True or False"),
        ({"downsample": "median"}, "'mean', 'nearest', 'mode' or 'max'"),
        ({"resume": "no"}, "True or False"),
        ({"max_workers": "many"}, "must be an int"),
    ],
)
def test_a_wrong_value_is_answered_with_what_is_allowed(given, told):
    with pytest.raises(UsageError) as caught:
        parse_options(**given)
    assert told in str(caught.value)


def test_levels_of_the_default_are_those_of_the_format(tmp_path):
    """Deflate for TIFF, zstd for Zarr; what does not fit is told when the writer is made."""
    with pytest.raises(UsageError, match="must be 0 to 12 with compression 'deflate'"):
        bfio.BioWriter(tmp_path / "a.ome.tif", compression_level=19)
    bfio.imwrite(tmp_path / "a.ome.zarr", np.ones((5, 5), np.uint8), compression_level=19)
    assert '"level": 19' in (tmp_path / "a.ome.zarr" / "0" / "zarr.json").read_text()

"""Codecs of chunks that bfio writes: which ones, that others read them, and that they are what the documents say."""

import gzip
import json

import numpy as np
import pytest

import bfio
from bfio import BioReader, BioWriter, TileDecodeError, UnsupportedError, UsageError, _kernels
from bfio.cli import main
from bfio.omezarr.writing import chunkcodec, compressors

IMAGE = (np.random.default_rng(5).integers(0, 40, (70, 90, 3)) ** 2).astype(np.uint16)  # Y, X, Z
SIZES = [(16, 32), (1, 3, 64, 64)]
"""Chunks that are compressed several at a time, and one by one."""


def written(path, **options):
    with BioWriter(path, image=IMAGE, **options) as bw:
        assert bw.shape == IMAGE.shape
    with BioReader(path) as br:
        assert np.array_equal(br[:], IMAGE)
        return br._backend.describe().series[0].levels[0].compression


def files(path):
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def first_chunk(path):
    return next(file for file in sorted(path.glob("0/**/0")) if file.is_file())


def v2_document(path):
    return json.loads((path / "0" / ".zarray").read_bytes())["compressor"]


def v3_codec(path):
    (_, codec) = json.loads((path / "0" / "zarr.json").read_bytes())["codecs"]
    return codec


@pytest.mark.parametrize("chunks", SIZES, ids=str)
@pytest.mark.parametrize("compression", ["gzip", "deflate", "zlib", "GZIP"])
def test_deflate_is_what_most_readers_take(tmp_path, chunks, compression):
    for version, documented in ((2, v2_document), (3, v3_codec)):
        path = tmp_path / f"{version}.zarr"
        assert (
            written(path, compression=compression, compression_level=3, chunks=chunks, zarr_version=version) == "gzip"
        )
        expected = {"id": "gzip", "level": 3} if version == 2 else {"name": "gzip", "configuration": {"level": 3}}
        assert documented(path) == expected
        first = first_chunk(path)
        pixels = np.frombuffer(gzip.decompress(first.read_bytes()), "<u2")
        assert np.array_equal(pixels[: chunks[-1]], IMAGE[0, : chunks[-1], 0])


@pytest.mark.parametrize("chunks", SIZES, ids=str)
def test_gzip_of_a_build_without_an_encoder(tmp_path, monkeypatch, chunks):
    monkeypatch.setattr(chunkcodec._kernels, "has_compressor", lambda compression: False)
    assert written(tmp_path / "a.zarr", compression="gzip", chunks=chunks) == "gzip"


def test_gzip_of_nothing_and_of_much():
    for data in (b"", b"x", bytes(100_000), np.random.default_rng(1).bytes(1 << 17)):
        assert gzip.decompress(compressors.ENCODERS["gzip"](data, {"level": 1}, 1)) == data


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "complex128"])
def test_blosc_is_read_by_numcodecs(tmp_path, dtype):
    numcodecs = pytest.importorskip("numcodecs")
    image = IMAGE[:64, :64, 0].astype(dtype)
    for version in (2, 3):
        path = tmp_path / f"{version}.zarr"
        options = {"compression": "blosc", "compression_level": 5, "chunks": 64, "zarr_version": version}
        bfio.imwrite(path, image, **options)
        encoded = first_chunk(path).read_bytes()
        assert np.array_equal(np.frombuffer(numcodecs.Blosc().decode(encoded), dtype).reshape(64, 64), image)
        shuffled, typesize = encoded[2] & 1, encoded[3]
        assert typesize == image.itemsize and (shuffled or dtype == "uint8")
    assert v2_document(tmp_path / "2.zarr") == {
        "id": "blosc",
        "cname": "zstd",
        "clevel": 5,
        "shuffle": 1,
        "blocksize": 0,
    }
    assert v3_codec(tmp_path / "3.zarr") == {
        "name": "blosc",
        "configuration": {
            "cname": "zstd", "clevel": 5, "shuffle": "shuffle", "blocksize": 0, "typesize": image.itemsize,
        },
    }  # fmt: skip


@pytest.mark.parametrize("compression", ["gzip", "blosc"])
@pytest.mark.parametrize("options", [{"chunks": (16, 32)}, {"chunks": (1, 16, 32), "shards": (3, 32, 64)}], ids=str)
def test_the_number_of_workers_changes_no_byte(tmp_path, compression, options):
    for workers in (1, 4):
        (tmp_path / f"{workers}").mkdir()
        assert written(tmp_path / f"{workers}" / "a.zarr", compression=compression, max_workers=workers, **options)
    assert files(tmp_path / "1") == files(tmp_path / "4")


@pytest.mark.parametrize("compression", ["gzip", "blosc", "deflate", "zstd", "none"])
@pytest.mark.parametrize("version", [2, 3])
def test_a_store_is_added_to_in_its_own_codec(tmp_path, compression, version):
    path = tmp_path / "a.zarr"
    written(path, compression=compression, chunks=32, zarr_version=version)
    before = files(path)
    with BioWriter(path, append=True) as bw:
        bw[:] = IMAGE
    assert files(path) == before
    with BioWriter(path, append=True) as bw:
        bw[:32, :32, 1] = 7
    with BioReader(path) as br:
        assert (br[:32, :32, 1] == 7).all() and np.array_equal(br[32:], IMAGE[32:])


@pytest.mark.parametrize("compression", ["gzip", "blosc"])
def test_what_tiff_and_levels_refuse(tmp_path, compression, capsys):
    with pytest.raises(UsageError, match=f"compression '{compression}' is for names that end in .zarr; TIFF has"):
        BioWriter(tmp_path / "a.ome.tif", compression=compression)
    source = tmp_path / "source.ome.tif"
    bfio.imwrite(source, IMAGE[..., 0])
    with pytest.raises(UsageError, match="TIFF has 'deflate' and 'zstd'"):
        bfio.convert(source, tmp_path / "a.ome.tif", compression=compression)
    assert main(["convert", str(source), str(tmp_path / "a.ome.tif"), "--compression", compression]) == 2
    assert "names that end in .zarr" in capsys.readouterr().err
    assert main(["convert", str(source), str(tmp_path / "a.zarr"), "--compression", compression, "--quiet"]) == 0
    with pytest.raises(UsageError, match=f"compression_level=10 must be 0 to 9 with compression '{compression}'"):
        BioWriter(tmp_path / "a.ome.zarr", compression=compression, compression_level=10)
    with (
        pytest.raises(UsageError, match="predictor"),
        BioWriter(tmp_path / "b.zarr", image=IMAGE, compression=compression, predictor="horizontal"),
    ):
        pass


def with_checksums(path):
    """Let the documents of a store ask for checksums."""
    changed = 0
    for document in (*path.glob("*/zarr.json"), *path.glob("*/.zarray")):
        text = document.read_text()
        if document.name == ".zarray":
            text = text.replace('"id": "zstd"', '"id": "zstd", "checksum": true')
        document.write_text(text.replace('"checksum": false', '"checksum": true'))
        changed += '"checksum": true' in document.read_text()
    assert changed


OPTIONS = ({"chunks": (16, 32)}, {"chunks": (3, 64, 64)}, {"chunks": (16, 32), "zarr_version": 2})


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.skipif(not _kernels.has_compressor(50000), reason="a build without zstd has no checksums")
def test_a_store_that_asks_for_checksums_gets_them(tmp_path, options):
    path = tmp_path / "a.zarr"
    written(path, levels=2, **options)
    with_checksums(path)
    with BioWriter(path, append=True) as bw:
        bw[:] = IMAGE + 1
    with BioReader(path) as br:
        assert np.array_equal(br[:], IMAGE + 1)
    chunks = [file for file in path.glob("[01]/**/*") if file.is_file() and file.name.isdigit()]
    assert chunks and all(file.read_bytes()[4] & 4 for file in chunks)  # RFC 8878: Content_Checksum_flag
    damaged = bytearray(chunks[0].read_bytes())
    damaged[-1] ^= 1
    chunks[0].write_bytes(damaged)
    with BioReader(path, level=int(chunks[0].relative_to(path).parts[0])) as br, pytest.raises(TileDecodeError):
        br[:]


@pytest.mark.skipif(not _kernels.has_compressor(50000), reason="a build without zstd has no checksums")
def test_checksums_in_shards_and_after_a_crash(tmp_path):
    path = tmp_path / "a.zarr"
    written(path, chunks=(16, 32), shards=(32, 64))
    with_checksums(path)
    zstd = b"\x28\xb5\x2f\xfd"
    before = sum(data.count(zstd) for data in files(path).values())
    with pytest.raises(KeyboardInterrupt), BioWriter(path, append=True) as bw:
        bw[:32] = IMAGE[:32] + 1
        bw.flush()
        raise KeyboardInterrupt
    with BioWriter(path, append=True) as bw:
        bw[32:] = IMAGE[32:] + 1
    with BioReader(path) as br:
        assert np.array_equal(br[:], IMAGE + 1)
    frames = [part for data in files(path).values() for part in data.split(zstd)[1:]]
    assert len(frames) == before and all(part[0] & 4 for part in frames)


def test_a_build_without_zstd_says_that_it_makes_no_checksums(tmp_path, monkeypatch):
    path = tmp_path / "a.zarr"
    written(path, chunks=(16, 32))
    with_checksums(path)
    monkeypatch.setattr(chunkcodec._kernels, "has_compressor", lambda compression: compression != 50000)
    with pytest.raises(UnsupportedError, match="can not write zstd with checksums"):
        BioWriter(path, append=True)

"""Mutants of good input in one process: only `BfioError`, the right bytes, or a status. Sized by BFIO_FUZZ_SECONDS.

What breaks here is kept: the mutant is written to the temporary folder of pytest, and named in the failure. Frozen
ones live in `tests/corrupt`.
"""

import io
import time
import zlib
from contextlib import contextmanager, suppress

import hostile_files
import imagecodecs
import mutate
import numpy as np
import pytest
from test_corrupt import attempt

from _tilecodec import decompress
from bfio import BfioError, Limits, omexml
from bfio._kernels import Status
from bfio.byteio import open_source
from bfio.enums import Compression
from bfio.omexml.model import model
from bfio.tiff import header
from bfio.tiff.ifd import IfdChain
from bfio.tiff.streams import check_claim

FILES = dict(hostile_files.real_files())
PIXELS = np.random.default_rng(3).integers(0, 9, 5000).astype("u1").tobytes()


@pytest.fixture
def keep(tmp_path):
    """Context in which a mutant stands in a file: after an error, a crash or a hang it is there."""
    path = tmp_path / "mutant"

    @contextmanager
    def watch(data):
        path.write_bytes(data)
        start = time.process_time()
        try:
            yield
        except BaseException as error:
            error.add_note(f"the mutant is {path}")
            raise
        assert time.process_time() - start < 5, f"the mutant {path} takes too long"

    return watch


def test_ifd_walker(keep):
    for _, data in mutate.stream(list(FILES.values()), "ifd"):
        with keep(data), suppress(BfioError):
            walk(data)


def walk(data):
    with open_source(io.BytesIO(data)) as source:
        head = header.parse(source.pread(0, 16), source.size)
        chain = IfdChain(source, head, Limits())
        records = chain.all()
        assert len(records) <= len(data)
        for record in records[:50]:
            for tag in list(chain.tags(record).values())[:60]:
                with suppress(BfioError):
                    tag.value()
            chain.sub_ifds(record)
            chain.segment_table(record)


def encoded(number):
    match number:
        case Compression.LZW:
            return imagecodecs.lzw_encode(PIXELS)
        case Compression.PACKBITS:
            return imagecodecs.packbits_encode(PIXELS)
        case Compression.ZSTD:
            return imagecodecs.zstd_encode(PIXELS)
    return zlib.compress(PIXELS)


DECODERS = {
    Compression.LZW: imagecodecs.lzw_decode,
    Compression.PACKBITS: imagecodecs.packbits_decode,
    Compression.ZSTD: imagecodecs.zstd_decode,
    Compression.ADOBE_DEFLATE: imagecodecs.zlib_decode,
}


UNCHECKED = {Compression.ZSTD, Compression.ZSTD_DEPRECATED}
"""Frames without a checksum hide some damage, and versions of zstd make different bytes of it."""


@pytest.mark.parametrize("number", [number for number in DECODERS if decompress.has_decompressor(number)])
def test_decompressor(number, keep):
    """A mutant that two decoders accept means the same to both."""
    rng = np.random.default_rng(number)
    good = encoded(number)
    assert decompress.decompress(number, good, len(PIXELS)) == (0, PIXELS)
    for _, data in mutate.stream([good], f"codec {number}"):
        size = len(PIXELS) if rng.random() < 0.7 else int(rng.integers(0, 9000))
        with keep(data):
            status, pixels = decompress.decompress(number, data, size)
            assert status in set(Status)
            if status == Status.OK and size and number != Compression.ZSTD:  # its versions differ on damage
                try:
                    other = DECODERS[number](data, out=size)
                except Exception:  # noqa: BLE001 - it may be stricter
                    continue
                assert len(other) != size or other == pixels or number in UNCHECKED


def test_whole_files(keep):
    for _, data in mutate.stream(list(FILES.values()), "files"):
        with keep(data):
            attempt(data)


XML = [
    hostile_files.OME.format(hostile_files.pixels(inside, **sizes)).encode()
    for inside, sizes in (
        ('<Channel ID="Channel:0" SamplesPerPixel="1" Color="255"/><TiffData IFD="0" PlaneCount="6"/>', {"SizeT": 6}),
        ('<TiffData FirstC="1" IFD="1"><UUID FileName="a.tif">urn:uuid:0</UUID></TiffData>', {"SizeC": 3, "SizeZ": 2}),
        ('<TiffData/><Plane TheZ="0" TheC="0" TheT="0" PositionX="1"/>', {"PhysicalSizeX": 0.1, "PhysicalSizeXUnit": "µm"}),
    )
]


def test_ome_xml(keep):
    for _, data in mutate.stream(XML, "xml"):
        with keep(data):
            try:
                for image in omexml.parse(data, Limits()).images:
                    found = omexml.plane_map(image.pixels, 4, limits=Limits(ifd_count=10_000))
                    assert found.ifd.shape == found.file.shape
                    assert found.file.max() < len(found.files)
            except BfioError:
                pass


def test_ome_model(keep):
    for _, data in mutate.stream(XML, "model"):
        with keep(data), suppress(BfioError):
            model(data)


STREAMS = [
    getattr(imagecodecs, f"{name}_encode")(np.zeros((40, 50, *extra), np.uint8))
    for name, extra in (
        ("jpeg8", ()), ("png", ()), ("jpeg2k", ()), ("webp", (3,)), ("jpegxl", ()), ("jpegxr", ()), ("lerc", ()),
    )
]  # fmt: skip


def test_claims_of_streams(keep):
    for stream in STREAMS:
        check_claim(Compression.JPEG, stream, 40 * 50)
    for _, data in mutate.stream(STREAMS, "streams"):
        with keep(data), suppress(BfioError):
            check_claim(Compression.JPEG, data, 40 * 50)

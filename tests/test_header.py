import struct

import numpy as np
import pytest
import tifffile

from bfio.errors import BfioError, FormatError, UnsupportedError
from bfio.tiff.header import parse


@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_reads_what_tifffile_writes(tmp_path, byte_order, bigtiff):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((3, 4), "u1"), byteorder=byte_order, bigtiff=bigtiff)
    data = path.read_bytes()
    header = parse(data[:16], len(data))
    assert (header.byte_order, header.bigtiff) == (byte_order, bigtiff)
    with tifffile.TiffFile(path) as tif:
        assert header.first_ifd_offset == tif.pages[0].offset
    assert header.swap == (np.dtype("u2").newbyteorder(byte_order) != np.dtype("u2"))


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "empty"),
        (b"<?xml version=1.0?>"[:16], "text that starts with '<\\?xml"),
        (b"\x89PNG\r\n\x1a\n", "89 50 4e 47"),
        (b"II", "ends after 2 bytes"),
        (b"II*\0\x08", "ends after 5 bytes"),
        (b"II+\0\x08\0\0\0\x10\0\0", "ends after 11 bytes"),
        (b"II+\0\x04\0\0\0" + bytes(8), "offsets of 4 bytes"),
        (b"II+\0\x08\0\x01\0" + bytes(8), "reserved word 1"),
        (b"II\x2c\0" + bytes(12), "version 44"),
        (b"MM*\0" + bytes(12), "version 10752"),
        (b"II*\0\x00\0\x01\0", "at 65536 of 100 bytes"),
        (b"II*\0\x07\0\0\0", "at 7 of"),
        (b"MMxx" + bytes(12), "version"),
    ],
)
def test_says_what_is_wrong(head, words):
    with pytest.raises(FormatError, match=words):
        parse(head, 100)


@pytest.mark.parametrize("version", [0x4352, 0x4E31, 0x55, 0x4F52, 0x5352])
def test_relatives_are_left_to_tifffile(version):
    with pytest.raises(UnsupportedError, match=f"0x{version:04X}"):
        parse(b"II" + struct.pack("<H", version) + bytes(12), 100)


def test_ep_mark_is_little_endian():
    assert parse(b"EP*\0\x08\0\0\0" + bytes(8), 100).byte_order == "<"


def test_any_bytes_give_a_header_or_an_error():
    rng = np.random.default_rng(7)
    good = 0
    for _ in range(3000):
        head = bytearray(b"II*\0\x08\0\0\0\0\0\0\0\0\0\0\0" if rng.random() < 0.5 else b"MM\0+\0\x08\0\0" + bytes(8))
        head[rng.integers(16)] ^= 1 << rng.integers(8)
        try:
            parse(bytes(head[: rng.integers(17)]), 1000)
            good += 1
        except BfioError as error:
            assert str(error)
    assert 0 < good < 3000

import struct

import numpy as np
import pytest
import tifffile
from ifd_files import TiffMaker, memory_source

from bfio.enums import Tag
from bfio.errors import FormatError, LimitError
from bfio.limits import Limits
from bfio.tiff.header import parse
from bfio.tiff.tags import read_tags

KINDS = [(order, big) for order in "<>" for big in (False, True)]


def tags_of(data, limits=None):
    source = memory_source(bytes(data))
    header = parse(bytes(data[:16]), len(data))
    return read_tags(source, header.first_ifd_offset, header, limits or Limits())


@pytest.mark.parametrize(("byte_order", "bigtiff"), KINDS)
def test_equal_to_tifffile(tmp_path, byte_order, bigtiff):
    path = tmp_path / "a.tif"
    extra = [
        (65000, "H", 3, (1, 2, 3), True),
        (65001, "d", 2, (1.5, -2.5), True),
        (65002, "i", 1, -7, True),
        (65003, "2I", 2, (1, 2, 3, 4), True),
        (65004, "2i", 1, (-1, 3), True),
        (65005, "q" if bigtiff else "i", 2, (-(2**31), 5), True),
        (65006, "f", 1, 0.5, True),
        (65007, "b", 3, (-1, 2, -3), True),
    ]
    image = np.zeros((40, 50, 3), "u1")
    tifffile.imwrite(
        path, image, byteorder=byte_order, bigtiff=bigtiff, description="5 µm".encode(), software="me", datetime=True,
        resolution=(300, 72.5), resolutionunit=3, tile=(16, 16), extratags=extra, photometric="rgb", metadata=None,
    )  # fmt: skip
    tags = tags_of(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        theirs = tif.pages[0].tags
        assert list(tags) == [tag.code for tag in theirs]
        for tag in theirs:
            mine = tags[tag.code]
            assert (mine.field_type, mine.count) == (tag.dtype, tag.count)
            assert mine.position == tag.valueoffset
            value = mine.value()
            if tag.dtype in (5, 10) and tag.count > 1:
                value = tuple(part for pair in value for part in pair)
            assert value == tag.value
    assert tags[Tag.IMAGE_DESCRIPTION].value() == "5 µm"


def test_text_and_bytes():
    tif = TiffMaker()
    tif.ifd([(270, 2, "µm".encode("latin-1") + b"\0\0"), (271, 2, b"ab\0c\0"), (272, 2, b""),
             (700, 1, b"<xml/>"), (701, 1, b"x"), (702, 7, b"y"), (703, 99, (5, b"1234"))])  # fmt: skip
    values = {tag: value.value() for tag, value in tags_of(tif.data).items()}
    assert values == {270: "µm", 271: "ab\0c", 272: "", 700: b"<xml/>", 701: ord("x"), 702: b"y", 703: b""}


def test_unicode():
    for order, codec in (("<", "utf-16-le"), (">", "utf-16-be")):
        tif = TiffMaker(order)
        position = tif.put("hé\0".encode(codec))
        tif.ifd([(305, 14, (3, struct.pack(order + "I", position)))])
        assert tags_of(tif.data)[305].value() == "hé"


def test_the_first_of_two_counts():
    tif = TiffMaker()
    tif.ifd([(256, 3, [5]), (256, 3, [6])])
    assert tags_of(tif.data)[256].value() == 5


def test_limits():
    tif = TiffMaker()
    tif.ifd([(270, 2, b"x" * 1000), (700, 1, (1 << 31, b"\x08\0\0\0")), (701, 4, (4, b"\xff\xff\xff\xff"))])
    tags = tags_of(tif.data)
    assert len(tags[270].value()) == 1000
    for tag in (700, 701):
        with pytest.raises(FormatError, match=str(tag)):
            tags[tag].value()
    with pytest.raises(LimitError, match="IMAGE_DESCRIPTION"):
        tags_of(tif.data, Limits(tag_nbytes=999))[270].value()


@pytest.mark.parametrize("offset", [0, 7, 9, 10**6])
def test_no_ifd_there(offset):
    tif = TiffMaker()
    tif.put(bytes(100))
    tif.ifd([(256, 3, [5])])
    source, header = memory_source(bytes(tif.data)), parse(bytes(tif.data[:16]), len(tif.data))
    with pytest.raises(FormatError, match=f"no IFD at {offset}"):
        read_tags(source, offset, header, Limits())


def test_the_file_ends_in_the_ifd():
    tif = TiffMaker()
    tif.ifd([(256, 3, [5]), (257, 3, [5])])
    with pytest.raises(FormatError, match="ends in the IFD"):
        tags_of(tif.data[:-5])

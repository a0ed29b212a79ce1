"""OME-XML to plain data: what is found, what is tolerated, what is refused and how."""

from __future__ import annotations

import time

import numpy as np
import pytest

from bfio.errors import FormatError, LimitError
from bfio.limits import Limits
from bfio.metadata import Channel
from bfio.omexml import OmeDocument, TiffDataBlock, dtype_of, ome_type_of, parse

SIZES = 'SizeX="7" SizeY="5" SizeZ="4" SizeC="3" SizeT="2"'


def document(inside: str = "<TiffData/>", attributes: str = SIZES, root: str = "", after: str = "") -> str:
    return (
        f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" {root}><Image ID="Image:0" Name="name">'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" {attributes}>{inside}</Pixels></Image>'
        f"{after}</OME>"
    )


def sizes(result: OmeDocument) -> tuple[int, ...]:
    pixels = result.images[0].pixels
    return (pixels.size_t, pixels.size_c, pixels.size_z, pixels.size_y, pixels.size_x)


def test_everything_of_one_image() -> None:
    inside = (
        '<Channel ID="Channel:0:0" Name="DAPI" Color="-16776961"/>'
        '<Channel ID="Channel:0:1" SamplesPerPixel="2" Color="4278190335"><LightPath/></Channel>'
        '<TiffData IFD="3" FirstZ="1" FirstC="2" FirstT="0" PlaneCount="4"/>'
        '<TiffData><UUID FileName="b.ome.tif"> urn:uuid:b </UUID></TiffData><TiffData/>'
        '<Plane TheZ="0" TheC="0" TheT="0"/>'
    )
    attributes = SIZES + (
        ' BigEndian="true" Interleaved="false" SignificantBits="12" PhysicalSizeX="0.5" PhysicalSizeXUnit="nm"'
        ' PhysicalSizeY="2e-1" PhysicalSizeZ="3" PhysicalSizeZUnit="mm"'
    )
    result = parse(document(inside, attributes, root='UUID="urn:uuid:a"'))
    assert (result.uuid, result.binary_only, len(result.images)) == ("urn:uuid:a", None, 1)
    assert (result.images[0].id, result.images[0].name) == ("Image:0", "name")
    pixels = result.images[0].pixels
    assert sizes(result) == (2, 3, 4, 5, 7)
    assert (pixels.dimension_order, pixels.type) == ("XYCZT", "uint16")
    assert (pixels.big_endian, pixels.interleaved, pixels.significant_bits) == (True, False, 12)
    assert pixels.physical_size_x == (0.5, "nm")
    assert pixels.physical_size_y == (0.2, "µm")
    assert pixels.physical_size_z == (3.0, "mm")
    assert pixels.channels == (Channel("DAPI", 1, -16776961), Channel(None, 2, 4278190335 - 2**32))
    assert pixels.tiff_data == (
        TiffDataBlock(3, 1, 2, 0, 4),
        TiffDataBlock(uuid="urn:uuid:b", file_name="b.ome.tif"),
        TiffDataBlock(),
    )
    assert not pixels.has_bin_data


def test_elements_of_the_same_name_elsewhere_do_not_count() -> None:
    after = (
        '<StructuredAnnotations><XMLAnnotation ID="Annotation:0"><Value><OME><Image><Pixels SizeX="x"><Channel/>'
        "<TiffData/></Pixels></Image></OME></Value></XMLAnnotation></StructuredAnnotations>"
        '<ROI ID="ROI:0"><Union><Mask><BinData>AAAA</BinData></Mask></Union></ROI><Channel/><TiffData/>'
    )
    inside = '<Channel ID="Channel:0:0"><Channel/><TiffData/><BinData/></Channel><TiffData/>'
    pixels = parse(document(inside, after=after)).images[0].pixels
    assert (len(pixels.channels), len(pixels.tiff_data), pixels.has_bin_data) == (1, 1, False)


def test_several_images_and_bin_data() -> None:
    image = (
        '<Image><Pixels DimensionOrder="XYZCT" Type="bit" SizeX="1" SizeY="1" SizeZ="1" SizeC="1" SizeT="{}">{}'
        "</Pixels></Image>"
    )
    bin_data = '<BinData BigEndian="true" Length="0"/>'
    result = parse(f"<OME>{image.format(1, bin_data)}<Image/>{image.format(2, '<Channel/>')}</OME>")
    first, second = (image.pixels for image in result.images)
    assert (first.size_t, first.has_bin_data, first.big_endian, first.channels) == (1, True, True, ())
    assert (second.size_t, second.has_bin_data, second.big_endian, second.channels) == (2, False, None, (Channel(),))


def test_binary_only() -> None:
    result = parse('<OME UUID="urn:uuid:a"><BinaryOnly MetadataFile="x.companion.ome" UUID="urn:uuid:b"/></OME>')
    assert result == OmeDocument("urn:uuid:a", (), ("x.companion.ome", "urn:uuid:b"))


@pytest.mark.parametrize("prefix", ["ome", "OME", "ns0"])
@pytest.mark.parametrize("year", ["2008-09", "2011-06", "2013-06", "2015-01", "2016-06"])
def test_any_prefix_and_schema(prefix: str, year: str) -> None:
    text = document('<Channel Name="a"/><TiffData IFD="1"><UUID FileName="f">u</UUID></TiffData>').replace(
        "2016-06", year
    )
    text = text.replace("</", f"</{prefix}:").replace("xmlns=", f"xmlns:{prefix}=")
    for name in ("OME", "Image", "Pixels", "Channel", "TiffData", "UUID"):
        text = text.replace(f"<{name}", f"<{prefix}:{name}")
    pixels = parse(text).images[0].pixels
    assert (
        pixels
        == parse(document('<Channel Name="a"/><TiffData IFD="1"><UUID FileName="f">u</UUID></TiffData>'))
        .images[0]
        .pixels
    )


def test_schema_of_2003() -> None:
    text = (
        '<OME xmlns="http://www.openmicroscopy.org/XMLschemas/OME/FC/ome.xsd" xmlns:Bin="http://x/BinaryFile.xsd">'
        '<Image ID="openmicroscopy.org:Image:1" Name="i" PixelSizeX="0.25" PixelSizeY="0.5"><LogicalChannel ID="c"'
        ' Name="FITC"'
        ' SamplesPerPixel="1"><ChannelComponent Pixels="p" Index="0"/></LogicalChannel><Pixels ID="p"'
        ' DimensionOrder="XYZTC"'
        ' PixelType="Uint16" BigEndian="false" SizeX="7" SizeY="5" SizeZ="1" SizeC="1" SizeT="2">'
        '<TiffData IFD="0" NumPlanes="2"/></Pixels></Image></OME>'
    )
    pixels = parse(text).images[0].pixels
    assert pixels.type == "uint16"
    assert pixels.channels == (Channel("FITC"),)
    assert pixels.physical_size_x == (0.25, "µm")
    assert pixels.physical_size_z == (None, "µm")
    assert pixels.tiff_data == (TiffDataBlock(ifd=0, plane_count=2),)


GOOD = document('<Channel Name="µ-tubulin"/><TiffData/>', SIZES + ' PhysicalSizeX="1" PhysicalSizeXUnit="µm"')


@pytest.mark.parametrize(
    "xml",
    [
        GOOD,
        GOOD.encode(),
        GOOD.encode("latin-1"),
        b'<?xml version="1.0" encoding="UTF-8"?>' + GOOD.encode("latin-1"),
        '<?xml version="1.0" encoding="ISO-8859-1"?>' + GOOD,
        b'<?xml version="1.0" encoding="ISO-8859-1"?>' + GOOD.encode(),
        GOOD.encode("utf-8-sig"),
        GOOD.encode("utf-16"),
        "\ufeff \r\n" + GOOD,
        b"\x00\x00 \n" + GOOD.encode(),
        GOOD + "\x00",
        GOOD.encode() + b"\x00\x00\x00",
        GOOD + "\x00 left over <OME>",
        GOOD.encode() + b"\xff\xfe<&",
        "<!-- Warning: do not edit -->" + GOOD,
    ],
)
def test_packaging(xml: str | bytes) -> None:
    pixels = parse(xml).images[0].pixels
    assert pixels.channels[0].name == "µ-tubulin"
    assert pixels.physical_size_x == (1.0, "µm")


@pytest.mark.parametrize("rubbish", ["&#0;", "&#x1f;", "\x00", "\x0b", "&#55296;", "&#99999999;"])
def test_forbidden_characters_are_dropped(rubbish: str) -> None:
    assert parse(GOOD.replace("tubulin", f"tubu{rubbish}lin")).images[0].pixels.channels[0].name == "µ-tubulin"


def test_stray_ampersand() -> None:
    text = GOOD.replace("µ-tubulin", "a & b&c &amp; &#100; &nbsp;")
    assert parse(text).images[0].pixels.channels[0].name == "a & b&c & d &nbsp;"


@pytest.mark.parametrize("text", ["0", "-1", "abc", "", "1e3", "2.5", "2147483648", "9" * 5000, "0x10"])
@pytest.mark.parametrize("name", ["SizeX", "SizeY", "SizeZ", "SizeC", "SizeT"])
def test_impossible_size_is_named(name: str, text: str) -> None:
    attributes = " ".join(f'{part.split("=")[0]}="{text}"' if part.startswith(name) else part for part in SIZES.split())
    with pytest.raises(FormatError, match=f"Pixels {name}=") as caught:
        parse(document(attributes=attributes))
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["SizeX", "SizeT", "DimensionOrder", "Type"])
def test_missing_attribute_is_named(name: str) -> None:
    with pytest.raises(FormatError, match=f"Pixels has no attribute {name}"):
        parse(document().replace(f" {name}=", " Other="))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (document().replace("XYCZT", "XYCZ"), "DimensionOrder='XYCZ' is not one of"),
        (document().replace("uint16", "uint17"), "Type='uint17' is not a pixel type"),
        (document('<TiffData IFD="x"/>'), "TiffData IFD='x'"),
        (document('<TiffData FirstZ="-1"/>'), "TiffData FirstZ='-1'"),
        (document('<TiffData FirstT="4294967296"/>'), "TiffData FirstT="),
        (document('<TiffData NumPlanes="x"/>'), "TiffData NumPlanes='x'"),
        (document('<Channel SamplesPerPixel="x"/>'), "Channel SamplesPerPixel='x'"),
        ("", "not well-formed"),
        ("no XML at all", "not well-formed"),
        ("<html></html>", "root element is 'html'"),
        (document()[:-20], "not well-formed"),
        (document().replace("<TiffData/>", "<TiffData>"), "not well-formed"),
    ],
)
def test_broken_documents(text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        parse(text)
    with pytest.raises(FormatError, match=message):
        parse(text.encode())


def test_values_that_do_not_matter_are_lenient() -> None:
    attributes = (
        SIZES + ' PhysicalSizeX="-1" PhysicalSizeY="NaN" PhysicalSizeZ="1,5" SignificantBits="²" BigEndian="maybe"'
    )
    inside = '<Channel Color="red" SamplesPerPixel=""/><Channel Color="99999999999" SamplesPerPixel="0"/>'
    pixels = parse(document(inside, attributes)).images[0].pixels
    assert [pixels.physical_size_x[0], pixels.physical_size_y[0], pixels.physical_size_z[0]] == [None, None, 1.5]
    assert (pixels.significant_bits, pixels.big_endian) == (None, None)
    assert pixels.channels == (Channel(), Channel())


ENTITIES = "".join(f'<!ENTITY {name} "{f"&{last};" * 10}">' for last, name in zip("abcdefgh", "bcdefghi", strict=True))
BILLION_LAUGHS = f'<!DOCTYPE lolz [<!ENTITY a "ha">{ENTITIES}]>'


@pytest.mark.parametrize("doctype", [BILLION_LAUGHS, '<!DOCTYPE OME SYSTEM "file:///etc/passwd">', "<!DOCTYPE OME>"])
def test_doctype_is_refused(doctype: str) -> None:
    with pytest.raises(FormatError, match="document type declaration"):
        parse(doctype + document('<Channel Name="&i;"/>'))


def test_limits() -> None:
    text = document()
    assert parse(text, Limits(xml_nbytes=len(text)))
    with pytest.raises(LimitError, match="xml_nbytes"):
        parse(text, Limits(xml_nbytes=len(text) - 1))
    with pytest.raises(LimitError, match="ifd_count"):
        parse(document("<TiffData/>" * 100), Limits(ifd_count=100))


def test_ten_thousand_planes_are_quick() -> None:
    n = 10_000
    uuid = '<UUID FileName="a.ome.tif">urn:uuid:fd576308-90ee-44e6-a6e3-c24c66b65912</UUID>'
    blocks = "".join(
        f'<TiffData FirstC="0" FirstT="0" FirstZ="{i}" IFD="{i}" PlaneCount="1">{uuid}</TiffData>' for i in range(n)
    )
    planes = "".join(f'<Plane TheZ="{i}" TheC="0" TheT="0" DeltaT="0.5"/>' for i in range(n))
    xml = document(blocks + planes, SIZES.replace('SizeZ="4"', f'SizeZ="{n}"')).encode()
    start = time.process_time()
    pixels = parse(xml).images[0].pixels
    assert time.process_time() - start < 0.5  # 60 ms on a slow machine; a model takes seconds
    assert len(pixels.tiff_data) == n
    assert pixels.tiff_data[-1] == TiffDataBlock(
        n - 1, n - 1, 0, 0, 1, "urn:uuid:fd576308-90ee-44e6-a6e3-c24c66b65912", "a.ome.tif"
    )


def test_pixel_types() -> None:
    for dtype in ("i1", "i2", "i4", "u1", "u2", "u4", "f4", "f8", "c8", "c16", "?"):
        assert dtype_of(ome_type_of(np.dtype(dtype))) == np.dtype(dtype)
        assert ome_type_of(np.dtype(dtype).newbyteorder(">")) == ome_type_of(np.dtype(dtype))
    assert dtype_of("Uint16") == np.uint16
    assert dtype_of("double-complex") == np.complex128
    assert [ome_type_of(np.dtype(d)) for d in ("f2", "i8", "u8")] == ["float", "double", "double"]
    with pytest.raises(NotImplementedError, match="no pixel type"):
        ome_type_of(np.dtype("S1"))

"""The ome-types model: of good, old and broken documents, and of files without any."""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
import threading
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from ome_types import validate_xml
from ome_types.model import OME, UnitsLength

from bfio.errors import FormatError, LimitError
from bfio.limits import Limits
from bfio.metadata import Channel, Series
from bfio.omexml import parse, plane_map
from bfio.omexml.clean import clean
from bfio.omexml.model import model, synthesise, unit
from bfio.units import METRES, UNITLESS

NS = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
SIZES = 'SizeX="7" SizeY="5" SizeZ="1" SizeC="1" SizeT="1"'


def document(
    inside: str = "<TiffData/>",
    attributes: str = "",
    image: str = "",
    root: str = "",
    pixels: str = 'ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16"',
) -> str:
    return (
        f'<OME xmlns="{NS}"><Image ID="Image:0" Name="n">{image}<Pixels {pixels} {SIZES} {attributes}>{inside}'
        f"</Pixels></Image>{root}</OME>"
    )


def assert_valid(xml: str) -> None:
    """Against the schema that ome-types carries, where lxml is there: bfio does without."""
    if importlib.util.find_spec("lxml") is not None:
        validate_xml(xml)


def pixels_of(xml: str | bytes) -> object:
    found = model(xml)
    assert isinstance(found, OME)
    assert_valid(found.to_xml())
    return found.images[0].pixels


def test_a_good_document() -> None:
    attributes = 'PhysicalSizeX="0.5" PhysicalSizeXUnit="nm"'
    found = model(document('<Channel ID="Channel:0:0" Name="µ" Color="-1"/><TiffData/>', attributes), clean=False)
    assert type(found).__name__ == "OME"
    pixels = found.images[0].pixels
    assert (pixels.size_x, pixels.type.value, pixels.physical_size_x) == (7, "uint16", 0.5)
    assert pixels.physical_size_x_unit is UnitsLength.NANOMETER
    assert pixels.channels[0].name == "µ"


def test_declared_encoding_and_rubbish() -> None:
    xml = document('<Channel ID="Channel:0:0" Name="µ"/><TiffData/>')
    for form in (
        '<?xml version="1.0" encoding="ISO-8859-1"?>' + xml,
        b'<?xml version="1.0" encoding="ISO-8859-1"?>\n' + xml.encode("latin-1"),
        b'<?xml version="1.0" encoding="UTF-8"?>' + xml.encode("latin-1"),
        xml.encode("utf-8-sig") + b"\x00\x00",
        xml + "\x00<OME>",
        xml.replace("µ", "µ&#0;"),
        xml.replace(' xmlns="', ' xmlns:xsi="'),
    ):
        assert model(form).images[0].pixels.channels[0].name == "µ"


ANNOTATION = (
    '<StructuredAnnotations><LongAnnotation ID="Annotation:0"><Value>1</Value></LongAnnotation></StructuredAnnotations>'
)
BROKEN = {
    "unit in the wrong encoding": document(attributes='PhysicalSizeX="2" PhysicalSizeXUnit="Âµm"'),
    "unit with a Greek letter": document(attributes='PhysicalSizeX="2" PhysicalSizeXUnit="μm"'),
    "size of zero": document(attributes='PhysicalSizeX="2" PhysicalSizeY="0" PhysicalSizeZ="NaN"'),
    "decimal comma": document(attributes='PhysicalSizeX="2,0"'),
    "colour": document('<Channel ID="Channel:0:0" Color="reddish"/><TiffData/>', 'PhysicalSizeX="2"'),
    "unknown element": document("<Foo/><TiffData/>", 'PhysicalSizeX="2"', root="<Bar><Baz/></Bar>"),
    "unknown value": document('<Channel ID="Channel:0:0" AcquisitionMode="Bogus"/><TiffData/>', 'PhysicalSizeX="2"'),
    "broken plane": document('<TiffData/><Plane/><Plane TheZ="0" TheC="0" TheT="0" DeltaT="x"/>', 'PhysicalSizeX="2"'),
    "date": document(image="<AcquisitionDate>yesterday</AcquisitionDate>", attributes='PhysicalSizeX="2"'),
    "sequence": document('<TiffData/><Plane TheZ="0" TheC="0" TheT="0"/><Channel ID="Channel:0:0"/>',
                         'PhysicalSizeX="2"', root=ANNOTATION,
                         image='<AnnotationRef ID="Annotation:0"/><Description>d</Description>'),
    "no identifiers": document(pixels='DimensionOrder="xyzct" Type="UINT16"', attributes='PhysicalSizeX="2"')
    .replace(' ID="Image:0"', ""),
    "Boolean": document(attributes='PhysicalSizeX="2" BigEndian="True" Interleaved="perhaps"'),
    "MetadataOnly beside TiffData": document("<MetadataOnly/><TiffData/>", 'PhysicalSizeX="2" SizeQ="3"', root="<X/>"),
    "two Pixels": document(attributes='PhysicalSizeX="2"').replace(
        "</Image>", f'<Pixels ID="Pixels:1" DimensionOrder="XYZCT" Type="int8" {SIZES}/></Image>'
    ),
    "prefix without namespace": document(attributes='PhysicalSizeX="2"').replace("<TiffData", "<OME:TiffData"),
    "unknown schema": document(attributes='PhysicalSizeX="2"').replace("2016-06", "2012-03"),
    "no namespace": document(attributes='PhysicalSizeX="2"').replace(f' xmlns="{NS}"', ""),
    "schema of annotations": document(attributes='PhysicalSizeX="2"').replace("OME/2016-06", "sa/2013-06s"),
}  # fmt: skip


@pytest.mark.parametrize("xml", BROKEN.values(), ids=BROKEN.keys())
def test_broken_documents_keep_what_is_right(xml: str) -> None:
    pixels = pixels_of(xml)
    assert pixels.physical_size_x == 2  # type: ignore[attr-defined]
    assert pixels.physical_size_x_unit is UnitsLength.MICROMETER  # type: ignore[attr-defined]
    assert (pixels.size_y, pixels.type.value) == (5, "uint16")  # type: ignore[attr-defined]
    assert parse(xml).images[0].pixels.physical_size_x == (2, "µm")


@pytest.mark.parametrize("case", ["unit in the wrong encoding", "colour", "unknown element", "date", "no namespace"])
def test_without_cleaning_they_are_refused(case: str) -> None:
    with pytest.raises(FormatError, match="not valid") as caught:
        model(BROKEN[case], clean=False)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 260


def test_only_what_is_invalid_goes() -> None:
    xml = document(
        '<Channel ID="Channel:0:0" Name="keep" Color="red" ExcitationWavelength="488" EmissionWavelength="-5"/>'
        "<TiffData/>"
        '<Plane TheZ="0" TheC="0" TheT="0" DeltaT="x" ExposureTime="0.5"/>',
        image="<AcquisitionDate>2020-01-02 03:04:05</AcquisitionDate><Description>text</Description>",
        root='<StructuredAnnotations><XMLAnnotation ID="Annotation:0"><Value><any xmlns="x"><thing/></any></Value>'
        '</XMLAnnotation><LongAnnotation ID="Annotation:1"><Value>x</Value></LongAnnotation></StructuredAnnotations>',
    )
    found = model(xml)
    assert_valid(found.to_xml())
    image = found.images[0]
    channel, plane = image.pixels.channels[0], image.pixels.planes[0]
    assert (channel.name, channel.excitation_wavelength, channel.emission_wavelength) == ("keep", 488, None)
    assert (plane.exposure_time, plane.delta_t) == (0.5, None)
    assert (image.description, image.acquisition_date.year) == ("text", 2020)  # type: ignore[union-attr]
    assert "thing" in found.structured_annotations.xml_annotations[0].to_xml()


def test_identifiers_and_their_references() -> None:
    root = (
        '<Instrument ID="Microscope"><Laser ID="Laser 1"/><Detector ID="Camera"/><Detector ID="Detector:0"/>'
        "</Instrument>"
    )
    xml = document(
        '<Channel ID="0"><LightSourceSettings ID="Laser 1"/><DetectorSettings ID="Camera"/></Channel><TiffData/>',
        image='<InstrumentRef ID="Microscope"/>', root=root, pixels='ID="0" DimensionOrder="XYZCT" Type="uint8"',
    ).replace("Image:0", "openmicroscopy.org:Image:3")  # fmt: skip
    cleaned = ElementTree.fromstring(clean(xml))
    assert {element.get("ID") for element in cleaned.iter() if element.get("ID")} == {
        "Image:3", "Pixels:0", "Channel:0", "Instrument:0", "LightSource:0", "Detector:1", "Detector:0",
    }  # fmt: skip
    assert cleaned.find(f".//{{{NS}}}InstrumentRef").get("ID") == "Instrument:0"  # type: ignore[union-attr]
    assert cleaned.find(f".//{{{NS}}}DetectorSettings").get("ID") == "Detector:1"  # type: ignore[union-attr]
    assert cleaned.find(f".//{{{NS}}}LightSourceSettings").get("ID") == "LightSource:0"  # type: ignore[union-attr]


def test_cleaning_drops_dumped_vendor_metadata() -> None:
    xml = document(
        '<TiffData/><Plane TheZ="0" TheC="0" TheT="0"><AnnotationRef ID="Annotation:7"/></Plane>',
        image='<AnnotationRef ID="Annotation:7"/>',
        root='<StructuredAnnotations><XMLAnnotation ID="Annotation:7" Namespace="alleninstitute.org/CZIMetadata">'
        "<Value/></XMLAnnotation></StructuredAnnotations>",
    )
    assert "Annotation" not in clean(xml)


def test_cleaning_twice_changes_nothing_more() -> None:
    for xml in BROKEN.values():
        once = clean(xml)
        assert clean(once) == once


OLD = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/{}"><Image ID="Image:1" Name="i"'
    ' PixelSizeX="0.25" DefaultPixels="p">'
    '<AcquiredDate>2009-05-06T07:08:09</AcquiredDate><LogicalChannel ID="LogicalChannel:0" Name="FITC"'
    ' SamplesPerPixel="1">'
    '<ChannelComponent Pixels="p" Index="0"/></LogicalChannel><Pixels ID="Pixels:1" DimensionOrder="XYZTC"'
    ' PixelType="Uint16"'
    ' BigEndian="false" SizeX="7" SizeY="5" SizeZ="1" SizeC="1" SizeT="2"><TiffData IFD="0" NumPlanes="2"/>'
    "</Pixels></Image></OME>"
)


def test_old_names() -> None:
    found = model(OLD.format("2001-01"))
    assert_valid(found.to_xml())
    image = found.images[0]
    assert (image.name, image.acquisition_date.year) == ("i", 2009)  # type: ignore[union-attr]
    assert (image.pixels.type.value, image.pixels.physical_size_x) == ("uint16", 0.25)
    assert [channel.name for channel in image.pixels.channels] == ["FITC"]
    assert image.pixels.tiff_data_blocks[0].plane_count == 2


@pytest.mark.parametrize("year", ["2008-09", "2009-09", "2010-06", "2011-06", "2012-06", "2013-06", "2015-01"])
def test_old_schemas_with_and_without_lxml(year: str, monkeypatch: pytest.MonkeyPatch) -> None:
    xml = document('<Channel ID="Channel:0:0" Name="a"/><TiffData PlaneCount="1"/>').replace("2016-06", year)
    with_whatever_is_there = model(xml)
    monkeypatch.setitem(sys.modules, "lxml", None)
    without = model(xml)
    for found in (with_whatever_is_there, without):
        pixels = found.images[0].pixels
        assert (pixels.size_x, pixels.channels[0].name, len(pixels.tiff_data_blocks)) == (7, "a", 1)


@pytest.mark.parametrize(
    "xml", ["", "text", "<OME>", document()[:-9], "<html/>", document(pixels='ID="Pixels:0"'), f'<Image xmlns="{NS}"/>']
)
def test_hopeless_documents(xml: str) -> None:
    with pytest.raises(FormatError) as caught:
        model(xml)
    assert "\n" not in str(caught.value)


def test_hostile_documents() -> None:
    laughs = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>' + document('<Channel Name="&b;"/>')
    for refuse in (model, clean):
        with pytest.raises(FormatError, match="document type"):
            refuse(laughs)
        with pytest.raises(LimitError, match="xml_nbytes"):
            refuse(document(), limits=Limits(xml_nbytes=100))  # type: ignore[operator]
    deep = f'<OME xmlns="{NS}">' + "<a>" * 50_000 + "</a>" * 50_000 + "</OME>"
    for xml in (deep, deep[:-7]):
        for function in (model, clean):
            with contextlib.suppress(FormatError):
                function(xml)
    assert parse(deep).images == ()


def test_any_damage_gives_an_answer_or_a_format_error() -> None:
    xml = document('<Channel ID="Channel:0:0" Name="µ"/><TiffData IFD="0"><UUID FileName="a">b</UUID></TiffData>').encode()
    rng = np.random.default_rng(1)
    damaged = [xml[:stop] for stop in range(len(xml))]
    damaged += [xml[:at] + bytes([value]) + xml[at + 1 :] for at in range(len(xml)) for value in rng.integers(0, 256, 4)]
    for data in damaged:
        for function in (parse, clean):
            with contextlib.suppress(FormatError):
                function(data)
    for data in damaged[:: len(damaged) // 100]:
        with contextlib.suppress(FormatError):
            model(data)


def test_models_in_many_threads() -> None:
    found: list[float | None] = []
    barrier = threading.Barrier(4)

    def build() -> None:
        barrier.wait()
        found.extend(model(xml).images[0].pixels.physical_size_x for xml in BROKEN.values())

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [2.0] * 4 * len(BROKEN)


@pytest.mark.parametrize("symbol", [*METRES, *UNITLESS])
def test_each_unit_has_a_member(symbol: str) -> None:
    assert unit(symbol).value == symbol


def test_units_of_the_model_are_all_known() -> None:
    assert {member.value for member in UnitsLength} == {*METRES, *UNITLESS}
    assert str(unit("um")) == "UnitsLength.MICROMETER"
    assert unit("cubits") is UnitsLength.REFERENCEFRAME


def one_series(**changes: object) -> Series:
    values: dict[str, object] = {
        "index": 0, "name": None, "dtype": np.dtype("u2"), "size_t": 2, "size_c": 3, "size_z": 4,
        "size_y": 5, "size_x": 7,
    }  # fmt: skip
    return Series(**(values | changes))  # type: ignore[arg-type]


def test_synthesised_model() -> None:
    series = one_series(
        channels=(Channel("DAPI", color=255), Channel()), physical_size_x=(0.5, "nm"),
        physical_size_z=(2.0, "µm"), big_endian=True,
    )  # fmt: skip
    found = synthesise([series], "file.tif")
    assert_valid(found.to_xml())
    assert (len(found.images), found.images[0].id, found.images[0].name) == (1, "Image:0", "file.tif")
    again = parse(found.to_xml()).images[0].pixels
    assert (again.dimension_order, again.type, again.big_endian) == ("XYZCT", "uint16", True)
    assert (again.size_t, again.size_c, again.size_z, again.size_y, again.size_x) == (2, 3, 4, 5, 7)
    assert again.channels == (Channel("DAPI", color=255), Channel(), Channel())
    assert again.physical_size_x == (0.5, "nm")
    assert again.physical_size_y == (None, "µm")
    assert again.physical_size_z == (2.0, "µm")
    assert (plane_map(again, 24).ifd.transpose(0, 1, 2).ravel() == np.arange(24)).all()


def test_synthesised_rgb() -> None:
    found = synthesise([one_series(samples=3, size_c=1, channels=(Channel(samples=3),))], "rgb.png")
    assert_valid(found.to_xml())
    pixels = found.images[0].pixels
    assert (pixels.size_c, [channel.samples_per_pixel for channel in pixels.channels]) == (3, [3])
    assert [channel.name for channel in pixels.channels] == [None]


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("u1", "uint8"), (">i4", "int32"), ("f4", "float"), (">f8", "double"), ("c8", "complex"),
     ("c16", "double-complex"),
     ("?", "bit"), ("f2", "float"), ("i8", "double"), (">u8", "double")],
)  # fmt: skip
def test_synthesised_types(dtype: str, expected: str) -> None:
    found = synthesise([one_series(dtype=np.dtype(dtype))], "x.tif")
    assert_valid(found.to_xml())
    assert found.images[0].pixels.type.value == expected


def test_synthesised_series() -> None:
    sizes = {"physical_size_x": (float("nan"), "µm"), "physical_size_y": (0.0, "µm")}
    found = synthesise([one_series(**sizes), one_series(index=1, name="label"), one_series(index=2)], "slide.svs")
    assert_valid(found.to_xml())
    assert [image.name for image in found.images] == ["slide.svs", "slide.svs [label]", "slide.svs [2]"]
    assert [image.id for image in found.images] == ["Image:0", "Image:1", "Image:2"]


def test_xml_of_tifffile(tmp_path: object) -> None:
    path = f"{tmp_path}/a.ome.tif"
    metadata = {"axes": "TCYX", "PhysicalSizeX": 0.65, "PhysicalSizeXUnit": "µm", "Channel": {"Name": ["a", "b", "c"]}}
    tifffile.imwrite(path, np.zeros((2, 3, 4, 5), np.uint8), metadata=metadata, photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        xml = file.ome_metadata or ""
    found = model(xml, clean=False).images[0].pixels
    again = parse(xml).images[0].pixels
    assert (
        [channel.name for channel in found.channels] == [channel.name for channel in again.channels] == ["a", "b", "c"]
    )
    assert (found.physical_size_x, found.physical_size_x_unit.value) == again.physical_size_x == (0.65, "µm")


def test_ome_types_is_imported_only_for_a_model() -> None:
    code = "import sys, bfio.omexml.model as m; print({'ome_types', 'pydantic', 'lxml'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "set()"

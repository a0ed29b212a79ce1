"""The OME-XML of files that bfio writes: valid, deterministic, and faithful to what it was made from."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from xml.etree import ElementTree

import numpy as np
import pytest
from fakes import make_series
from ome_types import OME, from_xml, validate_xml

from bfio.errors import FormatError, UsageError
from bfio.metadata import Channel
from bfio.omexml import parse
from bfio.omexml.build import Picked, build_xml
from bfio.tiff.resolution import pixels_per_centimetre

NS = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
FULL = f"""<OME xmlns="{NS}" UUID="urn:uuid:5e8c5b1e-0000-0000-0000-000000000000" Creator="other">
<Rights><RightsHolder>me</RightsHolder></Rights>
<Project ID="Project:0"><DatasetRef ID="Dataset:0"/></Project>
<Dataset ID="Dataset:0"><ImageRef ID="Image:0"/><AnnotationRef ID="Annotation:9"/></Dataset>
<Experimenter ID="Experimenter:0" LastName="A"/><Experimenter ID="Experimenter:1" LastName="B"/>
<Instrument ID="Instrument:0"><Detector ID="Detector:0"/><Objective ID="Objective:0" NominalMagnification="40"/>
</Instrument>
<Instrument ID="Instrument:1"><Objective ID="Objective:1"/></Instrument>
<Image ID="Image:0" Name="first"><AcquisitionDate>2020-01-02T03:04:05</AcquisitionDate>
<ExperimenterRef ID="Experimenter:0"/><Description>what
it is</Description><InstrumentRef ID="Instrument:0"/><ObjectiveSettings ID="Objective:0"/>
<Pixels ID="Pixels:0" DimensionOrder="XYZTC" Type="uint16" SignificantBits="12" SizeX="9" SizeY="8" SizeZ="2" SizeC="3"
 SizeT="2" TimeIncrement="5" TimeIncrementUnit="ms" PhysicalSizeX="3">
<Channel ID="Channel:0:0" Name="DAPI" Color="65535" EmissionWavelength="460"><DetectorSettings ID="Detector:0" Gain="2"/>
<AnnotationRef ID="Annotation:0"/></Channel>
<Channel ID="Channel:0:1" Name="GFP" AcquisitionMode="SPIM"/><Channel ID="Channel:0:2" Name="RFP" Fluor="mCherry"/>
<TiffData IFD="0"><UUID FileName="first.ome.tif">urn:uuid:5e8c5b1e-0000-0000-0000-000000000000</UUID></TiffData>
<TiffData IFD="1"/>
<Plane TheZ="1" TheC="2" TheT="1" PositionX="7.5" PositionXUnit="mm"/>
<Plane TheZ="0" TheC="0" TheT="0" DeltaT="1.5" DeltaTUnit="s"><HashSHA1>{"0" * 40}</HashSHA1></Plane>
<Plane TheZ="1" TheC="0" TheT="0"/>
<Plane TheZ="0" TheC="1" TheT="0"><AnnotationRef ID="Annotation:1"/></Plane></Pixels>
<ROIRef ID="ROI:0"/><AnnotationRef ID="Annotation:2"/></Image>
<Image ID="Image:1" Name="second"><ExperimenterRef ID="Experimenter:1"/><InstrumentRef ID="Instrument:1"/>
<Pixels ID="Pixels:1" DimensionOrder="XYZCT" Type="uint8" SizeX="1" SizeY="1" SizeZ="1" SizeC="1" SizeT="1"><TiffData/>
</Pixels><AnnotationRef ID="Annotation:4"/></Image>
<StructuredAnnotations><CommentAnnotation ID="Annotation:0"><Value>c</Value></CommentAnnotation>
<CommentAnnotation ID="Annotation:1" Annotator="Experimenter:1"><Value>plane</Value></CommentAnnotation>
<ListAnnotation ID="Annotation:2"><AnnotationRef ID="Annotation:3"/></ListAnnotation>
<XMLAnnotation ID="Annotation:3"><Value><vendor xmlns=""><a:b xmlns:a="urn:a" k="1">text</a:b></vendor></Value></XMLAnnotation>
<CommentAnnotation ID="Annotation:4"><Value>of the second</Value></CommentAnnotation>
<CommentAnnotation ID="Annotation:5"><Value>of the file</Value></CommentAnnotation>
<CommentAnnotation ID="Annotation:9"><Value>of the dataset</Value></CommentAnnotation></StructuredAnnotations>
<ROI ID="ROI:0"><Union><Point ID="Shape:0" X="1" Y="1"/></Union></ROI></OME>"""


def series_of(t=2, c=3, z=2, dtype=np.uint16, **changes):
    series = make_series(np.zeros((t, c, z, 8, 9), dtype))
    return replace(series, **({"channels": (), "physical_size_z": (None, "µm")} | changes))


def built(*arguments, **options) -> tuple[str, OME]:
    text = build_xml(*arguments, **options)
    if importlib.util.find_spec("lxml") is not None:
        validate_xml(text)
    ome = from_xml(text.encode())
    assert isinstance(ome, OME) and len(ome.images) == 1
    assert ome.uuid is None and ome.creator.startswith("bfio ")
    document = parse(text)
    assert document.images[0].pixels.dimension_order == "XYZCT"
    assert text == build_xml(*arguments, **options)
    return text, ome


DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8", "c8", "c16", "?", "f2", "u8", "i8"]


@pytest.mark.parametrize("code", DTYPES)
def test_a_document_without_a_source(code):
    dtype = np.dtype(code)
    channels = (Channel("a", color=-16776961), Channel(None), Channel("<&\"'µ\x07"))
    sizes = {"physical_size_x": (0.25, "nm"), "physical_size_y": (1e-7, "reference frame")}
    text, ome = built(series_of(2, 3, 5, dtype, channels=channels, physical_size_z=(3.0, "µm"), **sizes), "n.ome.tif")
    pixels = ome.images[0].pixels
    assert ome.images[0].name == "n.ome.tif" and text.startswith("<?xml")
    assert (pixels.size_x, pixels.size_y, pixels.size_z, pixels.size_c, pixels.size_t) == (9, 8, 5, 3, 2)
    assert pixels.type.value in {"f2": "float", "u8": "double", "i8": "double"}.get(code, pixels.type.value)
    assert parse(text).images[0].pixels.physical_size_x == (0.25, "nm")
    assert pixels.physical_size_y == 1e-7 and pixels.physical_size_y_unit.value == "reference frame"
    assert pixels.physical_size_z == 3.0 and pixels.physical_size_z_unit.value == "µm"
    assert [channel.name for channel in pixels.channels] == ["a", None, "<&\"'µ"]
    assert pixels.channels[0].color.as_int32() == -16776961 and pixels.big_endian == (sys.byteorder == "big")
    assert [(block.ifd, block.plane_count) for block in pixels.tiff_data_blocks] == [(0, 30)]
    assert not pixels.planes and pixels.metadata_only is None


def test_unknown_and_impossible_sizes_are_left_out():
    sizes = {"physical_size_x": (math.inf, "µm"), "physical_size_y": (0.0, "µm"), "physical_size_z": (math.nan, "µm")}
    text, _ = built(series_of(**sizes), "n")
    assert "PhysicalSize" not in text


@pytest.mark.parametrize("samples", [3, 4])
def test_samples(samples):
    _, ome = built(series_of(c=2, samples=samples), "n")
    pixels = ome.images[0].pixels
    assert pixels.size_c == 2 * samples and [channel.samples_per_pixel for channel in pixels.channels] == [samples] * 2
    assert pixels.interleaved and pixels.tiff_data_blocks[0].plane_count == 8


def test_what_a_source_says_is_kept():
    text, ome = built(series_of(), "new.ome.tif", FULL)
    image = ome.images[0]
    pixels = image.pixels
    assert image.name == "new.ome.tif" and image.description == "what\nit is" and image.acquisition_date.year == 2020
    assert [channel.name for channel in pixels.channels] == ["DAPI", "GFP", "RFP"]
    assert pixels.channels[0].color.as_int32() == 65535 and pixels.channels[0].emission_wavelength == 460
    assert pixels.channels[0].detector_settings.gain == 2 and pixels.channels[2].fluor == "mCherry"
    assert pixels.significant_bits == 12 and pixels.time_increment == 5 and pixels.physical_size_x == 0.5
    assert [(p.the_t, p.the_c, p.the_z) for p in pixels.planes] == [(0, 0, 0), (0, 1, 0), (1, 2, 1)]
    assert pixels.planes[0].delta_t == 1.5 and pixels.planes[2].position_x_unit.value == "mm"
    assert "HashSHA1" not in text and "UUID" not in text and len(pixels.tiff_data_blocks) == 1
    assert [one.id for one in ome.instruments] == ["Instrument:0"] and ome.rights.rights_holder == "me"
    assert {one.id for one in ome.experimenters} == {"Experimenter:0", "Experimenter:1"}  # one of them annotates
    assert len(ome.rois) == 1 and not ome.projects and not ome.datasets
    found = {annotation.id for annotation in ome.structured_annotations}
    assert found == {"Annotation:0", "Annotation:1", "Annotation:2", "Annotation:3", "Annotation:5"}


def test_embedded_xml_keeps_its_namespaces():
    text, _ = built(series_of(), "n", FULL)
    twice, _ = built(series_of(), "n", text)
    for one in (text, twice):
        vendor = ElementTree.fromstring(one).find(f".//{{{NS}}}XMLAnnotation/{{{NS}}}Value/vendor")
        assert vendor is not None and vendor[0].tag == "{urn:a}b" and vendor[0].text == "text"
    assert twice == text


def test_another_image_of_a_source():
    text, ome = built(series_of(1, 1, 1, np.uint8), "n", FULL, index=1)
    assert [one.id for one in ome.instruments] == ["Instrument:1"] and not ome.images[0].roi_refs
    assert {a.id for a in ome.structured_annotations} == {"Annotation:4", "Annotation:5"}
    assert ome.experimenters[0].id == "Experimenter:1" and "RFP" not in text
    assert len(ome.experimenters) == 1


@pytest.mark.parametrize("n_channels", [1, 2, 3, 5])
def test_channels_and_planes_follow_the_sizes(n_channels):
    channels = tuple(Channel(f"c{k}") for k in range(n_channels))
    _, ome = built(series_of(1, n_channels, 1, channels=channels), "n", FULL)
    pixels = ome.images[0].pixels
    assert [channel.name for channel in pixels.channels] == [f"c{k}" for k in range(n_channels)]
    assert [channel.id for channel in pixels.channels] == [f"Channel:0:{k}" for k in range(n_channels)]
    assert pixels.channels[0].color.as_int32() == 65535
    assert [plane.the_c for plane in pixels.planes] == list(range(min(n_channels, 2)))


def test_picked_planes_take_their_metadata_along():
    _, ome = built(series_of(1, 2, 3), "n", FULL, picked=Picked(t=(1,), c=(2, 0), z=(0, 1, 1)))
    pixels = ome.images[0].pixels
    assert [channel.name for channel in pixels.channels] == ["RFP", "DAPI"]
    assert [(p.the_z, p.the_c, p.the_t, p.position_x) for p in pixels.planes] == [(1, 0, 0, 7.5), (2, 0, 0, 7.5)]


@pytest.mark.parametrize(("dtype", "bits"), [("u1", None), ("u2", 12), ("i4", 12), ("f4", None), ("?", None)])
def test_significant_bits_stay_where_they_fit(dtype, bits):
    text, _ = built(series_of(dtype=np.dtype(dtype)), "n", FULL)
    assert parse(text).images[0].pixels.significant_bits == bits


def test_what_is_wrong_in_a_source_is_left_out():
    base = FULL.replace('Color="65535"', 'Color="blue"').replace('"SPIM"', '"unheard of"').replace('"460"', '"-1"')
    base = base.replace('PositionXUnit="mm"', 'PositionXUnit="stage"').replace('DeltaT="1.5"', 'DeltaT="soon"')
    base = base.replace('<ObjectiveSettings ID="Objective:0"/>', '<ObjectiveSettings ID="Objective:7"/><Thumbnail/>')
    base = base.replace('<AnnotationRef ID="Annotation:3"/>', '<AnnotationRef ID="Annotation:77"/>')
    base = base.replace('TheZ="0" TheC="1" TheT="0"', 'TheZ="0" TheC="one" TheT="0"').replace(
        '"Detector:0" G', '"Detector:8" G'
    )
    text, ome = built(series_of(), "n", base)
    assert [plane.position_x_unit.value for plane in ome.images[0].pixels.planes] == ["reference frame"]
    channels = ome.images[0].pixels.channels
    assert channels[0].color.as_int32() == -1 and channels[0].emission_wavelength is None
    assert channels[0].detector_settings is None and channels[1].acquisition_mode is None
    assert ome.images[0].objective_settings is None and "Thumbnail" not in text and "Annotation:77" not in text


@pytest.mark.parametrize("schema", ["FC", "2008-02", "2011-06", "2012-06"])
def test_sources_of_old_schemas(schema):
    base = f"""<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/{schema}"><Instrument ID="Instrument:0">
    <OTF ID="OTF:0" Type="uint8" OpticalAxisAveraged="true" SizeX="1" SizeY="1"/></Instrument>
    <Image ID="Image:0" Name="n" DefaultPixels="Pixels:0"><CreationDate>2007-01-01T00:00:00</CreationDate>
    <InstrumentRef ID="Instrument:0"/><LogicalChannel ID="LogicalChannel:0" Name="a" SamplesPerPixel="1"/>
    <Pixels ID="Pixels:0" DimensionOrder="XYZCT" PixelType="Uint8" BigEndian="false" SizeX="9" SizeY="8" SizeZ="1"
    SizeC="1" SizeT="1"><TiffData/></Pixels></Image></OME>"""
    text, ome = built(series_of(1, 1, 1, np.uint8), "n", base)
    assert ome.images[0].pixels.channels[0].name == "a" and not ome.instruments and "OTF" not in text


def test_sources_that_are_none():
    with pytest.raises(FormatError):
        build_xml(series_of(), "n", "<html/>")
    with pytest.raises(FormatError):
        build_xml(series_of(), "n", "no xml")
    with pytest.raises(UsageError, match="describe 2 images"):
        build_xml(series_of(), "n", FULL, index=2)


def test_names_that_xml_can_not_hold():
    _, ome = built(series_of(channels=(Channel("\udc80\x00a"),) * 3), "b\udcff\x1b.tif")
    assert ome.images[0].name == "b?.tif" and ome.images[0].pixels.channels[0].name == "?a"


def test_no_model_is_needed():
    code = "import sys, bfio.omexml.build; sys.exit(any(n.startswith(('ome_types', 'pydantic')) for n in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("x", "y", "found"),
    [
        ((0.5, "µm"), (0.25, "µm"), (20000, 40000)),
        ((500.0, "nm"), (5.0, "Å"), (20000, 2e7)),
        ((1.0, "in"), (1.0, "mm"), (Fraction(100, 254), 10)),
        ((0.5, "µm"), (None, "µm"), (20000, 20000)),
        ((1.0, "pixel"), (2.0, "µm"), (5000, 5000)),
        ((1.0, "reference frame"), (1.0, "pixel"), None),
        ((None, "µm"), (None, "µm"), None),
        ((1e-30, "µm"), (math.inf, "µm"), None),
        ((math.nan, "µm"), (-1.0, "µm"), None),
    ],
)
def test_resolution_in_pixels_per_centimetre(x, y, found):
    assert pixels_per_centimetre(x, y) == (None if found is None else pytest.approx(tuple(map(float, found))))


def test_slips_of_a_source_are_put_right():
    base = FULL.replace('<ExperimenterRef ID="Experimenter:0"/>', '<ExperimenterRef ID="Experimenter:0"/>' * 2)
    base = base.replace('<Objective ID="Objective:0" Nom', "<Objective Nom").replace(
        '<ROI ID="ROI:0">', '<ROI ID="ROI:0">text'
    )
    base = base.replace("<StructuredAnnotations>", '<Experimenter ID="Experimenter:0"/><StructuredAnnotations>stray')
    text, ome = built(series_of(), "n", base)
    assert "stray" not in text and len(ome.experimenters) == 2 and ome.instruments[0].objectives[0].id == "Objective:0"
    assert ome.images[0].experimenter_ref.id == "Experimenter:0"


def test_random_damage_of_a_source_is_a_format_error_or_none():
    random = np.random.default_rng(1)
    n_built = 0
    for _ in range(300):
        place, length = random.integers(0, len(FULL)), random.integers(0, 12)
        base = (
            FULL[:place] + "".join(random.choice([*'<>"&=/1a.-é\x00'], random.integers(0, 3))) + FULL[place + length :]
        )
        try:
            text = build_xml(series_of(), "n", base)
        except (FormatError, UsageError):
            continue
        n_built += 1
        assert parse(text).images[0].pixels.size_x == 9
    assert n_built > 30

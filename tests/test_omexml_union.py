"""One document of the images of several: every ID once, references that lead where they led, what is common once."""

import numpy as np
import ome_types
import pytest

from bfio import FormatError
from bfio.metadata import Series
from bfio.omexml.build import build_xml
from bfio.omexml.clean import clean_tree
from bfio.omexml.output import to_text
from bfio.omexml.references import each_own
from bfio.omexml.union import one_image, union

HEAD = '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
PIXELS = (
    '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="{x}" SizeY="1" SizeZ="1" SizeC="2" SizeT="1">'
    '<Channel ID="Channel:0:0" SamplesPerPixel="1"/><Channel ID="Channel:0:1" SamplesPerPixel="1"/><MetadataOnly/>'
    "</Pixels>"
)
INSTRUMENT = '<Instrument ID="Instrument:0"><Objective ID="Objective:0" Model="{model}"/></Instrument>'
NOTE = (
    '<StructuredAnnotations><CommentAnnotation ID="Annotation:0" Annotator="Experimenter:0"><Value>{text}</Value>'
    "</CommentAnnotation></StructuredAnnotations>"
)


def document(x=1, model="Plan", text="hello", who="Ada"):
    return (
        f'{HEAD}<Experimenter ID="Experimenter:0" LastName="{who}"/>{INSTRUMENT.format(model=model)}'
        f'<Image ID="Image:0" Name="{x}"><InstrumentRef ID="Instrument:0"/><ObjectiveSettings ID="Objective:0"/>'
        f'{PIXELS.format(x=x)}<AnnotationRef ID="Annotation:0"/></Image>{NOTE.format(text=text)}</OME>'
    )


SHARED = (
    f"{HEAD}<Rights><RightsHolder>all</RightsHolder></Rights>"
    '<Project ID="Project:0"><AnnotationRef ID="Annotation:4"/><DatasetRef ID="Dataset:0"/></Project>'
    '<Dataset ID="Dataset:0"><ImageRef ID="Image:0"/></Dataset><Experimenter ID="Experimenter:0" LastName="Ada"/>'
    '<Instrument ID="Instrument:0"><Objective ID="Objective:0"/></Instrument>'
    '<Instrument ID="Instrument:1"><Objective ID="Objective:1"/></Instrument><Instrument ID="Instrument:2"/>'
    + "".join(
        f'<Image ID="Image:{n}" Name="{n}"><InstrumentRef ID="Instrument:{n % 2}"/>{PIXELS.format(x=n + 1)}'
        f'<ROIRef ID="ROI:{n}"/><AnnotationRef ID="Annotation:{n}"/></Image>'.replace(":0:", f":{n}:")
        for n in range(3)
    )
    + '<StructuredAnnotations><XMLAnnotation ID="Annotation:0"><Value><plain xmlns=""><b/></plain></Value></XMLAnnotation>'
    '<LongAnnotation ID="Annotation:1" Annotator="Experimenter:0"><Value>1</Value><AnnotationRef ID="Annotation:0"/>'
    '</LongAnnotation><TagAnnotation ID="Annotation:2"><Value>c</Value></TagAnnotation>'
    '<TagAnnotation ID="Annotation:3"><Value>of nobody</Value></TagAnnotation>'
    '<TagAnnotation ID="Annotation:4"><Value>of a project</Value></TagAnnotation></StructuredAnnotations>'
    + "".join(f'<ROI ID="ROI:{n}"><Union><Point ID="Shape:{n}" X="1" Y="{n}"/></Union></ROI>' for n in range(3))
    + "</OME>"
)


@pytest.mark.parametrize("index", range(3))
def test_each_image_of_a_document_is_as_one_of_them(index):
    series = Series(0, None, np.dtype("u1"), 1, 2, 1, 1, index + 1)
    apart = [to_text(root) for root in each_own(clean_tree(SHARED))]
    expected = build_xml(series, "name", SHARED, index=index)
    assert build_xml(series, "name", apart[index]) == expected
    assert "of nobody" in expected and "of a project" not in expected and expected.count("<ROI ") == 1


def model(*documents):
    return ome_types.from_xml(union(documents), validate=True)


def test_images_are_numbered():
    ome = model(document(1), document(2), document(3))
    assert [image.id for image in ome.images] == ["Image:0", "Image:1", "Image:2"]
    assert [image.pixels.id for image in ome.images] == ["Pixels:0", "Pixels:1", "Pixels:2"]
    assert [image.pixels.size_x for image in ome.images] == [1, 2, 3]
    assert [c.id for c in ome.images[2].pixels.channels] == ["Channel:2:0", "Channel:2:1"]


def test_what_is_the_same_stands_once():
    ome = model(document(1), document(2))
    assert len(ome.instruments) == len(ome.experimenters) == 1
    assert len(ome.structured_annotations) == 1
    assert [image.instrument_ref.id for image in ome.images] == ["Instrument:0", "Instrument:0"]


def test_what_differs_gets_another_name_and_references_follow():
    ome = model(document(1, model="Plan"), document(2, model="Apo"), document(3, model="Apo"))
    assert [one.objectives[0].model for one in ome.instruments] == ["Plan", "Apo"]
    by_id = {one.id: one.objectives[0].model for one in ome.instruments}
    assert [by_id[image.instrument_ref.id] for image in ome.images] == ["Plan", "Apo", "Apo"]
    objectives = {one.objectives[0].id: one.objectives[0].model for one in ome.instruments}
    assert [objectives[image.objective_settings.id] for image in ome.images] == ["Plan", "Apo", "Apo"]


def test_the_same_text_that_refers_to_something_else_is_not_the_same():
    ome = model(document(1, who="Ada"), document(2, who="Grace"))
    people = {one.id: one.last_name for one in ome.experimenters}
    notes = {note.id: people[note.annotator] for note in ome.structured_annotations}
    assert [notes[image.annotation_refs[0].id] for image in ome.images] == ["Ada", "Grace"]


def test_one_image_and_back():
    documents = [document(1, model="Plan"), document(2, model="Apo")]
    whole = union(documents)
    parts = [one_image(whole, number) for number in range(2)]
    assert [ome_types.from_xml(part).instruments[0].objectives[0].model for part in parts] == ["Plan", "Apo"]
    assert [len(ome_types.from_xml(part).instruments) for part in parts] == [1, 1]
    assert union(parts).count("<Image ") == 2
    with pytest.raises(FormatError, match="no image 2"):
        one_image(whole, 2)


def test_what_is_no_ome_xml():
    for wrong in ("<OME", "<svg/>", ""):
        with pytest.raises(FormatError):
            union([document(), wrong])


def test_the_same_documents_give_the_same_text():
    documents = [document(1), document(2, who="Grace")]
    assert union(documents) == union(documents)

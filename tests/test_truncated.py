"""Files that were cut off between their planes: refused, or read up to there when asked; never fewer planes in silence."""

import os

import numpy as np
import pytest
import tifffile

from bfio import BioReader, Limits
from bfio.errors import FormatError

SALVAGE = Limits(allow_truncated=True)


@pytest.fixture
def image():
    """Ten noisy planes without a zero."""
    return np.random.default_rng(0).integers(1, 200, (10, 32, 32), np.uint8)


def cut(path, image, first_missing, **options):
    """Write planes one after the other, and cut the file in the IFD of one of them."""
    with tifffile.TiffWriter(path, **options) as writer:
        for plane in image:
            writer.write(plane, contiguous=False, compression="zlib", metadata=None)
    with tifffile.TiffFile(path) as file:
        offset = file.pages[first_missing].offset
    os.truncate(path, offset + 10)


def test_a_stack_cut_off_is_refused(tmp_path, image):
    path = tmp_path / "a.tif"
    cut(path, image, 6)
    with pytest.raises(FormatError, match="allow_truncated"):
        BioReader(path)


def test_a_stack_cut_off_is_read_up_to_there_when_asked(tmp_path, image, caplog):
    path = tmp_path / "a.tif"
    cut(path, image, 6)
    with BioReader(path, limits=SALVAGE) as reader:
        assert reader.T == 6
        np.testing.assert_array_equal(np.moveaxis(reader[:].squeeze(), -1, 0), image[:6])
    assert "planes before it" in caplog.text


def ome_xml_first(path, image):
    """An OME-TIFF whose OME-XML stands before all planes, as writers do that know the sizes beforehand."""
    n, y, x = image.shape
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="{x}" SizeY="{y}" SizeZ="{n}" SizeC="1" '
        f'SizeT="1"><Channel ID="Channel:0" SamplesPerPixel="1"/><TiffData IFD="0" PlaneCount="{n}"/></Pixels></Image></OME>'
    )
    with tifffile.TiffWriter(path) as writer:
        for number, plane in enumerate(image):
            writer.write(plane, contiguous=False, metadata=None, description=xml if number == 0 else None)
    with tifffile.TiffFile(path) as file:
        return [page.offset for page in file.pages]


def test_an_ome_tiff_cut_off_never_gives_zeros(tmp_path, image):
    path = tmp_path / "a.ome.tif"
    offsets = ome_xml_first(path, image)
    os.truncate(path, offsets[6] + 10)
    with pytest.raises(FormatError, match="allow_truncated"):
        BioReader(path)
    with BioReader(path, limits=SALVAGE) as reader:
        assert reader.Z == 10
        np.testing.assert_array_equal(reader[:, :, 5], image[5])
        with pytest.raises(FormatError, match="IFD 6"):
            reader[:, :, 7]


def test_planes_that_were_never_written_read_as_zeros_with_a_warning(tmp_path, image, caplog):
    path = tmp_path / "a.ome.tif"
    xml_of_ten = ome_xml_first(path, image)
    assert len(xml_of_ten) == 10
    with tifffile.TiffFile(path) as file:
        xml = file.pages[0].description
    with tifffile.TiffWriter(path) as writer:
        for number, plane in enumerate(image[:7]):
            writer.write(plane, contiguous=False, metadata=None, description=xml if number == 0 else None)
    with BioReader(path) as reader:
        assert reader.Z == 10
        np.testing.assert_array_equal(reader[:, :, 6], image[6])
        assert not reader[:, :, 8].any()
    assert "3 of 10 planes are not there" in caplog.text

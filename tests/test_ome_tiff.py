"""OME-TIFF: dimension orders, TiffData, channels, several images, levels, several files, broken metadata."""

import itertools
import logging

import numpy as np
import pytest
import tifffile
from ome_files import document, image_xml, in_order, pixels, tczyx, tiff_data, write_pages

from bfio import BioReader
from bfio.errors import FormatError

ORDERS = ["XY" + "".join(axes) for axes in itertools.permutations("ZCT")]
UUIDS = [f"urn:uuid:00000000-0000-0000-0000-00000000000{i}" for i in range(4)]


def check(path, image, **options):
    with BioReader(path, **options) as reader:
        assert reader.dtype == image.dtype
        assert image.shape == (reader.T, reader.C, reader.Z, reader.Y, reader.X)
        np.testing.assert_array_equal(tczyx(reader), image)


@pytest.mark.parametrize("blocks", ["", tiff_data(), tiff_data(ifd=0, plane_count=24)])
@pytest.mark.parametrize("order", ORDERS)
def test_dimension_orders(tmp_path, order, blocks):
    image = pixels(1, 2, 3, 4, 10, 12)
    write_pages(tmp_path / "a.ome.tif", in_order(image, order), document(image_xml(image, blocks, order=order)))
    check(tmp_path / "a.ome.tif", image)


@pytest.mark.parametrize("order", ORDERS)
def test_as_tifffile_writes_them(tmp_path, order):
    image = pixels(1, 2, 3, 4, 10, 12)
    axes = order[:1:-1] + "YX"
    data = image.transpose(*("TCZYX".index(axis) for axis in axes))
    tifffile.imwrite(
        tmp_path / "a.ome.tif", data, metadata={"axes": axes}, photometric="minisblack", compression="zlib"
    )
    check(tmp_path / "a.ome.tif", image)


def test_planes_in_any_place(tmp_path):
    image = pixels(2, 2, 3, 2, 10, 12)
    shuffled = np.random.default_rng(0).permutation(12)
    planes, pages = in_order(image), [None] * 12
    blocks = ""
    for number, place in enumerate(shuffled.tolist()):
        t, c, z = number // 6, number // 2 % 3, number % 2
        pages[place] = planes[number]
        blocks += tiff_data(ifd=place, plane_count=1, FirstT=t, FirstC=c, FirstZ=z)
    write_pages(tmp_path / "a.ome.tif", pages, document(image_xml(image, blocks)))
    check(tmp_path / "a.ome.tif", image)
    with BioReader(tmp_path / "a.ome.tif") as reader:
        np.testing.assert_array_equal(reader[:, :, 1, [2, 0], 1], image[1, [2, 0], 1].transpose(1, 2, 0)[:, :, None])


def test_planes_that_nobody_names_are_zero(tmp_path):
    image = pixels(2, 1, 1, 4, 10, 12)
    blocks = tiff_data(ifd=0, FirstZ=0) + tiff_data(ifd=1, FirstZ=2)
    write_pages(tmp_path / "a.ome.tif", image[0, 0, [0, 2]], document(image_xml(image, blocks)))
    image[0, 0, [1, 3]] = 0
    check(tmp_path / "a.ome.tif", image)


@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
@pytest.mark.parametrize("order", ["XYCZT", "XYZCT"])
def test_rgb_planes(tmp_path, order, planarconfig):
    image = pixels(3, 2, 6, 2, 10, 12, dtype="u1")
    planes = in_order(image, order, samples=3)
    if planarconfig == "separate":
        planes = planes.transpose(0, 3, 1, 2)
    xml = document(image_xml(image, tiff_data(), order=order, samples=3, names=["one", "two"]))
    write_pages(tmp_path / "a.ome.tif", planes, xml, planarconfig=planarconfig)
    check(tmp_path / "a.ome.tif", image)
    with BioReader(tmp_path / "a.ome.tif") as reader:
        assert reader.series[0].samples == 3
        assert [channel.name for channel in reader.series[0].channels] == ["one", "two"]
        np.testing.assert_array_equal(
            reader[2:8, ::2, 1, [4, 1], 0], image[0, [4, 1], 1, 2:8, ::2].transpose(1, 2, 0)[:, :, None]
        )


def test_names_and_sizes(tmp_path):
    image = pixels(4, 1, 3, 1, 10, 12)
    xml = document(
        image_xml(
            image, tiff_data(), names=["DAPI", "GFP & <RFP>", "µ"], PhysicalSizeX=0.5, PhysicalSizeY=250, PhysicalSizeYUnit="nm",
            PhysicalSizeZ=2,
        )
    )  # fmt: skip
    write_pages(tmp_path / "a.ome.tif", image[0, :, 0], xml)
    with BioReader(tmp_path / "a.ome.tif") as reader:
        assert reader.cnames == ["DAPI", "GFP & <RFP>", "µ"]
        assert [(size[0], size[1].value) for size in (reader.ps_x, reader.ps_y, reader.ps_z)] == [
            (0.5, "µm"),
            (250.0, "nm"),
            (2.0, "µm"),
        ]
        assert reader.metadata.images[0].pixels.size_c == 3
        assert reader.metadata.images[0].pixels.channels[1].name == "GFP & <RFP>"


def test_several_images(tmp_path):
    images = [pixels(5, 1, 2, 2, 10, 12), pixels(6, 3, 1, 1, 20, 8, dtype="u1"), pixels(7, 1, 1, 1, 5, 5, dtype="f4")]
    pages, elements = [], []
    for index, image in enumerate(images):
        n_planes = image.shape[0] * image.shape[1] * image.shape[2]
        elements.append(image_xml(image, tiff_data(ifd=len(pages), plane_count=n_planes), index=index))
        pages += list(in_order(image))
    write_pages(tmp_path / "a.ome.tif", pages, document(*elements))
    for index, image in enumerate(images):
        check(tmp_path / "a.ome.tif", image, series=index)
    with BioReader(tmp_path / "a.ome.tif") as reader:
        assert [series.name for series in reader.series] == ["image 0", "image 1", "image 2"]
        assert len(reader.metadata.images) == 3


@pytest.mark.parametrize(
    "options", [{}, {"tile": (16, 16), "compression": "zlib", "predictor": True}, {"bigtiff": True, "byteorder": ">"}]
)
def test_levels_of_every_plane(tmp_path, options):
    image = pixels(8, 2, 3, 2, 64, 48)
    xml = document(image_xml(image, tiff_data(), order="XYCZT", PhysicalSizeX=0.5))
    write_pages(tmp_path / "a.ome.tif", in_order(image, "XYCZT"), xml, levels=2, **options)
    for level, step in enumerate((1, 2, 4)):
        check(tmp_path / "a.ome.tif", image[..., ::step, ::step], level=level)
        with BioReader(tmp_path / "a.ome.tif", level=level) as reader:
            assert [(entry.size_y, entry.size_x) for entry in reader.levels] == [(64, 48), (32, 24), (16, 12)]
            assert reader.ps_x[0] == 0.5 * step
            np.testing.assert_array_equal(reader[:, :, 1, 2, 1], image[1, 2, 1, ::step, ::step])


def test_a_plane_that_lacks_a_level(tmp_path):
    image = pixels(8, 1, 1, 2, 64, 48)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        common = {"metadata": None, "photometric": "minisblack"}
        file.write(image[0, 0, 0], description=document(image_xml(image, tiff_data())).encode(), subifds=1, **common)
        file.write(image[0, 0, 0, ::2, ::2], subfiletype=1, **common)
        file.write(image[0, 0, 1], **common)
    check(tmp_path / "a.ome.tif", image)
    with BioReader(tmp_path / "a.ome.tif", level=1) as reader:
        np.testing.assert_array_equal(reader[:, :, 0], image[0, 0, 0, ::2, ::2])
        with pytest.raises(FormatError, match="plane 1 has no resolution level 1"):
            reader[:, :, 1]


def write_set(folder, image, *, master=True):
    """One file per channel; each has the whole document (or only the first one)."""
    names = [f"c{c}.ome.tif" for c in range(image.shape[1])]
    blocks = "".join(
        tiff_data(ifd=0, plane_count=image.shape[2], uuid=UUIDS[c], file_name=names[c], FirstC=c)
        for c in range(len(names))
    )
    for c, name in enumerate(names):
        xml = document(image_xml(image, blocks), uuid=UUIDS[c])
        write_pages(folder / name, image[0, c], xml if master or c == 0 else None)
    return [folder / name for name in names]


def test_several_files(tmp_path):
    image = pixels(9, 1, 3, 4, 10, 12)
    for path in write_set(tmp_path, image):
        check(path, image)


def test_several_files_of_which_one_has_the_document(tmp_path):
    image = pixels(9, 1, 3, 4, 10, 12)
    first, *_ = write_set(tmp_path, image, master=False)
    check(first, image)


def test_a_missing_file_is_named_and_never_zeros(tmp_path):
    image = pixels(9, 1, 3, 4, 10, 12)
    first, second, third = write_set(tmp_path, image)
    second.unlink()
    for path, c in ((first, 0), (third, 2)):
        with BioReader(path) as reader:
            assert reader.C == 3
            np.testing.assert_array_equal(reader[:, :, :, c].squeeze(), image[0, c].transpose(1, 2, 0))
            np.testing.assert_array_equal(reader[:, :, 2, [0, 2]].squeeze(), image[0, [0, 2], 2].transpose(1, 2, 0))
            for key in (np.s_[:], np.s_[:, :, 0, 1]):
                with pytest.raises(FileNotFoundError, match=r"c1\.ome\.tif"):
                    reader[key]


def test_a_broken_file_of_the_set_is_named(tmp_path):
    image = pixels(9, 1, 3, 4, 10, 12)
    first, second, _ = write_set(tmp_path, image)
    second.write_bytes(b"no TIFF at all")
    with BioReader(first) as reader:
        np.testing.assert_array_equal(reader[:, :, 0, 2], image[0, 2, 0])
        with pytest.raises(FormatError, match=r"c1\.ome\.tif"):
            reader[:, :, 0, 1]


def test_a_renamed_file_is_known_by_its_uuid(tmp_path):
    image = pixels(9, 1, 3, 4, 10, 12)
    first, *_ = write_set(tmp_path, image)
    renamed = first.rename(tmp_path / "other name.ome.tif")
    check(renamed, image)


def test_a_renamed_single_file(tmp_path):
    image = pixels(9, 1, 1, 4, 10, 12)
    blocks = tiff_data(ifd=0, plane_count=4, uuid=UUIDS[0], file_name="before.ome.tif")
    write_pages(tmp_path / "after.ome.tif", image[0, 0], document(image_xml(image, blocks), uuid=UUIDS[0]))
    check(tmp_path / "after.ome.tif", image)


@pytest.mark.parametrize("name", ["../outside.ome.tif", "/etc/passwd", "a/../../outside.ome.tif"])
def test_files_outside_of_the_folder_are_refused(tmp_path, name):
    image = pixels(9, 1, 2, 1, 10, 12)
    (tmp_path / "inside").mkdir()
    write_pages(tmp_path / "outside.ome.tif", image[0, 1], document(image_xml(image)))
    blocks = tiff_data(ifd=0) + tiff_data(ifd=0, FirstC=1, uuid=UUIDS[1], file_name=name)
    write_pages(tmp_path / "inside" / "a.ome.tif", image[0, 0], document(image_xml(image, blocks), uuid=UUIDS[0]))
    with BioReader(tmp_path / "inside" / "a.ome.tif") as reader:
        np.testing.assert_array_equal(reader[:, :, 0, 0], image[0, 0, 0])
        with pytest.raises(FormatError):
            reader[:, :, 0, 1]


def test_companion(tmp_path, caplog):
    image = pixels(10, 1, 2, 3, 10, 12)
    blocks = "".join(
        tiff_data(ifd=0, plane_count=3, uuid=UUIDS[c + 1], file_name=f"c{c}.ome.tif", FirstC=c) for c in range(2)
    )
    companion = tmp_path / "set.companion.ome"
    companion.write_text(document(image_xml(image, blocks, names=["a", "b"]), uuid=UUIDS[0]), encoding="utf-8")
    for c in range(2):
        only = document(f'<BinaryOnly MetadataFile="set.companion.ome" UUID="{UUIDS[0]}"/>', uuid=UUIDS[c + 1])
        write_pages(tmp_path / f"c{c}.ome.tif", image[0, c], only)
    for c in range(2):
        check(tmp_path / f"c{c}.ome.tif", image)
    renamed = (tmp_path / "c0.ome.tif").rename(tmp_path / "renamed.ome.tif")
    check(renamed, image)
    with BioReader(tmp_path / "c1.ome.tif") as reader:
        with pytest.raises(FileNotFoundError, match=r"c0\.ome\.tif"):
            reader[:]
        assert reader.cnames == ["a", "b"] and reader.metadata.images[0].pixels.size_c == 2
    companion.unlink()
    with caplog.at_level(logging.WARNING, "bfio"):
        check(tmp_path / "c1.ome.tif", image[0, 1][:, None, None])
    assert "set.companion.ome" in caplog.text


@pytest.mark.parametrize(
    "spoil",
    [
        lambda xml: xml.replace("</Pixels>", ""),
        lambda xml: xml.replace('SizeX="12"', 'SizeX="twelve"'),
        lambda xml: xml.replace("<Image", "<Imago").replace("</Image", "</Imago"),
        lambda xml: xml.replace('IFD="0"', 'IFD="99"'),
    ],
)
def test_broken_xml_falls_back_to_the_pages(tmp_path, caplog, spoil):
    image = pixels(11, 3, 1, 1, 10, 12)
    xml = spoil(document(image_xml(image, tiff_data(ifd=0))))
    write_pages(tmp_path / "a.ome.tif", image[:, 0, 0], xml)
    with caplog.at_level(logging.WARNING, "bfio"):
        check(tmp_path / "a.ome.tif", image)
    assert "a.ome.tif" in caplog.text and "OME-XML" in caplog.text
    with BioReader(tmp_path / "a.ome.tif") as reader:
        assert reader.metadata.images[0].pixels.size_x == 12
        assert reader.metadata.images[0].pixels.size_t == 3


def test_an_ifd_that_is_not_in_a_sibling(tmp_path):
    image = pixels(12, 1, 2, 1, 10, 12)
    blocks = tiff_data(ifd=0) + tiff_data(ifd=5, FirstC=1, plane_count=1, uuid=UUIDS[1], file_name="b.ome.tif")
    write_pages(tmp_path / "a.ome.tif", image[0, 0], document(image_xml(image, blocks), uuid=UUIDS[0]))
    write_pages(tmp_path / "b.ome.tif", image[0, 1], document(image_xml(image, blocks), uuid=UUIDS[1]))
    with BioReader(tmp_path / "a.ome.tif") as reader:
        np.testing.assert_array_equal(reader[:, :, 0, 0], image[0, 0, 0])
        with pytest.raises(FormatError, match="IFD 5"):
            reader[:, :, 0, 1]


def test_the_only_block_names_an_ifd_that_a_sibling_lacks(tmp_path):
    image = pixels(12, 1, 1, 1, 10, 12)
    blocks = tiff_data(ifd=5, plane_count=1, uuid=UUIDS[1], file_name="b.ome.tif")
    for name, uuid in (("a.ome.tif", UUIDS[0]), ("b.ome.tif", UUIDS[1])):
        write_pages(tmp_path / name, image[0, 0], document(image_xml(image, blocks), uuid=uuid))
    check(tmp_path / "a.ome.tif", image)


def test_planes_of_different_sizes_are_refused(tmp_path):
    image = pixels(13, 1, 1, 2, 10, 12)
    write_pages(tmp_path / "a.ome.tif", [image[0, 0, 0], image[0, 0, 1, :5]], document(image_xml(image, tiff_data())))
    with BioReader(tmp_path / "a.ome.tif") as reader:
        np.testing.assert_array_equal(reader[:, :, 0], image[0, 0, 0])
        with pytest.raises(FormatError, match=r"plane \(0, 0, 1\)"):
            reader[:]


def test_pixels_outrank_the_xml(tmp_path):
    image, lie = pixels(14, 1, 1, 2, 10, 12), pixels(14, 1, 1, 2, 11, 99, dtype="u1")
    write_pages(tmp_path / "a.ome.tif", image[0, 0], document(image_xml(lie, tiff_data())))
    check(tmp_path / "a.ome.tif", image)

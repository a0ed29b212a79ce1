"""Where each plane is: the rules of the OME-TIFF specification, checked by hand and against tifffile."""

from __future__ import annotations

import io
import itertools
import logging
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from bfio.errors import FormatError, LimitError
from bfio.limits import Limits
from bfio.metadata import Channel
from bfio.omexml import FileRef, OmePixels, PlaneMap, TiffDataBlock, channel_planes, parse, plane_map

ORDERS = ["XY" + "".join(order) for order in itertools.permutations("ZCT")]
UNKNOWN = (None, "µm")


def pixels(
    t: int = 1,
    c: int = 1,
    z: int = 1,
    *blocks: TiffDataBlock,
    order: str = "XYZCT",
    channels: tuple[Channel, ...] = (),
) -> OmePixels:
    sizes = {"size_x": 2, "size_y": 2, "size_z": z, "size_c": c, "size_t": t}
    return OmePixels(
        order, "uint16", big_endian=None, interleaved=None, significant_bits=None, physical_size_x=UNKNOWN,
        physical_size_y=UNKNOWN, physical_size_z=UNKNOWN, channels=channels, tiff_data=blocks, **sizes,
    )  # fmt: skip


def block(ifd: int | None = None, count: int | None = None, **where: int | str) -> TiffDataBlock:
    return TiffDataBlock(ifd=ifd, plane_count=count, **where)  # type: ignore[arg-type]


def ifds(found: PlaneMap) -> list[int]:
    assert ((found.file < 0) == (found.ifd < 0)).all()
    return [int(ifd) for ifd in found.ifd.ravel()]


@pytest.mark.parametrize("blocks", [(), (block(),), (block(0, 24),), (block(count=24),), (block(0, 0),)])
@pytest.mark.parametrize("order", ORDERS)
def test_all_planes_in_each_order(order: str, blocks: tuple[TiffDataBlock, ...]) -> None:
    found = plane_map(pixels(2, 3, 4, *blocks, order=order), 24)
    size = {"T": 2, "C": 3, "Z": 4}
    expected = np.arange(24).reshape([size[axis] for axis in order[:1:-1]])
    expected = np.einsum(f"{order[:1:-1].lower()}->tcz", expected)
    assert found.ifd.shape == (2, 3, 4)
    assert found.ifd.dtype == found.file.dtype == np.int32
    assert (found.ifd == expected).all()
    assert (found.file == 0).all()
    assert found.files == (None,)


@pytest.mark.parametrize(
    ("blocks", "n_ifds", "expected"),
    [
        ([block(1)], 9, [1, -1, -1, -1]),  # IFD given: one plane
        ([block(first_z=2)], 9, [-1, -1, 0, 1]),  # IFD not given: all, from IFD 0
        ([block(first_z=1)], 2, [-1, 0, 1, -1]),
        ([block(3, 2, first_z=1)], 9, [-1, 3, 4, -1]),
        ([block(0, 100)], 9, [0, 1, 2, 3]),  # PlaneCount overruns the image
        ([block(2, 4)], 4, [2, 3, -1, -1]),  # and the file
        ([block(7), block(1, first_z=1)], 4, [-1, 1, -1, -1]),  # IFD beyond the file
        ([block(0, 4), block(8, first_z=2)], 9, [0, 1, 8, 3]),  # the later one wins
        ([block(8, first_z=2), block(0, 4)], 9, [0, 1, 2, 3]),
        ([block(5), block(6)], 9, [6, -1, -1, -1]),
        ([block(5), block(9)], 9, [5, -1, -1, -1]),  # but not one that is not there
        ([block(0, first_z=9), block(1, first_z=1)], 9, [-1, 1, -1, -1]),  # outside: ignored
        ([block(0, first_z=9)], 9, [-1, -1, -1, -1]),
        ([block(i, first_z=i + 1) for i in range(4)], 9, [0, 1, 2, 3]),  # counted from 1
        ([block()], 2, [0, 1, -1, -1]),
        ([], 3, [0, 1, 2, -1]),
        ([], 0, [-1, -1, -1, -1]),
    ],
)
def test_blocks(blocks: list[TiffDataBlock], n_ifds: int, expected: list[int]) -> None:
    assert ifds(plane_map(pixels(1, 1, 4, *blocks), n_ifds)) == expected


def test_one_block_per_plane_in_any_sequence() -> None:
    where = [(t, c, z) for t in range(2) for c in range(3) for z in range(4)]
    ifd_of = dict(zip(where, np.random.default_rng(0).permutation(24).tolist(), strict=True))
    blocks = [block(ifd, 1, first_t=t, first_c=c, first_z=z) for (t, c, z), ifd in ifd_of.items()]
    for order in ORDERS:
        found = plane_map(pixels(2, 3, 4, *blocks, order=order), 24)
        assert all(found.ifd[at] == ifd for at, ifd in ifd_of.items())


def test_an_image_without_tiff_data_may_start_later() -> None:
    assert ifds(plane_map(pixels(1, 1, 3), 9, first_ifd=4)) == [4, 5, 6]
    assert ifds(plane_map(pixels(1, 1, 3), 6, first_ifd=4)) == [4, 5, -1]


RGB, GREY = Channel(samples=3), Channel()


@pytest.mark.parametrize(
    ("size_c", "channels", "samples", "planes"),
    [
        (3, (GREY, GREY, GREY), 1, 3),
        (3, (), 1, 3),
        (3, (RGB,), 3, 1),
        (6, (RGB, RGB), 3, 2),
        (4, (RGB, GREY), 3, 2),  # mixed, as the schema allows
        (3, (GREY, GREY, GREY), 3, 1),  # SamplesPerPixel left out, SizeC counts samples
        (1, (GREY,), 3, 1),  # SizeC counts planes
        (2, (GREY, GREY), 3, 2),
        (3, (RGB,), 1, 3),  # the pages are right, not the channels
        (3, (RGB,), None, 1),
        (6, (RGB,), None, 2),
        (3, (GREY,), None, 3),
        (4, (), None, 4),
    ],
)
def test_channel_planes(size_c: int, channels: tuple[Channel, ...], samples: int | None, planes: int) -> None:
    image = pixels(1, size_c, 2, channels=channels)
    assert channel_planes(image, samples) == planes
    assert plane_map(image, 99, samples=samples).ifd.shape == (1, planes, 2)


def test_first_c_counted_in_samples() -> None:
    blocks = [block(7, first_c=0), block(8, first_c=3), block(9, first_c=6)]
    assert ifds(plane_map(pixels(1, 9, 1, *blocks, channels=(RGB,) * 3), 99)) == [7, 8, 9]


A, B, C = (FileRef(f"urn:uuid:{name}", f"{name}.ome.tif") for name in "abc")


def in_file(ref: FileRef, ifd: int | None = None, count: int | None = None, **where: int) -> TiffDataBlock:
    return block(ifd, count, uuid=ref.uuid, file_name=ref.file_name, **where)  # type: ignore[arg-type]


@pytest.mark.parametrize("own", [A, FileRef(A.uuid, "renamed.tif"), FileRef(None, "A.OME.tif"), FileRef(A.uuid)])
def test_several_files(own: FileRef) -> None:
    blocks = [in_file(A, 0, 1), in_file(B, 0, 1, first_z=1), in_file(C, 5, 2, first_z=2), block(1, first_z=4)]
    found = plane_map(pixels(1, 1, 5, *blocks), 2, own=own)
    assert found.files == (None, B, C)
    assert found.file.ravel().tolist() == [0, 1, 2, 2, 0]
    assert ifds(found) == [0, 0, 5, 6, 1]


def test_companion_file() -> None:
    found = plane_map(pixels(1, 1, 3, in_file(A), in_file(B, first_z=1)), 0, own=FileRef(None, "x.companion.ome"))
    assert found.files == (None, A, B)
    assert found.file.ravel().tolist() == [1, 2, 2]
    assert ifds(found) == [0, 0, 1]


def test_length_of_other_files() -> None:
    image = pixels(1, 1, 6, in_file(B), in_file(C, 1, 9, first_z=3))
    assert ifds(plane_map(image, 0)) == [0, 1, 2, 1, 2, 3]
    assert ifds(plane_map(image, 0, others={B: 1, C: 3})) == [0, -1, -1, 1, 2, -1]
    # all of B is listed first and is longer than the gap: the later block wins all the same
    assert ifds(plane_map(image, 0, others={B: 5, C: 3})) == [0, 1, 2, 1, 2, -1]


def test_one_uuid_for_all_files() -> None:
    refs = [FileRef("urn:uuid:same", name) for name in ("a.tif", "b.tif")]
    image = pixels(1, 1, 2, in_file(refs[0], 0), in_file(refs[1], 0, first_z=1))
    found = plane_map(image, 1, own=FileRef("urn:uuid:same", "b.tif"))
    assert found.file.ravel().tolist() == [1, 0]
    assert found.files == (None, refs[0])


def test_too_many_planes() -> None:
    with pytest.raises(LimitError, match="planes"):
        plane_map(pixels(2**30, 2**30, 2**30), 1)
    with pytest.raises(LimitError, match="101 planes"):
        plane_map(pixels(101), 1, limits=Limits(ifd_count=100))


def test_endless_overlap_is_refused() -> None:
    with pytest.raises(FormatError, match="too many times"):
        plane_map(pixels(100_000, 1, 1, *[block(0, 2**31 - 1)] * 100_000), 100_000)


def test_many_planes_are_quick() -> None:
    start = time.process_time()
    found = plane_map(pixels(100, 10, 100, block(0, 100_000), order="XYCTZ"), 100_000)
    assert time.process_time() - start < 0.1  # 2 ms
    assert found.ifd[-1, -1, -1] == 99_999
    blocks = [block(i, 1, first_z=i) for i in range(100_000)]
    start = time.process_time()
    found = plane_map(pixels(1, 1, 100_000, *blocks), 100_000)
    assert time.process_time() - start < 1.0  # 0.1 s
    assert (np.diff(found.ifd.ravel()) == 1).all()


# --- against tifffile -------------------------------------------------------------------------------------------------


def read_by_map(file: tifffile.TiffFile, found: PlaneMap) -> np.ndarray:
    """Planes as the map says, in the order TCZ..., zeros where there is none."""
    shape = file.pages[0].asarray().shape
    out = np.zeros((*found.ifd.shape, *shape), file.pages[0].dtype)
    for at in np.ndindex(found.ifd.shape):
        if found.ifd[at] >= 0:
            out[at] = file.pages[int(found.ifd[at])].asarray()
    return out


def series_as_tcz(file: tifffile.TiffFile) -> np.ndarray:
    series = (file.series(squeeze=False) if callable(file.series) else file.series)[0]  # callable from 2026.11 on
    assert series.kind == "ome"
    axes = series.get_axes(squeeze=False) if hasattr(series, "get_axes") else series.axes
    data = series.asarray(squeeze=False)
    order = [axes.index(axis) for axis in "TCZ"]
    order += [i for i in range(len(axes)) if i not in order]
    return data.transpose(order).squeeze(tuple(i for i in range(3, data.ndim) if data.shape[i] == 1))


@pytest.mark.parametrize(
    "axes", ["YX", "ZYX", "CYX", "TZYX", "TCYX", "TZCYX", "CTZYX", "ZTCYX", "CZTYX", "TCZYXS", "ZCYXS", "CSYX", "SYX"]
)
def test_files_of_tifffile(axes: str) -> None:
    size = {"T": 2, "C": 3, "Z": 4, "Y": 5, "X": 7, "S": 3}
    shape = tuple(size[axis] for axis in axes)
    data = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    stream = io.BytesIO()
    photometric = "rgb" if "S" in axes else "minisblack"
    tifffile.imwrite(stream, data, ome=True, metadata={"axes": axes}, photometric=photometric)
    stream.seek(0)
    with tifffile.TiffFile(stream) as file:
        assert file.ome_metadata
        image = parse(file.ome_metadata).images[0].pixels
        samples = file.pages[0].samplesperpixel
        found = plane_map(image, len(file.pages), samples=samples)
        assert found.ifd.shape == tuple(size[axis] if axis in axes else 1 for axis in "TCZ")
        got = read_by_map(file, found)
        rest = [axis for axis in axes if axis not in "TCZ"]
        source = "".join(axes).lower()
        outer = "".join(axis for axis in "TCZ" if axis in axes).lower()
        expected = np.einsum(f"{source}->{outer}{''.join(rest).lower()}", data)
        assert (got.reshape(expected.shape) == expected).all()
        assert image.type == "uint16"


def ome_tiff(n_pages: int, xml: str) -> io.BytesIO:
    """Pages of 1 x 2 pixels whose value is 1 + the index of the page."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, ome=False) as writer:
        for index in range(n_pages):
            plane = np.full((1, 2), index + 1, np.uint16)
            writer.write(plane, description=xml if index == 0 else None, metadata=None, contiguous=False)
    stream.seek(0)
    return stream


@st.composite
def layouts(draw: st.DrawFn) -> tuple[int, str]:
    """Number of pages, and an OME-XML whose blocks may lack attributes, overlap, overrun and lie outside."""
    t, c, z = (draw(st.integers(1, 3)) for _ in range(3))
    n_pages = draw(st.integers(1, t * c * z + 2))
    blocks = []
    for _ in range(draw(st.integers(1, 6))):
        attributes = {
            "IFD": st.integers(0, n_pages + 1), "PlaneCount": st.integers(0, t * c * z + 2),
            # index 0 is always possible, so that nothing here looks as if counted from 1
            "FirstZ": st.integers(0, z - 1), "FirstC": st.integers(0, c - 1), "FirstT": st.integers(0, t - 1),
        }  # fmt: skip
        chosen = {name: draw(values) for name, values in attributes.items() if draw(st.booleans())}
        blocks.append("<TiffData " + " ".join(f'{name}="{value}"' for name, value in chosen.items()) + "/>")
    order = draw(st.sampled_from(ORDERS))
    return n_pages, (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        f'DimensionOrder="{order}" Type="uint16" SizeX="2" SizeY="1" SizeZ="{z}" SizeC="{c}" SizeT="{t}">'
        f"{''.join(blocks)}</Pixels></Image></OME>"
    )


@settings(max_examples=200, deadline=None)
@given(layouts())
def test_any_blocks_as_tifffile_reads_them(layout: tuple[int, str]) -> None:
    n_pages, xml = layout
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    found = plane_map(parse(xml).images[0].pixels, n_pages)
    with tifffile.TiffFile(ome_tiff(n_pages, xml)) as file:
        if (found.ifd < 0).all():
            assert file.series[0].kind != "ome"  # tifffile knows no series without pages
            return
        expected = series_as_tcz(file)
        assert (read_by_map(file, found).reshape(expected.shape) == expected).all()


def test_files_of_tifffile_with_several_images(tmp_path: Path) -> None:
    path = tmp_path / "several.ome.tif"
    images = [np.full((n, 4, 4), n, np.uint8) for n in (2, 3, 1)]
    with tifffile.TiffWriter(path, ome=True) as writer:
        for image in images:
            writer.write(image, metadata={"axes": "ZYX"}, photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        document = parse(file.ome_metadata or "")
        for image, expected in zip(document.images, images, strict=True):
            found = plane_map(image.pixels, len(file.pages), own=FileRef(document.uuid, path.name))
            assert found.files == (None,)
            assert (read_by_map(file, found).reshape(expected.shape) == expected).all()

"""Images at URLs and in file objects: the same pixels as from a local file, with few requests."""

import io
import pickle

import fsspec
import numpy as np
import pytest
import tifffile
from ome_files import document, image_xml, pixels, tczyx, tiff_data, write_pages

from bfio import BioReader
from bfio.errors import BfioError

UUIDS = [f"urn:uuid:00000000-0000-0000-0000-00000000000{i}" for i in range(2)]


@pytest.fixture
def image():
    return pixels(1, 1, 2, 1, 512, 384)


@pytest.fixture
def pyramid(tmp_path, image):
    options = {"tile": (64, 64), "compression": "zlib"}
    write_pages(tmp_path / "a.ome.tif", image[0, :, 0], document(image_xml(image, tiff_data())), levels=2, **options)
    return tmp_path / "a.ome.tif"


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "lzma", "png"])
@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_pixels_over_http(tmp_path, http_server, image, compression, tile):
    plane = image[0, 0, 0]
    byteorder = "<" if compression == "png" else ">"
    tifffile.imwrite(
        tmp_path / "a.tif", plane, tile=tile, compression=compression, rowsperstrip=10, byteorder=byteorder
    )
    with BioReader(http_server(tmp_path).url + "/a.tif", max_workers=2) as reader:
        np.testing.assert_array_equal(reader[:], plane)
        np.testing.assert_array_equal(reader[100:300:7, 350:2:-1], plane[100:300:7, 350:2:-1])
        np.testing.assert_array_equal(reader.read(dtype="f4"), plane.astype("f4"))


def test_every_level_over_http(pyramid, http_server, image):
    server = http_server(pyramid.parent)
    for level, step in enumerate((1, 2, 4)):
        with BioReader(server.url + "/a.ome.tif", level=level) as reader:
            np.testing.assert_array_equal(tczyx(reader), image[..., ::step, ::step])


def test_opening_and_reading_take_few_requests(pyramid, http_server, image):
    server = http_server(pyramid.parent)
    with BioReader(server.url + "/a.ome.tif", max_workers=2) as reader:
        opened = len(server.log)
        assert opened <= 12
        np.testing.assert_array_equal(tczyx(reader), image)
        whole = len(server.log) - opened
    assert whole <= 10, "96 tiles that lie side by side should come in a few requests"
    assert server.bytes_sent < 4 * pyramid.stat().st_size


def test_a_region_takes_its_own_bytes_only(tmp_path, http_server):
    plane = np.random.default_rng(0).integers(0, 2**16, (4096, 2048), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", plane, tile=(256, 256))
    server = http_server(tmp_path)
    with BioReader(server.url + "/a.tif") as reader:
        reader[:4, :4]
        before, n_before = server.bytes_sent, len(server.log)
        np.testing.assert_array_equal(reader[3000:3100, 1000:1500], plane[3000:3100, 1000:1500])
        assert len(server.log) - n_before <= 6
        assert server.bytes_sent - before < 4 << 20
    assert server.bytes_sent < plane.nbytes // 2


def test_siblings_over_http(tmp_path, http_server, image):
    names = ["c0.ome.tif", "c 1.ome.tif"]
    blocks = "".join(tiff_data(ifd=0, plane_count=1, uuid=UUIDS[c], file_name=names[c], FirstC=c) for c in range(2))
    for c, name in enumerate(names):
        write_pages(tmp_path / name, image[0, c], document(image_xml(image, blocks), uuid=UUIDS[c]))
    server = http_server(tmp_path)
    with BioReader(server.url + "/c0.ome.tif") as reader:
        np.testing.assert_array_equal(tczyx(reader), image)
    (tmp_path / names[1]).unlink()
    with BioReader(server.url + "/c0.ome.tif") as reader:
        np.testing.assert_array_equal(reader[:, :, 0, 0], image[0, 0, 0])
        with pytest.raises(FileNotFoundError, match=r"c.*1\.ome\.tif"):
            reader[:, :, 0, 1]


def test_what_is_not_there(tmp_path, http_server):
    with pytest.raises(FileNotFoundError, match="nothing.tif"):
        BioReader(http_server(tmp_path).url + "/nothing.tif")


def test_a_connection_that_is_cut_once(pyramid, http_server, image):
    server = http_server(pyramid.parent)
    with BioReader(server.url + "/a.ome.tif") as reader:
        server.failures = [0]
        try:
            np.testing.assert_array_equal(tczyx(reader), image)
        except (OSError, BfioError) as error:
            assert "a.ome.tif" in str(error)
        server.failures = []
        np.testing.assert_array_equal(tczyx(reader), image)


def test_a_copy_opens_its_own_connection(pyramid, http_server, image):
    with BioReader(http_server(pyramid.parent).url + "/a.ome.tif") as reader:
        with pickle.loads(pickle.dumps(reader)) as other:
            np.testing.assert_array_equal(tczyx(other), image)
        np.testing.assert_array_equal(tczyx(reader), image)


def test_memory_file_system(pyramid, image):
    fsspec.filesystem("memory").pipe("/test_remote/a.ome.tif", pyramid.read_bytes())
    try:
        with BioReader("memory://test_remote/a.ome.tif", level=1) as reader:
            np.testing.assert_array_equal(tczyx(reader), image[..., ::2, ::2])
    finally:
        fsspec.filesystem("memory").rm("/test_remote", recursive=True)


@pytest.mark.parametrize("max_workers", [1, 3])
@pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
def test_file_objects(pyramid, image, max_workers, cache_bytes):
    stream = io.BytesIO(pyramid.read_bytes())
    with BioReader(stream, max_workers=max_workers, cache_bytes=cache_bytes) as reader:
        np.testing.assert_array_equal(tczyx(reader), image)
        np.testing.assert_array_equal(reader[7:99, 3:200, 0, 1], image[0, 1, 0, 7:99, 3:200])
    assert not stream.closed, "it belongs to the caller"


def test_an_open_file(pyramid, image):
    with pyramid.open("rb") as stream:
        with BioReader(stream, max_workers=2) as reader:
            np.testing.assert_array_equal(tczyx(reader), image)
        assert not stream.closed
        assert stream.read(2) in (b"II", b"MM")


def test_file_objects_that_lose_their_end(pyramid):
    with pytest.raises(BfioError), BioReader(io.BytesIO(pyramid.read_bytes()[:5000])) as reader:
        reader[:]

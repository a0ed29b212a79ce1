"""Stores that are no local folders: zip files, mappings, memory, URLs."""

import json
import sys
import uuid
import zipfile

import numpy as np
import pytest
from foreign_arrays import (
    HEAD,
    a_box,
    a_reader,
    an_image,
    quiet,  # noqa: F401 - used by all tests
    read,
    run,
    v3_codecs,
    write,
    zipped,
)

from bfio.errors import FormatError, UsageError
from bfio.omezarr.foreign import ForeignNodes, is_store

zarr = pytest.importorskip("zarr")


@pytest.fixture
def group(tmp_path):
    """A folder with two arrays, one in shards, and their image."""
    image = an_image()
    root = zarr.create_group(str(tmp_path / "g"), zarr_format=3)
    for name, case in (("a", "delta"), ("b", "shards of odd codecs")):
        array = root.create_array(
            name,
            shape=image.shape,
            dtype=image.dtype,
            chunks=(2, 32, 16),
            **({"compressors": None} | v3_codecs()[case]),
        )
        array[...] = image
    return tmp_path / "g", image


def check_store(nodes, image):
    assert nodes.root is None
    listed = nodes.names("")
    assert listed is None or {"a", "b", "zarr.json"} <= set(listed)
    assert listed is None or ("c" in nodes.names("a") and nodes.names("no") == [])
    assert nodes.get("no/zarr.json") is None
    assert json.loads(nodes.get("zarr.json"))["node_type"] == "group"
    raw = nodes.get("zarr.json")
    assert nodes.get_range("zarr.json", 3, 9) == raw[3:9]
    assert nodes.get_range("zarr.json", -5, None) == raw[-5:]
    assert nodes.get_range("no", 0, 3) is None
    for path in "ab":
        reader = a_reader(nodes, path)
        np.testing.assert_array_equal(read(reader, a_box(image.shape))[0, 0], image)
        reader.close()
    nodes.close()
    nodes.close()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_files(group, compression):
    folder, image = group
    check_store(ForeignNodes(zipped(folder, compression)), image)


def test_zip_files_of_zarr(tmp_path):
    image = an_image()
    with zarr.storage.ZipStore(tmp_path / "a.zip", mode="w") as store:
        write(store, image, zarr_format=2, order="F")
    nodes = ForeignNodes(str(tmp_path / "a.zip"))
    np.testing.assert_array_equal(read(a_reader(nodes), a_box(image.shape))[0, 0], image)
    nodes.close()


def test_mappings(group):
    folder, image = group
    mapping = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert is_store(mapping)
    check_store(ForeignNodes(mapping), image)


def test_stores_of_zarr(group):
    folder, image = group
    local = zarr.storage.LocalStore(folder, read_only=True)
    assert is_store(local) and not is_store(str(folder)) and not is_store(folder) and not is_store(7)
    check_store(ForeignNodes(local), image)


def test_memory_of_zarr():
    image = an_image()
    store = zarr.storage.MemoryStore()
    root = zarr.create_group(store, path="in/side", zarr_format=3)
    array = root.create_array("a", shape=image.shape, dtype=image.dtype, chunks=(1, 32, 32))
    array[...] = image
    for source, path in ((store, "in/side/a"), (root, "a"), (array, "")):
        assert is_store(source)
        nodes = ForeignNodes(source)
        np.testing.assert_array_equal(read(a_reader(nodes, path), a_box(image.shape))[0, 0], image)


@pytest.fixture
def memory_url():
    fsspec = pytest.importorskip("fsspec")
    url = f"memory://{uuid.uuid4().hex}/a.zarr"
    yield url
    fsspec.filesystem("memory").rm(url.rpartition("/")[0], recursive=True)


def test_urls(group, memory_url):
    import fsspec

    folder, image = group
    fsspec.filesystem("memory").put(str(folder), memory_url, recursive=True)
    nodes = ForeignNodes(memory_url)
    assert nodes.name == memory_url
    check_store(nodes, image)


def test_http(group, http_server):
    folder, image = group
    server = http_server(folder.parent)
    check_store(ForeignNodes(f"{server.url}/g"), image)


def test_urls_written_by_zarr(memory_url):
    image = an_image()
    write(memory_url, image, zarr_format=3)
    np.testing.assert_array_equal(read(a_reader(ForeignNodes(memory_url + "/")), a_box(image.shape))[0, 0], image)


def test_queries_of_urls_stay_behind_the_key():
    from bfio.byteio.objects import path_below

    assert path_below("https://h/a.zarr?k=1", "0/zarr.json") == "https://h/a.zarr/0/zarr.json?k=1"
    assert path_below("https://h/a.zarr/", "") == "https://h/a.zarr"
    assert path_below("/a.zarr", "0") == "/a.zarr/0"
    assert path_below("", "0") == "0"


def test_broken_zip_files(tmp_path, group):
    (tmp_path / "no.zip").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(FormatError, match="no zip file"):
        ForeignNodes(tmp_path / "no.zip")
    with pytest.raises(FileNotFoundError):
        ForeignNodes(tmp_path / "absent.zip")
    path = zipped(group[0])
    data = path.read_bytes()
    place = data.index(b"node_type")
    path.write_bytes(data[:place] + b"X" + data[place + 1 :])
    nodes = ForeignNodes(path)
    with pytest.raises(FormatError, match="CRC"):
        for name in ("zarr.json", "a/zarr.json", "b/zarr.json"):
            nodes.get(name)
    nodes.close()


def test_what_is_no_store():
    with pytest.raises(UsageError, match="int is no Zarr store"):
        ForeignNodes(7)
    with pytest.raises(UsageError, match="kind of URL"):
        ForeignNodes("acme://a.zarr")


def test_a_server_that_does_not_answer():
    pytest.importorskip("aiohttp")
    nodes = ForeignNodes("http://127.0.0.1:9/a.zarr")
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9"):
        nodes.get("zarr.json")


def test_zip_files_need_no_zarr_and_nobody_loses_a_word_about_odd_codecs(group):
    folder, image = group
    code = HEAD + (
        "nodes = ForeignNodes(sys.argv[1]); meta = parse_array(json.loads(nodes.get('a/zarr.json')), 'a')\n"
        "reader = ForeignReader(nodes, meta, Workers(2), Limits(), 0); print('zarr' in sys.modules)\n"
        "out = np.zeros((1, 1, 3, 70, 50), 'u2')\n"
        "reader.read('zyx', Box((0,), (0,), (0, 1, 2), range(70), range(50)), out, None)\n"
        "print(int(out.sum())); nodes.close()"
    )
    assert run(code, zipped(folder)).split() == ["False", str(int(image.sum()))]


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_reads(group):
    folder, image = group
    code = HEAD + (
        "import os, warnings; warnings.simplefilter('ignore')\n"
        "nodes = ForeignNodes(sys.argv[1]); meta = parse_array(json.loads(nodes.get('a/zarr.json')), 'a')\n"
        "reader = ForeignReader(nodes, meta, Workers(2), Limits(), 0)\n"
        "def total():\n"
        "    out = np.zeros((1, 1, 3, 70, 50), 'u2')\n"
        "    reader.read('zyx', Box((0,), (0,), (0, 1, 2), range(70), range(50)), out, None)\n"
        "    return int(out.sum())\n"
        "print(total(), flush=True)\n"
        "pid = os.fork()\n"
        "print(total(), flush=True)\n"
        "if pid == 0: os._exit(0)\n"
        "assert os.waitpid(pid, 0)[1] == 0; nodes.close()"
    )
    assert run(code, zipped(folder)).split() == [str(int(image.sum()))] * 3


def test_a_store_of_zarr_that_needs_threads_itself(tmp_path):
    """Its threads are those of the event loop, which must not wait for it."""
    image = an_image((40, 40, 40))
    write(str(tmp_path / "a"), image, chunks=(1, 8, 8), zarr_format=3, **v3_codecs()["delta"])
    code = HEAD + (
        "import zarr\n"
        "nodes = ForeignNodes(zarr.storage.LocalStore(sys.argv[1])); meta = parse_array(json.loads(nodes.get('zarr.json')), '')\n"
        "reader = ForeignReader(nodes, meta, Workers(2), Limits(), 0)\n"
        "out = np.zeros((1, 1, 40, 40, 40), 'u2')\n"
        "reader.read('zyx', Box((0,), (0,), range(40), range(40), range(40)), out, None)\n"
        "print(int(out.sum()))"
    )
    assert run("import warnings; warnings.simplefilter('ignore')\n" + code, tmp_path / "a") == str(int(image.sum()))


@pytest.mark.parametrize("ranges", [True, False])
def test_servers_with_and_without_ranges(group, http_server, ranges):
    folder, _ = group
    nodes = ForeignNodes(f"{http_server(folder, ranges=ranges).url}/a?token=1")
    raw = (folder / "a/zarr.json").read_bytes()
    assert nodes.get("zarr.json") == raw
    for start, stop in ((0, 5), (7, 30), (-9, None), (4, 4), (len(raw) - 3, len(raw))):
        assert nodes.get_range("zarr.json", start, stop) == raw[start:stop]
    nodes.close()

"""Broken documents: one sentence that names the document, in bounded time and memory; nothing outside the store."""

import errno
import json
import os
import resource
import time

import pytest
from omezarr_files import multiscale, put, put_array, put_group, put_image

from bfio import Limits
from bfio.errors import BfioError, FormatError, LimitError, UnsupportedError
from bfio.omezarr.nodes import Folder, relative
from bfio.omezarr.series import read_series

NAN = float("nan")


def series_of(folder, limits=None):
    return read_series(Folder(folder), limits or Limits())


def refused(folder, document, kind=FormatError, limits=None):
    """The store is refused, quickly, and the message is one sentence that names the document."""
    start = time.process_time()
    with pytest.raises(BfioError) as caught:
        series_of(folder, limits)
    assert time.process_time() - start < 2
    message = str(caught.value)
    assert isinstance(caught.value, kind), message
    assert f"{folder}/{document}" in message
    assert "\n" not in message
    assert len(message) < 400 + len(str(folder))
    return message


NO_JSON = {
    "empty": b"",
    "truncated": b'{"zarr_format": 3, "node_type": "gro',
    "binary": bytes(range(256)),
    "half of a character": b'{"zarr_format": 3, "node_type": "\xc3"}',
    "list": b"[1, 2]",
    "text": b'"zarr"',
    "null": b"null",
    "number": b"7",
    "NaN": b"NaN",
    "two objects": b"{} {}",
    "deep": b"[" * 100_000,
    "deep and closed": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "digits": b'{"zarr_format": ' + b"3" * 10_000 + b"}",
    "comments": b'{"zarr_format": 3 /* three */}',
    "NULs": b"\0" * 4096,
}


@pytest.mark.parametrize("name", ["zarr.json", ".zattrs", ".zgroup", ".zarray"])
@pytest.mark.parametrize("content", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_json_object(tmp_path, name, content):
    if name == ".zattrs":
        put(tmp_path, ".zgroup", {"zarr_format": 2})
    (tmp_path / name).write_bytes(content)
    refused(tmp_path, name)


@pytest.mark.parametrize("key", ["0", "1"])
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "[[[["])
def test_a_broken_document_of_a_level(tmp_path, key, version, content):
    put_image(tmp_path, version=version)
    name = f"{key}/zarr.json" if version == 3 else f"{key}/.zarray"
    put(tmp_path, name, content)
    refused(tmp_path, name)


@pytest.mark.parametrize(
    "document",
    [
        {"zarr_format": 3},
        {"zarr_format": 3, "node_type": "folder"},
        {"zarr_format": 3, "node_type": ["group"]},
        {"zarr_format": 4, "node_type": "group"},
        {"zarr_format": "3", "node_type": "group"},
        {"zarr_format": True, "node_type": "group"},
        {"zarr_format": NAN, "node_type": "group"},
        {"zarr_format": {}, "node_type": "group"},
        {"node_type": "group"},
        {"zarr_format": 3, "node_type": "group", "attributes": [1]},
        {"zarr_format": 3, "node_type": "group", "attributes": "ome"},
        {"zarr_format": 3, "node_type": "array"},
    ],
    ids=str,
)
def test_nodes_that_are_none(tmp_path, document):
    put(tmp_path, "zarr.json", document)
    refused(tmp_path, "zarr.json")


GOOD = multiscale("zyx")
BROKEN_OME = [
    7,
    "0.5",
    [],
    {"multiscales": None},
    {"multiscales": {}},
    {"multiscales": []},
    {"multiscales": [7]},
    {"multiscales": [[]]},
    {"multiscales": [{}]},
    {"multiscales": [GOOD] * 100},
    {"multiscales": [{**GOOD, "datasets": {}}]},
    {"multiscales": [{**GOOD, "datasets": []}]},
    {"multiscales": [{**GOOD, "datasets": ["0"]}]},
    {"multiscales": [{**GOOD, "datasets": [{}]}]},
    {"multiscales": [{**GOOD, "datasets": [{"path": None}]}]},
    {"multiscales": [{**GOOD, "datasets": [{"path": ["0"]}]}]},
    {"multiscales": [{**GOOD, "datasets": [{"path": "0"}] * 5000}]},
    {"multiscales": [{**GOOD, "datasets": [{"path": "missing"}]}]},
    {"multiscales": [{**GOOD, "axes": {"z": "space"}}]},
    {"multiscales": [{**GOOD, "axes": "zyx"}]},
    {"multiscales": [{**GOOD, "axes": [1, 2, 3]}]},
    {"multiscales": [{**GOOD, "axes": [{"type": "space"}] * 3}]},
    {"multiscales": [{**GOOD, "axes": ["y", "x"]}]},
    {"multiscales": [{**GOOD, "axes": ["x", "y", "x"]}]},
    {"multiscales": [GOOD], "version": [0, 5]},
    {"plate": None},
    {"plate": []},
    {"plate": {}},
    {"plate": {"wells": {}}},
    {"plate": {"wells": [7]}},
    {"plate": {"wells": [{}]}},
    {"plate": {"wells": [{"path": 1.5}]}},
    {"well": []},
    {"well": {"images": "0"}},
    {"well": {"images": [{"acquisition": 0}]}},
    {"labels": "nuclei"},
    {"labels": [{}]},
]


@pytest.mark.parametrize("ome", BROKEN_OME, ids=lambda ome: str(ome)[:60])
def test_broken_metadata_of_images(tmp_path, ome):
    put_image(tmp_path, letters="zyx")
    put_group(tmp_path, "", ome)
    refused(tmp_path, "zarr.json")


def test_0_6_without_axes(tmp_path):
    put_image(tmp_path)
    for systems in (7, [], [7], [{"axes": []}], [{"name": "a"}]):
        entry = {"coordinateSystems": systems, "datasets": [{"path": "0"}]}
        put_group(tmp_path, "", {"version": "0.6", "multiscales": [entry]})
        refused(tmp_path, "zarr.json")


BAD_PATHS = ["..", "../..", "0/../../x", "/0", "/etc", "", ".", "//", "a\\b", "..\\x", "a\0b", "\ud800", "x/" * 500,
             "y" * 5000, "a" + "/" * 200 + "../../x"]  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS, ids=lambda path: ascii(path)[:40])
def test_paths_out_of_the_group(tmp_path, path):
    folder = tmp_path / "in" / "store"
    put_array(tmp_path, "x", (16, 16))
    put_array(tmp_path, "in", (16, 16))
    put_image(folder)
    for ome in (
        {"multiscales": [{**multiscale(), "datasets": [{"path": path}]}]},
        {"plate": {"wells": [{"path": path}]}},
        {"well": {"images": [{"path": path}]}},
        {"labels": [path]},
    ):
        put_group(folder, "", ome)
        refused(folder, "zarr.json")
    put_group(folder, "", {"bioformats2raw.layout": 3})
    put_group(folder, "OME", {"series": [path]})
    refused(folder, "OME/zarr.json")


def test_paths_that_are_told_in_another_way():
    assert relative("0/", "here") == relative("./0", "here") == relative(0, "here") == "0"
    assert relative("a//b/./c", "here") == "a/b/c"
    assert relative("..a/b..", "here") == "..a/b.."


@pytest.mark.parametrize("what", ["document", "folder", "absolute folder"])
def test_links_out_of_the_store(tmp_path, what):
    store, outside = tmp_path / "store", tmp_path / "outside"
    put_image(store, letters="yx", paths=("0",))
    put_array(outside, "", (40, 60))
    target = {"document": store / "0" / "zarr.json"}.get(what, store / "0")
    if what == "document":
        target.unlink()
        target.symlink_to("../../outside/zarr.json")
    else:
        (store / "0" / "zarr.json").unlink()
        target.rmdir()
        target.symlink_to("../outside" if what == "folder" else outside)
    assert "symbolic link" in refused(store, "0")


def test_links_within_the_store_and_to_the_store(tmp_path):
    put_image(tmp_path / "store", letters="yx")
    real = tmp_path / "store" / "real"
    (tmp_path / "store" / "0").rename(real)
    (tmp_path / "store" / "0").symlink_to("real")
    (tmp_path / "link").symlink_to("store")
    assert len(series_of(tmp_path / "link")[0].arrays) == 2


def test_links_in_a_circle(tmp_path):
    put_image(tmp_path, letters="yx", paths=("0",))
    path = tmp_path / "0" / "zarr.json"
    path.unlink()
    path.symlink_to("zarr.json")
    refused(tmp_path, "0/zarr.json")


def test_folders_and_pipes_in_place_of_documents(tmp_path):
    put_image(tmp_path, letters="yx", paths=("0",))
    path = tmp_path / "0" / "zarr.json"
    path.unlink()
    path.mkdir()
    assert "folder" in refused(tmp_path, "0/zarr.json")
    path.rmdir()
    os.mkfifo(path)
    assert "regular" in refused(tmp_path, "0/zarr.json")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_documents_that_can_not_be_read(tmp_path, monkeypatch, code):
    put_image(tmp_path, letters="yx", paths=("0",))
    real = os.open

    def failing(path, *others, **more):
        if str(path).endswith("/0/zarr.json"):
            raise OSError(code, os.strerror(code), path)
        return real(path, *others, **more)

    monkeypatch.setattr(os, "open", failing)
    assert os.strerror(code) in refused(tmp_path, "0/zarr.json")


def test_huge_documents_are_not_read(tmp_path):
    put_image(tmp_path)
    with open(tmp_path / "0" / "zarr.json", "r+b") as file:
        file.truncate(1 << 40)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(tmp_path, "0/zarr.json", LimitError)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
    put_array(tmp_path, "0", (2, 3, 4, 40, 60))
    refused(tmp_path, "zarr.json", LimitError, Limits(xml_nbytes=1000))


def test_more_images_than_the_limits_allow(tmp_path):
    wells = [{"path": f"A/{number}"} for number in range(20)]
    put_group(tmp_path, "", {"plate": {"wells": wells}})
    put_group(tmp_path, "A")
    for number in range(20):
        put_group(tmp_path, f"A/{number}", {"well": {"images": [{"path": str(field)} for field in range(20)]}})
        put_image(tmp_path, f"A/{number}/0", "yx")
    with pytest.raises(LimitError, match="ifd_count"):
        series_of(tmp_path, Limits(ifd_count=100))


def test_repeated_paths_count_once(tmp_path):
    put_group(tmp_path, "", {"plate": {"wells": [{"path": "A/1"}] * 50_000}})
    put_group(tmp_path, "A/1", {"well": {"images": [{"path": "0"}] * 50_000}})
    put_image(tmp_path, "A/1/0", "yx")
    start = time.process_time()
    assert len(series_of(tmp_path)) == 1
    assert time.process_time() - start < 2
    put_group(tmp_path, "", {"plate": {"wells": [{"path": "A/1"}] * 200_000}})
    refused(tmp_path, "zarr.json", LimitError)


def test_nan_in_sizes(tmp_path):
    put_array(tmp_path, "", (40, 60))
    document = json.loads((tmp_path / "zarr.json").read_text())
    put(tmp_path, "zarr.json", {**document, "shape": [NAN, 60]})
    refused(tmp_path, "zarr.json")


def test_unsupported_items_are_located_too(tmp_path):
    put_image(tmp_path, letters="yx", paths=("0",))
    document = json.loads((tmp_path / "0" / "zarr.json").read_text())
    put(tmp_path, "0/zarr.json", {**document, "data_type": "string", "fill_value": ""})
    refused(tmp_path, "0/zarr.json", (FormatError, UnsupportedError))


@pytest.mark.parametrize("version", [2, 3])
def test_documents_cut_at_every_byte(tmp_path, version):
    put_image(tmp_path, letters="zyx", version=version, omero={"channels": [{"label": "a", "color": "FF0000"}]})
    for path in sorted(tmp_path.rglob("*")):
        if path.is_file():
            whole = path.read_bytes()
            for stop in range(0, len(whole), 7):
                path.write_bytes(whole[:stop])
                with pytest.raises(FormatError):
                    series_of(tmp_path)
            path.write_bytes(whole)
    assert len(series_of(tmp_path)) == 1


@pytest.mark.parametrize("field", ["chunk_grid", "chunk_key_encoding", "data_type", "order"])
def test_messages_stay_short(tmp_path, field):
    put_array(tmp_path, "", (40, 60))
    document = json.loads((tmp_path / "zarr.json").read_text())
    document[field] = "x" * 10_000
    put(tmp_path, "zarr.json", document)
    with pytest.raises((FormatError, UnsupportedError)) as caught:
        series_of(tmp_path)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


def test_a_first_level_without_pixels_is_not_passed_over(tmp_path):
    put_group(tmp_path, ome={"version": "0.5", "multiscales": [multiscale("yx")]})
    put_array(tmp_path, "0", (0, 60))
    put_array(tmp_path, "1", (20, 30))
    with pytest.raises(FormatError, match="no pixels"):
        series_of(tmp_path)

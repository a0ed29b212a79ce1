"""Zarr stores over HTTP: as from the folder, with many requests in flight, few of them, and faults that are told."""

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import zipfile

import numpy as np
import pytest

import bfio
from bfio.omezarr.foreign import ForeignNodes
from bfio.omezarr.reader import ZarrImages
from bfio.selection import Box

pytest.importorskip("aiohttp")
zarr = pytest.importorskip("zarr")

IMAGE = np.random.default_rng(8).integers(0, 9999, (2, 300, 410), np.uint16)
KINDS = {
    "v3": {},
    "v2": {"zarr_format": 2},
    "raw": {"compressors": None},
    "shards": {"shards": (2, 128, 128)},
    "raw shards": {"shards": (1, 128, 128), "compressors": None},
    "blosc shards": {"shards": (2, 64, 256), "compressors": zarr.codecs.BloscCodec(cname="lz4")},
    "index at the start": {
        "chunks": (2, 128, 128),
        "compressors": None,
        "filters": None,
        "serializer": zarr.codecs.ShardingCodec(chunk_shape=(1, 32, 32), index_location="start"),
    },
}


def write(folder, kind="v3", image=IMAGE, **more):
    """A plain array; its last rows of chunks were never written."""
    options = {"chunks": (1, 32, 32), "zarr_format": 3, "fill_value": 7, **KINDS[kind], **more}
    array = zarr.create_array(str(folder), shape=image.shape, dtype=image.dtype, **options)
    array[:, :256] = image[:, :256]
    return folder


def expected(image=IMAGE):
    image = image.copy()
    image[:, 256:] = 7
    return image.transpose(1, 2, 0)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr("bfio.byteio.httpobjects.PAUSES", (0.01, 0.01, 0.01))


@pytest.fixture
def open_url(http_server):
    """Factory ``open_url(folder, ...) -> (reader, server)``; the log of the server begins after the opening."""
    readers = []

    def opened(folder, delay=0.0, ranges=True, **options):
        server = http_server(folder.parent, ranges=ranges)
        readers.append(bfio.BioReader(f"{server.url}/{folder.name}", max_workers=2, **options))
        server.log.clear()
        server.delay, server.most_at_once = delay, 0
        return readers[-1], server

    yield opened
    for reader in readers:
        reader.close()


def keys_of(server, word="c/"):
    return [entry[1] for entry in server.log if word in entry[1]]


# -- pixels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cache_bytes", [0, 1 << 24])
def test_as_from_the_folder(tmp_path, open_url, kind, cache_bytes):
    folder = write(tmp_path / "a.zarr", kind)
    reader, _ = open_url(folder, cache_bytes=cache_bytes)
    with bfio.BioReader(folder) as local:
        for _ in range(2):
            for key in (np.s_[:], np.s_[31:33, 60:70], np.s_[5:290:7, 400:3:-9, 1], np.s_[250:270, 120:140]):
                np.testing.assert_array_equal(reader[key], local[key])
    np.testing.assert_array_equal(np.squeeze(reader[:]), expected())


def stored_in(place, folder):
    """The same store somewhere else, as nodes."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if place == "mapping":
        return ForeignNodes(files)
    if place == "memory":
        url = f"memory://{folder.parent.name}/a.zarr"
        pytest.importorskip("fsspec").filesystem("memory").put(str(folder), url, recursive=True)
        return ForeignNodes(url)
    if place == "memory of zarr":
        buffer = zarr.core.buffer.default_buffer_prototype().buffer
        return ForeignNodes(zarr.storage.MemoryStore({key: buffer.from_bytes(data) for key, data in files.items()}))
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w", getattr(zipfile, place)) as archive:
        for key, data in files.items():
            archive.writestr(key, data)
    return ForeignNodes(folder.with_suffix(".zip"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["memory", "mapping", "memory of zarr", "ZIP_STORED", "ZIP_DEFLATED"])
@pytest.mark.parametrize("cache_bytes", [0, 1 << 24])
def test_as_from_the_folder_in_stores_of_all_kinds(tmp_path, kind, place, cache_bytes):
    nodes = stored_in(place, write(tmp_path / "a.zarr", kind))
    images = ZarrImages(nodes, max_workers=2, limits=bfio.Limits(), cache_bytes=cache_bytes)
    for _ in range(2):
        for y, x in ((range(300), range(410)), (range(30, 70, 3), range(250, 290)), (range(250, 270), range(5))):
            out = np.zeros((1, 1, 2, len(y), len(x)), "u2")
            images.read(0, 0, Box((0,), (0,), (0, 1), y, x), out, None)
            want = expected()[y.start : y.stop : y.step, x.start : x.stop : x.step]
            np.testing.assert_array_equal(out[0, 0].transpose(1, 2, 0), want)
    images.close()


def test_a_server_without_ranges(tmp_path, open_url, monkeypatch):
    folder = write(tmp_path / "a.zarr", "shards")
    reader, server = open_url(folder, ranges=False)
    np.testing.assert_array_equal(np.squeeze(reader[:]), expected())
    assert len(keys_of(server)) == 3 * 4  # a shard each, of which 4 were never written
    np.testing.assert_array_equal(np.squeeze(reader[:40, :40]), expected()[:40, :40])  # with an index that is known
    monkeypatch.setattr("bfio.byteio.httpobjects.WHOLE_NBYTES", 1000)
    with pytest.raises(bfio.UnsupportedError, match="range requests"):
        reader[64:70, 64:70]


# -- requests ---------------------------------------------------------------------------------------------------------


def test_many_requests_are_in_flight_over_connections_that_are_kept(tmp_path, open_url):
    reader, server = open_url(write(tmp_path / "a.zarr"), delay=0.05)
    reader[:]
    assert len(keys_of(server)) == len(set(keys_of(server))) == 2 * 10 * 13  # each chunk once, the missing ones too
    assert 16 <= server.most_at_once <= 32
    reader[:]
    assert server.connections <= 33


def test_shards_take_an_index_each_and_few_ranges(tmp_path, open_url):
    reader, server = open_url(write(tmp_path / "a.zarr", "shards"), delay=0.02)
    reader[:128, :256]
    assert [entry[2:] for entry in server.log if entry[3] is None] == []
    assert len(server.log) == 2 * 2  # an index and all chunks at once, of each of two shards
    assert server.most_at_once == 2
    server.log.clear()
    reader[:32, :32]
    assert len(server.log) == 1  # the index is known
    server.log.clear()
    reader[:]
    assert len(set(keys_of(server))) == 12 and len(server.log) == 4 + 2 * 6 + 2 - 2 + 2  # 4 have none, 2 are known
    with bfio.BioReader(tmp_path / "a.zarr") as local:
        np.testing.assert_array_equal(reader[:], local[:])


@pytest.mark.parametrize("kind", ["v3", "shards"])
def test_what_is_in_the_cache_is_not_fetched(tmp_path, open_url, kind):
    reader, server = open_url(write(tmp_path / "a.zarr", kind), cache_bytes=1 << 24)
    first = reader[10:50, 20:90]
    server.log.clear()
    np.testing.assert_array_equal(reader[10:50, 20:90], first)
    assert server.log == []


@pytest.mark.parametrize(("version", "n_requests"), [(3, 2 + 4 + 1), (2, 2 + 4 + 4 + 3)])
def test_opening_takes_few_requests_at_once(tmp_path, http_server, version, n_requests):
    with bfio.BioWriter(tmp_path / "a.zarr", image=IMAGE[0], tile_size=32, levels=4, zarr_version=version):
        pass
    server = http_server(tmp_path, delay=0.05)
    with bfio.BioReader(f"{server.url}/a.zarr") as reader, bfio.BioReader(tmp_path / "a.zarr") as local:
        assert len(reader.levels) == 4
        assert len(server.log) == len({entry[1] for entry in server.log}) == n_requests
        assert server.most_at_once >= 4
        np.testing.assert_array_equal(reader[:], local[:])


def test_consolidated_metadata_are_two_requests(tmp_path, http_server):
    group = zarr.create_group(str(tmp_path / "a.zarr"), zarr_format=2)
    for name in "abc":
        group.create_array(name, shape=(40, 50), chunks=(16, 16), dtype="u2")[:] = IMAGE[0, :40, :50]
    zarr.consolidate_metadata(group.store)
    server = http_server(tmp_path)
    with bfio.BioReader(f"{server.url}/a.zarr") as reader:
        assert len(reader.series) == 3
        assert {entry[1] for entry in server.log} <= {
            f"a.zarr/{name}" for name in ("zarr.json", ".zmetadata", ".zgroup", ".zattrs", ".zarray")
        } | {"a.zarr/OME/METADATA.ome.xml"}


def test_arrays_that_nobody_lists_are_looked_for_at_once(tmp_path, http_server):
    group = zarr.create_group(str(tmp_path / "a.zarr"))
    for name in "02":
        group.create_array(name, shape=(40, 50), chunks=(16, 16), dtype="u2")
    server = http_server(tmp_path, delay=0.02)
    with bfio.BioReader(f"{server.url}/a.zarr") as reader:
        assert [one.name for one in reader.series] == ["0", "2"]
    assert server.most_at_once > 8


# -- faults -----------------------------------------------------------------------------------------------------------

BROKEN = "a.zarr/c/0/2/3"


def read_broken(reader):
    with pytest.raises(bfio.TileDecodeError) as caught:
        reader[:, :, 0]
    assert caught.value.path.endswith(BROKEN)
    return caught.value


@pytest.mark.parametrize(
    ("faults", "match"),
    [([403], "refuses access"), ([401], "refuses access"), ([500] * 9, "HTTP 500"), (["reset"] * 9, "isconnected")],
)
def test_lasting_faults_name_the_chunk(tmp_path, open_url, faults, match):
    reader, server = open_url(write(tmp_path / "a.zarr"))
    server.faults[BROKEN] = list(faults)
    error = read_broken(reader)
    assert error.chunk == (0, 2, 3) and match in str(error)
    assert keys_of(server).count(BROKEN) <= 8  # aiohttp, too, asks twice where a connection breaks
    server.faults.clear()
    np.testing.assert_array_equal(np.squeeze(reader[:]), expected())  # the reader is as good as before


@pytest.mark.parametrize("faults", [[503, 429, 500], ["reset"], [502, "reset"]])
def test_passing_faults_are_overcome(tmp_path, open_url, faults):
    reader, server = open_url(write(tmp_path / "a.zarr"))
    server.faults[BROKEN] = list(faults)
    np.testing.assert_array_equal(np.squeeze(reader[:]), expected())
    assert server.faults[BROKEN] == []


def test_a_server_that_says_nothing(tmp_path, open_url, monkeypatch):
    monkeypatch.setattr("bfio.byteio.httpobjects.SILENT_SECONDS", 0.3)
    reader, server = open_url(write(tmp_path / "a.zarr"))
    server.faults[BROKEN] = ["silent"] * 9
    assert "in time" in str(read_broken(reader))
    assert keys_of(server).count(BROKEN) == 1


@pytest.mark.parametrize("size", [0, 5, 200_000])
def test_chunks_that_can_not_be(tmp_path, open_url, size):
    reader, _ = open_url(write(tmp_path / "a.zarr"))
    (tmp_path / BROKEN).write_bytes(bytes(size))
    read_broken(reader)


@pytest.mark.parametrize("fault", ["short", 403, 0])
@pytest.mark.parametrize("of", ["index", "range"])
def test_damaged_ranges_of_a_shard(tmp_path, open_url, fault, of):
    reader, server = open_url(write(tmp_path / "a.zarr", "shards"))
    key = "a.zarr/c/0/1/0"
    if of == "range":
        reader[130:140, :10]
    server.faults[key] = [fault] * 9
    with pytest.raises(bfio.TileDecodeError) as caught:
        reader[128:200, :40]
    assert caught.value.path.endswith(key)
    server.faults.clear()
    np.testing.assert_array_equal(np.squeeze(reader[:]), expected())


@pytest.mark.parametrize("shift", [-1, 1])
def test_another_range_than_the_one_asked_for(tmp_path, open_url, shift):
    reader, server = open_url(write(tmp_path / "a.zarr", "shards"))
    reader[:10, :10]
    server.shift = shift
    with pytest.raises(bfio.TileDecodeError, match="another range"):
        reader[64:70, 64:70]


def test_an_index_that_points_behind_the_end(tmp_path, open_url):
    folder = write(tmp_path / "a.zarr", "shards")
    reader, _ = open_url(folder)
    path = folder / "c/0/0/0"
    data = path.read_bytes()
    reader[:10, :10]
    path.write_bytes(data[:100])
    with pytest.raises(bfio.TileDecodeError, match="behind its end"):
        reader[96:128, 96:128]
    path.unlink()
    with pytest.raises(bfio.TileDecodeError, match="not there any more"):
        reader[96:128, 96:128]


def test_a_server_that_refuses_what_is_not_there(tmp_path, http_server):
    """As object stores do where nobody may list."""
    write(tmp_path / "a.zarr", "v2")
    server = http_server(tmp_path)
    for name in ("zarr.json", ".zmetadata", ".zgroup", ".zattrs", "OME/METADATA.ome.xml"):
        server.faults[f"a.zarr/{name}"] = [403] * 9
    with bfio.BioReader(f"{server.url}/a.zarr") as reader:
        np.testing.assert_array_equal(np.squeeze(reader[:]), expected())
    server.faults["a.zarr/.zarray"] = [403] * 9
    with pytest.raises(PermissionError, match="refuses access"):
        bfio.BioReader(f"{server.url}/a.zarr")


# -- threads, processes and loops -------------------------------------------------------------------------------------


def loop_threads():
    return {thread for thread in threading.enumerate() if thread.name == "bfio-io"}


def test_nothing_is_left_after_close(tmp_path, open_url):
    before = loop_threads()
    reader, _ = open_url(write(tmp_path / "a.zarr"))
    reader[:]
    assert len(loop_threads() - before) == 1
    reader.close()
    assert loop_threads() == before
    reader.close()


def test_a_reader_that_fails_to_open_leaves_nothing(tmp_path, http_server):
    before = loop_threads()
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(bfio.FormatError, match="no Zarr store"):
        bfio.BioReader(f"{http_server(tmp_path).url}/a.zarr")
    assert loop_threads() == before


def test_inside_a_running_loop(tmp_path, open_url):
    reader, _ = open_url(write(tmp_path / "a.zarr"))

    async def read():
        return reader[:40]

    np.testing.assert_array_equal(np.squeeze(asyncio.run(read())), expected()[:40])


def test_many_threads_of_one_reader(tmp_path, open_url):
    reader, server = open_url(write(tmp_path / "a.zarr", "shards"), delay=0.01)
    barrier, wrong = threading.Barrier(5), []

    def work(number):
        barrier.wait()
        key = np.s_[number * 20 : 200, 10 * number :]
        if not np.array_equal(np.squeeze(reader[key]), expected()[key]):
            wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(5)]
    [thread.start() for thread in threads]
    [thread.join(60) for thread in threads]
    assert wrong == [] and server.most_at_once <= 32


def test_pickled_copies_have_connections_of_their_own(tmp_path, open_url):
    reader, _ = open_url(write(tmp_path / "a.zarr"))
    with pickle.loads(pickle.dumps(reader)) as copy:
        reader.close()
        np.testing.assert_array_equal(np.squeeze(copy[:]), expected())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forked_children_have_connections_of_their_own(tmp_path, open_url):
    reader, _ = open_url(write(tmp_path / "a.zarr"))
    reader[:40]
    pid = os.fork()
    if pid == 0:
        os._exit(0 if np.array_equal(np.squeeze(reader[:]), expected()) else 1)
    np.testing.assert_array_equal(np.squeeze(reader[:]), expected())
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
def test_ctrl_c_while_the_server_says_nothing(tmp_path, open_url):
    reader, server = open_url(write(tmp_path / "a.zarr"))
    server.faults[BROKEN] = ["silent"]

    def interrupt():
        deadline = time.monotonic() + 20
        while BROKEN not in keys_of(server) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        reader[:]
    thread.join()
    assert not server.closed.is_set()
    np.testing.assert_array_equal(np.squeeze(reader[:]), expected())


@pytest.mark.parametrize("fork", [False, True])
def test_an_exit_without_close_is_silent(tmp_path, http_server, fork):
    if fork and not hasattr(os, "fork"):
        pytest.skip("no fork")
    write(tmp_path / "a.zarr")
    code = (
        "import os, sys, warnings; warnings.simplefilter('ignore', DeprecationWarning)\n"
        "import bfio\n"
        "reader = bfio.BioReader(sys.argv[1]); print(int(reader[:].sum()), flush=True)\n"
    )
    if fork:
        code += "pid = os.fork()\nif pid: os.waitpid(pid, 0)\nprint(int(reader[:].sum()), flush=True)\n"
    done = subprocess.run(
        [sys.executable, "-c", code, f"{http_server(tmp_path).url}/a.zarr"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [str(int(expected().sum()))] * (3 if fork else 1)


# -- other file systems -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["v3", "shards"])
def test_s3(tmp_path, http_server, monkeypatch, kind):
    pytest.importorskip("s3fs")
    registry = pytest.importorskip("fsspec.registry")
    for name in ("s3", "s3a"):  # other tests begin without a driver
        monkeypatch.setitem(registry._registry, name, object)
        del registry._registry[name]
    write(tmp_path / "bucket" / "a.zarr", kind)
    server = http_server(tmp_path, delay=0.02)
    options = {"anon": True, "client_kwargs": {"endpoint_url": server.url}, "skip_instance_cache": True}
    with bfio.BioReader("s3://bucket/a.zarr", storage_options=options, max_workers=2) as reader:
        server.log.clear()
        server.most_at_once = 0
        np.testing.assert_array_equal(np.squeeze(reader[:]), expected())
    assert {entry[0] for entry in server.log} == {"GET"}
    if kind == "v3":
        assert len(server.log) == 260 and server.most_at_once > 10

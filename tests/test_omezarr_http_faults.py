"""Zarr stores over HTTP: faults that pass and faults that are told; threads, processes, loops and Ctrl-C."""

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import bfio

pytest.importorskip("aiohttp")
pytest.importorskip("zarr")
from served_arrays import expected, keys_of, write


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr("bfio.byteio.httpobjects.PAUSES", (0.01, 0.01, 0.01))


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
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_while_the_server_says_nothing(tmp_path, open_url):
    reader, server = open_url(write(tmp_path / "a.zarr"))
    server.faults[BROKEN] = ["silent"]

    is_over = threading.Event()

    def interrupt():
        """More than once: Python loses an interrupt that comes while it collects garbage."""
        deadline = time.monotonic() + 18
        while BROKEN not in keys_of(server) and time.monotonic() < deadline:
            time.sleep(0.01)
        is_over.wait(0.2)
        while not is_over.is_set() and time.monotonic() < deadline:
            os.kill(os.getpid(), signal.SIGINT)
            is_over.wait(2)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        reader[:]
    is_over.set()
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

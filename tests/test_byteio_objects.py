"""Objects below a URL, and the loop that their requests run in."""

import gc
import threading
import time
from concurrent.futures import CancelledError

import pytest

from bfio.byteio.loop import LoopThread
from bfio.byteio.objects import Piece, cut_piece, open_objects
from bfio.errors import LimitError, UnsupportedError, UsageError

pytest.importorskip("aiohttp")

DATA = bytes(range(256)) * 8


@pytest.fixture
def opened(tmp_path, http_server):
    """Factory ``opened(...) -> (objects, server)`` over a folder with an object ``a/b c``."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b c").write_bytes(DATA)
    (tmp_path / "a" / "empty").write_bytes(b"")
    made = []

    def make(options=None, **more):
        server = http_server(tmp_path, **more)
        made.append(open_objects(f"{server.url}/a?token=x", options or {}))
        return made[-1], server

    yield make
    for objects in made:
        objects.close()


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("length", [True, False])
def test_parts_and_wholes(opened, ranges, length):
    objects, _ = opened(ranges=ranges, length=length)
    assert objects.fetch("b c") == Piece(DATA)
    for start, stop in ((0, 5), (7, 30), (-9, None), (2000, None), (-5000, None), (2040, 2048)):
        piece = objects.fetch("b c", start, stop)
        assert piece.cut(start, stop) == DATA[start:stop] and piece.whole is not ranges
    assert objects.fetch("none") is None and objects.fetch("none", 3, 9) is None
    assert objects.names("") is None


def test_parts_of_what_is_shorter(opened):
    objects, _ = opened()
    assert objects.fetch("b c", 2000, 3000).data == DATA[2000:]
    assert objects.fetch("b c", 5000, 6000).data == b""
    assert objects.fetch("empty", -20).data == b"" == objects.fetch("empty").data


@pytest.mark.parametrize("length", [True, False])
def test_the_most_bytes(opened, length):
    objects, _ = opened(length=length)
    assert objects.fetch("b c", most=len(DATA)).data == DATA
    with pytest.raises(LimitError, match="most"):
        objects.fetch("b c", most=len(DATA) - 1)


def test_a_server_may_ask_for_time(opened, monkeypatch):
    monkeypatch.setattr("bfio.byteio.httpobjects.PAUSES", (0.0, 0.0, 0.01))
    objects, server = opened()
    server.failures = [503, 503]
    assert objects.fetch("b c").data == DATA
    server.failures = [503] * 9
    with pytest.raises(OSError, match="HTTP 503"):
        objects.fetch("b c")
    assert len(server.log) == 3 + 4


def test_options_of_requests_are_kept(opened):
    objects, _ = opened({"headers": {"X-Key": "7"}})
    assert objects.fetch("b c", 0, 4).data == DATA[:4]
    assert objects._fs.kwargs == {"headers": {"X-Key": "7"}}


def test_closing_ends_what_is_in_flight(opened):
    objects, server = opened()
    server.faults["a/b c"] = ["silent"] * 3
    flying = objects.start("b c")
    caught = []

    def wait():
        try:
            objects.fetch("b c")
        except UsageError as error:
            caught.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    deadline = time.monotonic() + 20
    while len(server.log) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    objects.close()
    thread.join(20)
    assert caught and "closed" in caught[0]
    with pytest.raises(CancelledError):
        flying.result(20)
    with pytest.raises(UsageError, match="closed"):
        objects.fetch("b c")


def test_objects_that_are_forgotten_leave_no_thread(http_server, tmp_path):
    before = set(threading.enumerate())
    (tmp_path / "x").write_bytes(DATA)
    objects = open_objects(http_server(tmp_path).url, {})
    assert objects.fetch("x").data == DATA
    del objects
    deadline = time.monotonic() + 20
    while any(thread.name == "bfio-io" for thread in set(threading.enumerate()) - before):
        assert time.monotonic() < deadline
        gc.collect()
        time.sleep(0.01)


def test_a_loop_that_has_ended():
    ended = []

    async def end():
        ended.append(threading.current_thread())

    async def work():
        return 7

    loop = LoopThread(end)
    assert loop.start(work()).result(20) == 7
    loop.close()
    loop.close()
    assert [thread.name for thread in ended] == ["bfio-io"] and not ended[0].is_alive()
    with pytest.raises(RuntimeError):
        loop.start(work())


def test_answers_of_file_systems_that_know_no_parts():
    assert cut_piece(DATA, 0, None, None, "x") == Piece(DATA)
    assert cut_piece(DATA[5:9], 5, 9, None, "x") == Piece(DATA[5:9])
    assert cut_piece(DATA, 5, 9, None, "x").cut(5, 9) == DATA[5:9]
    assert cut_piece(DATA, -5, None, None, "x").cut(-5, None) == DATA[-5:]
    with pytest.raises(LimitError):
        cut_piece(DATA, 0, None, 10, "x")
    with pytest.raises(UnsupportedError):
        cut_piece(bytes(17 << 20), 5, 9, None, "x")

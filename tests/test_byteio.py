"""Byte sources on this machine: files, file objects, and the arithmetic of fetching many ranges."""

import gzip
import io
import os
import pickle
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfio.byteio import FileSource, ObjectSource, is_url, open_source
from bfio.byteio.coalesce import plan_fetch
from bfio.byteio.names import local_path, sibling_path, sibling_url
from bfio.errors import BfioError, FormatError, UnsupportedError, UsageError

DATA = np.random.default_rng(0).bytes(300_001)


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "a.tif"
    path.write_bytes(DATA)
    return path


@pytest.fixture(params=["pread", "no pread"])
def pread_or_not(request, monkeypatch):
    if request.param == "no pread":
        monkeypatch.delattr(os, "pread", raising=False)
    return request.param


def check_reads(source):
    """Contract of every source over DATA."""
    size = len(DATA)
    assert source.size == size
    for offset, nbytes in [
        (0, 4),
        (0, size),
        (70_000, 200),
        (65_530, 20),
        (131_072, 65_536),
        (size - 1, 1),
        (5, 0),
    ]:
        assert source.pread(offset, nbytes) == DATA[offset : offset + nbytes]
    assert source.pread(np.uint64(10), np.uint64(20)) == DATA[10:30]
    assert source.pread(size - 3, 100) == DATA[-3:]
    assert source.pread(size, 1) == b""
    assert source.pread(2**64 - 1, 2**64 - 1) == b""
    assert source.pread(5, 2**62) == DATA[5:]
    for wrong in [(-1, 5), (5, -1)]:
        with pytest.raises(UsageError, match="negative"):
            source.pread(*wrong)
    check_fetch(source)


def check_fetch(source):
    offsets = np.array([250_000, 10, 100, 100, 0, 299_990, 2**63, 299_000], np.uint64)
    nbytes = np.array([5_000, 20, 50, 50, 0, 100, 2**63, 1001], np.uint64)
    arena, positions = source.fetch(offsets, nbytes)
    assert (arena.dtype, positions.dtype) == (np.uint8, np.uint64)
    assert arena.size <= len(DATA)
    for offset, length, position in zip(offsets.tolist(), nbytes.tolist(), positions.tolist(), strict=True):
        wanted = DATA[offset : offset + length]
        assert arena[position : position + length].tobytes() == wanted
        assert (position + length > arena.size) == (len(wanted) < length)
    arena, positions = source.fetch([], [])
    assert arena.size == positions.size == 0


class TestFile:
    def test_reads(self, path, pread_or_not):
        with open_source(path) as source:
            assert isinstance(source, FileSource)
            check_reads(source)
            assert (source.fileno() >= 0) == (pread_or_not == "pread")

    def test_every_spelling_of_a_path(self, path, monkeypatch):
        monkeypatch.setenv("HOME", str(path.parent))
        monkeypatch.setenv("USERPROFILE", str(path.parent))
        monkeypatch.chdir(path.parent)
        odd = path.parent / "50%25 a::b#c?.tif"
        odd.write_bytes(DATA)
        quoted = "50%2525%20a::b%23c%3F.tif"
        spellings = [path, str(path), os.fsencode(path), "a.tif", "~/a.tif", f"file://{path}", odd]
        spellings += [f"file://{odd}", f"file://localhost{path.parent}/{quoted}"]
        for spelling in spellings:
            with open_source(spelling) as source:
                assert source.pread(0, 9) == DATA[:9]

    def test_threads_do_not_disturb_each_other(self, path, pread_or_not):
        source, wrong, barrier = open_source(path), [], threading.Barrier(8)

        def read(seed):
            barrier.wait(10)
            for offset in np.random.default_rng(seed).integers(0, 299_000, 300):
                if source.pread(offset, 1000) != DATA[offset : offset + 1000]:
                    wrong.append(offset)

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong

    def test_pieces(self, path, monkeypatch):
        monkeypatch.setattr("bfio.byteio.local._PIECE", 1000)
        with open_source(path) as source:
            assert source.pread(17, 5001) == DATA[17:5018]
            assert source.requests == 6

    def test_a_file_that_grows(self, path):
        with open_source(path) as source:
            with path.open("ab") as stream:
                stream.write(b"more")
            assert source.pread(len(DATA) - 1, 100) == DATA[-1:] + b"more"
            assert source.size == len(DATA) + 4

    def test_a_file_that_shrinks(self, path):
        with open_source(path) as source:
            os.truncate(path, 100)
            assert source.pread(90, 20) == DATA[90:100]
            with pytest.raises(OSError, match="shrinks"):
                source.fetch([200_000], [10])

    def test_closed(self, path):
        source = open_source(path)
        fd = source.fileno()
        source.close()
        source.close()
        with pytest.raises(OSError):
            os.fstat(fd)
        assert source.closed
        assert source.size == len(DATA)
        for read in (lambda: source.pread(0, 1), lambda: source.fetch([0], [1]), source.fileno):
            with pytest.raises(UsageError, match="is closed"):
                read()

    def test_close_waits_for_nobody_and_keeps_the_descriptor_of_readers(self, path):
        source = open_source(path)
        with source.descriptor() as fd:
            source.close()
            assert os.pread(fd, 5, 0) == DATA[:5]
        with pytest.raises(OSError):
            os.fstat(fd)

    def test_garbage_closes_the_file(self, path):
        fd = open_source(path).fileno()
        with pytest.raises(OSError):
            os.fstat(fd)

    def test_not_inherited(self, path):
        with open_source(path) as source:
            assert not os.get_inheritable(source.fileno())

    def test_pickle(self, path, monkeypatch):
        monkeypatch.chdir(path.parent)
        with open_source("a.tif") as source:
            pickled = pickle.dumps(source)
        monkeypatch.chdir("/")
        with pickle.loads(pickled) as copy:
            assert copy.path == "a.tif"
            check_reads(copy)
        closed = pickle.loads(pickle.dumps(source))
        with pytest.raises(UsageError, match="is closed"):
            closed.pread(0, 1)

    def test_an_unpickled_copy_opens_when_used(self, path):
        with open_source(path) as source:
            pickled = pickle.dumps(source)
        path.unlink()
        copy = pickle.loads(pickled)
        with pytest.raises(FileNotFoundError):
            copy.pread(0, 1)

    def test_fork(self, path, in_fork, pread_or_not):
        with open_source(path) as source:
            assert in_fork(lambda: source.pread(1000, 9)) == repr(DATA[1000:1009])
            assert source.pread(5, 9) == DATA[5:14]

    def test_repr(self, path):
        with open_source(path) as source:
            assert repr(source) == f"<FileSource {path}>"
        assert repr(source) == f"<FileSource {path} (closed)>"

    def test_a_source_is_taken_as_it_is(self, path):
        with open_source(path) as source:
            assert open_source(source) is source


class TestRefusals:
    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"none\.tif"):
            open_source(tmp_path / "none.tif")

    def test_folder(self, tmp_path):
        with pytest.raises(FormatError, match=r"is a folder, not an image file"):
            open_source(tmp_path)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
    def test_pipe(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.tif")
        with pytest.raises(FormatError, match="is a pipe"):
            open_source(tmp_path / "pipe.tif")

    @pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no devices in the file system")
    def test_device(self):
        with pytest.raises(FormatError, match="a device"):
            open_source("/dev/zero")
        with open("/dev/zero", "rb") as stream, pytest.raises(FormatError, match="a device"):
            open_source(stream)

    @pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="nothing is forbidden to root")
    def test_permission(self, path):
        path.chmod(0)
        with pytest.raises(PermissionError):
            open_source(path)
        path.chmod(stat.S_IRWXU)

    @pytest.mark.parametrize("wrong", [None, 5, ["a.tif"], "a\0b"])
    def test_not_a_path(self, wrong):
        with pytest.raises(UsageError):
            open_source(wrong)

    def test_an_arena_without_memory(self, tmp_path):
        huge = tmp_path / "huge.tif"
        with huge.open("wb") as stream:
            try:
                stream.truncate(2**43)
            except OSError:
                pytest.skip("no sparse files here")
        code = (
            "import resource, sys; from bfio.byteio import open_source\n"
            "resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))\n"
            "try: open_source(sys.argv[1]).fetch([0], [2**42])\n"
            "except MemoryError as error: print(type(error).__name__)\n"
        )
        command = [sys.executable, "-c", code, str(huge)]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert answer.stdout == "LimitError\n", answer.stderr


class TestObject:
    def test_reads(self):
        stream = io.BytesIO(DATA)
        with open_source(stream) as source:
            assert isinstance(source, ObjectSource)
            check_reads(source)
            assert source.fileno() == -1
            assert source.path == "<BytesIO>"
        assert not stream.closed

    def test_reads_that_deliver_less(self):
        class Slow(io.BytesIO):
            def read(self, nbytes=-1):
                return super().read(min(nbytes, 7000))

        check_reads(open_source(Slow(DATA)))

    def test_gzip(self, tmp_path):
        with gzip.open(tmp_path / "a.gz", "wb") as stream:
            stream.write(DATA)
        with gzip.open(tmp_path / "a.gz") as stream:
            check_reads(open_source(stream))

    def test_closed_source_and_closed_stream(self):
        stream = io.BytesIO(DATA)
        source = open_source(stream)
        source.close()
        with pytest.raises(UsageError, match="is closed"):
            source.pread(0, 1)
        source = open_source(stream)
        stream.close()
        with pytest.raises(UsageError, match="is closed"):
            source.pread(0, 1)
        with pytest.raises(UsageError):
            open_source(stream)

    def test_pickle_takes_the_bytes_along(self):
        check_reads(pickle.loads(pickle.dumps(open_source(io.BytesIO(DATA)))))

    def test_fork_while_another_thread_reads(self, in_fork):
        source = open_source(io.BytesIO(DATA))
        with source._lock:
            assert in_fork(lambda: source.pread(7, 3)) == repr(DATA[7:10])

    def test_no_siblings(self):
        with pytest.raises(UnsupportedError, match="open it by path"):
            open_source(io.BytesIO(DATA)).sibling("b.tif")

    def test_text_write_only_and_pipes_are_refused(self, path):
        with path.open() as stream, pytest.raises(UsageError, match="'rb'|read"):
            open_source(stream)
        with pytest.raises(UsageError, match="delivers text"):
            open_source(io.StringIO("abc"))
        with path.open("wb") as stream, pytest.raises(UsageError):
            open_source(stream)
        reading, writing = os.pipe()
        os.close(writing)
        with open(reading, "rb") as stream, pytest.raises(BfioError):
            open_source(stream)


class TestOpenFile:
    @pytest.mark.parametrize("buffering", [-1, 0])
    def test_gets_a_descriptor_of_its_own(self, path, buffering):
        with path.open("rb", buffering=buffering) as stream:
            stream.seek(100)
            source = open_source(stream)
            check_reads(source)
            assert stream.tell() == 100
            assert source.fileno() not in (-1, stream.fileno())
        check_reads(source)
        with pickle.loads(pickle.dumps(source)) as copy:
            check_reads(copy)
        source.close()

    def test_without_a_name(self, path):
        with open(os.open(path, os.O_RDONLY), "rb") as stream, open_source(stream) as source:
            check_reads(source)


class TestSiblings:
    def test_path(self, path, monkeypatch):
        monkeypatch.chdir(path.parent)
        (path.parent / "b.tif").write_bytes(b"other")
        with open_source("a.tif") as source:
            sibling = source.sibling("b.tif")
        assert sibling == str(path.parent / "b.tif")
        assert sibling_path("/x/a.tif", "sub/b c.tif") == os.path.join("/x", "sub/b c.tif")

    @pytest.mark.parametrize(
        "url, expected",
        [
            ("https://host/x/a.tif", "https://host/x/b%20c.tif"),
            ("https://host/x/a.tif?key=1/2", "https://host/x/b%20c.tif?key=1/2"),
            ("https://host/a.tif#part", "https://host/b%20c.tif"),
            ("https://host", "https://host/b%20c.tif"),
            ("s3://bucket/x/a.tif", "s3://bucket/x/b c.tif"),
            ("zip://x/a.tif::https://host/y.zip?k=1", "zip://x/b c.tif::https://host/y.zip?k=1"),
            ("zip://a.tif::s3://b/y.zip", "zip://b c.tif::s3://b/y.zip"),
            ("simplecache::s3://b/x/a.tif", "simplecache::s3://b/x/b c.tif"),
            ("memory://a.tif", "memory://b c.tif"),
            ("memory:///a.tif", "memory:///b c.tif"),
        ],
    )
    def test_url(self, url, expected):
        assert sibling_url(url, "b c.tif") == expected

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "/etc/passwd",
            "../b.tif",
            "x/../../b.tif",
            "..\\b.tif",
            "C:\\b.tif",
            "c:/b",
            "\\\\host\\b",
            "a\0b",
        ]
        + ["http://host/b.tif", "..", "x::y"],
    )
    def test_ways_out_are_refused(self, name):
        for make, path in ((sibling_path, "/x/a.tif"), (sibling_url, "https://host/x/a.tif")):
            with pytest.raises(FormatError, match="not a file in its own folder"):
                make(path, name)

    @pytest.mark.parametrize(
        "text, expected",
        [
            ("a.tif", False),
            ("/x/a.tif", False),
            ("C:\\a.tif", False),
            ("C:/a.tif", False),
            ("a::b", False),
            ("x/http://a", False),
            ("http://a", True),
            ("s3://a/b", True),
            ("zip://a::/x/b.zip", True),
            ("simplecache::s3://a", True),
            ("file:///x", True),
        ],
    )
    def test_is_url(self, text, expected):
        assert is_url(text) is expected

    def test_windows_file_url(self):
        assert local_path("file:///C:/x/a%20b.tif") == "C:/x/a b.tif"


class TestPlan:
    ranges = st.lists(
        st.tuples(st.integers(0, 1200) | st.integers(0, 2**64 - 1), st.integers(0, 300) | st.just(2**64 - 1)),
        max_size=30,
    )

    @given(ranges, st.integers(0, 1000), st.integers(0, 50), st.integers(1, 80))
    def test_every_byte_once_and_in_bounds(self, ranges, size, gap, longest):
        file = np.random.default_rng(size).integers(0, 256, size, np.uint8)
        offsets = np.array([offset for offset, _ in ranges], np.uint64)
        nbytes = np.array([length for _, length in ranges], np.uint64)
        plan = plan_fetch(offsets, nbytes, size, gap, longest)
        arena, times = np.zeros(plan.arena_nbytes, np.uint8), np.zeros(size, int)
        n_filled = 0
        for start, view in plan.requests(arena):
            assert 0 < len(view) <= longest
            assert start + len(view) <= size
            view[:] = file[start : start + len(view)].tobytes()
            times[start : start + len(view)] += 1
            n_filled += len(view)
        assert n_filled == plan.arena_nbytes
        assert times.max(initial=0) <= 1
        for (offset, length), position in zip(ranges, plan.positions.tolist(), strict=True):
            wanted = file[offset : offset + length].tobytes()
            assert arena[position : position + length].tobytes() == wanted
            assert (position + length > arena.size) == (len(wanted) < length)

    @given(ranges, st.integers(0, 1000), st.integers(0, 50))
    def test_what_is_read_in_vain_is_in_gaps(self, ranges, size, gap):
        wanted = np.zeros(size, bool)
        for offset, length in ranges:
            wanted[offset : offset + length] = True
        plan = plan_fetch([r[0] for r in ranges], [r[1] for r in ranges], size, gap)
        n_blocks = plan.starts.size
        edges = np.flatnonzero(np.diff(np.r_[0, wanted, 0]))
        gaps = edges[2::2] - edges[1:-1:2]
        assert n_blocks == (1 + np.count_nonzero(gaps > gap) if wanted.any() else 0)
        assert plan.arena_nbytes == np.count_nonzero(wanted) + gaps[gaps <= gap].sum()

    def test_large_blocks_are_cut(self):
        plan = plan_fetch([100], [20 << 20], 1 << 30)
        assert plan.lengths.tolist() == [8 << 20, 8 << 20, 4 << 20]
        assert plan.starts.tolist() == [100, 100 + (8 << 20), 100 + (16 << 20)]

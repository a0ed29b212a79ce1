"""Byte sources behind URLs: how many requests they make, and how they fail."""

import builtins
import pickle
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pytest
from test_byteio import DATA, check_fetch, check_reads

from bfio.byteio import open_source
from bfio.byteio.blocks import BLOCK_NBYTES, BlockCache
from bfio.errors import BackendMissingError, FormatError, UnsupportedError, UsageError

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")

MEGABYTE = 1 << 20


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.tif").write_bytes(DATA)
    return tmp_path


@pytest.fixture
def large(tmp_path):
    """A file of 40 MB, sparse but for its numbered blocks."""
    with (tmp_path / "large.tif").open("wb") as stream:
        for number in range(40 * 16):
            stream.seek(number * BLOCK_NBYTES)
            stream.write(number.to_bytes(4, "little"))
        stream.truncate(40 * MEGABYTE)
    return tmp_path


class TestHttp:
    def test_reads(self, folder, http_server):
        with open_source(f"{http_server(folder).url}/a.tif") as source:
            check_reads(source)
            assert source.fileno() == -1

    def test_opening_and_reading_the_head_is_one_request(self, large, http_server):
        server = http_server(large)
        source = open_source(f"{server.url}/large.tif")
        assert source.size == 40 * MEGABYTE
        for offset in range(0, BLOCK_NBYTES, 100):
            source.pread(offset, 20)
        assert server.log == [("GET", "large.tif", 0, BLOCK_NBYTES - 1)]
        assert source.requests == 1
        source.close()

    def test_a_walk_through_directories_reads_ahead(self, large, http_server):
        server = http_server(large)
        source = open_source(f"{server.url}/large.tif")
        for offset in range(20 * MEGABYTE, 23 * MEGABYTE, 300):
            source.pread(offset, 300)
        assert source.requests == len(server.log) <= 8
        for offset in range(20 * MEGABYTE, 23 * MEGABYTE, 3000):
            assert source.pread(offset, 300)[:4] is not None
        assert source.requests <= 8

    def test_scattered_small_reads(self, large, http_server):
        source = open_source(f"{http_server(large).url}/large.tif")
        for number in range(100, 600, 50):
            assert source.pread(number * BLOCK_NBYTES, 4) == number.to_bytes(4, "little")
            assert source.pread(number * BLOCK_NBYTES - 2, 6) == b"\0\0" + number.to_bytes(4, "little")
        assert source.requests <= 1 + 2 * 10

    def test_fetch_merges_cuts_and_runs_at_once(self, large, http_server):
        server = http_server(large, delay=0.1)
        source = open_source(f"{server.url}/large.tif")
        server.log.clear()
        numbers = [*range(100, 300), 400, 600]
        arena, positions = source.fetch([n * BLOCK_NBYTES for n in numbers], [1000] * len(numbers))
        got = [int.from_bytes(arena[p : p + 4].tobytes(), "little") for p in positions.tolist()]
        assert got == numbers
        assert len(server.log) == 4  # 12.4 MB in two, and two alone
        assert server.most_at_once >= 3

    def test_a_large_read_is_cut(self, large, http_server):
        server = http_server(large)
        source = open_source(f"{server.url}/large.tif")
        data = source.pread(MEGABYTE, 20 * MEGABYTE)
        assert len(data) == 20 * MEGABYTE
        assert data[: 1 << 24 : BLOCK_NBYTES] == bytes(i % 256 for i in range(16, 16 + 256))
        assert sorted(last - first + 1 for _, _, first, last in server.log[1:]) == [
            4 * MEGABYTE,
            8 * MEGABYTE,
            8 * MEGABYTE,
        ]

    def test_the_cache_is_bounded(self, large, http_server):
        source = open_source(f"{http_server(large).url}/large.tif")
        for offset in range(0, 40 * MEGABYTE, BLOCK_NBYTES):
            source.pread(offset, 10)
        (link,) = source._links.values()
        assert len(link.cache._blocks) * BLOCK_NBYTES <= 8 * MEGABYTE

    def test_many_threads(self, folder, http_server):
        source, wrong = open_source(f"{http_server(folder).url}/a.tif"), []

        def read(seed):
            for offset in np.random.default_rng(seed).integers(0, 290_000, 50):
                for nbytes in (100, 80_000):
                    if source.pread(offset, nbytes) != DATA[offset : offset + nbytes]:
                        wrong.append(offset)
            check_fetch(source)

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong

    def test_names_that_need_quoting(self, folder, http_server):
        (folder / "b #1?.tif").write_bytes(b"sibling")
        with open_source(f"{http_server(folder).url}/a.tif?token=x") as source:
            sibling = source.sibling("b #1?.tif")
        assert open_source(sibling).pread(0, 10) == b"sibling"

    def test_an_empty_file(self, folder, http_server):
        (folder / "empty.tif").touch()
        with open_source(f"{http_server(folder).url}/empty.tif") as source:
            assert (source.size, source.pread(0, 10)) == (0, b"")
            assert source.fetch([0], [10])[0].size == 0

    def test_closed_pickled_forked(self, folder, http_server, in_fork):
        source = open_source(f"{http_server(folder).url}/a.tif")
        assert in_fork(lambda: source.pread(100_000, 5)) == repr(DATA[100_000:100_005])
        assert in_fork(lambda: source.fetch([200_000], [4])[0].tobytes()) == repr(DATA[200_000:200_004])
        check_reads(source)
        check_reads(pickle.loads(pickle.dumps(source)))
        source.close()
        source.close()
        for read in (lambda: source.pread(0, 1), lambda: source.fetch([0], [1])):
            with pytest.raises(UsageError, match="is closed"):
                read()

    def test_an_exit_without_close_is_silent(self, folder, http_server):
        url = f"{http_server(folder).url}/a.tif"
        code = f"from bfio.byteio import open_source; source = open_source({url!r}); print(source.size)"
        command = [sys.executable, "-W", "error", "-X", "dev", "-c", code]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert (answer.returncode, answer.stdout.strip(), answer.stderr) == (0, str(len(DATA)), "")


class TestBadServers:
    def test_missing(self, folder, http_server):
        with pytest.raises(FileNotFoundError, match=r"none\.tif does not exist"):
            open_source(f"{http_server(folder).url}/none.tif")

    @pytest.mark.parametrize("length", [True, False])
    def test_a_large_file_without_ranges_is_not_downloaded(self, large, http_server, length):
        server = http_server(large, ranges=False, length=length)
        with pytest.raises(UnsupportedError, match="range requests"):
            open_source(f"{server.url}/large.tif")
        assert len(server.log) == 1
        if length:  # the rest is what the sockets hold
            assert server.bytes_sent < 8 * MEGABYTE

    @pytest.mark.parametrize("length", [True, False])
    def test_a_small_file_without_ranges_is_read_whole(self, folder, http_server, length):
        server = http_server(folder, ranges=False, length=length)
        with open_source(f"{server.url}/a.tif") as source:
            check_reads(source)
            assert source.requests == len(server.log) == 1

    def test_a_server_that_loses_its_ranges(self, large, http_server):
        server = http_server(large)
        source = open_source(f"{server.url}/large.tif")
        server.ranges = False
        with pytest.raises(UnsupportedError, match="range requests"):
            source.fetch([20 * MEGABYTE], [100])

    @pytest.mark.parametrize("offset", [100_000, len(DATA) - 100])
    def test_a_server_that_sends_another_range(self, folder, http_server, offset):
        server = http_server(folder)
        source = open_source(f"{server.url}/a.tif")
        server.shift = 1
        with pytest.raises(OSError, match="another range"):
            source.fetch([offset], [100])

    @pytest.mark.parametrize("failures", [[503], [0], [500, 0], [429, 504]])
    def test_passing_troubles_are_overcome(self, folder, http_server, failures):
        server = http_server(folder)
        server.failures[:] = failures
        source = open_source(f"{server.url}/a.tif")
        server.failures[:] = failures
        assert source.pread(100_000, 100_000) == DATA[100_000:200_000]
        assert source.requests == len(server.log) == 2 * (1 + len(failures))

    @pytest.mark.parametrize(
        "failures, error, match",
        [
            ([503] * 3, OSError, "HTTP 503"),
            ([0] * 3, OSError, "a.tif"),
            ([400], OSError, "HTTP 400"),
            ([403], PermissionError, "refuses access"),
            ([401], PermissionError, "refuses access"),
            ([404], FileNotFoundError, "does not exist"),
        ],
    )
    def test_lasting_troubles(self, folder, http_server, failures, error, match):
        server = http_server(folder)
        source = open_source(f"{server.url}/a.tif")
        server.failures[:] = failures
        with pytest.raises(error, match=match) as caught:
            source.fetch([100_000], [5])
        assert type(caught.value) is error
        assert not isinstance(caught.value, FileNotFoundError) or error is FileNotFoundError

    def test_nobody_listens(self, folder, http_server):
        server = http_server(folder)
        server.close()
        with pytest.raises(OSError, match="ClientConnectorError") as caught:
            open_source(f"{server.url}/a.tif")
        assert type(caught.value) is OSError
        assert caught.value.__cause__ is not None


class TestOtherSystems:
    def test_memory(self):
        fsspec.filesystem("memory").pipe_file("/folder/a.tif", DATA)
        with open_source("memory://folder/a.tif") as source:
            check_reads(source)
            assert source.sibling("b.tif") == "memory://folder/b.tif"
        with pytest.raises(FileNotFoundError, match="memory://none"):
            open_source("memory://none.tif")
        with pytest.raises(FormatError, match="is a folder"):
            open_source("memory://folder")

    def test_zip(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("in/a.tif", DATA)
        with open_source(f"zip://in/a.tif::{tmp_path}/a.zip") as source:
            check_reads(source)

    def test_an_asynchronous_one_and_its_options(self, folder, in_fork):
        from fsspec.asyn import AsyncFileSystem

        class Lab(AsyncFileSystem):
            protocol = "lab"

            def __init__(self, root, **options):
                super().__init__(**options)
                self.root = root

            async def _info(self, path, **options):
                if not (self.root / path).exists():
                    raise FileNotFoundError(path)
                return {"name": path, "size": (self.root / path).stat().st_size, "type": "file"}

            async def _cat_file(self, path, start=None, end=None, **options):
                return (self.root / path).read_bytes()[start:end]

        fsspec.register_implementation("lab", Lab, clobber=True)
        with open_source("lab://a.tif", {"root": folder}) as source:
            check_reads(source)
            assert in_fork(lambda: source.pread(100_000, 5)) == repr(DATA[100_000:100_005])
            with (folder / "a.tif").open("r+b") as stream:
                stream.truncate(200_000)
            with pytest.raises(OSError, match="bytes instead of"):
                source.fetch([100_000], [150_000])
        with pytest.raises(FileNotFoundError, match="lab://b.tif"):
            open_source("lab://b.tif", {"root": folder})

    def test_unknown_scheme(self):
        with pytest.raises(UsageError, match="no file system is known"):
            open_source("nothing://a.tif")

    def test_missing_driver(self, monkeypatch):
        self._hide(monkeypatch, "s3fs")
        with pytest.raises(BackendMissingError, match="pip install s3fs"):
            open_source("s3://bucket/a.tif")

    def test_missing_fsspec(self, monkeypatch):
        self._hide(monkeypatch, "fsspec")
        with pytest.raises(BackendMissingError, match=r"pip install 'bfio\[remote\]'"):
            open_source("https://host/a.tif")

    def test_local_files_need_no_fsspec(self, folder):
        code = "import sys; from bfio.byteio import open_source; open_source('a.tif'); print('fsspec' in sys.modules)"
        command = [sys.executable, "-c", code]
        answer = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
        assert answer.stdout == "False\n", answer.stderr

    @staticmethod
    def _hide(monkeypatch, package):
        for name in list(sys.modules):
            if name.split(".")[0] == package:
                monkeypatch.delitem(sys.modules, name)
        plain_import = builtins.__import__

        def refuse(name, *arguments, **options):
            if name.split(".")[0] == package:
                raise ImportError(f"No module named {name!r}")
            return plain_import(name, *arguments, **options)

        monkeypatch.setattr(builtins, "__import__", refuse)


class TestBlockCache:
    def test_against_the_bytes(self):
        data = np.random.default_rng(1).bytes(10 * BLOCK_NBYTES + 17)
        requests = []

        def fetch(offset, nbytes):
            requests.append((offset, nbytes))
            assert offset + nbytes <= len(data)
            return data[offset : offset + nbytes]

        cache = BlockCache(fetch, len(data), data[:BLOCK_NBYTES])
        generator = np.random.default_rng(2)
        for _ in range(2000):
            offset = int(generator.integers(0, len(data)))
            nbytes = int(generator.integers(0, min(BLOCK_NBYTES, len(data) - offset) + 1))
            assert cache.read(offset, nbytes) == data[offset : offset + nbytes]
        assert len(requests) <= 10

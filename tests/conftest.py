"""Fixtures for all tests: the corpus, an HTTP server, writers in memory, and a watch over what a test leaves behind."""

import gc
import os
import signal
import subprocess
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from corpus_files import CORPUS
from fake_writer import FakeWriter
from http_server import Server

import bfio

if TYPE_CHECKING:
    from ome_types import OME

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as background jobs of a shell begin; children would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


OF_THE_JVM = (".jar", "/lib/modules")
"""Files that a JVM opens when it pleases, and keeps; what its readers open is not among them."""


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Folder of the sample files; a test that needs it is skipped where it is absent."""
    if not CORPUS.is_dir():
        pytest.skip("no corpus beside the project")
    return CORPUS


@pytest.fixture
def http_server() -> Iterator[Callable[..., Server]]:
    """Factory ``http_server(folder, **options) -> Server``; see `http_server.Server`."""
    servers: list[Server] = []

    def start(folder: Path, **options: object) -> Server:
        servers.append(Server(folder, **options))  # type: ignore[arg-type]
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def open_url(http_server: Callable[..., Server]) -> Iterator[Callable[..., tuple[bfio.BioReader, Server]]]:
    """Factory ``open_url(folder, ...) -> (reader, server)``; the log of the server begins after the opening."""
    readers: list[bfio.BioReader] = []

    def opened(
        folder: Path, delay: float = 0.0, ranges: bool = True, **options: object
    ) -> tuple[bfio.BioReader, Server]:
        server = http_server(folder.parent, ranges=ranges)
        readers.append(bfio.BioReader(f"{server.url}/{folder.name}", max_workers=2, **options))  # type: ignore[arg-type]
        server.log.clear()
        server.delay, server.most_at_once = delay, 0
        return readers[-1], server

    yield opened
    for reader in readers:
        reader.close()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeWriter]:
    """The backends in memory that writers and conversions made in place of files, the last one last."""
    backends: list[FakeWriter] = []

    def create(path: Path, name: str, series: object, xml: str, options: object) -> FakeWriter:
        backends.append(FakeWriter(path, series, xml, options))
        return backends[-1]

    monkeypatch.setattr("bfio.writer.create_writer", create)
    monkeypatch.setattr("bfio.conversion.job.create_writer", create)
    return backends


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a writer may write."""
    return tmp_path / "image.ome.tif"


@pytest.fixture
def writer(made: list[FakeWriter], path: Path) -> Iterator[bfio.BioWriter]:
    """A writer in memory of 2 T, 3 C, 4 Z, 50 Y, 40 X."""
    with bfio.BioWriter(path, X=40, Y=50, Z=4, C=3, T=2, dtype=np.uint16) as bw:
        yield bw


@pytest.fixture
def ome() -> "OME":
    """Metadata of an image of 2 C, 2 Z, 5 Y, 6 X."""
    from ome_types import from_xml

    return from_xml(
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0" Name="source">'
        '<Description>kept</Description><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="6" SizeY="5" '
        'SizeZ="2" SizeC="2" SizeT="1" PhysicalSizeX="0.5" PhysicalSizeXUnit="nm"><Channel ID="Channel:0:0" Name="DAPI" '
        'Color="255"/><Channel ID="Channel:0:1" Name="GFP"/><TiffData/></Pixels></Image></OME>'
    )


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    """Descriptor of a new file for tiles."""
    fd = os.open(tmp_path / "tiles", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in each run."""
    return np.random.default_rng(7)


def _open_files() -> set[tuple[str, str]]:
    """Descriptors of regular files, as (number, path)."""
    found = set()
    try:
        numbers = os.listdir("/proc/self/fd")
    except OSError:
        return found
    for number in numbers:
        try:
            path = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if path.startswith(("/proc/", "/dev/", "/sys/")) or path.endswith(OF_THE_JVM):
            continue
        if path.startswith("/") and os.path.isfile(path):
            found.add((number, path))
    return found


def _joinable_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if not thread.daemon}


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test after which a file is still open, or a thread that would hold up the end of the interpreter."""
    files, threads = _open_files(), _joinable_threads()
    yield
    deadline = time.monotonic() + 2
    while _open_files() - files or _joinable_threads() - threads:
        gc.collect()
        left = sorted(_open_files() - files), _joinable_threads() - threads
        if not any(left):
            return
        if time.monotonic() > deadline:
            pytest.fail(f"left open: files {left[0]}, threads {left[1]}")
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def java_stays_out(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the tests of tests/java may start a JVM in this process; to all others it is not installed."""
    if request.path.parent.name != "java":
        monkeypatch.setattr("bfio.backends.opening.java_installed", lambda: False)


@pytest.fixture
def in_fork() -> Callable[[Callable[[], object]], str]:
    """Run a function in a forked child: ``in_fork(function) -> repr(result)``; a child that hangs is killed."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork on this system")
    return _in_fork


def _in_fork(function: Callable[[], object]) -> str:
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # "multi-threaded": that is what is tested
        pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        try:
            answer = repr(function())
        except BaseException as error:  # noqa: BLE001 - shown by the parent
            answer = f"raised {error!r}"
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as stream:
        answer = stream.read().decode()
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"the child ended with status {status}"
    return answer


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Folder on a file system of its own; ``small_disk(kilobytes)`` makes it so large."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount here")
    if done.returncode:
        pytest.skip("only root can mount a file system")

    def resize(kilobytes: int) -> Path:
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(folder)], check=True)
        return folder

    yield resize
    subprocess.run(["umount", "-l", str(folder)], check=True)

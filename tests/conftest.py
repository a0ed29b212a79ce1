"""Fixtures for all tests: the corpus, an HTTP server, and a watch over what a test leaves behind."""

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from http_server import Server

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"


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
        if (
            path.startswith("/")
            and not path.startswith(("/proc/", "/dev/", "/sys/"))
            and os.path.isfile(path)
        ):
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

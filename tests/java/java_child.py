"""Code that needs a JVM of its own, or must have none, run in a child process."""

import importlib.metadata
import os
import subprocess
import sys
import textwrap
from pathlib import Path

DEBIAN = Path("/usr/lib/jvm/java-17-openjdk-amd64")

HIDDEN = """
import sys
class Hides:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDE:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hides())
"""
"""Makes the packages of the set HIDE impossible to import."""


PREAMBLE = """
import bfio, logging, os, sys, threading, time
from bfio.bioformats import jvm
from bfio.bioformats.failures import java_errors

def open_fake(name="a&sizeX=40&sizeY=30.fake"):
    reader = jvm.java("loci.formats.ImageReader")()
    with java_errors(name, "opening"):
        reader.setId(name)
        return reader, len(reader.openBytes(0))

def attempt(function, *arguments, **keywords):
    try:
        return function(*arguments, **keywords)
    except bfio.BfioError as error:
        return f"{type(error).__name__} {error}"
"""
"""What the children have: a way to open an image through Java, and to see an error."""


def jar_of(package):
    """Path of the jar that a Python package brought; None without the package."""
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.name == "bioformats_package.jar"), None)


def child(code, *arguments, hide=(), cwd=None, timeout=60, check=True, **environment):
    """Run code in a clean environment; what it wrote and its exit code. A variable that is None is taken away."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BFIO_", "JAVA_", "JDK_"))}
    kept |= environment
    kept = {name: str(value) for name, value in kept.items() if value is not None}
    code = PREAMBLE + textwrap.dedent(code)
    if hide:
        code = f"HIDE = {set(hide)!r}\n{HIDDEN}\n{code}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        capture_output=True, text=True, env=kept, cwd=cwd, timeout=timeout, check=False,
    )  # fmt: skip
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


def said(done):
    """Lines of a child that had nothing to complain about."""
    assert done.stderr == ""
    return done.stdout.splitlines()

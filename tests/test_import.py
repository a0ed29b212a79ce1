"""``import bfio`` is cheap and silent, and every file imports from layers below its own."""

import ast
import importlib.util
import io
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

import bfio

PACKAGE = Path(bfio.__file__).parent
HEAVY = {"tifffile", "imagecodecs", "ome_types", "zarr", "jpype", "fsspec", "dask", "tensorstore", "xml", "numpy"}

LAYERS = (
    ("errors", "enums", "axes", "limits", "units", "_locks", "_version"),
    ("_coverage", "_cpus", "_gate", "_pool", "_positional", "_spill", "_words"),
    ("selection", "tiling", "byteio", "metadata", "options", "_kernels"),
    ("plan", "_parallel", "omexml", "result", "target", "tilecache"),
    ("pyramid",),
    ("tiff", "bioformats", "omezarr"),
    ("backends",),
    ("handle", "properties", "preview", "tileiter", "_versions"),
    ("assign", "draft", "lossless", "progress", "settable"),
    ("described",),
    ("reader", "writer"),
    ("_imread", "_imwrite", "conversion"),
    ("bfio", "utils", "__init__", "cli"),
    ("__main__",),
)
"""Rooms from the ground up. A folder is one room here; below, a folder's files may import each other."""


def run_python(code):
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)


def test_import_loads_nothing_that_is_heavy_and_prints_nothing():
    code = "import sys, json; import bfio; dir(bfio); sys.stdout.write(json.dumps(list(sys.modules)))"
    done = run_python(code)
    assert done.stderr == ""
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & HEAVY
    assert "bfio.reader" not in json.loads(done.stdout)


def test_the_reader_class_needs_numpy_only():
    done = run_python("import sys, json; from bfio import BioReader, imread; print(json.dumps(list(sys.modules)))")
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & (HEAVY - {"numpy", "xml"})


def test_logging_of_the_application_is_left_alone():
    done = run_python("import logging, bfio; from bfio import BioReader; print(len(logging.getLogger().handlers))")
    assert done.stdout.strip() == "0"
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("bfio").handlers)


def test_public_names():
    for name in bfio.__all__:
        assert getattr(bfio, name) is not None or name == "JAR_VERSION"
        assert name in dir(bfio)
    assert isinstance(bfio.__version__, str)
    assert issubclass(bfio.SelectionError, bfio.BfioError)
    with pytest.raises(AttributeError, match="BioRaeder"):
        bfio.BioRaeder


def test_the_version_of_the_jar_is_none_before_java_runs():
    code = (
        "import sys, bfio; from bfio import JAR_VERSION; print(JAR_VERSION, bfio.JAR_VERSION, 'jpype' in sys.modules)"
    )
    assert run_python(code).stdout.split() == ["None", "None", "False"]


def test_old_module_path():
    from bfio.bfio import BioReader

    assert BioReader is bfio.BioReader


def test_show_versions():
    text = io.StringIO()
    assert bfio.show_versions(text) is None
    for word in ("bfio", "python", "numpy", "tifffile", "imagecodecs", "ome-types", "CPUs available"):
        assert word in text.getvalue()
    assert bfio.versions()["bfio"] == bfio.__version__


def layer(room):
    return next(number for number, rooms in enumerate(LAYERS) if room in rooms)


def room_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def runtime_imports(path):
    """Import statements anywhere in a file, save those for type checkers, with the absolute name of `from` imports."""
    package = ("bfio", *path.relative_to(PACKAGE).parent.parts)
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield node, ""
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else ()
            yield node, ".".join(filter(None, (*parents, node.module)))


def imported_rooms(path):
    """Rooms of bfio that a file imports, even inside functions."""
    for node, home in runtime_imports(path):
        names = [alias.name for alias in node.names]
        if home == "bfio":
            names = [f"bfio.{name}" for name in names]
        elif home:
            names = [home]
        yield from (name.split(".")[1] for name in names if name.startswith("bfio."))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_import_from_layers_below_their_own(path):
    own = room_of(path)
    for room in imported_rooms(path):
        assert room == own or layer(room) < layer(own), f"{path.name} imports {room} of the same layer or above"


def importers(module):
    """Files of bfio that import a module for use, not for its types only."""
    for path in PACKAGE.rglob("*.py"):
        for node, home in runtime_imports(path):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [home]
            if any(name.split(".")[0] == module for name in names):
                yield path.relative_to(PACKAGE)


@pytest.mark.parametrize("module", ["jpype", "zarr", "ome_types", "tensorstore", "dask"])
def test_optional_packages_are_imported_in_one_room_each(module):
    assert len({path.parts[0] for path in importers(module)}) <= 1


def test_kernels_are_imported_by_one_file():
    assert {str(path) for path in importers("_tilecodec")} <= {"_kernels.py"}


def test_bfio_is_a_typed_package():
    assert importlib.util.find_spec("bfio").submodule_search_locations
    assert (PACKAGE / "py.typed").exists()

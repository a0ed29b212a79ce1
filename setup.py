"""Build of the kernels: one extension per noun in ``src/_tilecodec``, stable ABI, optional C libraries."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel

SOURCE = Path("src/_tilecodec")
DEBUG = os.environ.get("BFIO_DEBUG_BUILD") == "1"
SANITIZE = os.environ.get("BFIO_SANITIZE", "")
ABI = "0x030B0000"

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": DEBUG,
    "cdivision": True,
    "binding": True,
    "embedsignature": True,
}


@dataclass
class Library:
    """What the compiler and linker need of one optional C library."""

    macro: str
    include_dirs: list[str] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)
    library_dirs: list[str] = field(default_factory=list)
    extra_objects: list[str] = field(default_factory=list)


def _pkg_config(package: str, *options: str) -> list[str]:
    """Words that pkg-config prints, or an empty list where it, or the package, is missing."""
    tool = os.environ.get("PKG_CONFIG") or shutil.which("pkg-config")
    if not tool:
        return []
    answer = subprocess.run([tool, *options, package], capture_output=True, text=True, check=False)
    return answer.stdout.split() if answer.returncode == 0 else []


def probe(package: str, library: str, variable: str, macro: str) -> Library | None:
    """Find an optional C library.

    The environment variable ``BFIO_<NAME>`` decides first: ``0`` leaves the library out, a folder is a prefix with
    ``include`` and ``lib``. Else pkg-config is asked. ``BFIO_STATIC=1`` links the archive where there is one.
    """
    choice = os.environ.get(variable, "")
    static = os.environ.get("BFIO_STATIC") == "1"
    if choice == "0":
        return None
    if choice:
        include_dirs, library_dirs = [f"{choice}/include"], [f"{choice}/lib", f"{choice}/lib64"]
    elif _pkg_config(package, "--modversion"):
        include_dirs = _pkg_config(package, "--variable=includedir")
        library_dirs = _pkg_config(package, "--variable=libdir")
    else:
        return None
    found = Library(macro, include_dirs)
    archives = [Path(folder) / f"lib{library}.a" for folder in library_dirs]
    archive = next((str(path) for path in archives if path.exists()), None)
    if static and archive:
        found.extra_objects.append(archive)
    else:
        found.libraries.append(library)
        found.library_dirs.extend(library_dirs)
    return found


def libraries() -> list[Library]:
    """The optional C libraries of this build."""
    found = [
        probe("libdeflate", "deflate", "BFIO_LIBDEFLATE", "BFIO_WITH_LIBDEFLATE"),
        probe("libzstd", "zstd", "BFIO_ZSTD", "BFIO_WITH_ZSTD"),
    ]
    return [library for library in found if library is not None]


def compiler_flags() -> tuple[list[str], list[str]]:
    """Compile and link flags: optimised, or with asserts and sanitizers in a debug build."""
    if sys.platform == "win32":
        return (["/O2"], [])
    compile_flags = ["-O1", "-g", "-UNDEBUG"] if DEBUG else ["-O3"]
    link_flags = []
    if SANITIZE:
        compile_flags += [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer"]
        link_flags += [f"-fsanitize={SANITIZE}"]
    return compile_flags, link_flags


def extensions() -> list[Extension]:
    """One extension per ``.pyx``; only ``codec`` touches foreign libraries."""
    compile_flags, link_flags = compiler_flags()
    found = libraries()
    built = []
    for source in sorted(SOURCE.glob("*.pyx")):
        linked = found if source.stem == "codec" else []
        built.append(
            Extension(
                f"_tilecodec.{source.stem}",
                [str(source)],
                define_macros=[("Py_LIMITED_API", ABI), *((library.macro, "1") for library in linked)],
                include_dirs=[folder for library in linked for folder in library.include_dirs],
                libraries=[name for library in linked for name in library.libraries],
                library_dirs=[folder for library in linked for folder in library.library_dirs],
                extra_objects=[path for library in linked for path in library.extra_objects],
                extra_compile_args=compile_flags,
                extra_link_args=link_flags,
                py_limited_api=True,
            )
        )
    return built


def cythonized() -> list[Extension]:
    """Extensions as C; a performance hint of Cython (a call that takes the GIL) fails the build."""
    from Cython.Build import cythonize
    from Cython.Compiler import Errors

    plain_hint = Errors.performance_hint

    def refuse(position, message, env):
        plain_hint(position, message, env)
        raise SystemExit(f"Cython performance hint at {position}: {message}")

    Errors.performance_hint = refuse
    return cythonize(extensions(), include_path=["src"], compiler_directives=DIRECTIVES, force=DEBUG)


class StableAbiWheel(bdist_wheel):
    """Tag the wheel cp311-abi3."""

    def finalize_options(self):
        self.py_limited_api = "cp311"
        super().finalize_options()


if __name__ == "__main__":
    setup(
        packages=["bfio", "bfio.tiff", "bfio.backends", "bfio.cli", "_tilecodec"],
        package_dir={"bfio": "bfio", "_tilecodec": "src/_tilecodec"},
        package_data={"bfio": ["py.typed"], "_tilecodec": ["*.pyi", "py.typed"]},
        exclude_package_data={"_tilecodec": ["*.c", "*.pyx", "*.pxd"]},
        ext_modules=cythonized(),
        cmdclass={"bdist_wheel": StableAbiWheel},
    )

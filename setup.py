"""Build of the kernels: one extension per noun in ``src/_tilecodec``, stable ABI, optional C libraries.

Environment variables
---------------------
BFIO_LIBDEFLATE, BFIO_ZSTD, BFIO_ISAL
    ``0`` leaves the library out; a folder is a prefix with ``include`` and ``lib``; unset asks pkg-config.
BFIO_STATIC
    ``1`` links the archives of those libraries, for wheels; ISA-L is left out where there is none, as in Debian.
BFIO_DEBUG_BUILD
    ``1`` turns on bounds checks, asserts and debug information.
BFIO_SANITIZE
    Names for ``-fsanitize=``, such as ``address,undefined``.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from Cython import __version__ as cython_version  # type: ignore[attr-defined]
from setuptools import Extension, find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext

SOURCE = Path("src/_tilecodec")
# The modules that touch foreign libraries
LINKED = ("compress", "decompress", "deflate_encoder", "image_deflate", "noisy_deflate", "zstd_decoder")
DEBUG = os.environ.get("BFIO_DEBUG_BUILD") == "1"
STATIC = os.environ.get("BFIO_STATIC") == "1"
SANITIZE = os.environ.get("BFIO_SANITIZE", "")
STABLE_ABI = not sysconfig.get_config_var("Py_GIL_DISABLED")  # free-threaded Pythons have none

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
    include_dirs: list[str]
    libraries: list[str] = field(default_factory=list)
    library_dirs: list[str] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)


def _words(tool: str, *arguments: str) -> list[str]:
    """The words that a tool prints, or an empty list where it is missing or fails."""
    command = shlex.split(tool)
    if not shutil.which(command[0]):
        return []
    answer = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    return answer.stdout.split() if answer.returncode == 0 else []


def _pkg_config(*arguments: str) -> list[str]:
    return _words(os.environ.get("PKG_CONFIG", "pkg-config"), *arguments)


def _archive(name: str, folders: list[str]) -> str | None:
    """The static library of that name, or None."""
    files = [f"lib{name}.a", f"{name}static.lib", f"{name}_static.lib", f"{name}.lib"]  # MSVC has no one name
    paths = [Path(folder, file) for folder in folders for file in files]
    # Debian's libdeflate.pc names /usr/lib, its archive is in /usr/lib/<machine>: the compiler knows.
    paths += map(Path, _words(os.environ.get("CC", "cc"), f"-print-file-name=lib{name}.a"))
    for path in paths:
        if path.exists():
            return str(path)
    return None


def probe(package: str, name: str, variable: str, macro: str) -> Library | None:
    """Find an optional C library: the environment variable decides, else pkg-config is asked."""
    choice = os.environ.get(variable, "")
    if choice == "0":
        return None
    if choice:
        include_dirs, library_dirs = [f"{choice}/include"], [f"{choice}/lib", f"{choice}/lib64"]
    elif _pkg_config("--modversion", package):
        include_dirs = _pkg_config("--variable=includedir", package)
        library_dirs = _pkg_config("--variable=libdir", package)
    else:
        return None
    if not STATIC:
        return Library(macro, include_dirs, [name], library_dirs)
    archive = _archive(name, library_dirs)
    if archive is None and (choice or name != "isal"):
        raise SystemExit(f"BFIO_STATIC=1, but there is no archive of {name} in {library_dirs}")
    return Library(macro, include_dirs, archives=[archive]) if archive else None


def libraries() -> list[Library]:
    """The optional C libraries of this build."""
    found = [
        probe("libdeflate", "deflate", "BFIO_LIBDEFLATE", "BFIO_WITH_LIBDEFLATE"),
        probe("libzstd", "zstd", "BFIO_ZSTD", "BFIO_WITH_ZSTD"),
        probe("libisal", "isal", "BFIO_ISAL", "BFIO_WITH_ISAL"),
    ]
    return [library for library in found if library is not None]


def flags() -> tuple[list[str], list[str]]:
    """Compile and link flags: optimised, or with asserts and sanitizers in a debug build."""
    if sys.platform == "win32":
        return (["/Od", "/Z7", "/UNDEBUG"], ["/DEBUG"]) if DEBUG else (["/O2"], [])
    compile_flags = ["-O1", "-g", "-UNDEBUG"] if DEBUG else ["-O3"]
    link_flags = []
    if STATIC and sys.platform == "linux":
        link_flags += ["-Wl,--exclude-libs,ALL"]  # keep the archives' symbols to ourselves
    if SANITIZE:
        compile_flags += [f"-fsanitize={SANITIZE}", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
        link_flags += [f"-fsanitize={SANITIZE}"]
    return compile_flags, link_flags


def extensions() -> list[Extension]:
    """One extension per ``.pyx``."""
    compile_flags, link_flags = flags()
    found = libraries()
    abi = [("Py_LIMITED_API", "0x030B0000")] if STABLE_ABI else []
    built = []
    for source in sorted(SOURCE.glob("*.pyx")):
        linked = found if source.stem in LINKED else []
        built.append(
            Extension(
                f"_tilecodec.{source.stem}",
                [source.as_posix()],
                define_macros=[*abi, *((library.macro, "1") for library in linked)],
                include_dirs=[folder for library in linked for folder in library.include_dirs],
                libraries=[name for library in linked for name in library.libraries],
                library_dirs=[folder for library in linked for folder in library.library_dirs],
                extra_objects=[path for library in linked for path in library.archives],
                extra_compile_args=compile_flags,
                extra_link_args=link_flags,
                py_limited_api=STABLE_ABI,
            )
        )
    return built


def folder_for(kind: str, *settings: Any) -> str:
    """A folder of its own for each configuration, so that nothing made for another one is ever reused."""
    return f"build/{kind}-{hashlib.sha256(repr(settings).encode()).hexdigest()[:12]}"


def build_folder(modules: list[Extension]) -> str:
    """Where objects and libraries of this configuration go."""
    environment = [os.environ.get(name, "") for name in ("CC", "CFLAGS", "CPPFLAGS", "LDFLAGS")]
    parts = [sorted(vars(module).items()) for module in modules]
    return folder_for("base", cython_version, DIRECTIVES, environment, parts)


def refuse_hints() -> None:
    """Make a performance hint of Cython (most often: a call that takes the GIL) fail the build."""
    from Cython.Compiler import Errors, ExprNodes, PyrexTypes, Symtab

    def refuse(position: Any, message: str, env: Any) -> None:
        raise SystemExit(f"Cython performance hint at {position}: {message}")

    for module in (Errors, ExprNodes, PyrexTypes, Symtab):
        vars(module)["performance_hint"] = refuse


def compile_to_c(modules: list[Extension]) -> None:
    """Make the sources of the extensions C, which is written to a build folder."""
    from Cython.Build import cythonize

    if not DEBUG:  # bounds checks, which a debug build wants, are a hint too
        refuse_hints()
    compiled = cythonize(  # type: ignore[no-untyped-call]
        modules,
        include_path=["src"],
        compiler_directives=DIRECTIVES,
        build_dir=folder_for("c", cython_version, DIRECTIVES),
    )
    for module, in_c in zip(modules, compiled, strict=True):
        module.sources, module.depends = in_c.sources, in_c.depends


def commands(folder: str) -> dict[str, type]:
    """The build commands: own folder, nothing stale in it, compile in parallel, stable ABI tag."""

    class Build(build):
        def initialize_options(self) -> None:
            super().initialize_options()
            self.build_base = folder

        def run(self) -> None:
            """Drop what an earlier build left for files that are gone since; keep the compiled kernels."""
            for path in Path(self.build_lib).rglob("*"):
                kernel = path.suffix in {".so", ".pyd"} and SOURCE / f"{path.name.partition('.')[0]}.pyx"
                if path.is_file() and not (kernel and kernel.exists()):
                    path.unlink()
            super().run()

    class BuildExt(build_ext):
        def finalize_options(self) -> None:
            super().finalize_options()
            self.parallel = True  # one compiler for each CPU

        def run(self) -> None:
            compile_to_c(self.extensions)  # not before: sdist and metadata need no C
            super().run()

    class Wheel(bdist_wheel):
        def finalize_options(self) -> None:
            self.py_limited_api = "cp311" if STABLE_ABI else ""
            super().finalize_options()

    return {"build": Build, "build_ext": BuildExt, "bdist_wheel": Wheel}


if __name__ == "__main__":
    kernels = extensions()
    base = build_folder(kernels)
    setup(
        packages=[*find_packages(include=["bfio", "bfio.*"]), "_tilecodec"],
        package_dir={"bfio": "bfio", "_tilecodec": "src/_tilecodec"},
        package_data={"bfio": ["py.typed"], "_tilecodec": ["*.pyi", "py.typed"]},
        include_package_data=False,
        ext_modules=kernels,
        cmdclass=commands(base),
    )

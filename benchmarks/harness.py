"""The contenders: each library in a process of its own, spoken to in JSON lines."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
TIMEOUT = 120.0
BFIO = "bfio"


def python_of(venv: str) -> str:
    """The interpreter of a venv: of the folder in ``BFIO_BENCH_<VENV>``, or this one, or ``.venv-<venv>``."""
    chosen = os.environ.get(f"BFIO_BENCH_{venv.upper()}")
    if chosen is None and venv == "bench":
        return sys.executable
    return str(Path(chosen or ROOT / f".venv-{venv}") / "bin" / "python")


@dataclass(frozen=True)
class Contender:
    """One library that reads or writes: its name, its script, and the venv that it runs in."""

    name: str
    script: str
    venv: str = "bench"


def writer(name: str) -> str:
    """Name of the process in which a library writes."""
    return f"{name} as writer"


def java(name: str) -> str:
    """Name of the process in which a library reads through Bio-Formats."""
    return f"{name} with Java"


def zarr(name: str) -> str:
    """Name of the process in which a library reads and writes Zarr."""
    return f"{name} with Zarr"


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(BFIO, "read_bfio.py"),
        Contender("tifffile", "read_tifffile.py"),
        Contender("rasterio", "read_gdal.py"),
        Contender("pyvips", "read_vips.py"),
        Contender("old bfio", "read_old_bfio.py", "old"),
        Contender("libdeflate alone", "codec_limit.py"),
        Contender(java(BFIO), "read_bfio_java.py"),
        Contender(java("python-bioformats"), "read_python_bioformats.py", "peer"),
        Contender(java("old bfio"), "read_old_bfio_java.py", "old"),
        Contender(writer(BFIO), "write_bfio.py"),
        Contender(writer("tifffile"), "write_tifffile.py"),
        Contender(writer("rasterio"), "write_gdal.py"),
        Contender(writer("pyvips"), "write_vips.py"),
        Contender(writer("old bfio"), "write_old_bfio.py", "old"),
        Contender(writer("Bio-Formats"), "write_bioformats.py"),
        Contender(writer("python-bioformats"), "write_python_bioformats.py", "peer"),
        Contender(zarr(BFIO), "zarr_bfio.py"),
        Contender(zarr("tensorstore"), "zarr_tensorstore.py"),
        Contender(zarr("zarr-python"), "zarr_python.py"),
        Contender(zarr("zarrs"), "zarr_python.py"),
        Contender(zarr("old bfio"), "zarr_old_bfio.py", "old"),
    )
}


class Worker:
    """A contender in its own long-lived process."""

    def __init__(self, contender: Contender) -> None:
        command = [python_of(contender.venv), "-W", "ignore", str(HERE / "contenders" / contender.script)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        )
        self._messages = ""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.versions: dict[str, str] = self._receive().get("versions", {})

    def _listen(self) -> None:
        """Keep the last words of the process."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._messages = (self._messages + line)[-2000:]

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        watchdog = threading.Timer(TIMEOUT, self._process.kill)
        watchdog.start()
        line = self._process.stdout.readline()
        watchdog.cancel()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self._process.wait()
        self._listener.join(5)
        last_words = self._messages.strip().splitlines()[-1:] or ["no answer"]
        raise RuntimeError(f"process ended ({self._process.returncode}): {last_words[0]}")

    def call(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request, one answer."""
        assert self._process.stdin is not None
        if self._process.poll() is not None:
            raise RuntimeError("process has ended")
        self._process.stdin.write(json.dumps(request) + "\n")
        return self._receive()

    def close(self) -> None:
        """End the process."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait(10)
        self._listener.join(5)
        if self._process.stderr is not None:
            self._process.stderr.close()


class Field:
    """All contenders, each started when it is first needed."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}
        self._absent: dict[str, str] = {}
        self.versions: dict[str, str] = {}

    def ask(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request to a contender; an answer with ``error`` if it is absent, fails or dies."""
        if name in self._absent:
            return {"error": self._absent[name]}
        try:
            if name not in self._workers:
                self._workers[name] = worker = Worker(CONTENDERS[name])
                self._note_versions(name, worker.versions)
            return self._workers[name].call(request)
        except (OSError, RuntimeError) as error:
            self._absent[name] = str(error)
            return {"error": str(error)}

    def _note_versions(self, name: str, versions: dict[str, str]) -> None:
        for package, version in versions.items():
            library = name.removesuffix(writer("")).removesuffix(java("")).removesuffix(zarr(""))
            self.versions[library if package == "bfio" else package] = version

    def restart(self, name: str) -> None:
        """End the process of a contender; the next request starts another."""
        worker = self._workers.pop(name, None)
        if worker is not None:
            worker.close()

    def close(self) -> None:
        """End all processes."""
        for name in list(self._workers):
            self.restart(name)

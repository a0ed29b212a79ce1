"""Figures of reading that are no race: cost of the import, peak memory, and how long the GIL is held per tile."""

import subprocess
import sys
from typing import Any

from figure import MIB, Figure
from harness import BFIO, Field, python_of
from images import SIDE, Cache, TiffFile

GIL_FILE = TiffFile("microscopy", 256, "zlib", True)
MEMORY_FILES = (TiffFile("microscopy", 1024, "zlib", True), TiffFile("microscopy", 1024), GIL_FILE)
WORKERS = 2
CACHE_ENTRY = "cache_bytes"


def _seconds(statement: str) -> float:
    """Seconds that a fresh interpreter needs for an import, its own start not counted."""
    code = f"from time import perf_counter as t; a = t(); {statement}; print(t() - a)"
    answer = subprocess.run([python_of("bench"), "-c", code], capture_output=True, text=True, check=True, cwd="/")
    return float(answer.stdout)


def imports(rounds: int) -> list[Figure]:
    """``import bfio`` against ``import numpy``, the fastest of the rounds of each, in turns."""
    numpy, bfio, reader = "import numpy", "import bfio", "from bfio import BioReader"
    seconds: dict[str, list[float]] = {numpy: [], bfio: [], reader: []}
    for _ in range(rounds):
        for statement, times in seconds.items():
            times.append(_seconds(statement))
    best = {statement: min(times) for statement, times in seconds.items()}
    figures = []
    for statement, bound in ((bfio, 1.5), (reader, None)):
        note = f"{best[statement] * 1e3:.1f} ms against {best[numpy] * 1e3:.1f} ms, fastest of {rounds}"
        ratio = best[statement] / best[numpy]
        figures.append(Figure(statement, f"`{statement}` / `{numpy}`", ratio, "x", bound, note))
    return figures


def _peak(field: Field, name: str, path: str) -> dict[str, Any]:
    """Peak of a whole-plane read as the first work of a fresh process."""
    field.restart(name)
    answer = field.ask(name, {"task": "plane", "path": path, "memory": True})
    field.restart(name)
    return answer


def memory(field: Field, cache: Cache) -> list[Figure]:
    """Peak of resident memory above that after the import; rivals beside for information."""
    figures = []
    default_cache = field.ask(BFIO, {"task": "cache_bytes", "path": ""}).get(CACHE_ENTRY, 0)
    for file in MEMORY_FILES:
        path = str(cache.plane_file(file))
        bound = SIDE * SIDE * 2 + 2 * WORKERS * file.tile**2 * 2 + 32 * MIB + default_cache
        ours = _peak(field, BFIO, path)
        if "peak" not in ours:
            print(f"memory: {ours['error']}", file=sys.stderr)
            continue
        others = {name: _peak(field, name, path) for name in ("tifffile", "rasterio", "pyvips")}
        note = ", ".join(f"{name} {answer['peak'] / MIB:.0f}" for name, answer in others.items() if "peak" in answer)
        title = f"peak memory, {file.path.name.removesuffix('.ome.tif')}"
        key = f"memory-{file.path.name.removesuffix('.ome.tif')}"
        figures.append(Figure(key, title, ours["peak"] / MIB, "MiB", bound / MIB, note))
    return figures


def gil(field: Field, cache: Cache) -> list[Figure]:
    """GIL held per tile of 256 x 256, and the cores that it would feed."""
    path = str(cache.plane_file(GIL_FILE))
    answer = field.ask(BFIO, {"task": "gil", "path": path, "options": {"n_tiles": (SIDE // GIL_FILE.tile) ** 2}})
    if "error" in answer:
        print(f"GIL: {answer['error']}", file=sys.stderr)
        return []
    held, tile = answer["held"] * 1e6, answer["tile"] * 1e6
    how = f"upper bound; {answer['kernel_calls']:.0f} kernel calls a read"
    work = f"one core decodes a tile in {tile:.0f} us"
    return [
        Figure("gil", "GIL held per tile of 256 x 256", held, "us", 0.5, how),
        Figure("gil-cores", "cores that this would feed", tile / held, "", None, work),
    ]

"""Figures of writing that are no race: peak memory while a very large image is written."""

import sys
from typing import Any

from figure import MIB, Figure
from harness import BFIO, Field, writer
from images import Cache
from rows import IMAGE
from rows_write import FOLDER

SIDE = 40_000
BOUND = 400e6 / MIB
CASES: tuple[tuple[int, dict[str, Any], float | None], ...] = (
    (1024, {}, BOUND),
    (512, {}, BOUND),
    (1024, {"levels": "auto"}, BOUND),
    (512, {"levels": "auto"}, BOUND),
)


def _peak(field: Field, cache: Cache, rows: int, options: dict[str, Any]) -> dict[str, Any]:
    """Write by bands as the first work of a fresh process."""
    cache.image(IMAGE)
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"bands-{rows}.ome.tif"
    place = {"image": str(cache.place(IMAGE)), "side": SIDE, "rows": rows}
    field.restart(writer(BFIO))
    try:
        return field.ask(writer(BFIO), {"task": "bands", "path": str(path), "options": place | options})
    finally:
        field.restart(writer(BFIO))
        path.unlink(missing_ok=True)
        path.with_name(path.name + ".part").unlink(missing_ok=True)


def bands(field: Field, cache: Cache) -> list[Figure]:
    """Peak of resident memory, of the whole process with Python, numpy and the band that is written."""
    figures = []
    for rows, options, bound in CASES:
        answer = _peak(field, cache, rows, options)
        pyramid = "with a pyramid" if options else "no pyramid"
        title = f"peak memory, {SIDE:,} x {SIDE:,} uint16 by {rows} rows, {pyramid}"
        if "peak" not in answer:
            print(f"{title}: {answer['error']}", file=sys.stderr)
            continue
        speed = SIDE * SIDE * 2 / answer["seconds"] / MIB
        note = f"{answer['seconds']:.1f} s, {speed:.0f} MiB/s; one band has {rows * SIDE * 2 / MIB:.0f} MiB"
        key = f"bands-{rows}" + ("-pyramid" if options else "")
        figures.append(Figure(key, title, answer["peak"] / MIB, "MiB", bound, note))
    return figures

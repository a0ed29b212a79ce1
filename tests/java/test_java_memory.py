"""Many readers one after another leave nothing: memory, Java's heap, its threads, open files. In a process of its own."""

import json

import pytest
from java_child import child

MEASURE = """
import gc, json, os, sys, threading, time
from pathlib import Path
from bfio import BioReader
from bfio.bioformats import jvm

def n_files():
    return len(os.listdir("/proc/self/fd"))

def n_threads():
    return len(os.listdir("/proc/self/task"))

def measured():
    gc.collect()
    jvm.java("java.lang.System").gc()
    deadline = time.monotonic() + 5
    while answers and time.monotonic() < deadline:
        if n_threads() <= answers[0]["threads"] and n_files() <= answers[0]["files"]:
            break
        time.sleep(0.01)  # a helper thread may just be closing a reader
    runtime = jvm.java("java.lang.Runtime").getRuntime()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "resident": pages * os.sysconf("SC_PAGE_SIZE"),
        "heap": int(runtime.totalMemory() - runtime.freeMemory()),
        "java threads": int(jvm.java("java.lang.management.ManagementFactory").getThreadMXBean().getThreadCount()),
        "threads": n_threads(),
        "files": n_files(),
    }

def cycle(path):
    with BioReader(path, backend="bioformats", max_workers=2) as reader:
        assert reader[:].size

def left_open(path):
    reader = BioReader(path, backend="bioformats", max_workers=2)
    reader.itself = reader  # only the collector of cycles finds it
    assert reader[:].size

def by_threads(path, n=4):
    with BioReader(path, backend="bioformats", max_workers=2) as reader:
        threads = [threading.Thread(target=lambda: reader[:]) for _ in range(n)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()

kept = []

def keep(path):
    kept.append(BioReader(path, backend="bioformats", max_workers=1))
    kept[-1][:]

n, work, paths = int(sys.argv[1]), globals()[sys.argv[2]], sys.argv[3:]
answers = []
for rounds in (n // 4, n):
    for number in range(rounds):
        work(paths[number % len(paths)])
        if work is left_open and number % 20 == 0:
            gc.collect()
    answers.append(measured())
print(json.dumps(answers))
"""
MEGABYTE = 1 << 20
STEADY = "-Xms64m -XX:+AlwaysPreTouch -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
"""Java takes all of its heap at once, so that what grows is not the heap."""


def grown(reference, work, n):
    """What is more after `n` readers than after the ``n // 4`` that warmed Java up."""
    paths = [reference.path(name) for name in ("noise-one-row.ome.tif", "grey.ics", "noise-rgb.ome.tif")]
    done = child(MEASURE, n, work, *paths, BFIO_JAVA_MAX_HEAP="64m", JAVA_TOOL_OPTIONS=STEADY, timeout=200)
    before, after = json.loads(done.stdout)
    return {name: after[name] - before[name] for name in before}


@pytest.mark.parametrize(("work", "n"), [("cycle", 400), ("left_open", 80), ("by_threads", 40)])
def test_nothing_is_left(reference, work, n):
    more = grown(reference, work, n)
    assert more["files"] <= 0, more
    assert more["java threads"] <= 0 and more["threads"] <= 1, more
    assert more["heap"] < MEGABYTE, more
    assert more["resident"] < 25 * MEGABYTE, more


def test_what_is_left_shows(reference):
    more = grown(reference, "keep", 40)
    assert more["files"] >= 40 and more["heap"] > MEGABYTE

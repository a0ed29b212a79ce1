"""Tiles that are kept: bounded, least recently used first out, made by one thread. No Java."""

import threading
import time

import numpy as np
import pytest

from bfio.bioformats.decoded import Decoded


def tile(value, nbytes=100):
    return np.full(nbytes, value, np.uint8)


def test_keeps_and_forgets():
    store = Decoded(250)
    for x in range(2):
        store.put((0, 0, 7, 0, x), tile(x))
    assert store.get((0, 0, 7, 0, 0))[0] == 0  # used last from now on
    store.put((0, 0, 7, 0, 2), tile(2))
    assert store.get((0, 0, 7, 0, 1)) is None
    assert store.get((0, 0, 7, 0, 0)) is not None and store.get((0, 0, 7, 0, 2)) is not None
    assert store.has_plane(0, 0, 7) and not store.has_plane(0, 0, 8)
    store.clear()
    assert not store.has_plane(0, 0, 7) and store.get((0, 0, 7, 0, 2)) is None


def test_planes_without_tiles_are_not_remembered():
    store = Decoded(100)
    for plane in range(50):
        store.put((0, 0, plane, 0, 0), tile(plane))
    assert not store.has_plane(0, 0, 48) and store.has_plane(0, 0, 49)
    assert len(store._per_plane) == 1


def test_what_is_too_large_is_not_kept():
    store = Decoded(99)
    made = store.get_or_make((0, 0, 0, 0, 0), lambda: tile(5))
    assert made[0] == 5 and store.get((0, 0, 0, 0, 0)) is None


def test_one_thread_makes_a_tile_and_the_others_wait_for_it():
    store, barrier, calls, results = Decoded(1000), threading.Barrier(8), [], []

    def make():
        calls.append(1)
        time.sleep(0.05)
        return tile(9)

    def work():
        barrier.wait()
        results.append(store.get_or_make((0, 0, 0, 0, 0), make)[0])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [9] * 8 and len(calls) == 1
    assert not store._making


def test_a_failure_is_not_kept():
    store = Decoded(1000)

    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.get_or_make((0, 0, 0, 0, 0), fail)
    assert store.get_or_make((0, 0, 0, 0, 0), lambda: tile(3))[0] == 3
    assert not store._making

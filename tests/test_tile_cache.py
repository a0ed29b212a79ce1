"""The cache of decoded tiles: slots, order of eviction, leases, threads, forks."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from together import run_together

from bfio import tilecache as cache_module
from bfio.tilecache import TileCache

SLOT = 64


def fill(lease, place, value):
    lease.slab[place : place + SLOT] = value


def lease_of(cache, *keys):
    """A lease, and its slots for some tiles."""
    lease = cache.lease()
    return lease, cache.place(lease, keys)


def use(cache, *keys, good=True):
    """One read of tiles that hold the number of their key; which of them were there before."""
    lease, slots = lease_of(cache, *keys)
    hits = []
    for key, (place, hit) in zip(keys, slots, strict=True):
        if hit:
            assert (lease.slab[place : place + SLOT] == key).all()
        elif place >= 0:
            fill(lease, place, key)
        hits.append(hit)
    cache.release(lease, good)
    return hits


def test_a_tile_is_there_the_second_time():
    cache = TileCache(4 * SLOT, SLOT)
    assert use(cache, 1, 2) == [False, False]
    assert use(cache, 2, 1, 3) == [True, True, False]


def test_slots_are_places_of_the_slab_that_do_not_overlap():
    cache = TileCache(10 * SLOT + 5, SLOT)
    lease, slots = lease_of(cache, *range(10))
    assert cache.n_slots == 10
    assert lease.slab.nbytes <= 10 * SLOT + 5
    assert sorted(place for place, _ in slots) == list(range(0, 10 * SLOT, SLOT))
    cache.release(lease, True)


def test_least_recently_used_goes_first():
    cache = TileCache(3 * SLOT, SLOT)
    use(cache, 1, 2, 3)
    use(cache, 1)
    use(cache, 4)
    assert use(cache, 1, 3, 4) == [True, True, True]
    assert use(cache, 2) == [False]
    assert use(cache, 1) == [False]


def test_tiles_in_use_are_not_evicted():
    cache = TileCache(2 * SLOT, SLOT)
    use(cache, 1, 2)
    lease, ((place, hit),) = lease_of(cache, 1)
    assert hit
    use(cache, 3)
    use(cache, 4)
    assert (lease.slab[place : place + SLOT] == 1).all()
    assert use(cache, 2) == [False]
    cache.release(lease, True)
    assert use(cache, 1) == [True]


def test_no_slot_is_left_when_all_are_in_use():
    cache = TileCache(2 * SLOT, SLOT)
    lease, slots = lease_of(cache, 1, 2, 3)
    assert [place >= 0 for place, _ in slots] == [True, True, False]
    assert use(cache, 4) == [False]
    other, other_slots = lease_of(cache, 5)
    assert other_slots == [(-1, False)]
    cache.release(other, True)
    for (place, _), key in zip(slots[:2], (1, 2), strict=True):
        fill(lease, place, key)
    cache.release(lease, True)
    assert use(cache, 1, 2) == [True, True]
    assert use(cache, 5) == [False]


def test_a_pin_holds_until_the_last_user_is_done():
    cache = TileCache(SLOT, SLOT)
    use(cache, 1)
    first, _ = lease_of(cache, 1)
    second, _ = lease_of(cache, 1)
    cache.release(first, True)
    assert lease_of(cache, 2)[1] == [(-1, False)]
    cache.release(second, True)
    assert use(cache, 2) == [False]
    assert use(cache, 2) == [True]


def test_a_failed_read_leaves_nothing_behind():
    cache = TileCache(2 * SLOT, SLOT)
    use(cache, 1)
    assert use(cache, 1, 2, good=False) == [True, False]
    assert use(cache, 2) == [False]
    assert use(cache, 1) == [True]
    for key in range(3, 20):
        use(cache, key, good=False)
    lease, slots = lease_of(cache, 30, 31)
    assert all(place >= 0 for place, _ in slots), "slots of failed reads are lost"
    cache.release(lease, True)


def test_a_tile_being_decoded_is_no_hit_for_others():
    cache = TileCache(4 * SLOT, SLOT)
    first, ((first_place, _),) = lease_of(cache, 1)
    second, ((second_place, hit),) = lease_of(cache, 1)
    assert not hit and first_place != second_place
    fill(first, first_place, 1)
    fill(second, second_place, 1)
    cache.release(first, True)
    cache.release(second, True)
    assert use(cache, 1) == [True]
    lease, slots = lease_of(cache, 2, 3, 4)
    assert all(place >= 0 for place, _ in slots), "the slot of the second copy is lost"
    cache.release(lease, True)


def test_a_key_twice_in_one_read():
    cache = TileCache(4 * SLOT, SLOT)
    assert use(cache, 1, 1) == [False, False]
    assert use(cache, 1, 1, 2, 3, 4) == [True, True, False, False, False]


@pytest.mark.parametrize(("nbytes", "slot"), [(0, SLOT), (SLOT - 1, SLOT), (100, 0), (0, 0)])
def test_no_room_at_all(nbytes, slot):
    cache = TileCache(nbytes, slot)
    assert cache.n_slots == 0
    lease, slots = lease_of(cache, 1, 2)
    assert slots == [(-1, False)] * 2
    cache.release(lease, True)


def test_many_tiny_tiles_do_not_make_endless_lists():
    cache = TileCache(1 << 24, 1)
    assert cache.n_slots == cache_module._MAX_SLOTS < 1 << 20


def test_clear_leaves_reads_under_way_alone():
    cache = TileCache(2 * SLOT, SLOT)
    lease, ((place, _),) = lease_of(cache, 1)
    cache.clear()
    fill(lease, place, 1)
    assert (lease.slab[place : place + SLOT] == 1).all()
    cache.release(lease, True)
    assert use(cache, 1) == [False]
    assert use(cache, 1) == [False]


@settings(deadline=None)
@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.lists(st.integers(0, 8), min_size=1, max_size=6), st.booleans()), max_size=40),
)
def test_any_sequence_of_reads_sees_only_right_tiles(n_slots, reads):
    cache = TileCache(n_slots * SLOT, SLOT)
    seen = set()
    for keys, good in reads:
        hits = use(cache, *keys, good=good)
        assert {key for key, hit in zip(keys, hits, strict=True) if hit} <= seen
        if good:
            seen |= set(keys)
    lease, slots = lease_of(cache, *range(100, 100 + n_slots))
    assert sorted(place for place, _ in slots) == list(range(0, n_slots * SLOT, SLOT))
    cache.release(lease, True)


def test_threads_never_see_each_others_tiles():
    cache = TileCache(5 * SLOT, SLOT)

    def work(number):
        rng = np.random.default_rng(number)
        for _ in range(300):
            keys = rng.integers(0, 12, rng.integers(1, 5)).tolist()
            use(cache, *keys, good=bool(rng.integers(4)))

    run_together(6, work)
    lease, slots = lease_of(cache, *range(100, 105))
    assert sorted(place for place, _ in slots) == list(range(0, 5 * SLOT, SLOT))
    cache.release(lease, True)


def test_after_a_fork(in_fork):
    cache = TileCache(3 * SLOT, SLOT)
    use(cache, 1)
    busy, ((place, _),) = lease_of(cache, 2)
    assert in_fork(lambda: [use(cache, 1, 2, 3), use(cache, 1, 2, 3)]) == repr([[False] * 3, [True] * 3])
    fill(busy, place, 2)
    cache.release(busy, True)
    assert use(cache, 1, 2) == [True, True]


def test_a_fork_while_another_thread_holds_the_lock(in_fork):
    cache = TileCache(3 * SLOT, SLOT)
    use(cache, 1)
    with cache._lock:
        assert in_fork(lambda: use(cache, 1)) == "[False]"


def test_a_lease_of_the_parent_may_be_released_in_a_child(in_fork):
    cache = TileCache(2 * SLOT, SLOT)
    lease, ((place, _),) = lease_of(cache, 1)
    fill(lease, place, 1)

    def child():
        use(cache, 5)
        cache.release(lease, True)
        return use(cache, 1, 5)

    assert in_fork(child) == "[False, True]"
    cache.release(lease, True)


def test_threads_of_a_child_wait_for_its_fresh_cache(in_fork, monkeypatch):
    cache = TileCache(4 * SLOT, SLOT)
    use(cache, 1, 2, 3)
    reset = cache._reset
    monkeypatch.setattr(cache, "_reset", lambda: (time.sleep(0.1), reset()))

    def child():
        hits = []
        run_together(4, lambda number: hits.extend(use(cache, 1 + number)))
        return any(hits)

    assert in_fork(child) == "False"


def test_many_threads_of_a_child_start_with_one_empty_cache(in_fork):
    cache = TileCache(4 * SLOT, SLOT)
    use(cache, 1, 2, 3)

    def child():
        run_together(8, lambda number: [use(cache, 1 + (number + i) % 5) for i in range(100)])
        lease, slots = lease_of(cache, *range(10, 14))
        cache.release(lease, True)
        return sorted(place for place, _ in slots)

    assert in_fork(child) == repr(list(range(0, 4 * SLOT, SLOT)))

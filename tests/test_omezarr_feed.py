"""Errands and their feed, with a store that answers when it is told to."""

import threading
from concurrent.futures import Future

import numpy as np
import pytest

from bfio._parallel import Workers
from bfio.byteio.objects import Piece
from bfio.omezarr import feed as feeds
from bfio.omezarr.errands import GAP_NBYTES, RANGE_NBYTES, together
from bfio.omezarr.feed import Feed, Request


class Store:
    """Answers in another thread, the last request first."""

    def __init__(self, ahead=8, fail=None):
        self.ahead, self.fail = ahead, fail
        self.flying, self.most, self.n = [], 0, 0
        self.lock = threading.Lock()

    def start(self, key, start=0, stop=None, most=None):
        future = Future()
        with self.lock:
            self.flying.append((key, future))
            self.most, self.n = max(self.most, len(self.flying)), self.n + 1
        threading.Timer(0.001, self.answer).start()
        return future

    def answer(self):
        with self.lock:
            key, future = self.flying.pop()
        if future.set_running_or_notify_cancel():
            if key == self.fail:
                future.set_exception(OSError("no"))
            else:
                future.set_result(Piece(key.encode()))

    def fetch(self, key, start=0, stop=None, most=None):
        self.n += 1
        if key == self.fail:
            raise OSError("no")
        return Piece(key.encode())


class Errand:
    nbytes = 100

    def __init__(self, key, done, more=(), fetch=True):
        self.key, self.done, self.more = key, done, more
        self.request = Request(key) if fetch else None

    def take(self, piece, hand):
        assert piece == (Piece(self.key.encode()) if self.request else None)
        self.done.append(self.key)
        return self.more

    def failed(self, error):
        return ValueError(f"{self.key}: {error}")


def run(errands, store, n_workers=2):
    feed, workers = Feed(iter(errands), store), Workers(n_workers)
    try:
        workers.run(lambda: feed.work(None), n_workers, feed.stop)
    finally:
        workers.close()


@pytest.mark.parametrize("ahead", [0, 1, 8])
@pytest.mark.parametrize("n_workers", [1, 3])
def test_every_errand_is_done_once(ahead, n_workers):
    done, store = [], Store(ahead)
    errands = []
    for number in range(50):
        more = [Errand(f"{number}.{k}", done, fetch=k % 2 == 0) for k in range(number % 4)]
        errands.append(Errand(str(number), done, more, fetch=number % 5 != 0))
    wanted = sorted(one.key for errand in errands for one in (errand, *errand.more))
    run(errands, store, n_workers)
    assert sorted(done) == wanted
    assert store.most <= ahead


def test_what_waits_is_bounded(monkeypatch):
    monkeypatch.setattr(feeds, "WAITING_NBYTES", 300)
    done, store = [], Store(8)
    run([Errand(str(number), done) for number in range(30)], store)
    assert len(done) == 30 and store.most <= 3
    monkeypatch.setattr(feeds, "WAITING_NBYTES", 1)
    run([Errand(str(number), done) for number in range(30)], store)
    assert len(done) == 60


@pytest.mark.parametrize("ahead", [0, 4])
@pytest.mark.parametrize("n_workers", [1, 3])
def test_the_first_error_ends_all(ahead, n_workers):
    done, store = [], Store(ahead, fail="20")
    with pytest.raises(ValueError, match="20: no"):
        run([Errand(str(number), done) for number in range(20_000)], store, n_workers)
    assert store.n < 20_000


def test_errors_in_the_work_end_all():
    class Bad(Errand):
        def take(self, piece, hand):
            raise KeyError(self.key)

    done = []
    for n_workers in (1, 3):
        with pytest.raises(KeyError):
            run([Errand("0", done), Bad("1", done), *(Errand(str(n), done) for n in range(2, 20_000))], Store(), n_workers)
    assert len(done) < 20_000


def test_chunks_that_stand_together_are_fetched_together():
    rng = np.random.default_rng(1)
    for _ in range(200):
        n = int(rng.integers(1, 40))
        nbytes = rng.integers(1, [100, GAP_NBYTES, RANGE_NBYTES][int(rng.integers(3))], n)
        gaps = rng.integers(0, [1, 100, 2 * GAP_NBYTES][int(rng.integers(3))], n)
        starts = np.cumsum(nbytes + gaps) - nbytes
        places = np.column_stack([starts, nbytes])
        runs = list(together(places))
        assert [number for first, stop in runs for number in range(first, stop)] == list(range(n))
        for first, stop in runs:
            assert stop - first == 1 or starts[stop - 1] + nbytes[stop - 1] - starts[first] <= RANGE_NBYTES
            assert (gaps[first + 1 : stop] <= GAP_NBYTES).all()
        for first, stop in runs[:-1]:
            apart = gaps[stop] > GAP_NBYTES
            assert apart or starts[stop] + nbytes[stop] - starts[first] > RANGE_NBYTES


def test_ranges_that_lie_over_each_other():
    places = np.array([[0, 100], [0, 50], [20, 10], [90, 10]])
    assert list(together(places)) == [(0, 4)]


def test_stopping_cancels_what_is_in_flight():
    class Silent(Store):
        def start(self, key, start=0, stop=None, most=None):
            self.flying.append(Future())
            return self.flying[-1]

    store = Silent(4)
    feed = Feed(iter([Errand(str(number), []) for number in range(9)]), store)
    timer = threading.Timer(0.05, feed.stop)
    timer.start()
    feed.work(None)  # comes back
    timer.join()
    assert len(store.flying) == 4 and all(future.cancelled() for future in store.flying)

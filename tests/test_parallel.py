"""Workers: they do join, they stop at an error, they never block each other, they leave nothing behind."""

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
import weakref
from pathlib import Path

import numpy as np
import pytest

from bfio import _cpus, _pool
from bfio._parallel import Workers, available_cpus
from bfio.errors import UsageError


@pytest.fixture
def workers():
    made = []

    def make(n):
        made.append(Workers(n))
        return made[-1]

    yield make
    for each in made:
        each.close()


def wait_until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def worker_threads():
    return [thread for thread in threading.enumerate() if thread.name == "bfio-worker"]


class TestRun:
    @pytest.mark.parametrize("n", [2, 5, 16])
    def test_all_threads_join(self, workers, n):
        barrier = threading.Barrier(n)
        workers(n).run(lambda: barrier.wait(10))

    def test_n_jobs_limits_the_helpers(self, workers):
        idents = []
        pool = workers(8)
        for _ in range(20):
            barrier = threading.Barrier(3)
            pool.run(lambda barrier=barrier: (idents.append(threading.get_ident()), barrier.wait(10)), n_jobs=3)
        assert len(idents) == 60

    @pytest.mark.parametrize("n, n_jobs", [(1, None), (4, 1), (1, 7)])
    def test_one_job_runs_here_without_a_pool(self, workers, n, n_jobs):
        pool, seen = workers(n), []
        pool.run(lambda: seen.append(threading.get_ident()), n_jobs=n_jobs)
        assert seen == [threading.get_ident()]
        assert not pool._pools

    def test_shared_counter_covers_everything_once(self, workers):
        tasks, done = iter(range(10_000)), []
        workers(4).run(lambda: done.extend(tasks))
        assert sorted(done) == list(range(10_000))

    def test_threads_are_kept_and_end_when_idle(self, workers, monkeypatch):
        monkeypatch.setattr(_pool, "_IDLE_SECONDS", 0.1)
        pool, before, idents = workers(3), len(worker_threads()), set()
        for _ in range(10):
            barrier = threading.Barrier(3)
            pool.run(lambda barrier=barrier: (barrier.wait(10), idents.add(threading.get_ident())))
        assert len(idents) == 3
        wait_until(lambda: len(worker_threads()) <= before)
        barrier = threading.Barrier(3)
        pool.run(lambda: barrier.wait(10))

    def test_zero_workers_are_refused(self):
        with pytest.raises(UsageError, match="at least one"):
            Workers(0)

    def test_default_is_the_cpus_of_this_process(self):
        assert Workers().n == available_cpus()

    def test_nothing_of_the_last_call_stays_alive(self, workers):
        pool = workers(3)
        array = np.zeros(10)
        gone = weakref.ref(array)
        barrier = threading.Barrier(3)
        pool.run(lambda array=array: (barrier.wait(10), array.sum()))
        del array
        wait_until(lambda: gone() is None, seconds=2)  # sooner than idle threads end

    def test_no_item_of_a_map_stays_alive(self, workers):
        pool, gone = workers(3), []

        def arrays():
            for _ in range(8):
                array = np.zeros(10)
                gone.append(weakref.ref(array))
                yield array

        gc.disable()
        try:
            assert sum(pool.map(np.sum, arrays())) == 0
            wait_until(lambda: all(one() is None for one in gone), seconds=2)
        finally:
            gc.enable()


class TestErrors:
    def test_a_helpers_error_reaches_the_caller_with_its_traceback(self, workers):
        barrier, main = threading.Barrier(2), threading.get_ident()

        def work():
            barrier.wait(10)
            if threading.get_ident() != main:
                broken_helper()

        def broken_helper():
            raise ZeroDivisionError("tile 7")

        with pytest.raises(ZeroDivisionError, match="tile 7") as caught:
            workers(2).run(work)
        assert "broken_helper" in "".join(traceback.format_exception(caught.value))

    def test_cancel_stops_the_others_at_once(self, workers):
        cancelled, barrier, main = threading.Event(), threading.Barrier(4), threading.get_ident()

        def work():
            barrier.wait(10)
            if threading.get_ident() == main:
                raise RuntimeError("first")
            assert cancelled.wait(10)

        with pytest.raises(RuntimeError, match="first"):
            workers(4).run(work, cancel=cancelled.set)

    def test_the_first_error_wins(self, workers):
        failed, main = threading.Event(), threading.get_ident()
        barrier = threading.Barrier(2)

        def work():
            barrier.wait(10)
            if threading.get_ident() == main:
                assert failed.wait(10)
                raise RuntimeError("second")
            raise RuntimeError("first")

        with pytest.raises(RuntimeError, match="first"):
            workers(2).run(work, cancel=failed.set)

    def test_an_interrupt_of_the_caller_goes_first(self, workers):
        failed, main = threading.Event(), threading.get_ident()
        barrier = threading.Barrier(2)

        def work():
            barrier.wait(10)
            if threading.get_ident() == main:
                assert failed.wait(10)
                raise KeyboardInterrupt
            raise RuntimeError("first")

        with pytest.raises(KeyboardInterrupt):
            workers(2).run(work, cancel=failed.set)

    @pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals between threads")
    def test_an_interrupt_while_waiting_cancels_and_waits(self, workers):
        cancelled, helper_done, main = threading.Event(), threading.Event(), threading.get_ident()
        barrier = threading.Barrier(2)

        def work():
            barrier.wait(10)
            if threading.get_ident() != main:
                time.sleep(0.05)
                signal.pthread_kill(main, signal.SIGINT)
                assert cancelled.wait(10)
                time.sleep(0.05)
                helper_done.set()

        with pytest.raises(KeyboardInterrupt):
            workers(2).run(work, cancel=cancelled.set)
        assert helper_done.is_set()

    def test_workers_go_on_after_an_error(self, workers):
        pool = workers(3)
        for _ in range(50):
            with pytest.raises(ValueError):
                pool.run(lambda: int("x"))
        barrier = threading.Barrier(3)
        pool.run(lambda: barrier.wait(10))

    def test_an_error_is_not_kept_alive(self, workers):
        class Mark(Exception):
            pass

        def work():
            raise Mark

        pool, gone = workers(2), None
        gc.disable()
        try:
            try:
                pool.run(work)
            except Mark as error:
                gone = weakref.ref(error)
            wait_until(lambda: gone() is None)
        finally:
            gc.enable()

    def test_no_thread_to_be_had(self, workers, monkeypatch):
        def refuse(thread):
            raise RuntimeError("can't start new thread")

        pool, seen = workers(3), []
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            pool.run(lambda: seen.append(1))
        assert seen == [1]
        barrier = threading.Barrier(3)
        pool.run(lambda: barrier.wait(10))


class TestManyCallers:
    def test_a_saturated_pool_blocks_nobody(self, workers):
        pool, release, barrier = workers(2), threading.Event(), threading.Barrier(3)
        main_seen = []

        def long_work():
            barrier.wait(10)
            release.wait(20)

        holder = threading.Thread(target=lambda: pool.run(long_work))
        holder.start()
        barrier.wait(10)  # the only helper is busy now
        for _ in range(100):
            pool.run(lambda: main_seen.append(threading.get_ident()))
        assert main_seen == [threading.get_ident()] * 100
        assert list(pool.map(str, range(20))) == [str(i) for i in range(20)]
        release.set()
        holder.join()
        time.sleep(0.02)
        assert len(main_seen) == 100, "the helper joined a call that had returned"

    def test_calls_inside_calls(self, workers):
        pool, count = workers(2), []

        def nested(depth):
            count.append(depth)
            if depth:
                pool.run(lambda: nested(depth - 1))

        for _ in range(50):
            nested(5)
        assert len(count) >= 300

    def test_many_callers_each_get_their_own_work_done(self, workers):
        pool, failures = workers(3), []

        def caller(number):
            for turn in range(100):
                tasks, done = iter(range(20)), []
                pool.run(lambda tasks=tasks, done=done: done.extend(tasks))
                if sorted(done) != list(range(20)):
                    failures.append((number, turn))

        threads = [threading.Thread(target=caller, args=(i,)) for i in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        assert not failures

    def test_close_while_others_run(self, workers):
        pool, stop, done = workers(3), threading.Event(), []

        def caller():
            while not stop.is_set():
                pool.run(lambda: done.append(1))

        threads = [threading.Thread(target=caller) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(done) > 100)
        pool.close()
        after = len(done)
        wait_until(lambda: len(done) > after + 100)
        stop.set()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()


class TestLife:
    def test_close_ends_the_threads_and_leaves_serial_work(self):
        before = len(worker_threads())
        pool = Workers(4)
        barrier = threading.Barrier(4)
        pool.run(lambda: barrier.wait(10))
        pool.close()
        pool.close()
        assert len(worker_threads()) == before
        seen = []
        pool.run(lambda: seen.append(1))
        assert seen == [1]
        assert list(pool.map(abs, [-1])) == [1]

    def test_garbage_needs_no_close(self):
        before = len(worker_threads())
        pool = Workers(4)
        barrier = threading.Barrier(4)
        pool.run(lambda: barrier.wait(10))
        assert len(worker_threads()) == before + 3
        del pool
        gc.collect()
        wait_until(lambda: len(worker_threads()) <= before, seconds=2)

    def test_a_pickled_copy_works(self, workers):
        pool = workers(3)
        pool.run(lambda: None)
        copy = pickle.loads(pickle.dumps(pool))
        barrier = threading.Barrier(3)
        copy.run(lambda: barrier.wait(10))
        copy.close()

    def test_a_forked_child_has_threads_of_its_own(self, workers, in_fork):
        pool = workers(3)
        barrier = threading.Barrier(3)
        pool.run(lambda: barrier.wait(10))

        def child():
            barrier = threading.Barrier(3)
            pool.run(lambda: barrier.wait(10))
            pool.close()
            return sum(pool.map(abs, range(10)))

        assert in_fork(child) == "45"

    def test_a_fork_while_the_lock_is_held(self, workers, in_fork):
        pool = workers(3)
        pool.run(lambda: None)
        with pool._pools[os.getpid()]._changed:
            assert in_fork(lambda: list(pool.map(abs, [-1, -2]))) == "[1, 2]"

    @pytest.mark.parametrize("busy", [False, True])
    def test_the_interpreter_ends_promptly(self, busy, tmp_path):
        code = (
            "import atexit, threading, time\n"
            "from bfio._parallel import Workers\n"
            "pool = Workers(4)\n"
            "barrier = threading.Barrier(4)\n"
            "pool.run(lambda: barrier.wait(10))\n"
            "atexit.register(lambda: (pool.run(lambda: None), print('worked at exit')))\n"
        )
        if busy:
            code += "results = pool.map(time.sleep, [0, 60, 60, 60])\nnext(results)\n"
        command = [sys.executable, "-W", "error", "-X", "dev", "-c", code]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=tmp_path, check=False)
        assert (answer.returncode, answer.stdout.strip(), answer.stderr) == (0, "worked at exit", "")


class TestMap:
    @pytest.mark.parametrize("n", [1, 2, 4])
    @pytest.mark.parametrize("window", [None, 1, 3, 100])
    def test_order(self, workers, n, window):
        def slow(i):
            time.sleep(0.002 if i % 3 == 0 else 0)
            return i * i

        assert list(workers(n).map(slow, range(40), window)) == [i * i for i in range(40)]

    @pytest.mark.parametrize("window", [1, 2, 5])
    def test_at_most_the_window_is_ahead(self, workers, window):
        taken = []

        def items():
            for i in range(30):
                taken.append(i)
                yield i

        for i, _ in enumerate(workers(3).map(abs, items(), window)):
            assert len(taken) <= i + 1 + window
        assert len(taken) == 30

    def test_it_works_ahead(self, workers):
        done = []
        results = workers(3).map(done.append, range(30), window=4)
        next(results)
        wait_until(lambda: len(done) >= 5)
        time.sleep(0.02)
        assert len(done) == 5
        results.close()

    def test_an_error_comes_in_its_place_and_ends_it(self, workers):
        def work(i):
            if i == 5:
                raise ZeroDivisionError(i)
            return i

        results = workers(3).map(work, range(100))
        assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
        with pytest.raises(ZeroDivisionError):
            next(results)
        assert next(results, "over") == "over"

    @pytest.mark.parametrize("n", [1, 3])
    def test_stop_iteration_of_the_function_is_no_end(self, workers, n):
        with pytest.raises(RuntimeError):
            list(workers(n).map(lambda i: next(iter(())), range(3)))

    def test_errors_of_the_items_reach_the_consumer(self, workers):
        def items():
            yield 1
            raise OSError("items")

        with pytest.raises(OSError, match="items"):
            list(workers(3).map(abs, items(), window=1))

    def test_closing_early_drops_what_has_not_started(self, workers):
        pool, started, release = workers(2), [], threading.Event()

        def work(i):
            started.append(i)
            if i:
                release.wait(20)

        results = pool.map(work, range(10), window=8)
        next(results)
        wait_until(lambda: started == [0, 1])
        results.close()
        release.set()
        barrier = threading.Barrier(2)
        pool.run(lambda: barrier.wait(10))
        assert started == [0, 1]

    def test_an_abandoned_iterator_stops(self, workers):
        pool, started = workers(2), []
        for i in pool.map(lambda i: (started.append(i), time.sleep(0.01)), range(1000), window=4):
            del i
            break
        pool.close()
        assert len(started) <= 6

    def test_the_function_may_use_the_workers(self, workers):
        pool = workers(2)

        def work(i):
            parts = []
            pool.run(lambda: parts.append(i))
            return set(parts) | set(pool.map(abs, [i, i]))

        assert list(pool.map(work, range(60), window=6)) == [{i} for i in range(60)]

    def test_going_on_in_a_forked_child(self, workers, in_fork):
        results = workers(3).map(abs, range(20), window=6)
        assert next(results) == 0
        assert in_fork(lambda: list(results)) == repr(list(range(1, 20)))
        assert list(results) == list(range(1, 20))

    def test_a_forked_child_with_the_lock_held(self, workers, in_fork):
        pool = workers(3)
        results = pool.map(abs, range(20), window=6)
        assert next(results) == 0
        with pool._pools[os.getpid()]._changed:
            assert in_fork(lambda: list(results)) == repr(list(range(1, 20)))

    def test_results_are_not_kept_while_the_consumer_works(self, workers):
        for array in workers(2).map(lambda i: np.zeros(i + 1), range(6), window=2):
            # this variable, and the argument of the call
            assert sys.getrefcount(array) <= 2

    def test_window_must_be_positive(self, workers):
        with pytest.raises(UsageError, match="window"):
            workers(2).map(abs, [1], window=0)


class TestCpus:
    def test_of_this_process(self):
        assert 1 <= available_cpus() <= (os.cpu_count() or 1)

    @pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
    def test_affinity(self):
        allowed = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, {min(allowed)})
            assert available_cpus() == 1
        finally:
            os.sched_setaffinity(0, allowed)

    @pytest.mark.parametrize(
        "membership, files, expected",
        [
            ("0::/a/b\n", {"a/b/cpu.max": "150000 100000", "a/cpu.max": "max 100000"}, 1.5),
            ("0::/a/b\n", {"a/b/cpu.max": "400000 100000", "a/cpu.max": "200000 100000"}, 2.0),
            ("0::/\n", {"cpu.max": "50000 100000"}, 0.5),
            ("0::/gone\n", {"cpu.max": "300000 100000\n"}, 3.0),
            ("0::/a\n", {"a/cpu.max": "max 100000"}, 1e6),
            ("0::/a\n", {"a/cpu.max": "rubbish"}, 1e6),
            (
                "4:cpu,cpuacct:/d\n1:memory:/d\n",
                {"cpu,cpuacct/d/cpu.cfs_quota_us": "250000", "cpu,cpuacct/d/cpu.cfs_period_us": "100000"},
                2.5,
            ),
            (
                "4:cpuacct,cpu:/d\n",
                {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"},
                1.0,
            ),
            ("4:cpu:/d\n", {"cpu/d/cpu.cfs_quota_us": "-1", "cpu/d/cpu.cfs_period_us": "100000"}, 1e6),
            ("", {"cpu.max": "100000 100000"}, 1e6),
        ],
    )
    def test_quota(self, tmp_path, membership, files, expected):
        for name, text in files.items():
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / "cgroup").write_text(membership)
        assert _cpus._cgroup_quota(tmp_path / "cgroup", tmp_path / "root") == expected

    def test_a_quota_is_rounded_up(self, monkeypatch):
        monkeypatch.setattr(_cpus, "_cgroup_quota", lambda *paths: 0.2)
        assert available_cpus() == 1
        monkeypatch.setattr(_cpus, "_cgroup_quota", lambda *paths: 1.01)
        assert available_cpus() == min(2, len(os.sched_getaffinity(0)))

    def test_no_proc(self, tmp_path):
        assert _cpus._cgroup_quota(tmp_path / "none", Path("/")) == 1e6

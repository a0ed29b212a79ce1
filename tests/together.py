"""Threads that all begin at the same moment."""

import threading


def run_together(n, work):
    """All threads at once; the first error is raised."""
    barrier, errors = threading.Barrier(n), []

    def guarded(number):
        try:
            barrier.wait(20)
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]

"""What a forked child has to forget of Java, whose threads do not exist there."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

from bfio.errors import UsageError

__all__ = ["forked_error", "guard_children", "has_jvm_threads"]


class _State:
    guarded = False


def guard_children() -> None:
    """See to it that children of this process do not wait for Java for ever; once per process is enough.

    jpype (1.7, read and tried) asks Java to collect garbage whenever Python does, and to end with the interpreter.
    Either never returns in a child.
    """
    if not _State.guarded and hasattr(os, "register_at_fork"):
        _State.guarded = True
        os.register_at_fork(after_in_child=_forget_java)


def forked_error() -> UsageError:
    """What a forked child is told that asks for Java."""
    return UsageError(
        "this process was forked from one in which Java ran, and Java does not survive that; make processes by "
        "multiprocessing.get_context('spawn'), or open nothing with Bio-Formats before the fork"
    )


def has_jvm_threads() -> bool:
    """Whether the threads of a JVM are in this process, which jpype takes for granted."""
    if not sys.platform.startswith("linux"):
        return True
    names = []
    for thread in Path("/proc/self/task").iterdir():
        try:
            names.append((thread / "comm").read_text())
        except OSError:  # it has ended
            continue
    return not names or any(name.startswith("VM Thread") for name in names)


def _forget_java() -> None:
    import jpype.config

    gc.callbacks[:] = [callback for callback in gc.callbacks if getattr(callback, "__module__", None) != "_jpype"]
    jpype.config.onexit = False

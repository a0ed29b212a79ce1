"""What a forked child has to forget of Java, whose threads do not exist there."""

from __future__ import annotations

import gc
import os

__all__ = ["guard_children"]


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


def _forget_java() -> None:
    import jpype.config

    gc.callbacks[:] = [callback for callback in gc.callbacks if getattr(callback, "__module__", None) != "_jpype"]
    jpype.config.onexit = False

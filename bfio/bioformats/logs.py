"""What Java logs, handed on to Python's logging.

Java writes into a ring of its own, and Python fetches from there when it has called Java anyway. Java never calls
Python: no thread of Java waits for the GIL, is known to the interpreter, or holds up its end.
"""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["forward", "take_over"]

_java_log = logging.getLogger("bfio.bioformats")
_RING = 2000
_LEVELS = {"TRACE": 5, "DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARN": logging.WARNING, "ERROR": logging.ERROR}


class _Ring:
    """Events of Java that Python has not seen yet, and the level that Java was told, if it follows Python's."""

    appender: Any = None
    level: int | None = None


def take_over() -> None:
    """Silence Java, which would log to the standard output, and collect its events.

    An application that has configured the logging of its own JVM keeps what it has, and bfio gets a copy.
    """
    import jpype

    try:
        context = jpype.JClass("org.slf4j.LoggerFactory").getILoggerFactory()
        ring = jpype.JClass("ch.qos.logback.core.read.CyclicBufferAppender")()
        ring.setMaxSize(_RING)
        ring.setContext(context)
        ring.start()
        if _is_untouched(context):
            context.reset()
            _Ring.level = logging.DEBUG
        # The logger itself can not be asked: the jar 6.7.0 lacks a class that jpype needs to look at it
        jpype.JClass("loci.common.LogbackTools").enableIJLogging(False, ring)
        _Ring.appender = ring
        forward()
    except (jpype.JException, TypeError, AttributeError) as error:  # a jar with another logging library
        _java_log.debug("the logs of Java are not collected: %s", error)
        jpype.JClass("loci.common.DebugTools").setRootLevel("ERROR")


def _is_untouched(context: Any) -> bool:
    """Whether logback has the configuration that it gives itself: everything to the standard output."""
    told = context.getStatusManager().getCopyOfStatusList()
    return any("default configuration" in str(status.getMessage()) for status in told)


def forward() -> None:
    """Hand on what Java has logged since the last call; costs 2 us if that is nothing."""
    ring = _Ring.appender
    if ring is None:
        return
    try:
        _forward(ring)
    except RuntimeError as error:
        if type(error).__name__ != "JVMNotRunning":
            raise
        _Ring.appender = None  # Java was shut down meanwhile, as at the end of the interpreter


def _forward(ring: Any) -> None:
    if _Ring.level is not None and _Ring.level != _java_log.getEffectiveLevel():
        _follow_level()
    if ring.getLength():
        for event in _taken(ring):
            _hand_on(event)


def _follow_level() -> None:
    """Let Java make no events that Python would drop."""
    import jpype

    _Ring.level = level = _java_log.getEffectiveLevel()
    name = next((name for name, number in _LEVELS.items() if level <= number), "OFF")
    jpype.JClass("loci.common.DebugTools").setRootLevel(name)


def _taken(ring: Any) -> list[Any]:
    """Events out of the ring, which is empty then."""
    import jpype

    with jpype.synchronized(ring):  # as its own append() does
        events = [ring.get(index) for index in range(ring.getLength())]
        ring.reset()
    return events


def _hand_on(event: Any) -> None:
    level = _LEVELS.get(str(event.getLevel()), logging.WARNING)
    if not _java_log.isEnabledFor(level):
        return
    source, message = str(event.getLoggerName()), str(event.getFormattedMessage())
    thrown = event.getThrowableProxy()
    if thrown is not None:
        message = f"{message} ({thrown.getClassName()}: {thrown.getMessage()})"
    record = _java_log.makeRecord(_java_log.name, level, source, 0, "%s: %s", (source, message), None)
    record.created = int(event.getTimeStamp()) / 1000
    record.threadName = str(event.getThreadName())
    _java_log.handle(record)

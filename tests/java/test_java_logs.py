"""Logs of Java when there is no Java any more."""

import pytest

from bfio.bioformats import logs


class JVMNotRunning(RuntimeError):
    """What jpype says."""


class Ring:
    def __init__(self, error):
        self.error = error

    def getLength(self):
        raise self.error


def test_java_that_was_shut_down_has_nothing_to_say(monkeypatch):
    monkeypatch.setattr(logs._Ring, "level", None)
    monkeypatch.setattr(logs._Ring, "appender", Ring(JVMNotRunning("no")))
    logs.forward()
    assert logs._Ring.appender is None


def test_other_errors_pass(monkeypatch):
    monkeypatch.setattr(logs._Ring, "level", None)
    monkeypatch.setattr(logs._Ring, "appender", Ring(RuntimeError("no")))
    with pytest.raises(RuntimeError, match="no"):
        logs.forward()

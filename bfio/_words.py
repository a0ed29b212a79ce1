"""What users say, word by word: checked, and turned into values of the package."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from bfio.errors import UsageError

__all__ = ["flag", "integer", "listed", "named", "plain", "refusal"]

Value = TypeVar("Value")


def named(argument: str, value: Any, known: Mapping[str, Value]) -> Value:
    """Value that a user's word stands for, in any case and with any of ``-``, ``_`` and blanks between."""
    if not isinstance(value, str):
        raise refusal(argument, value, known)
    meanings = {plain(name): meaning for name, meaning in known.items()}
    try:
        return meanings[plain(value)]
    except KeyError:
        raise refusal(argument, value, known) from None


def plain(word: str) -> str:
    """A word in lower case, without what people put between its parts."""
    return word.strip().lower().replace("-", "").replace("_", "").replace(" ", "")


def refusal(argument: str, value: object, known: Mapping[str, object]) -> UsageError:
    """The error that lists the first name of each value."""
    first = {meaning: name for name, meaning in reversed(list(known.items()))}
    names = [repr(name) for name in known if name in first.values()]
    return UsageError(f"{argument}={value!r} is unknown; use {listed(names)}")


def listed(words: Any) -> str:
    """Words as a sentence lists them."""
    texts = [str(word) for word in words]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"


def integer(argument: str, value: Any) -> int:
    """A whole number, or UsageError."""
    try:
        return operator.index(value)
    except TypeError:
        raise UsageError(f"{argument}={value!r} must be an int") from None


def flag(argument: str, value: Any) -> bool:
    """A truth value, or UsageError."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise UsageError(f"{argument}={value!r} must be True or False")

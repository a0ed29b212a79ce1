"""The locale that Java finds when it starts."""

from __future__ import annotations

import locale
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["utf8_names"]


@contextmanager
def utf8_names() -> Iterator[None]:
    """A JVM that starts here takes file names for UTF-8, as Python does, and leaves the locale of the process alone.

    In a locale that says nothing of UTF-8, such as that of batch jobs with ``LC_ALL=C``, Java would not find a file
    whose name has an umlaut. And Java sets the locale for all of the process, with commas in numbers and the like.
    """
    before, asked = locale.setlocale(locale.LC_ALL), os.environ.get("LC_ALL")
    told = asked or os.environ.get("LC_CTYPE") or os.environ.get("LANG") or ""
    is_odd = sys.getfilesystemencoding() == "utf-8" and not re.search(r"utf-?8", told, re.IGNORECASE)
    if is_odd:
        os.environ["LC_ALL"] = "C.UTF-8"
    try:
        yield
    finally:
        if is_odd and asked is None:
            del os.environ["LC_ALL"]
        elif is_odd and asked is not None:
            os.environ["LC_ALL"] = asked
        locale.setlocale(locale.LC_ALL, before)

"""Paths and URLs as text: which is which, and the name of a file beside another."""

import os
import re
from urllib.parse import quote, unquote

from bfio.errors import FormatError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(::|://)")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def is_url(path: str) -> bool:
    """True for ``scheme://...`` and for chains such as ``zip://a.tif::https://host/b.zip``."""
    return "://" in path and _SCHEME.match(path) is not None


def local_path(url: str) -> str:
    """Path of a ``file://`` URL.

    The text is taken as it stands if such a file exists, since fsspec and many scripts do not quote; only then are
    ``%xx`` decoded.
    """
    path = url.removeprefix("file://").removeprefix("localhost")
    if _DRIVE.match(path[1:]):
        path = path[1:]
    return path if os.path.lexists(path) else unquote(path)


def check_relative(name: str, path: str) -> None:
    """Refuse a file name, found inside the file `path`, that leads out of the folder of that file."""
    parts = re.split(r"[/\\]", name)
    absolute = name.startswith(("/", "\\")) or _DRIVE.match(name) or "://" in name or "::" in name
    if not name or "\0" in name or ".." in parts or absolute:
        raise FormatError(f"{path} refers to {name!r}, which is not a file in its own folder")


def sibling_path(path: str, name: str) -> str:
    """Path of the file `name` in the folder of the file `path`."""
    check_relative(name, path)
    return os.path.join(os.path.dirname(path), name)


def sibling_url(url: str, name: str) -> str:
    """URL of the file `name` in the folder of the file at `url`; a query stays as it is.

    In a chain it is the first link with a path that names the file: ``zip://dir/a.tif::...``.
    """
    check_relative(name, url)
    links = url.split("::")
    which = next(i for i, link in enumerate(links) if not link.endswith("://") and "://" in link)
    scheme, _, rest = links[which].partition("://")
    query = ""
    if scheme in ("http", "https"):
        name = quote(name)
        rest, mark, query = rest.partition("?")
        query = mark + query
        rest = rest if "/" in rest else rest + "/"
    folder, slash, _ = rest.rpartition("/")
    links[which] = f"{scheme}://{folder}{slash}{name}{query}"
    return "::".join(links)

"""The JSON documents of a Zarr store: read, bounded, and checked as far as all of them are alike."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bfio.errors import FormatError, LimitError, UnsupportedError
from bfio.limits import Limits
from bfio.omezarr.arraymeta import ArrayMeta, parse_array
from bfio.omezarr.nodes import Folder, Nodes, child, known_nbytes

__all__ = ["ARRAY_NAMES", "GROUP_NAMES", "Documents", "Group", "bounded", "kind_of"]

GROUP_NAMES = (".zarray", ".zgroup", ".zattrs")
"""Documents of Zarr v2 that tell what a node is; of one that must be an array, the first."""
ARRAY_NAMES = GROUP_NAMES[:1]


@dataclass(frozen=True, slots=True)
class Group:
    """A group: its key, Zarr's version, and the user attributes; `where` names their document in messages."""

    key: str
    zarr_format: int
    attributes: Mapping[str, Any]
    where: str


class Documents:
    """The documents of one store.

    Parameters
    ----------
    nodes : Nodes
    limits : Limits
        A JSON document may have a quarter of ``xml_nbytes``, for it takes more memory than XML of its size.
    """

    def __init__(self, nodes: Nodes, limits: Limits) -> None:
        self.nodes = nodes
        self.limits = limits
        self._max_nbytes = limits.xml_nbytes // 4
        self._parsed: dict[bytes, ArrayMeta] = {}

    def where(self, key: str) -> str:
        """Name of a document for messages."""
        return f"{self.nodes.name}/{key}" if key else self.nodes.name

    def node(self, key: str, zarr_format: int = 3) -> Group | ArrayMeta | None:
        """The group or array at a key; None where there is neither.

        Parameters
        ----------
        key : str
        zarr_format : int
            Version to look for first: that of the parent.

        Raises
        ------
        FormatError, UnsupportedError, LimitError
        """
        found = self.node_like(key, zarr_format)
        if found is None:
            other = 2 if zarr_format == 3 else 3
            self.ask_nodes([key], other)
            found = self.node_like(key, other)
        return found

    def node_like(self, key: str, zarr_format: int) -> Group | ArrayMeta | None:
        """The same, if it has this version of Zarr."""
        return self._v3(key) if zarr_format == 3 else self._v2(key)

    def ask(self, keys: Iterable[str]) -> None:
        """Tell a store that is slow to answer which documents are read next."""
        ask = getattr(self.nodes, "ask", None)
        if ask is not None:
            ask(keys)

    def ask_nodes(self, keys: Iterable[str], zarr_format: int, names: Sequence[str] = GROUP_NAMES) -> None:
        """The same for groups and arrays; `names` are those of their documents in Zarr v2."""
        self.ask(child(key, name) for key in keys for name in (("zarr.json",) if zarr_format == 3 else names))

    @property
    def is_slow(self) -> bool:
        """Whether it is worth to ask ahead."""
        return hasattr(self.nodes, "ask")

    def has(self, key: str, zarr_format: int) -> bool:
        """Whether there is a group or an array, right or broken."""
        names = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
        ordered = names if zarr_format == 3 else names[::-1]
        if self.raw(child(key, ordered[0])) is not None:
            return True
        self.ask(child(key, name) for name in ordered)
        return any(self.raw(child(key, name)) is not None for name in ordered)

    def attributes(self, key: str) -> Mapping[str, Any]:
        """User attributes of an array, where it has any."""
        document = self.json(child(key, "zarr.json"))
        if document is None:
            return self.json(child(key, ".zattrs")) or {}
        return _attributes(document, self.where(child(key, "zarr.json")))

    def json(self, key: str) -> dict[str, Any] | None:
        """A document; None where it is not there."""
        raw = self.raw(key)
        return None if raw is None else self._loads(raw, key)

    def raw(self, key: str) -> bytes | None:
        """The bytes of a document; None where it is not there."""
        return bounded(self.nodes, key, self._max_nbytes)

    def _loads(self, raw: bytes, key: str) -> dict[str, Any]:
        try:
            document = json.loads(raw)
        except RecursionError:
            raise FormatError(f"{self.where(key)}: the JSON is nested too deeply") from None
        except ValueError as error:  # of UnicodeDecodeError as well, and of numbers with thousands of digits
            raise FormatError(f"{self.where(key)} is not JSON: {str(error)[:120]}") from None
        if not isinstance(document, dict):
            raise FormatError(f"{self.where(key)}: must hold a JSON object, but holds {kind_of(document)}")
        return document

    def _v3(self, key: str) -> Group | ArrayMeta | None:
        name = child(key, "zarr.json")
        raw = self.raw(name)
        if raw is None:
            return None
        if raw in self._parsed:
            return replace(self._parsed[raw], path=key)
        document = self._loads(raw, name)
        where = self.where(name)
        _check_format(document, 3, where)
        node_type = document.get("node_type")
        if node_type == "array":
            return self._array(document, key, raw)
        if node_type != "group":
            raise FormatError(f"{where}: node_type must be 'array' or 'group', but is {str(node_type)[:40]!r}")
        return Group(key, 3, _attributes(document, where), where)

    def _v2(self, key: str) -> Group | ArrayMeta | None:
        name = child(key, ".zarray")
        raw = self.raw(name)
        if raw is not None:
            if raw in self._parsed:
                return replace(self._parsed[raw], path=key)
            document = self._loads(raw, name)
            _check_format(document, 2, self.where(name))
            return self._array(document, key, raw)
        group = self.json(child(key, ".zgroup"))
        if group is not None:
            _check_format(group, 2, self.where(child(key, ".zgroup")))
        name = child(key, ".zattrs")
        attributes = self.json(name)
        if group is None and attributes is None:
            return None
        return Group(key, 2, attributes or {}, self.where(name))

    def _array(self, document: dict[str, Any], key: str, raw: bytes) -> ArrayMeta:
        where = self.where(child(key, "zarr.json" if document["zarr_format"] == 3 else ".zarray"))
        try:
            meta = parse_array(document, key)
        except (FormatError, UnsupportedError, LimitError) as error:
            raise type(error)(_located(error, where)) from None
        if len(raw) < 1 << 16 and len(self._parsed) < 1 << 12:
            self._parsed[raw] = meta  # the arrays of a plate are alike, most often to the byte
        return meta


def bounded(nodes: Nodes, key: str, most: int) -> bytes | None:
    """What is stored under a key, None where nothing is.

    Raises
    ------
    FormatError
        It can not be read, or is a folder.
    LimitError
        It is larger than `most` bytes; found out before it is read where the store is a folder or a zip file.
    """
    try:
        size = known_nbytes(nodes, key) or 0
        if isinstance(nodes, Folder):
            raw = nodes.read(key, most)
        else:
            raw = _fetched(nodes, key, most) if size <= most else b""
    except IsADirectoryError:
        raise FormatError(f"{nodes.name}/{key} is a folder, not a document") from None
    except OSError as error:
        if nodes.root is None:
            raise
        raise FormatError(f"{nodes.name}/{key} can not be read: {error.strerror or error}") from error
    size = max(size, len(raw or b""))
    if size > most:
        raise LimitError(f"{nodes.name}/{key}: has {size:,} bytes; the limits allow {most:,}")
    return raw


def _fetched(nodes: Nodes, key: str, most: int) -> bytes | None:
    fetch = getattr(nodes, "fetch", None)
    if fetch is None:
        return nodes.get(key)
    piece = fetch(key, most=most)
    return None if piece is None else piece.data


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    kinds: dict[type, str] = {
        dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number",
    }  # fmt: skip
    return kinds.get(type(value), "null")


def _located(error: Exception, where: str) -> str:
    text = str(error)
    return text if where in text else f"{where}: {text}"


def _check_format(document: Mapping[str, Any], expected: int, where: str) -> None:
    found = document.get("zarr_format")
    if found != expected or isinstance(found, (bool, float)):
        raise FormatError(f"{where}: zarr_format must be {expected}, but is {str(found)[:40]!r}")


def _attributes(document: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    attributes = document.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise FormatError(f"{where}: attributes must be an object, but is {kind_of(attributes)}")
    return attributes

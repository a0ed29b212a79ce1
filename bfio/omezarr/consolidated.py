"""Consolidated metadata: all documents of a store in one, which saves a request for each where these are slow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from bfio.errors import BfioError
from bfio.limits import Limits
from bfio.omezarr.document import GROUP_NAMES, Documents
from bfio.omezarr.nodes import DOCUMENTS, Nodes, child, known_nbytes

__all__ = ["Consolidated", "consolidated"]


class Consolidated:
    """A store whose documents are known already, and believed to be all.

    Parameters
    ----------
    nodes : Nodes
        For everything that is no document.
    documents : mapping
        By key, such as ``"0/.zarray"``.
    """

    def __init__(self, nodes: Nodes, documents: Mapping[str, Any]) -> None:
        self._nodes = nodes
        self._documents = documents
        self.name = nodes.name
        self.root: Path | None = None

    def get(self, key: str) -> bytes | None:
        """A document that is known, or anything else of the store."""
        if key.rpartition("/")[2] not in DOCUMENTS:
            return self._nodes.get(key)
        return json.dumps(self._documents[key]).encode() if key in self._documents else None

    def nbytes(self, key: str) -> int | None:
        """How many bytes are stored under a key, where the store can tell."""
        return None if key in self._documents else known_nbytes(self._nodes, key)

    def names(self, key: str) -> list[str]:
        """Names of groups and arrays below a key."""
        below = f"{key}/" if key else ""
        parts = {name[len(below) :].partition("/") for name in self._documents if name.startswith(below)}
        return sorted({first for first, slash, _ in parts if slash})


def consolidated(nodes: Nodes, limits: Limits) -> Nodes:
    """The store itself where it is a folder or has no consolidated metadata, else one that has read them.

    What is broken in them is no matter: the documents themselves are read then.
    """
    if nodes.root is not None:
        return nodes
    documents = Documents(nodes, limits)
    try:
        root = documents.json("zarr.json")
        if root is None:
            documents.ask((".zmetadata", *GROUP_NAMES))
            table = (documents.json(".zmetadata") or {}).get("metadata")
            return Consolidated(nodes, table) if _is_table(table) and ".zgroup" in table else nodes
        inner = root.get("consolidated_metadata")
        table = inner.get("metadata") if isinstance(inner, dict) else None
        if not _is_table(table) or not table:
            return nodes
        return Consolidated(nodes, {"zarr.json": root, **{child(key, "zarr.json"): table[key] for key in table}})
    except BfioError:
        return nodes


def _is_table(table: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(table, dict) and all(isinstance(document, dict) for document in table.values())

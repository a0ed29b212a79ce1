"""URLs through fsspec."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bfio.byteio.blocks import BLOCK_NBYTES, BlockCache
from bfio.byteio.coalesce import FetchPlan, plan_fetch
from bfio.byteio.names import sibling_url
from bfio.byteio.source import Source, checked_range
from bfio.byteio.transport import Transport, connect


class _Link:
    """Connection and cache of one process."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self.transport: Transport = connect(url, options)
        self.size, head = self.transport.open(BLOCK_NBYTES)
        self.cache = BlockCache(self.fetch, self.size, head)

    def fetch(self, offset: int, nbytes: int) -> bytes:
        """Bytes straight from the server, long ranges in pieces."""
        plan = plan_fetch([offset], [nbytes], self.size)
        arena = np.empty(plan.arena_nbytes, np.uint8)
        self.transport.fill(list(plan.requests(arena)))
        return arena.tobytes()


class RemoteSource(Source):
    """A file behind a URL.

    Small reads go through a cache of 64 KB blocks (8 MB at most), large ones and :meth:`fetch` straight to the
    server, several requests at once. A forked process makes its own connection.
    """

    def __init__(self, url: str, storage_options: Mapping[str, Any] | None = None) -> None:
        self.path = url
        self._options = dict(storage_options or {})
        self._links: dict[int, _Link] = {}
        self._live()

    @property
    def size(self) -> int:
        return self._live().size

    @property
    def requests(self) -> int:  # type: ignore[override]
        """Requests to the server so far, in this process."""
        link = self._links.get(os.getpid())
        return link.transport.requests if link else 0

    def pread(self, offset: int, nbytes: int) -> bytes:
        offset, nbytes = checked_range(offset, nbytes)
        link = self._live()
        nbytes = max(0, min(nbytes, link.size - offset))
        if nbytes == 0:
            return b""
        if nbytes <= BLOCK_NBYTES or offset + nbytes <= len(link.cache.head):
            return link.cache.read(offset, nbytes)
        return link.fetch(offset, nbytes)

    def sibling(self, name: str) -> str:
        return sibling_url(self.path, name)

    def close(self) -> None:
        super().close()
        self._links = {}

    def _fill(self, arena: npt.NDArray[np.uint8], plan: FetchPlan) -> None:
        link = self._live()
        head = link.cache.head
        remote = []
        for start, view in plan.requests(arena):
            if start + len(view) <= len(head):
                view[:] = head[start : start + len(view)]
            else:
                remote.append((start, view))
        if remote:
            link.transport.fill(remote)

    def _live(self) -> _Link:
        self._check_open()
        links, pid = self._links, os.getpid()
        link = links.get(pid)
        if link is None:  # just unpickled or forked
            link = links.setdefault(pid, _Link(self.path, self._options))
        return link

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_options": self._options, "_closed": self._closed, "_links": {}}

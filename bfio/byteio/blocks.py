"""A small cache of blocks, so that a walk through headers and directories costs few requests."""

import threading
from collections import OrderedDict
from collections.abc import Callable

BLOCK_NBYTES = 64 << 10
CACHE_NBYTES = 8 << 20
_MOST_AHEAD = 16  # blocks in one request when a walk goes straight on


class BlockCache:
    """Blocks of a source that is slow to answer: the head for good, others while they were used lately.

    Misses that follow each other in the file fetch 1, 2, 4 ... 16 blocks at once.

    Parameters
    ----------
    fetch : callable
        ``fetch(offset, nbytes) -> bytes``; called without a lock, so that slow answers do not queue up.
    size : int
        Size of the source.
    head : bytes
        Its first bytes, or all of them.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], size: int, head: bytes) -> None:
        self._fetch, self._size, self.head = fetch, size, head
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._next_block, self._ahead = -1, 1

    def read(self, offset: int, nbytes: int) -> bytes:
        """Bytes of a range that lies inside the source."""
        stop = offset + nbytes
        if stop <= len(self.head):
            return self.head[offset:stop]
        first, last = offset // BLOCK_NBYTES, (stop - 1) // BLOCK_NBYTES
        found = self._cached(first, last)
        missing = [block for block in range(first, last + 1) if block not in found]
        if missing:
            found |= self._load(missing[0], missing[-1])
        data = b"".join(found[block] for block in range(first, last + 1))
        return data[offset - first * BLOCK_NBYTES : stop - first * BLOCK_NBYTES]

    def _cached(self, first: int, last: int) -> dict[int, bytes]:
        found = {}
        with self._lock:
            for block in range(first, last + 1):
                if block in self._blocks:
                    self._blocks.move_to_end(block)
                    found[block] = self._blocks[block]
        return found

    def _load(self, first: int, last: int) -> dict[int, bytes]:
        with self._lock:
            self._ahead = min(self._ahead * 2, _MOST_AHEAD) if first == self._next_block else 1
            last = max(last, first + self._ahead - 1)
            self._next_block = last + 1
        start = first * BLOCK_NBYTES
        stop = min((last + 1) * BLOCK_NBYTES, self._size)
        data = self._fetch(start, stop - start)
        loaded = {first + at // BLOCK_NBYTES: data[at : at + BLOCK_NBYTES] for at in range(0, len(data), BLOCK_NBYTES)}
        with self._lock:
            self._blocks.update(loaded)
            while len(self._blocks) * BLOCK_NBYTES > CACHE_NBYTES:
                self._blocks.popitem(last=False)
        return loaded

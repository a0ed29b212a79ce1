"""What to fetch for chunks: whole objects, or ranges of a shard whose index is fetched first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from bfio.byteio.objects import Piece
from bfio.errors import FormatError
from bfio.omezarr.feed import Errand, Request
from bfio.omezarr.plan import ReadPlan, Run
from bfio.omezarr.slots import CacheLease, Hand

if TYPE_CHECKING:
    from bfio.omezarr.values import ValueReader

__all__ = ["ChunkErrand", "HeldErrand", "ShardErrand", "together"]

GAP_NBYTES = 64 << 10
"""Chunks of a shard that are closer than this are fetched together."""
RANGE_NBYTES = 2 << 20
"""Longest range of several chunks: several requests in flight beat one long one."""


class HeldErrand:
    """A chunk that is in the cache."""

    request = None
    nbytes = 0

    def __init__(self, reader: ValueReader, run: Run, lease: CacheLease) -> None:
        self._reader, self._run, self._lease = reader, run, lease

    def take(self, piece: Piece | None, hand: Hand) -> Iterable[Errand]:
        del piece
        self._reader.show(self._lease.slab, self._run, hand)
        return ()

    def failed(self, error: Exception) -> Exception:
        return error


class ChunkErrand:
    """A chunk that is an object of its own."""

    def __init__(self, reader: ValueReader, run: Run, lease: CacheLease | None) -> None:
        self._reader, self._run, self._lease = reader, run, lease
        self.nbytes = reader.most // 2
        self.request = Request(reader.key_of(run), most=reader.most)

    def take(self, piece: Piece | None, hand: Hand) -> Iterable[Errand]:
        if piece is None:
            self._reader.fill(self._run, hand, self.request.key)
        else:
            self._reader.take(self._run, piece.data, self._lease, hand, self.request.key)
        return ()

    def failed(self, error: Exception) -> Exception:
        return self._reader.failed(self._run, self.request.key, error)


class ShardErrand:
    """Chunks of one shard, whose places must be known first."""

    def __init__(self, reader: ValueReader, plan: ReadPlan, lease: CacheLease | None) -> None:
        self._reader, self._plan, self._lease = reader, plan, lease
        self._run = Run(plan, 0, len(plan.chunks))
        self._key = reader.key_of(self._run)
        self._table = reader.table(self._key)
        self.request = reader.index_request(self._key) if self._table is None else None
        self.nbytes = reader.index_cost if self.request else 0

    def take(self, piece: Piece | None, hand: Hand) -> Iterable[Errand]:
        reader, table = self._reader, self._table
        if table is None and self.request is not None:
            if piece is None:
                reader.fill(self._run, hand, self._key)
                return ()
            table = reader.index(self._run, self.request, piece)
        assert table is not None
        places = reader.places(self._run, table, self._key)
        absent = np.flatnonzero(places[:, 1] == 0)
        if len(absent):
            plan = self._plan.reordered(absent)
            reader.fill(Run(plan, 0, len(absent)), hand, self._key)
        return self._ranges(places, piece if piece is not None and piece.whole else None)

    def failed(self, error: Exception) -> Exception:
        return self._reader.failed(self._run, self._key, error)

    def _ranges(self, places: np.ndarray, whole: Piece | None) -> Iterator[Errand]:
        """Errands of the chunks that are there: from the cache, or together where they stand together."""
        fresh = []
        for number in np.flatnonzero(places[:, 1]).tolist():
            held = self._reader.held(self._run.one(number), self._lease) if self._lease is not None else None
            if held is None:
                fresh.append(number)
            else:
                yield held
        if not fresh:
            return
        order = np.array(fresh)[np.argsort(places[fresh, 0], kind="stable")]
        plan, places = self._plan.reordered(order), places[order]
        for first, stop in together(places.astype(np.int64)):
            yield RangeErrand(self._reader, Run(plan, first, stop), places[first:stop], self._lease, self._key, whole)


def together(places: np.ndarray) -> Iterator[tuple[int, int]]:
    """Which of the ranges, sorted by offset, are fetched by one request."""
    first, start = 0, int(places[0, 0])
    end = start
    for number, (offset, nbytes) in enumerate(places.tolist()):
        if number > first and (offset > end + GAP_NBYTES or offset + nbytes > start + RANGE_NBYTES):
            yield first, number
            first, start, end = number, offset, offset
        end = max(end, offset + nbytes)
    yield first, len(places)


class RangeErrand:
    """Chunks that stand together in a shard."""

    def __init__(
        self,
        reader: ValueReader,
        run: Run,
        places: np.ndarray,
        lease: CacheLease | None,
        key: str,
        whole: Piece | None,
    ) -> None:
        self._reader, self._run, self._lease, self._key = reader, run, lease, key
        self._places, self._whole = places, whole
        self._start = int(places[0, 0])
        self._stop = int((places[:, 0] + places[:, 1]).max())
        self.nbytes = self._stop - self._start
        self.request = Request(key, self._start, self._stop, self.nbytes) if whole is None else None

    def take(self, piece: Piece | None, hand: Hand) -> Iterable[Errand]:
        piece = self._whole or piece
        data = b"" if piece is None else piece.cut(self._start, self._stop)
        if len(data) != self.nbytes:
            reason = "the shard is not there any more"
            if piece is not None:
                reason = "the index of the shard points behind its end"
            raise self.failed(FormatError(reason))
        self._reader.take_range(self._run, data, self._places, self._start, self._lease, hand, self._key)
        return ()

    def failed(self, error: Exception) -> Exception:
        return self._reader.failed(self._run, self._key, error, self._start)

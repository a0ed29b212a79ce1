"""Decode chunks of a store that is no folder, out of bytes that errands have fetched."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from bfio.byteio.objects import Piece
from bfio.errors import BfioError, ChunkDecodeError, FormatError, LimitError
from bfio.omezarr.chunkread import SLACK, ChunkReader
from bfio.omezarr.errands import ChunkErrand, HeldErrand, ShardErrand
from bfio.omezarr.feed import Errand, Feed, Fetches, Request
from bfio.omezarr.plan import ReadPlan, Run
from bfio.omezarr.shardindex import index_nbytes, parse_index
from bfio.omezarr.slots import CacheLease, Hand, place_chunk, share_slot
from bfio.plan import NO_SLOT

if TYPE_CHECKING:
    from bfio.omezarr.arraymeta import ArrayMeta
    from bfio.omezarr.nodes import Nodes

__all__ = ["ValueReader"]

MOST_NBYTES = 1 << 62
"""Size of a shard whose size is not known."""


class ValueReader(ChunkReader):
    """Decodes chunks of one array of a store without files; threads may call it at once."""

    def __init__(self, nodes: Nodes, meta: ArrayMeta) -> None:
        super().__init__(nodes, meta)
        self._store: Fetches = nodes if hasattr(nodes, "fetch") else _Whole(nodes)  # type: ignore[assignment]
        self.most = 2 * self._nbytes + SLACK if self.coded else self._nbytes + SLACK
        self.index_cost = index_nbytes(prod(self._per), meta.index_crc)

    def feed(self, plan: ReadPlan, lease: CacheLease | None) -> Feed:
        """Everything that a plan needs, for the threads that do it."""
        return Feed(self._errands(plan, lease), self._store)

    def key_of(self, run: Run) -> str:
        """Key of the object that holds the first chunk of a run."""
        return self._meta.store_key([at // per for at, per in zip(run.chunk, self._per, strict=True)])

    def where(self, key: str) -> str:
        """A key for messages."""
        return f"{self._nodes.name}/{key}"

    def held(self, run: Run, lease: CacheLease | None) -> Errand | None:
        """The errand of a chunk that is in the cache already: nothing is fetched."""
        if lease is None or not lease.holds(key := _known(run)):
            return None
        cached, hit = place_chunk(run, lease, key, own=self._by_kernel and self.coded, part=False)
        if hit:
            return HeldErrand(self, run, lease)
        if cached:  # it was pushed out at this moment
            lease.spoil()
        run.tasks["slot"], run.tasks["ready"] = NO_SLOT, 0
        return None

    def fill(self, run: Run, hand: Hand, key: str) -> None:
        """Chunks that are not there."""
        self._fill(run, hand, self.where(key))

    def take(self, run: Run, data: bytes, lease: CacheLease | None, hand: Hand, key: str, offset: int = 0) -> None:
        """Decode the only chunk of a run."""
        where = self.where(key)
        self._check_nbytes(run, len(data), offset, where)
        cached, hit = place_chunk(run, lease, _known(run), own=self._by_kernel and self.coded, part=False)
        slab = lease.slab if lease is not None and cached else hand.slab
        ready = b"" if hit else self._unpacked(run, lambda: data, where, offset)
        self._decode_bytes(run, ready, slab, hand, where)

    def take_range(
        self, run: Run, data: bytes, places: np.ndarray, base: int, lease: CacheLease | None, hand: Hand, key: str
    ) -> None:
        """Decode chunks out of the bytes of a shard from ``base`` on; `places` are their offsets and byte counts."""
        inside = places[:, 0] - np.uint64(base)
        if lease is None and self._by_kernel:
            run.tasks["offset"], run.tasks["nbytes"] = (np.repeat(n, run.counts) for n in (inside, places[:, 1]))
            if self.coded:
                share_slot(run, np.ones(len(run), bool))
            try:
                self._decode(run, -1, data, hand.slab, hand, self.where(key))
            except ChunkDecodeError as error:
                error.offset += base
                error.args = (*error.args[:4], error.offset, *error.args[5:])
                raise
            return
        for number, (at, nbytes) in enumerate(zip(inside.tolist(), places[:, 1].tolist(), strict=True)):
            self.take(run.one(number), data[at : at + nbytes], lease, hand, key, base + at)

    def show(self, slab: np.ndarray, run: Run, hand: Hand) -> None:
        """Cut from a chunk that is decoded already."""
        self._decode_bytes(run, b"", slab, hand, self.where(""))

    def table(self, key: str) -> np.ndarray | None:
        """The index of a shard, if it is known."""
        return self._indices.held((key, None))

    def index_request(self, key: str) -> Request:
        """What to fetch for the index of a shard."""
        n = index_nbytes(prod(self._per), self._meta.index_crc)
        return Request(key, -n, None, n) if self._meta.index_at_end else Request(key, 0, n, n)

    def index(self, run: Run, request: Request, piece: Piece) -> np.ndarray:
        """The index out of the answer; kept from now on."""
        if piece.whole:  # the server knows no parts, so that each index costs a shard
            self.index_cost = max(self.index_cost, len(piece.data))
        try:
            raw = piece.cut(request.start, request.stop)
            table = parse_index(raw, prod(self._per), self._meta.index_crc)
        except FormatError as error:
            raise self.failed(run, request.key, error) from error
        return self._indices.get((request.key, None), lambda: table)

    def places(self, run: Run, table: np.ndarray, key: str) -> np.ndarray:
        """Offsets and byte counts of the chunks of a run; a byte count of 0 for one that is not there."""
        return np.column_stack(self._checked(run, table, MOST_NBYTES, self.where(key)))

    def failed(self, run: Run, key: str, error: Exception, offset: int = 0) -> Exception:
        """The error to raise where the first chunk of a run can not be had."""
        told = isinstance(error, FormatError | LimitError)
        if not told and (isinstance(error, BfioError) or not isinstance(error, OSError)):
            return error
        reason = str(error) if told else f"it can not be read ({error})"
        return self._error(run, self.where(key), reason, offset)

    def _errands(self, plan: ReadPlan, lease: CacheLease | None) -> Iterator[Errand]:
        n_chunks = len(plan.chunks)
        if self._meta.shard is None:
            for number in range(n_chunks):
                run = Run(plan, number, number + 1)
                yield self.held(run, lease) or ChunkErrand(self, run, lease)
            return
        shards = plan.chunks // self._per_shard
        order = np.lexsort(shards.T[::-1]) if shards.shape[1] else np.arange(n_chunks)
        borders = np.flatnonzero(np.any(np.diff(shards[order], axis=0), axis=1)) + 1
        for numbers in np.split(order, borders):
            yield ShardErrand(self, plan.reordered(numbers), lease)


def _known(run: Run) -> tuple[bytes, None]:
    """What the cache knows the first chunk of a run by."""
    return run.plan.chunks[run.first].tobytes(), None


class _Whole:
    """A store that knows nothing but whole values."""

    ahead = 0

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    def fetch(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> Piece | None:
        del start, stop, most
        data = self._nodes.get(key)
        return None if data is None else Piece(data, whole=True)

    def start(self, key: str, start: int = 0, stop: int | None = None, most: int | None = None) -> object:
        raise NotImplementedError

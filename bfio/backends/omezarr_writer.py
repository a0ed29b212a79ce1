"""Backend ``"zarr"`` as a writer: OME-Zarr in folders, chunked or sharded, pyramidal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bfio._parallel import Workers
from bfio.backends.session_writer import SessionWriter
from bfio.enums import Predictor
from bfio.errors import UsageError
from bfio.metadata import Level, Series
from bfio.omezarr.metadata_out import documents
from bfio.omezarr.writing import begin
from bfio.omezarr.writing.choose import choose, flat_series
from bfio.omezarr.writing.recipe import AXES, Recipe, array_metas
from bfio.omezarr.writing.session import ZarrSession
from bfio.omezarr.writing.state import State, is_unfinished
from bfio.options import WriteOptions
from bfio.target import part_path

__all__ = ["OmeZarrWriter", "append_writer", "attach_writer", "open_writer", "resume_writer"]


class OmeZarrWriter(SessionWriter[ZarrSession]):
    """A store that is being written.

    Attributes
    ----------
    chunk_shape : tuple of int
        Along T, C, Z, Y, X: what only one process may write, a chunk, or a shard where there are shards.
    """

    name = "zarr"

    def __init__(self, session: ZarrSession) -> None:
        self.chunk_shape = session.state.recipe.unit
        super().__init__(session, (self.chunk_shape[3], self.chunk_shape[4]))


def open_writer(path: Path, series: Series, xml: str, options: WriteOptions) -> OmeZarrWriter:
    """Start a store, or go on with one. See :func:`bfio.backends.registry.create_writer`."""
    if options.predictor not in (None, Predictor.NONE):
        raise UsageError("predictor= is for TIFF only; leave it out")
    flat = flat_series(series)
    recipe, workers = choose(flat, options), Workers(options.max_workers)
    if options.resume and is_unfinished(part_path(path)):
        begun = _resumed(path, options)
        _check_same(begun, recipe)
        return OmeZarrWriter(begun)
    flat = replace(flat, levels=_levels(recipe))
    made = documents(flat, array_metas(recipe), AXES, recipe.version, xml, str(recipe.downsample))
    state = State(recipe, series)
    return OmeZarrWriter(
        begin.create(path, state, made, workers, durable=options.durable, overwrite=bool(options.overwrite))
    )


def _levels(recipe: Recipe) -> tuple[Level, ...]:
    shapes = [(recipe.level_shape(level), recipe.level_chunk(level)) for level in range(recipe.n_levels)]
    return tuple(Level(shape[3], shape[4], (chunk[3], chunk[4])) for shape, chunk in shapes)


def _check_same(found: ZarrSession, wanted: Recipe) -> None:
    """Refuse to go on with a store that was begun as another one."""
    differ = [
        f"{name} was {getattr(found.state.recipe, name)!s} and is {getattr(wanted, name)!s}"
        for name in Recipe.__dataclass_fields__
        if getattr(found.state.recipe, name) != getattr(wanted, name)
    ]
    if differ:
        found.abandon()
        raise UsageError(
            f"{found.folder} was begun with other values ({'; '.join(differ)}); resume with those, "
            "or without resume=True"
        )


def attach_writer(path: Path, max_workers: int) -> tuple[OmeZarrWriter, Series]:
    """Join the writing of a store. See :func:`bfio.backends.registry.attach_writer`."""
    joined = begin.attach(path, Workers(max_workers))
    return OmeZarrWriter(joined), joined.state.series


def resume_writer(path: Path, options: WriteOptions) -> tuple[OmeZarrWriter, Series]:
    """Go on with a store as it was begun. See :func:`bfio.backends.registry.resume_writer`."""
    resumed = _resumed(path, options)
    return OmeZarrWriter(resumed), resumed.state.series


def _resumed(path: Path, options: WriteOptions) -> ZarrSession:
    workers = Workers(options.max_workers)
    return begin.resume(path, workers, durable=options.durable, overwrite=bool(options.overwrite))


def append_writer(path: Path, options: WriteOptions) -> tuple[OmeZarrWriter, Series]:
    """Write into a finished store. See :func:`bfio.backends.registry.append_writer`."""
    opened = begin.append(path, Workers(options.max_workers), durable=options.durable)
    return OmeZarrWriter(opened), opened.state.series

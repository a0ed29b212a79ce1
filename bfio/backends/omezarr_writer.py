"""Backend ``"zarr"`` as a writer: OME-Zarr in folders, chunked or sharded, pyramidal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bfio._parallel import Workers
from bfio.backends.session_writer import SessionWriter
from bfio.errors import UsageError
from bfio.metadata import Level, Series
from bfio.omezarr.metadata_out import documents
from bfio.omezarr.writing import begin
from bfio.omezarr.writing.choose import choose, flat_series
from bfio.omezarr.writing.collection import check_collection, version_of
from bfio.omezarr.writing.destination import Destination
from bfio.omezarr.writing.recipe import AXES, Recipe, array_metas
from bfio.omezarr.writing.session import ZarrSession
from bfio.omezarr.writing.state import State, is_unfinished
from bfio.omezarr.writing.unfinished import UnfinishedCollection
from bfio.options import WriteOptions
from bfio.pyramid import check_method

__all__ = [
    "OmeZarrWriter",
    "append_writer",
    "attach_writer",
    "begin_collection",
    "check_series",
    "open_writer",
    "resume_writer",
]


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
    flat = flat_series(series)
    if options.series is not None and options.zarr_version is None:
        options = replace(options, zarr_version=version_of(path))
    recipe, workers = choose(flat, options), Workers(options.max_workers)
    target = Destination(path, options.series)
    if options.resume and is_unfinished(target.part):
        begun = _resumed(target, options)
        _check_same(begun, recipe)
        return OmeZarrWriter(begun)
    flat = replace(flat, levels=_levels(recipe))
    how = check_method(recipe.dtype, str(recipe.downsample)) if recipe.n_levels > 1 else str(recipe.downsample)
    made = documents(flat, array_metas(recipe), AXES, recipe.version, xml, how)
    state = State(recipe, series)
    return OmeZarrWriter(
        begin.create(target, state, made, workers, durable=options.durable, overwrite=bool(options.overwrite))
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


def check_series(path: Path, options: WriteOptions) -> None:
    """Refuse a store that can not have the image. See :func:`bfio.backends.registry.check_options`."""
    check_collection(path, options.zarr_version)


def begin_collection(path: Path, signature: dict[str, Any], options: WriteOptions) -> UnfinishedCollection:
    """Begin a store of several images. See :func:`bfio.backends.registry.begin_collection`."""
    return UnfinishedCollection(path, signature, options.zarr_version or "0.5", resume=options.resume)


def attach_writer(path: Path, options: WriteOptions) -> tuple[OmeZarrWriter, Series]:
    """Join the writing of a store. See :func:`bfio.backends.registry.attach_writer`."""
    joined = begin.attach(Destination(path, options.series), Workers(options.max_workers))
    return OmeZarrWriter(joined), joined.state.series


def resume_writer(path: Path, options: WriteOptions) -> tuple[OmeZarrWriter, Series]:
    """Go on with a store as it was begun. See :func:`bfio.backends.registry.resume_writer`."""
    resumed = _resumed(Destination(path, options.series), options)
    return OmeZarrWriter(resumed), resumed.state.series


def _resumed(target: Destination, options: WriteOptions) -> ZarrSession:
    workers = Workers(options.max_workers)
    return begin.resume(target, workers, durable=options.durable, overwrite=bool(options.overwrite))


def append_writer(path: Path, options: WriteOptions) -> tuple[OmeZarrWriter, Series]:
    """Write into a finished store. See :func:`bfio.backends.registry.append_writer`."""
    opened = begin.append(
        Destination(path, options.series), Workers(options.max_workers), durable=options.durable,
        downsample=options.downsample,
    )  # fmt: skip
    return OmeZarrWriter(opened), opened.state.series
